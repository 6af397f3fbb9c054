// Sends requests to vPIC with Node's own fetch.

/** @type {import('@motovault/peers-common/vpic/client.js').Get} */
export async function get(url, signal) {
  const { status, body } = await fetch(url, { signal, headers: { accept: 'application/json' } });
  return { status, body: body ?? [] };
}
