// A validated change of a vehicle: fields to set, and fields to clear.

import { ApiError, badRequest, fieldErrors } from '../http/errors.js';
import { emptyFields, FIELDS, isIdentifiable } from './fields.js';
import { parseId } from './ids.js';
import { ID_IS_NO_UUID, NOT_IDENTIFIABLE } from './messages.js';
import { normalize } from './values.js';

/** @typedef {Map<string, string | number | boolean | null>} Patch values by field name; null clears a field */
/**
 * Checks JSON types, choices and limits of numbers. Each backend has its own, with its own library of schemas.
 * @callback CheckTypes
 * @param {Record<string, unknown>} draft only known fields, none of them null
 * @param {Date} at
 * @returns {Map<string, string>} messages by field name
 */

/**
 * @param {CheckTypes} checkTypes
 * @param {Record<string, unknown>} body
 * @param {Date} at
 * @returns {Patch}
 */
export function parsePatch(checkTypes, body, at) {
  const sent = FIELDS.filter(({ name }) => body[name] !== undefined);
  const draft = Object.fromEntries(sent.flatMap(({ name }) => (body[name] === null ? [] : [[name, body[name]]])));
  const messages = checkTypes(draft, at);
  const patch = new Map();
  const errors = [];
  for (const field of sent) {
    const checked = checkField(field, body[field.name], messages.get(field.name));
    if ('message' in checked) errors.push({ field: field.name, message: checked.message });
    else patch.set(field.name, checked.value);
  }
  if (errors.length > 0) throw fieldErrors(errors);
  return patch;
}

function checkField(field, value, message) {
  if (value === null) return { value };
  return message === undefined ? normalize(field, value) : { message };
}

/**
 * @param {Record<string, any>} fields
 * @param {Patch} patch
 * @returns {Record<string, any>} the fields after the change
 */
export function applyPatch(fields, patch) {
  const after = { ...fields };
  for (const { name, empty } of FIELDS) {
    if (patch.has(name)) after[name] = patch.get(name) ?? empty;
  }
  if (!isIdentifiable(after)) throw badRequest(NOT_IDENTIFIABLE);
  return after;
}

/**
 * The id, if one is sent, and the fields of a new vehicle. The id is checked after all fields.
 * @param {CheckTypes} checkTypes
 * @param {Record<string, unknown>} body
 * @param {Date} at
 */
export function parseNewVehicle(checkTypes, body, at) {
  const sentId = body.id ?? null;
  const id = typeof sentId === 'string' ? parseId(sentId) : null;
  const idErrors = sentId !== null && id === null ? [{ field: 'id', message: ID_IS_NO_UUID }] : [];
  try {
    const fields = applyPatch(emptyFields(), parsePatch(checkTypes, body, at));
    if (idErrors.length > 0) throw fieldErrors(idErrors);
    return { id, fields };
  } catch (error) {
    if (idErrors.length === 0 || !(error instanceof ApiError)) throw error;
    const others = (error.details ?? []).filter(({ field }) => field !== 'id');
    throw fieldErrors([...others, ...idErrors]);
  }
}
