// The digest of a create, by which a repeated one is recognized, also by another backend.

import { createHash } from 'node:crypto';
import { FIELDS } from './fields.js';

/** Field names are ASCII, so they sort in the same way everywhere. */
const SORTED = [...FIELDS].sort((one, other) => (one.name < other.name ? -1 : 1));

/**
 * Covers the fields that are set, sorted by name.
 * @param {Record<string, any>} fields as they were sent, before a decode fills any
 */
export function digestOf(fields) {
  const set = SORTED.filter(({ name, empty }) => fields[name] !== empty).map(({ name }) => [name, fields[name]]);
  return createHash('sha256').update(JSON.stringify(Object.fromEntries(set))).digest('hex');
}
