// The schema of a vehicle's fields in TypeBox: JSON types, choices and limits of numbers. What a schema cannot state, such
// as the white space around text, is in the package that the backends share.

import { FIELDS, limitsOf } from '@motovault/peers-common/vehicles/fields.js';
import { outOfRange, wrongType } from '@motovault/peers-common/vehicles/messages.js';
import Type from 'typebox';
import { Compile } from 'typebox/compile';

const LIMITS = ['minimum', 'maximum'];
const FIELDS_BY_PATH = new Map(FIELDS.map((field) => [`/${field.name}`, field]));

/** @param {import('@motovault/peers-common/vehicles/fields.js').Field} field @param {Date} at */
function typeOf({ rule }, at) {
  switch (rule.kind) {
    case 'year':
    case 'integer': {
      const { least, greatest } = limitsOf(rule, at);
      return Type.Integer({ minimum: least, maximum: greatest });
    }
    case 'choice':
      return Type.Enum(rule.choices);
    case 'boolean':
      return Type.Boolean();
    default:
      return Type.String();
  }
}

const validatorAt = (at) =>
  Compile(Type.Object(Object.fromEntries(FIELDS.map((field) => [field.name, Type.Optional(typeOf(field, at))]))));

/** The validator of the current year, which limits model years. */
let current = { year: NaN, validator: Compile(Type.Object({})) };

/** @type {import('@motovault/peers-common/vehicles/patch.js').CheckTypes} */
export function checkTypes(draft, at) {
  const year = at.getUTCFullYear();
  if (current.year !== year) current = { year, validator: validatorAt(at) };
  const messages = new Map();
  if (current.validator.Check(draft)) return messages;
  for (const { instancePath, keyword } of current.validator.Errors(draft)) {
    const field = FIELDS_BY_PATH.get(instancePath);
    if (field === undefined) continue;
    // A number can be both fractional and out of its limits; then its type is what is wrong.
    if (!LIMITS.includes(keyword)) messages.set(field.name, wrongType(field));
    else if (!messages.has(field.name)) messages.set(field.name, outOfRange(field, at));
  }
  return messages;
}
