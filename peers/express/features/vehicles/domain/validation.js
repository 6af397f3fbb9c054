// The schema of a vehicle's fields in Joi, with the contract's messages: JSON types, choices and limits of numbers. What a
// schema cannot state, such as lengths in code points, is in the package that the backends share.

import { FIELDS, limitsOf } from '@motovault/peers-common/vehicles/fields.js';
import { outOfRange, wrongType } from '@motovault/peers-common/vehicles/messages.js';
import Joi from 'joi';

/** No coercion: `"2003"` is not a year. All fields are checked, because all errors are reported. */
const OPTIONS = { abortEarly: false, convert: false };

/** @param {import('@motovault/peers-common/vehicles/fields.js').Field} field @param {Date} at */
function ruleOf(field, at) {
  switch (field.rule.kind) {
    case 'year':
    case 'integer':
      return integer(field, at);
    case 'choice':
      return Joi.string().valid(...field.rule.choices).messages({ '*': wrongType(field) });
    case 'boolean':
      return Joi.boolean().messages({ '*': wrongType(field) });
    default:
      return Joi.string().allow('').messages({ '*': wrongType(field) });
  }
}

function integer(field, at) {
  const { least, greatest } = limitsOf(field.rule, at);
  const outside = ['number.min', 'number.max', 'number.unsafe'];
  const messages = Object.fromEntries(outside.map((code) => [code, outOfRange(field, at)]));
  return Joi.number().integer().min(least).max(greatest).messages({ '*': wrongType(field), ...messages });
}

const schemaAt = (at) => Joi.object(Object.fromEntries(FIELDS.map((field) => [field.name, ruleOf(field, at)])));

/** The schema of the current year, which limits model years. */
let current = { year: NaN, schema: Joi.object() };

/** @type {import('@motovault/peers-common/vehicles/patch.js').CheckTypes} */
export function checkTypes(draft, at) {
  const year = at.getUTCFullYear();
  if (current.year !== year) current = { year, schema: schemaAt(at) };
  const messages = new Map();
  for (const { path, message } of current.schema.validate(draft, OPTIONS).error?.details ?? []) {
    // Joi reports the type of a value first.
    if (!messages.has(path[0])) messages.set(path[0], message);
  }
  return messages;
}
