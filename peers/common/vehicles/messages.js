// The contract's messages about fields of a vehicle.

import { limitsOf } from './fields.js';

export const NOT_IDENTIFIABLE = 'A vehicle needs a VIN, a license plate, a nickname or a make';
export const ID_IS_NO_UUID = 'id must be a UUID';

/** The value has another type than the field. @param {import('./fields.js').Field} field */
export function wrongType({ name, rule }) {
  switch (rule.kind) {
    case 'year':
    case 'integer':
      return `${name} must be an integer`;
    case 'choice':
      return `${name} must be one of ${rule.choices.join(', ')}`;
    case 'boolean':
      return `${name} must be a boolean`;
    default:
      return `${name} must be a string`;
  }
}

/** The number is out of its limits. @param {import('./fields.js').Field} field @param {Date} at */
export function outOfRange({ name, rule }, at) {
  const { least, greatest } = limitsOf(rule, at);
  return `${name} must be between ${least} and ${greatest}`;
}

export const tooLong = ({ name, rule }) => `${name} must be at most ${rule.longest} characters`;
export const controlCharacters = ({ name }) => `${name} contains control characters`;
