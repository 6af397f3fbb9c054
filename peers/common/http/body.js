// Reads the body of a request, which must be a JSON object of at most 1 MiB.

import { isUtf8 } from 'node:buffer';
import { badRequest, bodyTooLarge, notJson, unsupportedMediaType } from './errors.js';

const MAX_BODY_BYTES = 1024 * 1024;
const JSON_MEDIA_TYPE = 'application/json';
/** Escapes that are fine: whole surrogate pairs, and all that name no surrogate. */
const SOUND_ESCAPE = /\\u[dD][89aAbB][\da-fA-F]{2}\\u[dD][c-fC-F][\da-fA-F]{2}|\\[^u]|\\u(?![dD][89a-fA-F])/g;
const SURROGATE_ESCAPE = /\\u[dD][89a-fA-F]/;

/**
 * @param {import('node:http').IncomingMessage} request
 * @returns {Promise<Record<string, unknown>>}
 */
export async function readJsonObject(request) {
  const mediaType = (request.headers['content-type'] ?? '').split(';', 1)[0].trim().toLowerCase();
  if (mediaType !== JSON_MEDIA_TYPE) throw unsupportedMediaType();
  return parseObject(await readBytes(request));
}

/** @param {Buffer} bytes */
function parseObject(bytes) {
  if (!isUtf8(bytes)) throw notJson();
  const text = bytes.toString('utf8');
  let value;
  try {
    value = JSON.parse(text);
  } catch {
    throw notJson();
  }
  // Half a surrogate pair is no character; PostgreSQL could not store it.
  if (SURROGATE_ESCAPE.test(text) && SURROGATE_ESCAPE.test(text.replace(SOUND_ESCAPE, ''))) throw notJson();
  if (value === null || typeof value !== 'object' || Array.isArray(value)) {
    throw badRequest('Request body must be an object');
  }
  // JSON has no infinity: the number was too large for any backend to read.
  if (Object.values(value).some((it) => it === Infinity || it === -Infinity)) throw notJson();
  return value;
}

/**
 * Stops at the limit. The rest of the body is discarded by Node, which limits its time.
 * @param {import('node:http').IncomingMessage} request
 * @returns {Promise<Buffer>}
 */
function readBytes(request) {
  return new Promise((resolve, reject) => {
    if (Number(request.headers['content-length']) > MAX_BODY_BYTES) {
      request.resume();
      reject(bodyTooLarge());
      return;
    }
    const chunks = [];
    let length = 0;
    const settle = (finish, value) => {
      request.off('data', onData).off('end', onEnd).off('error', onBroken).off('close', onBroken);
      finish(value);
    };
    const onData = (chunk) => {
      length += chunk.length;
      if (length > MAX_BODY_BYTES) {
        settle(reject, bodyTooLarge());
        request.resume();
      } else {
        chunks.push(chunk);
      }
    };
    const onEnd = () => settle(resolve, chunks.length === 1 ? chunks[0] : Buffer.concat(chunks));
    const onBroken = () => settle(reject, notJson());
    request.on('data', onData).on('end', onEnd).on('error', onBroken).on('close', onBroken);
  });
}
