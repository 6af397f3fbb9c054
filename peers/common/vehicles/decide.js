// Decides what a write does, as a pure function of the stored facts.

import { changed, duplicateVin, quotaReached, usedId, vehicleNotFound } from '../http/errors.js';
import { FIELDS, fieldsOf } from './fields.js';
import { applyPatch } from './patch.js';

/** Vehicles of an account, removed ones included. */
export const QUOTA = 100_000;

/**
 * @typedef {object} Facts
 * @property {any} vehicle the row with the id, of any user, removed or not; null if there is none
 * @property {string | null} createdWith the digest of its create
 * @property {boolean} hasTwin whether another live vehicle of the user has the VIN
 * @property {number} records the number of the user's rows and tombstones
 */
/**
 * @typedef {{keep: any} | {insert: Record<string, any>} | {update: Record<string, any>} | {remove: true}} Decision
 * to write nothing and return the vehicle, or what to write
 */

/** @param {{fields: Record<string, any>, sent: string}} create @param {string} user @param {Facts} facts @returns {Decision} */
export function decideCreate({ fields, sent }, user, { vehicle, createdWith, hasTwin, records }) {
  if (vehicle !== null) {
    if (isLiveOf(user, vehicle) && createdWith === sent) return { keep: vehicle };
    throw usedId();
  }
  if (hasTwin) throw duplicateVin();
  if (records >= QUOTA) throw quotaReached(QUOTA);
  return { insert: fields };
}

/**
 * @param {{patch: import('./patch.js').Patch, decoded: Map<string, any>, versions: number[] | null}} update
 * @param {string} user
 * @param {Facts} facts
 * @returns {Decision}
 */
export function decideUpdate({ patch, decoded, versions }, user, facts) {
  const before = liveVehicle(user, facts.vehicle, versions);
  const after = applyPatch(fieldsOf(before), patch);
  if (after.vin !== before.vin) {
    if (facts.hasTwin) throw duplicateVin();
    fillEmpty(after, decoded);
  }
  const isSame = FIELDS.every(({ name }) => after[name] === before[name]);
  return isSame ? { keep: before } : { update: after };
}

/** @param {{versions: number[] | null}} remove @param {string} user @param {Facts} facts @returns {Decision} */
export function decideRemove({ versions }, user, facts) {
  liveVehicle(user, facts.vehicle, versions);
  return { remove: true };
}

/** @param {Record<string, any>} fields @param {Map<string, any>} decoded */
export function fillEmpty(fields, decoded) {
  for (const [name, value] of decoded) fields[name] ??= value;
}

function liveVehicle(user, vehicle, versions) {
  if (vehicle === null || !isLiveOf(user, vehicle)) throw vehicleNotFound();
  if (versions !== null && !versions.includes(vehicle.version)) throw changed(vehicle);
  return vehicle;
}

const isLiveOf = (user, vehicle) => vehicle.userId === user && vehicle.deletedAt === null;
