// Maps an answer of vPIC to the contract's format of a decode.

import { countryOf } from '../vin/country.js';
import { isFullVin } from '../vin/query.js';
import { CHECK_DIGIT_INDEX, expectedCheckDigit } from '../vin/vin.js';
import { possibleYears } from '../vin/year.js';
import { isLightVehicle, isRegistered, modelYearOf } from './answer.js';
import { engineLabel } from './engine.js';
import { plainNumber, rounded } from './numbers.js';
import { errorsOf, possibleCharacters, suggestedVin } from './problems.js';

/** Keys of an answer that describe the request and not the vehicle. */
const ABOUT_THE_REQUEST = new Set([
  'VIN',
  'ErrorCode',
  'ErrorText',
  'AdditionalErrorText',
  'SuggestedVIN',
  'PossibleValues',
  'VehicleDescriptor',
  'MakeID',
  'ModelID',
  'ManufacturerId',
]);
/** The fields of a vehicle, in the order of a decode. */
const FIELD_SOURCES = [
  ['make', (answer) => answer.Make],
  ['model', (answer) => answer.Model],
  ['year', (answer, year) => year],
  ['trimLevel', (answer) => answer.Trim],
  ['engine', engineLabel],
  ['transmission', (answer) => answer.TransmissionStyle],
  ['driveType', (answer) => answer.DriveType],
  ['fuelType', (answer) => answer.FuelTypePrimary],
  ['bodyClass', (answer) => answer.BodyClass],
  ['vehicleType', (answer) => answer.VehicleType],
];

/** @typedef {'vpic' | 'cache'} Source */
/** @typedef {{answer: import('./answer.js').Answer, source: Source}} Answered */

/**
 * The possible model years by an answer, the decoded one first.
 * @param {import('./answer.js').Answer} answer
 * @param {string} query
 * @param {number} currentYear
 */
export function yearsOf(answer, query, currentYear) {
  return possibleYears(query, modelYearOf(answer), {
    isRegistered: isRegistered(answer),
    isLightVehicle: isLightVehicle(answer),
    currentYear,
  });
}

/**
 * @param {Answered} answered
 * @param {{input: string, query: string, isFull: boolean, currentYear: number}} request
 */
export function toDecode({ answer, source }, { input, query, isFull, currentYear }) {
  const years = yearsOf(answer, query, currentYear);
  const modelYear = years[0] ?? null;
  const fullVin = isFullVin(query) ? query : null;
  return {
    input,
    vin: fullVin,
    modelYear,
    fields: fieldsOf(answer, modelYear, source),
    facts: isFull ? factsOf(answer, query, modelYear, source) : undefined,
    errors: errorsOf(answer, query),
    checkDigit: fullVin === null ? null : checkDigitOf(fullVin),
    suggestedVin: suggestedVin(answer, query),
    possible: possibleCharacters(answer, query),
    years,
  };
}

function fieldsOf(answer, modelYear, source) {
  const fields = {};
  for (const [name, read] of FIELD_SOURCES) {
    const value = read(answer, modelYear) ?? null;
    if (value !== null) fields[name] = { value, source };
  }
  return fields;
}

function checkDigitOf(vin) {
  const expected = expectedCheckDigit(vin);
  return expected === null ? null : { valid: expected === vin[CHECK_DIGIT_INDEX], expected };
}

function factsOf(answer, query, modelYear, source) {
  const country = countryOf(query);
  const ofCountry = {
    group: 'General',
    name: 'Country of Manufacturer',
    code: 'WmiCountry',
    value: country,
    source: 'iso3780',
  };
  const isFact = (code) => !ABOUT_THE_REQUEST.has(code) && (code !== 'ModelYear' || modelYear !== null);
  // vPIC's flat answer has no groups and no names but the codes.
  const facts = Object.keys(answer)
    .filter(isFact)
    .sort()
    .map((code) => ({ group: 'Other', name: code, code, value: factValue(code, answer[code]), source }));
  return country === null ? facts : [ofCountry, ...facts];
}

/** vPIC computes some displacements from cubic inches, with nine decimals. */
function factValue(code, value) {
  const liters = code === 'DisplacementL' ? plainNumber(value) : null;
  return liters === null ? value : rounded(liters, 1);
}
