// What vPIC finds wrong with a VIN: errors, possible characters, and the suggested VIN.

import { knownAt } from '../vin/query.js';
import { FULL_LENGTH, hasValidCheckDigit } from '../vin/vin.js';
import { errorCodes } from './answer.js';

const INVALID_CHARACTERS = 400;
/** Codes that say no more than that characters are missing. */
const OF_AN_INCOMPLETE_VIN = [6, 7, 8, 11];
const UNMATCHED_CHARACTERS = 14;
/** A manufacturer's pattern needs this many characters to match as a whole. */
const DESCRIPTOR_LENGTH = 8;

/**
 * @param {import('./answer.js').Answer} answer
 * @param {string} query
 * @returns {{code: number, message: string}[]}
 */
export function errorsOf(answer, query) {
  const isWhole = query.length === FULL_LENGTH && !query.includes('*');
  return split(answer.ErrorText ?? '', errorCodes(answer)).filter(({ code }) => {
    if (code === UNMATCHED_CHARACTERS) return query.length >= DESCRIPTOR_LENGTH;
    return isWhole || !OF_AN_INCOMPLETE_VIN.includes(code);
  });
}

/** Splits `1 - …; 14 - …`. A message may have a semicolon of its own, so it ends where the next code begins. */
function split(text, codes) {
  let rest = text;
  return codes.map((code, index) => {
    rest = rest.replace(/^\d+ - /, '');
    const next = codes[index + 1];
    const end = next === undefined ? -1 : rest.search(new RegExp(`; 0*${next} - `));
    const message = end < 0 ? rest : rest.slice(0, end);
    rest = end < 0 ? '' : rest.slice(end + '; '.length);
    return { code, message };
  });
}

/**
 * The characters that would fit, from text such as `(8:6)(12:ABF)`. For I, O and Q the digit that they resemble.
 * @param {import('./answer.js').Answer} answer
 * @param {string} query
 * @returns {{position: number, characters: string}[]}
 */
export function possibleCharacters(answer, query) {
  const possible = new Map();
  for (const [, digits, characters] of (answer.PossibleValues ?? '').matchAll(/\((\d{1,2}):([^)]*)\)/g)) {
    const position = Number(digits);
    const isTyped = knownAt(query, position) !== null && query.length >= DESCRIPTOR_LENGTH;
    if (isTyped && !possible.has(position)) possible.set(position, characters);
  }
  for (const { index, 0: letter } of query.matchAll(/[IOQ]/g)) {
    if (!possible.has(index + 1)) possible.set(index + 1, lookAlike(letter));
  }
  return [...possible].sort(([one], [other]) => one - other).map(([position, characters]) => ({ position, characters }));
}

/**
 * vPIC's suggestion, or else the query with I, O and Q replaced; only if it is complete and its check digit is correct.
 * @param {import('./answer.js').Answer} answer
 * @param {string} query
 * @returns {string | null}
 */
export function suggestedVin(answer, query) {
  const replaced = errorCodes(answer).includes(INVALID_CHARACTERS) ? query.replace(/[IOQ]/g, lookAlike) : null;
  const candidates = [answer.SuggestedVIN, replaced];
  return candidates.find((vin) => vin && vin !== query && vin.length === FULL_LENGTH && hasValidCheckDigit(vin)) ?? null;
}

const lookAlike = (letter) => (letter === 'I' ? '1' : '0');
