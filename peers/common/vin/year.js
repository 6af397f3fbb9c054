// The model years that a VIN can encode (49 CFR 565.15).

import { knownAt } from './query.js';

const YEAR_POSITION = 10;
const CYCLE_POSITION = 7;
const YEAR_CHARACTERS = 'ABCDEFGHJKLMNPRSTVWXY123456789';
const YEAR_CYCLE = 30;
const FIRST_MODEL_YEAR = 1980;
const YEARS_AHEAD = 2;

/**
 * Checks a decoded year: it counts only if position 10 encodes it and the manufacturer is registered, because position
 * 10 may otherwise not be a year. For light vehicles position 7 selects one of the two years; for others both are
 * possible, unless one is in the future.
 * @param {string} query
 * @param {number | null} decoded
 * @param {{isRegistered: boolean, isLightVehicle: boolean, currentYear: number}} context
 * @returns {number[]} the possible years, the decoded one first
 */
export function possibleYears(query, decoded, { isRegistered, isLightVehicle, currentYear }) {
  const encoded = encodedYears(query, currentYear + YEARS_AHEAD);
  if (decoded === null || !isRegistered || !encoded.includes(decoded)) return [];
  if (isLightVehicle && knownAt(query, CYCLE_POSITION) !== null) return [decoded];
  return [decoded, ...encoded.filter((year) => year !== decoded)];
}

/** @param {string} query @param {number} latest */
function encodedYears(query, latest) {
  const character = knownAt(query, YEAR_POSITION);
  const index = character === null ? -1 : YEAR_CHARACTERS.indexOf(character);
  if (index < 0) return [];
  const first = FIRST_MODEL_YEAR + index;
  return [first, first + YEAR_CYCLE].filter((year) => year <= latest);
}
