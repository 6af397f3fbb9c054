// What a client is told about any error that a handler throws.

import { logFailure } from '../log.js';
import { ApiError, internalError } from './errors.js';

/**
 * @param {unknown} error
 * @returns {ApiError}
 */
export function toApiError(error) {
  if (error instanceof ApiError) return error;
  logFailure('a request failed', { reason: error instanceof Error ? error.stack : String(error) });
  return internalError();
}
