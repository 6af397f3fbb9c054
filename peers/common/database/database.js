// Pooled connections, transactions, and the lock of a user's feed.

import { setTimeout as pause } from 'node:timers/promises';
import pg from 'pg';
import { databaseUnavailable, tookTooLong } from '../http/errors.js';
import { logFailure } from '../log.js';
import { PING } from '../vehicles/statements.js';
import { poolConfig } from './connection.js';
import { isConflict, toDatabaseError } from './failure.js';

const MAX_RETRIES = 5;
const FIRST_PAUSE_MILLISECONDS = 5;
const PING_MILLISECONDS = 3_000;

const LOCK_FEED = { name: 'lock-feed', text: 'SELECT FROM feeds WHERE user_id = $1 FOR UPDATE' };
/** A user has no feed before the first write. */
const BEGIN_FEED = {
  name: 'begin-feed',
  text: `INSERT INTO feeds (user_id, version) SELECT $1, base FROM epoch
    ON CONFLICT (user_id) DO UPDATE SET version = feeds.version`,
};

/** @typedef {{name?: string, text: string, rowMode?: 'array'}} Statement */
/** @typedef {(statement: Statement | string, values?: unknown[]) => Promise<pg.QueryResult>} Query */

export class Database {
  #pool;

  /** @param {string} url */
  constructor(url) {
    this.#pool = new pg.Pool(poolConfig(url));
    // A connection that breaks while it is idle; the next request gets another one.
    this.#pool.on('error', (error) => logFailure('an idle connection broke', { reason: error.message }));
  }

  /** @type {Query} */
  async query(statement, values) {
    try {
      return await this.#pool.query(withValues(statement, values));
    } catch (error) {
      throw toDatabaseError(error);
    }
  }

  /**
   * Runs `work` in a transaction, which commits unless it throws. Again after a conflict with another transaction.
   * @template T
   * @param {(query: Query) => Promise<T>} work
   * @returns {Promise<T>}
   */
  async transaction(work) {
    const attempt = async (query) => {
      await query('BEGIN');
      const result = await work(query);
      await query('COMMIT');
      return result;
    };
    try {
      return await this.#withRetries(() => this.#withConnection(attempt));
    } catch (error) {
      throw toDatabaseError(error);
    }
  }

  /**
   * A write for a user, in two round trips: begin, lock and read; write and commit. Other writes for the user wait. Throws
   * errors of `pg` as they are, because a violated constraint has a meaning for its caller.
   * @template T
   * @param {string} user
   * @param {Statement} facts a statement that returns one row
   * @param {unknown[]} factValues
   * @param {(row: any) => {statement: Statement, values: unknown[]} | {result: T}} decide what to do about the facts
   * @param {() => boolean} isAwaited whether somebody waits for the write
   * @returns {Promise<{row: any} | {result: T}>} the row that was written, or the decision to write nothing
   */
  write(user, facts, factValues, decide, isAwaited) {
    const attempt = async (query) => {
      // While it waited for a connection, its client may have gone, and would not learn about the write.
      if (!isAwaited()) throw tookTooLong();
      const [, locked, read] = await inOrder([
        query('BEGIN'),
        query(LOCK_FEED, [user]),
        // Its own statement, so that it sees what was committed while the lock was awaited.
        query(facts, factValues),
      ]);
      let [row] = read.rows;
      if (locked.rowCount === 0) {
        await query(BEGIN_FEED, [user]);
        [row] = (await query(facts, factValues)).rows;
      }
      const decision = decide(row);
      if ('result' in decision) {
        await query('ROLLBACK');
        return decision;
      }
      // If the statement fails, PostgreSQL executes COMMIT as ROLLBACK.
      const [written] = await inOrder([query(decision.statement, decision.values), query('COMMIT')]);
      return { row: written.rows[0] };
    };
    return this.#withRetries(() => this.#withConnection(attempt));
  }

  /** Whether the database can be read and written, and has the schema that is needed. */
  async ping() {
    const timeout = new AbortController();
    const inTime = pause(PING_MILLISECONDS, undefined, { signal: timeout.signal, ref: false }).then(() => {
      throw databaseUnavailable();
    });
    try {
      const { rows } = await Promise.race([this.query(PING), inTime]);
      if (!rows[0].writable) throw databaseUnavailable();
    } catch {
      throw databaseUnavailable();
    } finally {
      inTime.catch(() => {});
      timeout.abort();
    }
  }

  close() {
    return this.#pool.end();
  }

  /** @template T @param {(query: Query) => Promise<T>} work @returns {Promise<T>} */
  async #withConnection(work) {
    const client = await this.#pool.connect();
    // The pool listens only while a client is idle. Without a listener a lost connection would end the process; its
    // queries fail by themselves.
    const lost = (error) => logFailure('a connection in use broke', { reason: error.message });
    client.on('error', lost);
    const release = (broken) => {
      client.release(broken);
      client.off('error', lost);
    };
    try {
      const result = await work((statement, values) => client.query(withValues(statement, values)));
      release();
      return result;
    } catch (error) {
      // A connection that cannot even roll back is not used again.
      await client.query('ROLLBACK').then(() => release(), release);
      throw error;
    }
  }

  /** @template T @param {() => Promise<T>} work @returns {Promise<T>} */
  async #withRetries(work) {
    for (let attempt = 0; ; attempt += 1) {
      try {
        return await work();
      } catch (error) {
        if (!isConflict(error) || attempt >= MAX_RETRIES) throw error;
        await pause(FIRST_PAUSE_MILLISECONDS * 2 ** attempt * (1 + Math.random()));
      }
    }
  }
}

/** Waits for all, so that none is left running, and throws the first error. */
async function inOrder(queries) {
  const settled = await Promise.allSettled(queries);
  return settled.map((outcome) => {
    if (outcome.status === 'rejected') throw outcome.reason;
    return outcome.value;
  });
}

/** @param {Statement | string} statement @param {unknown[]} [values] */
function withValues(statement, values) {
  return typeof statement === 'string' ? { text: statement } : { ...statement, values };
}
