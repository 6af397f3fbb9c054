// Asks vPIC about one VIN. How a request is sent is the backend's; what is asked, and what is accepted, is decided here.

import { logFailure } from '../log.js';
import { isAbout, readResponse } from './answer.js';
import { Breaker } from './breaker.js';

/** vPIC answers in 0.3 to 10 seconds. */
const ANSWER_MILLISECONDS = 5_000;
/** An answer has about 5 kB. */
export const MAX_ANSWER_BYTES = 512 * 1024;
/** Requests at a time, each for another VIN. */
const MAX_REQUESTS = 64;
const OK = 200;
const TOO_MANY_REQUESTS = 429;
const FIRST_SERVER_ERROR = 500;

/**
 * @callback Get
 * @param {string} url
 * @param {AbortSignal} signal
 * @returns {Promise<{status: number, body: AsyncIterable<Uint8Array>}>}
 */

/**
 * @param {string} baseUrl
 * @param {Get} get
 * @param {number} [milliseconds] how long an answer may take
 * @returns {(query: string, modelYear?: number) => Promise<import('./answer.js').Answer | null>} null without an answer
 */
export function createVpicClient(baseUrl, get, milliseconds = ANSWER_MILLISECONDS) {
  const breaker = new Breaker();
  /** Requests that are under way; equal ones share an answer. */
  const pending = new Map();

  return (query, modelYear) => {
    const year = modelYear === undefined ? '' : `&modelyear=${modelYear}`;
    const url = `${baseUrl}/DecodeVinValues/${encodeURIComponent(query)}?format=json${year}`;
    const known = pending.get(url);
    if (known !== undefined) return known;
    if (pending.size >= MAX_REQUESTS || !breaker.permits()) return Promise.resolve(null);
    const asked = ask(url, query).finally(() => pending.delete(url));
    pending.set(url, asked);
    return asked;
  };

  async function ask(url, query) {
    try {
      const { status, body } = await get(url, AbortSignal.timeout(milliseconds));
      const text = await readText(body);
      if (status === TOO_MANY_REQUESTS || status >= FIRST_SERVER_ERROR) throw new Error(`status ${status}`);
      const answer = status === OK ? readResponse(text) : null;
      if (status === OK && answer === null) throw new Error('an answer cannot be read');
      // Other answers are about this request; vPIC itself works.
      breaker.succeeded();
      if (answer !== null && isAbout(answer, query)) return answer;
      logFailure('vPIC refused a request', { reason: answer === null ? `status ${status}` : 'an answer about another VIN' });
    } catch (error) {
      breaker.failed();
      logFailure('vPIC did not answer', { reason: error.message });
    }
    return null;
  }
}

/** @param {AsyncIterable<Uint8Array>} body */
async function readText(body) {
  const chunks = [];
  let length = 0;
  for await (const chunk of body) {
    length += chunk.length;
    // Leaving the loop ends the connection.
    if (length > MAX_ANSWER_BYTES) throw new Error('an answer is too large');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}
