// Sends requests to vPIC with undici, which keeps connections open.

import { request } from 'undici';

/** @type {import('@motovault/peers-common/vpic/client.js').Get} */
export async function get(url, signal) {
  const { statusCode, body } = await request(url, { signal, headers: { accept: 'application/json' } });
  return { status: statusCode, body };
}
