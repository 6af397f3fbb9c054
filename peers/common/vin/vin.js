// VINs: cleaning, rules, and the check digit (ISO 3779, 49 CFR 565).

import { VIN_CHARACTERS, VIN_LENGTH, VIN_LETTERS } from './messages.js';

export const FULL_LENGTH = 17;
const SHORTEST_LENGTH = 5;
export const CHECK_DIGIT_INDEX = 8;
const WEIGHTS = [8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2];
const LETTERS = 'ABCDEFGHJKLMNPRSTUVWXYZ';
/** The value of each letter in the sum (49 CFR 565.15, table III). */
const LETTER_VALUES = '12345678123457923456789';
/** The hyphen and those that word processors put in its place. */
const DASHES = '\\-\\u2010-\\u2015\\u2212';
const SPACES_AND_DASHES = new RegExp(`[\\p{White_Space}${DASHES}]`, 'gu');
const NOT_IN_WORDS = new RegExp(`[^\\p{Alphabetic}\\p{N}${DASHES}]+`, 'u');

/** Removes spaces and dashes, and upper-cases ASCII letters only. @param {string} text */
export function cleanVin(text) {
  return text.replace(SPACES_AND_DASHES, '').replace(/[a-z]+/g, (letters) => letters.toUpperCase());
}

/**
 * @param {string} text
 * @returns {{vin: string} | {message: string}}
 */
export function parseVin(text) {
  const vin = cleanVin(text);
  if (!/^[A-Z0-9]*$/.test(vin)) return { message: VIN_CHARACTERS };
  if (vin.length < SHORTEST_LENGTH || vin.length > FULL_LENGTH) return { message: VIN_LENGTH };
  if (isFullLength(vin) && /[IOQ]/.test(vin)) return { message: VIN_LETTERS };
  return { vin };
}

/** Whether it is a VIN of 17 characters and not a number from before 1981. @param {string} vin */
export const isFullLength = (vin) => vin.length === FULL_LENGTH;

/**
 * The check digit by the other sixteen characters; null if it is not 17 characters of a VIN's alphabet.
 * @param {string} vin
 * @returns {string | null}
 */
export function expectedCheckDigit(vin) {
  if (!isFullLength(vin)) return null;
  let sum = 0;
  for (const [index, character] of [...vin].entries()) {
    if (index === CHECK_DIGIT_INDEX) continue;
    const letter = LETTERS.indexOf(character);
    if (letter < 0 && !/\d/.test(character)) return null;
    const value = Number(letter < 0 ? character : LETTER_VALUES[letter]);
    sum += WEIGHTS[index] * value;
  }
  const digit = sum % 11;
  return digit === 10 ? 'X' : String(digit);
}

/** @param {string} vin */
export const hasValidCheckDigit = (vin) => expectedCheckDigit(vin) === vin[CHECK_DIGIT_INDEX];

/**
 * Finds the VIN in running text: a word of 17 letters and digits, or adjacent words with 17 in total. One with a correct
 * check digit wins; another one must have a digit, because ordinary words could match.
 * @param {string} text
 * @returns {string | null}
 */
export function findVin(text) {
  const words = text.split(NOT_IN_WORDS).map(cleanVin).filter((word) => word !== '');
  let fallback = null;
  for (let start = 0; start < words.length; start += 1) {
    let joined = '';
    for (let next = start; next < words.length && joined.length < FULL_LENGTH; next += 1) joined += words[next];
    if (!isFullLength(joined)) continue;
    const parsed = parseVin(joined);
    if (!('vin' in parsed)) continue;
    if (hasValidCheckDigit(parsed.vin)) return parsed.vin;
    if (/\d/.test(parsed.vin)) fallback ??= parsed.vin;
  }
  return fallback;
}
