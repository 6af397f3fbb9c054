// The public keys of the issuer, read again when they are old and when a token names an unknown one.

import { importJWK } from 'jose';
import { issuerUnavailable } from '../http/errors.js';
import { logFailure } from '../log.js';

const REFRESH_AFTER = 10 * 60_000;
/** Anybody can name unknown keys, so they cause a read only this often, after the first few. */
const READ_INTERVAL = 10_000;
const READ_BURST = 5;

/** @typedef {{algorithm: string, key: CryptoKey | Uint8Array}} VerifyingKey */

export class Keys {
  #read;
  #now;
  /** @type {Map<string, VerifyingKey[]> | null} */
  #keys = null;
  #source = '';
  #number = 0;
  #readAt = -Infinity;
  #reading = null;
  #reads = READ_BURST;
  #refilledAt;

  /**
   * @param {() => Promise<object[]>} read
   * @param {() => number} [now] a clock in milliseconds
   */
  constructor(read, now = Date.now) {
    this.#read = read;
    this.#now = now;
    this.#refilledAt = now();
  }

  /** Counts the sets of keys, so that what one of them verified can be told from what another did. */
  get number() {
    this.#refreshIfOld();
    return this.#number;
  }

  /**
   * The keys with this id; keys of different types may share one.
   * @param {string} id
   * @returns {Promise<VerifyingKey[]>}
   */
  async withId(id) {
    this.#refreshIfOld();
    if (!this.#keys?.has(id)) await this.#refresh();
    if (this.#keys === null) throw issuerUnavailable();
    return this.#keys.get(id) ?? [];
  }

  #refreshIfOld() {
    // Known keys stay in use meanwhile, and while the issuer is away.
    if (this.#keys !== null && this.#now() - this.#readAt > REFRESH_AFTER) this.#refresh();
  }

  #refresh() {
    this.#reading ??= this.#readOnce().finally(() => {
      this.#reading = null;
    });
    return this.#reading;
  }

  async #readOnce() {
    if (!this.#takeRead()) return;
    try {
      const jwks = await this.#read();
      const source = JSON.stringify(jwks);
      this.#readAt = this.#now();
      if (source === this.#source && this.#keys !== null) return;
      this.#keys = await importAll(jwks);
      this.#source = source;
      this.#number += 1;
    } catch (error) {
      logFailure('the public keys cannot be read', { reason: error.message });
    }
  }

  #takeRead() {
    const refills = Math.floor((this.#now() - this.#refilledAt) / READ_INTERVAL);
    if (refills > 0) {
      this.#reads = Math.min(READ_BURST, this.#reads + refills);
      this.#refilledAt += refills * READ_INTERVAL;
    }
    if (this.#reads === 0) return false;
    this.#reads -= 1;
    return true;
  }
}

/** @param {any[]} jwks */
async function importAll(jwks) {
  const keys = new Map();
  for (const jwk of jwks) {
    const algorithm = algorithmOf(jwk);
    if (algorithm === null) continue;
    try {
      const { kty, crv, x, y, n, e } = jwk;
      // Only the public parts: a private key is never needed here.
      const key = await importJWK({ kty, crv, x, y, n, e }, algorithm);
      keys.set(jwk.kid, [...(keys.get(jwk.kid) ?? []), { algorithm, key }]);
    } catch (error) {
      logFailure('a public key is not usable', { reason: error.message });
    }
  }
  return keys;
}

/** The type of a key determines the algorithm. Returns null for keys that verify no signatures of access tokens. */
function algorithmOf(jwk) {
  if (typeof jwk?.kid !== 'string' || (jwk.use !== undefined && jwk.use !== 'sig')) return null;
  const algorithm = { 'EC P-256': 'ES256', RSA: 'RS256', 'OKP Ed25519': 'EdDSA' }[
    jwk.kty === 'RSA' ? 'RSA' : `${jwk.kty} ${jwk.crv}`
  ];
  if (algorithm === undefined || (jwk.alg !== undefined && jwk.alg !== algorithm)) return null;
  return algorithm;
}
