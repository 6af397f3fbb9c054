// Where the public keys come from: a file or a URL.

import { readFile } from 'node:fs/promises';

const FETCH_MILLISECONDS = 5_000;
const MAX_BYTES = 1024 * 1024;
const LOOPBACK = new Set(['localhost', '127.0.0.1', '[::1]']);

/**
 * @param {string} location a path or a URL
 * @returns {() => Promise<object[]>} reads the keys of the set
 */
export function keySource(location) {
  const isUrl = /^https?:\/\//i.test(location);
  if (isUrl) refuseInsecure(new URL(location));
  const read = isUrl ? () => fetchText(location) : () => readFile(location, 'utf8');
  return async () => {
    const set = JSON.parse(await read());
    if (!Array.isArray(set?.keys)) throw new Error('the key set has no keys');
    return set.keys;
  };
}

/** @param {URL} url */
function refuseInsecure(url) {
  if (url.protocol !== 'https:' && !LOOPBACK.has(url.hostname)) {
    throw new Error('GARAGE_JWKS must be a file, or a URL with https unless it is on loopback');
  }
}

/** @param {string} url */
async function fetchText(url) {
  const response = await fetch(url, { redirect: 'error', signal: AbortSignal.timeout(FETCH_MILLISECONDS) });
  if (!response.ok || response.body === null) throw new Error(`status ${response.status}`);
  const chunks = [];
  let length = 0;
  for await (const chunk of response.body) {
    length += chunk.length;
    if (length > MAX_BYTES) throw new Error('the key set is larger than 1 MiB');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}
