// Puts together what a backend consists of, except for its framework.

import { createAuthenticator } from './auth/authenticator.js';
import { keySource } from './auth/key-source.js';
import { Keys } from './auth/keys.js';
import { userOfSubject } from './auth/users.js';
import { Database } from './database/database.js';
import { limitTime } from './http/time-limit.js';
import { ListCache } from './vehicles/list-cache.js';
import { createRepository } from './vehicles/repository.js';
import { createVehicleService } from './vehicles/service.js';
import { createVpicClient } from './vpic/client.js';
import { createDecoder } from './vpic/decoder.js';
import { createVinCache } from './vpic/vin-cache.js';

const CAPABILITIES = ['vehicles', 'decode'];

/** @typedef {ReturnType<typeof createBackend>} Backend */

/**
 * @param {import('./settings.js').Settings} settings
 * @param {object} own what each backend has of its own
 * @param {string} own.name
 * @param {string} own.version
 * @param {import('./vehicles/patch.js').CheckTypes} own.checkTypes
 * @param {import('./vpic/client.js').Get} own.get sends the requests to vPIC
 */
export function createBackend(settings, { name, version, checkTypes, get }) {
  const database = new Database(settings.database);
  const decode = createDecoder({
    askVpic: createVpicClient(settings.vpicUrl, get),
    vinCache: createVinCache(database),
  });
  return {
    name,
    decode,
    authenticate: createAuthenticator({
      keys: new Keys(keySource(settings.jwks)),
      userOf: userOfSubject(database, settings),
      issuer: settings.issuer,
      audience: settings.audience,
    }),
    vehicles: createVehicleService({
      repository: createRepository(database),
      decode,
      listCache: new ListCache(settings.listCacheMilliseconds),
      checkTypes,
    }),

    /** The body of the health route. Throws while the database cannot be used. */
    async health() {
      await database.ping();
      return { status: 'ok', backend: name, version, database: 'ok', capabilities: CAPABILITIES };
    },

    /** @param {import('node:http').ServerResponse} response */
    limitTime: (response) => limitTime(response, settings.requestMilliseconds),

    close: () => database.close(),
  };
}
