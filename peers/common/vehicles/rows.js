// Maps rows to vehicles as they are sent, and to the facts of a write.

import { trim } from '../text.js';
import { FIELDS } from './fields.js';
import { COLUMN_COUNT } from './statements.js';

const [ID, USER_ID, IMAGE_URL, CREATED_AT, UPDATED_AT, DELETED_AT, VERSION] = Array.from(
  { length: COLUMN_COUNT - FIELDS.length },
  (_, index) => FIELDS.length + index,
);

/**
 * @param {any[]} row begins with the columns of a vehicle
 * @returns {any} null if an outer join found none
 */
export function vehicleOf(row) {
  if (row[ID] === null) return null;
  const vehicle = { id: row[ID], userId: row[USER_ID] };
  for (const [index, { name, empty }] of FIELDS.entries()) vehicle[name] = row[index] ?? empty;
  // Other programs may have stored a blank VIN.
  if (vehicle.vin !== null && trim(vehicle.vin) === '') vehicle.vin = null;
  vehicle.imageUrl = row[IMAGE_URL];
  vehicle.createdAt = row[CREATED_AT];
  vehicle.updatedAt = row[UPDATED_AT];
  vehicle.deletedAt = row[DELETED_AT];
  vehicle.version = row[VERSION];
  return vehicle;
}

/** @param {any[]} row @returns {import('./decide.js').Facts} */
export function factsOf(row) {
  const [createdWith, hasTwin, records] = row.slice(COLUMN_COUNT);
  return { vehicle: vehicleOf(row), createdWith, hasTwin, records };
}
