// The input of a decode: a VIN or a part of one, with `*` for unknown characters, or text that contains a VIN.

import { VIN_CHARACTERS, VIN_LENGTH } from './messages.js';
import { cleanVin, findVin, FULL_LENGTH } from './vin.js';

/** Characters from which a VIN names its manufacturer. */
const SHORTEST_QUERY = 3;

/**
 * @param {string} text
 * @returns {{query: string} | {message: string}}
 */
export function parseQuery(text) {
  const cleaned = cleanVin(text);
  const hasOnlyAllowed = /^[A-Z0-9*]*$/.test(cleaned);
  if (hasOnlyAllowed && cleaned.length >= SHORTEST_QUERY && cleaned.length <= FULL_LENGTH) return { query: cleaned };
  const vin = findVin(text);
  if (vin !== null) return { query: vin };
  return { message: hasOnlyAllowed ? VIN_LENGTH : VIN_CHARACTERS };
}

/** Whether the query is a VIN with all its characters. @param {string} query */
export const isFullVin = (query) => query.length === FULL_LENGTH && !/[*IOQ]/.test(query);

/** The character at a position counted from 1; null where it is unknown. @param {string} query @param {number} position */
export function knownAt(query, position) {
  const character = query[position - 1];
  return character === undefined || character === '*' ? null : character;
}
