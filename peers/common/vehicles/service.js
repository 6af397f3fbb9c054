// What the routes of vehicles do, whatever framework calls them.

import { isNotModified, listTag, versionTag } from '../http/conditions.js';
import { ApiError, vehicleNotFound } from '../http/errors.js';
import { isFullLength } from '../vin/vin.js';
import { decideCreate, decideRemove, decideUpdate, fillEmpty } from './decide.js';
import { digestOf } from './digest.js';
import { FIELDS, fieldsOf } from './fields.js';
import { newId, parseId } from './ids.js';
import { applyPatch, parseNewVehicle, parsePatch } from './patch.js';
import { fitted } from './values.js';
import { serializeVehicles } from './wire.js';

/**
 * @param {object} dependencies
 * @param {ReturnType<typeof import('./repository.js').createRepository>} dependencies.repository
 * @param {ReturnType<typeof import('../vpic/decoder.js').createDecoder>} dependencies.decode
 * @param {import('./list-cache.js').ListCache} dependencies.listCache
 * @param {import('./patch.js').CheckTypes} dependencies.checkTypes
 */
export function createVehicleService({ repository, decode, listCache, checkTypes }) {
  const readList = async (user) => {
    const { version, vehicles } = await repository.list(user);
    return { version, json: Buffer.from(serializeVehicles(vehicles)) };
  };

  /** The values decoded from a full VIN. None without an answer, which must not prevent a save. */
  async function decodedValues({ vin, year }, at) {
    if (vin === null || !isFullLength(vin)) return new Map();
    const decoded = await decode(vin, { modelYear: year, at }).catch(() => null);
    const values = FIELDS.map((field) => {
      const value = decoded?.fields[field.name]?.value ?? null;
      return [field.name, value === null ? null : fitted(field, value, at)];
    });
    return new Map(values.filter(([, value]) => value !== null));
  }

  async function decodedOfNewVin(current, patch, at) {
    const after = applyPatch(fieldsOf(current), patch);
    return after.vin === current.vin ? new Map() : decodedValues(after, at);
  }

  async function write(user, operation) {
    try {
      const outcome = await repository.write(user, operation);
      listCache.drop(user);
      return outcome;
    } catch (error) {
      // A commit may have happened whose answer was lost, or may still happen.
      const isRefusal = error instanceof ApiError && error.status < 500;
      if (!isRefusal) listCache.suspend(user);
      throw error;
    }
  }

  async function find(user, idText) {
    const id = parseId(idText);
    const vehicle = id === null ? null : await repository.find(user, id);
    if (vehicle === null) throw vehicleNotFound();
    return vehicle;
  }

  return {
    find,

    /**
     * @param {string} user
     * @param {string | undefined} known If-None-Match
     * @returns {Promise<{tag: string, json: Buffer | null}>} no JSON if the client has the list
     */
    async list(user, known) {
      if (known !== undefined && !listCache.isOn) {
        // Most conditional requests find the list unchanged, and need no vehicles.
        const tag = listTag(await repository.feedVersion(user));
        if (isNotModified(known, tag)) return { tag, json: null };
      }
      const { version, json } = await listCache.get(user, () => readList(user));
      const tag = listTag(version);
      return { tag, json: isNotModified(known, tag) ? null : json };
    },

    /**
     * @param {string} user
     * @param {Record<string, unknown>} body
     * @param {() => boolean} isAwaited
     */
    async create(user, body, isAwaited) {
      const at = new Date();
      const { id, fields } = parseNewVehicle(checkTypes, body, at);
      const sent = digestOf(fields);
      fillEmpty(fields, await decodedValues(fields, at));
      const decide = (facts) => decideCreate({ fields, sent }, user, facts);
      const { vehicle, isWritten } = await write(user, { id: id ?? newId(), vin: fields.vin, sent, decide, isAwaited });
      return { vehicle, isNew: isWritten, tag: versionTag(vehicle.version) };
    },

    /**
     * @param {string} user
     * @param {string} idText
     * @param {() => Promise<Record<string, unknown>>} readBody an unknown vehicle takes precedence over its errors
     * @param {number[] | null} versions
     * @param {() => boolean} isAwaited
     */
    async update(user, idText, readBody, versions, isAwaited) {
      const at = new Date();
      const current = await find(user, idText);
      const patch = parsePatch(checkTypes, await readBody(), at);
      // Asks vPIC before the transaction, which would make other writes wait.
      const decoded = patch.has('vin') ? await decodedOfNewVin(current, patch, at) : new Map();
      const decide = (facts) => decideUpdate({ patch, decoded, versions }, user, facts);
      const { vehicle } = await write(user, { id: current.id, vin: patch.get('vin') ?? null, decide, isAwaited });
      return { vehicle, tag: versionTag(vehicle.version) };
    },

    /**
     * @param {string} user
     * @param {string} idText
     * @param {number[] | null} versions
     * @param {() => boolean} isAwaited
     */
    async remove(user, idText, versions, isAwaited) {
      const id = parseId(idText);
      if (id === null) throw vehicleNotFound();
      await write(user, { id, vin: null, decide: (facts) => decideRemove({ versions }, user, facts), isAwaited });
    },
  };
}
