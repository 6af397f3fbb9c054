// Normalizes values whose JSON type is right already, and checks the rules that a schema cannot state.

import { hasControlCharacters, isLongerThan, trim } from '../text.js';
import { parseVin } from '../vin/vin.js';
import { limitsOf } from './fields.js';
import { controlCharacters, tooLong } from './messages.js';

/** @typedef {{value: string | number | boolean | null} | {message: string}} Checked null is an empty field */

/**
 * @param {import('./fields.js').Field} field
 * @param {any} value
 * @returns {Checked}
 */
export function normalize(field, value) {
  switch (field.rule.kind) {
    case 'vin':
      return vin(value);
    case 'text':
      return text(field, value);
    case 'year':
    case 'integer':
      // -0 is 0.
      return { value: value + 0 };
    default:
      return { value };
  }
}

function vin(value) {
  if (trim(value) === '') return { value: null };
  const parsed = parseVin(value);
  return 'vin' in parsed ? { value: parsed.vin } : parsed;
}

function text(field, value) {
  const { longest, allowsLineBreaks } = field.rule;
  const trimmed = trim(value);
  if (isLongerThan(trimmed, longest)) return { message: tooLong(field) };
  if (hasControlCharacters(trimmed, allowsLineBreaks)) return { message: controlCharacters(field) };
  return { value: trimmed === '' ? null : trimmed };
}

/**
 * Adapts a value that no person typed, such as a decoded one, to the rule of its field; null if that is not possible.
 * @param {import('./fields.js').Field} field
 * @param {string | number} value
 * @param {Date} at
 */
export function fitted({ rule }, value, at) {
  if (typeof value === 'number') {
    const { least, greatest } = limitsOf(rule, at);
    return value >= least && value <= greatest ? value : null;
  }
  const printable = trim(value.replace(/\p{Cc}/gu, ' '));
  return trim([...printable].slice(0, rule.longest).join('')) || null;
}
