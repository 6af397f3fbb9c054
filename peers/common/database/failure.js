// Errors of the database, classified by what a client is told.

import { ApiError, databaseUnavailable, internalError } from '../http/errors.js';
import { logFailure } from '../log.js';

/**
 * Classes of errors that pass or that an operator ends: connection, read-only, log-in and name of the database, rollback,
 * resources, a database that accepts no connections, locks, operator, system.
 */
const PASSING = ['08', '25006', '28', '3D', '40', '53', '55000', '55P03', '57', '58'];
const CONFLICTS = ['40P01', '40001'];
/** What a fault of this program throws. */
const PROGRAM_ERRORS = [TypeError, RangeError, ReferenceError, SyntaxError];
const UNIQUE_VIOLATION = '23505';

/** Whether a retry may succeed: the cause was another transaction. @param {any} error */
export const isConflict = (error) => CONFLICTS.includes(error?.code);

/** @param {any} error @returns {string | null} the violated unique constraint */
export const violatedConstraint = (error) =>
  error?.code === UNIQUE_VIOLATION ? (error.constraint ?? '') : null;

/**
 * @param {any} error an error of `pg`, or of the program, which is returned as it is
 * @returns {Error}
 */
export function toDatabaseError(error) {
  if (error instanceof ApiError || PROGRAM_ERRORS.some((type) => error instanceof type)) return error;
  // Errors of PostgreSQL have a severity; others are of the connection. Never the detail, which has values.
  const isOfPostgres = error.severity !== undefined;
  logFailure('the database failed', { code: error.code, reason: error.message });
  const passes = !isOfPostgres || PASSING.some((prefix) => String(error.code).startsWith(prefix));
  return passes ? databaseUnavailable() : internalError();
}
