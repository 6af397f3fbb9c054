// The body of a request to decode a VIN.

import { fieldErrors } from '../http/errors.js';

const [MIN_INTEGER, MAX_INTEGER] = [-(2 ** 31), 2 ** 31 - 1];

/**
 * @param {Record<string, unknown>} body
 * @param {string | null} full the parameter of the query
 * @returns {{vin: string, modelYear: number | null, isFull: boolean}}
 */
export function parseDecodeRequest({ vin, modelYear = null }, full) {
  const isYear = modelYear === null || (Number.isInteger(modelYear) && modelYear >= MIN_INTEGER && modelYear <= MAX_INTEGER);
  const errors = [
    typeof vin !== 'string' && { field: 'vin', message: 'vin must be a string' },
    !isYear && { field: 'modelYear', message: 'modelYear must be an integer' },
    ![null, 'true', 'false'].includes(full) && { field: 'full', message: 'full must be a boolean' },
  ].filter((error) => error !== false);
  if (errors.length > 0) throw fieldErrors(errors);
  return { vin, modelYear, isFull: full === 'true' };
}
