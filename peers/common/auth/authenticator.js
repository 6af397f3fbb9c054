// Verifies the bearer token of a request, and remembers verified ones.

import { jwtVerify } from 'jose';
import { BoundedCache } from '../bounded-cache.js';
import { unauthorized } from '../http/errors.js';
import { isOfOtherType, isUser } from './claims.js';
import { parseTokenHeader } from './token-header.js';

/** The total length of the tokens that are remembered. */
const MAX_REMEMBERED_CHARACTERS = 8 * 1024 * 1024;
const REMEMBER_MILLISECONDS = 10 * 60_000;
const CLOCK_TOLERANCE_SECONDS = 5;
/** A token that is about to expire is verified again, which tolerates a difference between clocks. */
const EXPIRY_MARGIN_MILLISECONDS = 1_000;

/**
 * @param {object} dependencies
 * @param {import('./keys.js').Keys} dependencies.keys
 * @param {(subject: string) => Promise<string>} dependencies.userOf
 * @param {string} dependencies.issuer
 * @param {string} dependencies.audience
 * @param {() => number} [dependencies.now] a clock in milliseconds
 * @returns {(authorization: string | undefined) => Promise<string>} the user of a header `Authorization`
 */
export function createAuthenticator({ keys, userOf, issuer, audience, now = Date.now }) {
  /** @type {BoundedCache<{user: string, keySet: number}>} */
  const verified = new BoundedCache(MAX_REMEMBERED_CHARACTERS, now);

  return async (authorization) => {
    const token = bearerToken(authorization);
    const known = verified.get(token);
    if (known?.keySet === keys.number) return known.user;
    const header = parseTokenHeader(token);
    if (header === null) throw unauthorized();
    const candidates = await keys.withId(header.keyId);
    const keySet = keys.number;
    const claims = await claimsOf(token, candidates);
    if (!isUser(claims.sub) || (!header.isAccessToken && isOfOtherType(claims))) throw unauthorized();
    const user = await userOf(claims.sub);
    const expires = Math.min(now() + REMEMBER_MILLISECONDS, claims.exp * 1000 - EXPIRY_MARGIN_MILLISECONDS);
    verified.set(token, { user, keySet }, token.length, expires);
    return user;
  };

  async function claimsOf(token, candidates) {
    for (const { algorithm, key } of candidates) {
      const options = {
        algorithms: [algorithm],
        issuer,
        audience,
        clockTolerance: CLOCK_TOLERANCE_SECONDS,
        currentDate: new Date(now()),
        requiredClaims: ['exp', 'iss', 'aud', 'sub'],
      };
      // Why a token is not valid is nobody's business but its issuer's.
      const result = await jwtVerify(token, key, options).catch(() => null);
      if (result !== null) return result.payload;
    }
    throw unauthorized();
  }
}

/** @param {string | undefined} authorization */
function bearerToken(authorization) {
  const [, token] = /^bearer (.*)$/i.exec(authorization ?? '') ?? [];
  if (token === undefined) throw unauthorized();
  return token.trim();
}
