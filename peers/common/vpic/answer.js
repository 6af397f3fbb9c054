// Reads an answer of the vPIC API, which is not trusted: only text and numbers of limited length are kept.

import { trim } from '../text.js';
import { plainNumber } from './numbers.js';

/** Longer values are dropped; vPIC's notes have a few hundred characters. */
const LONGEST_VALUE_BYTES = 2_000;
const NO_VALUE = 'Not Applicable';
const UNREGISTERED = 7;
/** Trucks up to 10 000 lb, whose model year position 7 determines (49 CFR 565.15). */
const LIGHT_TRUCK = /^Class [12]\D/;

/** @typedef {Record<string, string>} Answer vPIC's values by vPIC's code, without empty ones */

/**
 * @param {unknown} values one object of vPIC's `Results`
 * @returns {Answer | null} null if it is no object
 */
export function readAnswer(values) {
  if (values === null || typeof values !== 'object' || Array.isArray(values)) return null;
  /** @type {Answer} */
  const answer = Object.create(null);
  for (const [code, value] of Object.entries(values)) {
    const text = typeof value === 'number' ? String(value) : typeof value === 'string' ? trim(value) : '';
    if (text !== '' && text !== NO_VALUE && Buffer.byteLength(text) <= LONGEST_VALUE_BYTES) answer[code] = text;
  }
  return answer;
}

/**
 * The only answer in the body of a response; null if there is another number of them, or it cannot be read.
 * @param {string} text
 */
export function readResponse(text) {
  let body;
  try {
    body = JSON.parse(text);
  } catch {
    return null;
  }
  if (!Array.isArray(body?.Results) || body.Results.length !== 1) return null;
  return readAnswer(body.Results[0]);
}

/** @param {Answer} answer @param {string} query */
export const isAbout = (answer, query) => answer.VIN === undefined || answer.VIN.toUpperCase() === query;

/** Whether it describes a vehicle, and not only errors of the VIN. @param {Answer} answer */
export const knowsTheVehicle = (answer) => answer.Make !== undefined;

/** @param {Answer} answer @returns {number[]} */
export function errorCodes(answer) {
  return (answer.ErrorCode ?? '').split(',').map((code) => code.trim()).filter((code) => /^\d+$/.test(code)).map(Number);
}

/** @param {Answer} answer */
export const isRegistered = (answer) => !errorCodes(answer).includes(UNREGISTERED);

/** @param {Answer} answer @returns {number | null} */
export function modelYearOf(answer) {
  const year = plainNumber(answer.ModelYear);
  return Number.isInteger(year) ? year : null;
}

/** Whether position 7 determines the model year of this type of vehicle. @param {Answer} answer */
export function isLightVehicle(answer) {
  switch (answer.VehicleType) {
    case 'PASSENGER CAR':
    case 'MULTIPURPOSE PASSENGER VEHICLE (MPV)':
      return true;
    case 'TRUCK':
      return LIGHT_TRUCK.test(answer.GVWR ?? '');
    default:
      return false;
  }
}
