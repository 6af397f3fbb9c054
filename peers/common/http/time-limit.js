// The time in which a request must be answered, and whether somebody still waits for its answer.

import { sendError, tookTooLong } from './errors.js';

/**
 * Answers with 503 when the time is over.
 * @param {import('node:http').ServerResponse} response
 * @param {number} milliseconds
 */
export function limitTime(response, milliseconds) {
  const timer = setTimeout(() => sendError(response, tookTooLong()), milliseconds);
  response.once('close', () => clearTimeout(timer));
}

/**
 * Whether the request is neither answered nor given up by the client.
 * @param {import('node:http').ServerResponse} response
 */
export const isAwaited = (response) => !response.headersSent && !response.destroyed;
