// A backend under test in this process, with its database, its vPIC and its users.

import { readSettings } from '../settings.js';
import { newDatabase } from './database.js';
import { startFakeVpic } from './fake-vpic.js';
import { keyFile, newSigner } from './tokens.js';

/**
 * @typedef {object} Answer
 * @property {number} status
 * @property {Headers} headers
 * @property {string} text
 * @property {any} body the text as JSON, or null
 */
/** @callback Start @param {import('../settings.js').Settings} settings @returns {Promise<{server: import('node:http').Server, stop: () => Promise<void>}>} */

/** @param {Start} start @param {Record<string, string>} [environment] @param {object} [otherSettings] */
export async function openServer(start, environment = {}, otherSettings = {}) {
  const [database, vpic, signer] = await Promise.all([newDatabase(), startFakeVpic(), newSigner()]);
  const keys = keyFile([signer.jwk]);
  const settings = readSettings({
    GARAGE_DATABASE: database.url,
    GARAGE_LISTEN: '127.0.0.1:0',
    GARAGE_JWKS: keys.path,
    GARAGE_VPIC_URL: vpic.url,
    ...environment,
  });
  const running = await start({ ...settings, ...otherSettings });
  const base = `http://127.0.0.1:${running.server.address().port}`;

  /** @returns {Promise<Answer>} */
  async function send(method, path, { body, headers = {}, token, signal } = {}) {
    const isJson = body !== undefined && typeof body !== 'string' && !(body instanceof Uint8Array);
    const response = await fetch(base + path, {
      method,
      signal,
      body: isJson ? JSON.stringify(body) : body,
      headers: {
        ...(isJson ? { 'content-type': 'application/json' } : {}),
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
        ...headers,
      },
    });
    const text = await response.text();
    const isJsonAnswer = response.headers.get('content-type')?.startsWith('application/json') && text !== '';
    return { status: response.status, headers: response.headers, text, body: isJsonAnswer ? JSON.parse(text) : null };
  }

  return {
    base,
    database,
    vpic,
    signer,
    send,
    /** A client of this user. */
    async user(name) {
      const token = await signer.token(name);
      const as = (method) => (path, body, headers) => send(method, path, { body, headers, token });
      return {
        token,
        get: (path, headers) => send('GET', path, { headers, token }),
        post: as('POST'),
        put: as('PUT'),
        delete: (path, headers) => send('DELETE', path, { headers, token }),
        send: (method, path, options) => send(method, path, { ...options, token }),
        async add(body) {
          const answer = await send('POST', '/api/vehicles', { body, token });
          if (answer.status !== 201) throw new Error(`${answer.status} ${answer.text}`);
          return { path: `/api/vehicles/${answer.body.id}`, vehicle: answer.body };
        },
      };
    },
    async close() {
      await running.stop();
      vpic.stop();
      keys.remove();
      await database.drop();
    },
  };
}
