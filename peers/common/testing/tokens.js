// Keys and access tokens of a made-up issuer.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';

const ISSUER = 'garage-server';
const AUDIENCE = 'garage';
const LIFETIME_SECONDS = 900;

/** @param {string} [algorithm] @param {string} [kid] */
export async function newSigner(algorithm = 'ES256', kid = 'key-1') {
  const { privateKey, publicKey } = await generateKeyPair(algorithm, { extractable: true });
  const jwk = { ...(await exportJWK(publicKey)), kid, use: 'sig' };
  /** Signs with changed claims and another header. */
  const sign = (claims = {}, header = {}) => {
    const now = Math.floor(Date.now() / 1000);
    const all = { iss: ISSUER, aud: AUDIENCE, sub: 'ada', iat: now, nbf: now, exp: now + LIFETIME_SECONDS, ...claims };
    const set = Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined));
    return new SignJWT(set).setProtectedHeader({ alg: algorithm, kid, ...header }).sign(privateKey);
  };
  return { jwk, privateKey, sign, token: (user) => sign({ sub: user }) };
}

/** A file with this key set, which `remove` deletes. @param {object[]} keys */
export function keyFile(keys) {
  const folder = mkdtempSync(join(tmpdir(), 'garage-keys-'));
  const path = join(folder, 'jwks.json');
  const write = (others) => writeFileSync(path, JSON.stringify({ keys: others }));
  write(keys);
  return { path, write, remove: () => rmSync(folder, { recursive: true }) };
}
