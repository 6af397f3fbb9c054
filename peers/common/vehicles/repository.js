// Vehicles in the database.

import { violatedConstraint, toDatabaseError } from '../database/failure.js';
import { duplicateVin, usedId, vehicleNotFound } from '../http/errors.js';
import { columnValues } from './fields.js';
import { factsOf, vehicleOf } from './rows.js';
import { COLUMN_COUNT, FACTS, FEED_VERSION, INSERT, LIST, LIVE, REMOVE, UPDATE } from './statements.js';

/**
 * @typedef {object} Write
 * @property {string} id
 * @property {string | null} vin the VIN that it sets
 * @property {string} [sent] the digest of a create
 * @property {(facts: import('./decide.js').Facts) => import('./decide.js').Decision} decide
 * @property {() => boolean} isAwaited whether somebody waits for it
 */

/** @param {import('../database/database.js').Database} database */
export function createRepository(database) {
  return {
    /** The version of the user's last change, 0 before the first. @param {string} user @returns {Promise<number>} */
    async feedVersion(user) {
      const { rows } = await database.query(FEED_VERSION, [user]);
      return rows.length === 0 ? 0 : rows[0][0];
    },

    /** The live vehicles, newest first, and the feed version of the same moment. @param {string} user */
    async list(user) {
      const { rows } = await database.query(LIST, [user]);
      const vehicles = rows.map(vehicleOf).filter((vehicle) => vehicle !== null);
      return { version: rows.length === 0 ? 0 : rows[0][COLUMN_COUNT], vehicles };
    },

    /** A live vehicle, or null. @param {string} user @param {string} id */
    async find(user, id) {
      const { rows } = await database.query(LIVE, [user, id]);
      return rows.length === 0 ? null : vehicleOf(rows[0]);
    },

    /**
     * Performs a write in one transaction.
     * @param {string} user
     * @param {Write} write
     * @returns {Promise<{vehicle: any, isWritten: boolean}>}
     */
    async write(user, { id, vin, sent, decide, isAwaited }) {
      const step = (row) => statementOf(decide(factsOf(row)), id, user, sent);
      try {
        const outcome = await database.write(user, FACTS, [user, id, vin], step, isAwaited);
        if ('result' in outcome) return { vehicle: outcome.result, isWritten: false };
        // A writer that does not lock the feed deleted it in between.
        if (outcome.row === undefined) throw vehicleNotFound();
        return { vehicle: vehicleOf(outcome.row), isWritten: true };
      } catch (error) {
        throw refusalOf(error) ?? toDatabaseError(error);
      }
    },
  };
}

function statementOf(decision, id, user, sent) {
  if ('keep' in decision) return { result: decision.keep };
  if ('insert' in decision) return { statement: INSERT, values: [id, user, sent, ...columnValues(decision.insert)] };
  if ('update' in decision) return { statement: UPDATE, values: [id, user, ...columnValues(decision.update)] };
  return { statement: REMOVE, values: [id, user] };
}

/**
 * A writer that does not lock the feed, such as an operator's program, may write between the facts and the decision; an
 * adopted table may have its own constraint on VINs.
 */
function refusalOf(error) {
  const constraint = violatedConstraint(error);
  if (constraint === null) return null;
  return constraint.endsWith('_pkey') ? usedId() : duplicateVin();
}
