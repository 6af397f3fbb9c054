// Answers of vPIC in the database, for full VINs that vPIC knows.

import { logFailure } from '../log.js';
import { knowsTheVehicle, modelYearOf, readAnswer } from './answer.js';
import { engineLabel } from './engine.js';

const LONGEST_COLUMN = 100;

const FIND = {
  name: 'find-vin-cache',
  text: `SELECT raw_data, cached_at > now() - interval '30 days' AS is_fresh FROM vin_cache WHERE vin = $1`,
};
const SAVE = {
  name: 'save-vin-cache',
  text: `INSERT INTO vin_cache (vin, make, model, year, engine_type, body_type, raw_data, cached_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, now())
    ON CONFLICT (vin) DO UPDATE SET make = excluded.make, model = excluded.model, year = excluded.year,
      engine_type = excluded.engine_type, body_type = excluded.body_type, raw_data = excluded.raw_data,
      cached_at = excluded.cached_at`,
};

/** @param {import('../database/database.js').Database} database */
export function createVinCache(database) {
  return {
    /**
     * @param {string} vin
     * @returns {Promise<{answer: import('./answer.js').Answer, isFresh: boolean} | null>}
     */
    async find(vin) {
      const { rows } = await database.query(FIND, [vin]);
      // Other programs write this table too, so what is in it is read like an answer from the network.
      const answer = rows.length === 0 ? null : readAnswer(rows[0].raw_data);
      if (answer === null || !knowsTheVehicle(answer)) return null;
      return { answer, isFresh: rows[0].is_fresh === true };
    },

    /** @param {string} vin @param {import('./answer.js').Answer} answer */
    async save(vin, answer) {
      const column = (text) => (text ? [...text].slice(0, LONGEST_COLUMN).join('') : null);
      const { Make, Model, BodyClass } = answer;
      const columns = [column(Make), column(Model), modelYearOf(answer), column(engineLabel(answer)), column(BodyClass)];
      try {
        await database.query(SAVE, [vin, ...columns, JSON.stringify(answer)]);
      } catch (error) {
        // The answer is there all the same.
        logFailure('an answer of vPIC was not saved', { reason: error.message });
      }
    },
  };
}
