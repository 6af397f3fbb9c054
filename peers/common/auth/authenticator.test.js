import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { createServer } from 'node:http';
import { test } from 'node:test';
import { newDatabase } from '../testing/database.js';
import { keyFile, newSigner } from '../testing/tokens.js';
import { Database } from '../database/database.js';
import { createAuthenticator } from './authenticator.js';
import { keySource } from './key-source.js';
import { Keys } from './keys.js';
import { parseTokenHeader } from './token-header.js';
import { userOfSubject } from './users.js';

const UNAUTHORIZED = { status: 401, message: 'Missing or invalid token' };
const identity = async (subject) => subject;

function authenticator(keys, more = {}) {
  const read = typeof keys === 'function' ? keys : async () => keys;
  const now = more.now ?? Date.now;
  return createAuthenticator({
    keys: new Keys(read, now),
    userOf: identity,
    issuer: 'garage-server',
    audience: 'garage',
    ...more,
  });
}

test('tokens of all three algorithms are accepted, with the algorithm of their key only', async () => {
  for (const algorithm of ['ES256', 'RS256', 'EdDSA']) {
    const signer = await newSigner(algorithm);
    const authenticate = authenticator([signer.jwk]);
    const token = await signer.token('ada');
    assert.equal(await authenticate(`Bearer ${token}`), 'ada', algorithm);
    assert.equal(await authenticate(`bearer  ${token} `), 'ada', 'remembered');
  }
  const signer = await newSigner('RS512');
  await assert.rejects(authenticator([signer.jwk])(`Bearer ${await signer.token('ada')}`), UNAUTHORIZED);
});

test('a token with any invalid part is refused', async () => {
  const [signer, other] = await Promise.all([newSigner(), newSigner()]);
  const authenticate = authenticator([signer.jwk, { ...signer.jwk, use: 'enc' }, { ...signer.jwk, alg: 'ES512' }, { kty: 'oct' }]);
  const userOf = (token) => authenticate(`Bearer ${token}`);
  const now = Math.floor(Date.now() / 1000);
  for (const claims of [
    { exp: now - 6 },
    { exp: undefined },
    { nbf: now + 3_600 },
    { iss: 'other' },
    { aud: 'other' },
    { aud: undefined },
    { sub: undefined },
    { sub: '' },
    { sub: 7 },
    { sub: 'a\0b' },
    { sub: 'x'.repeat(256) },
    { sub: 'x'.repeat(600) },
  ]) {
    await assert.rejects(userOf(await signer.sign(claims)), UNAUTHORIZED, JSON.stringify(claims));
  }
  assert.equal(await userOf(await signer.sign({ nbf: now + 3, aud: ['x', 'garage'], sub: '\u{1f697}'.repeat(255) })), '\u{1f697}'.repeat(255));
  for (const typ of [undefined, 'JWT', 'at+jwt', 'application/at+JWT']) {
    assert.equal(await userOf(await signer.sign({}, typ === undefined ? {} : { typ })), 'ada', typ);
  }
  for (const typ of ['logout+jwt', 'dpop+jwt', '', 7]) {
    await assert.rejects(userOf(await signer.sign({}, { typ })), UNAUTHORIZED, String(typ));
  }
  for (const claim of [{ nonce: 'x' }, { at_hash: 'x' }, { c_hash: 'x' }, { token_use: 'id' }, { typ: 'Refresh' }]) {
    await assert.rejects(userOf(await signer.sign(claim)), UNAUTHORIZED, JSON.stringify(claim));
    await assert.rejects(userOf(await signer.sign(claim, { typ: 'JWT' })), UNAUTHORIZED);
    assert.equal(await userOf(await signer.sign(claim, { typ: 'at+jwt' })), 'ada');
  }
  const good = await signer.token('ada');
  const [, payload] = good.split('.');
  const encoded = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
  // The public key must not be accepted as the secret of an HMAC.
  const hmacHead = `${encoded({ alg: 'HS256', kid: 'key-1' })}.${payload}`;
  const hmac = createHmac('sha256', JSON.stringify(signer.jwk)).update(hmacHead).digest('base64url');
  for (const token of [
    await other.token('ada'),
    await signer.sign({}, { kid: 'unknown' }),
    await signer.sign({}, { kid: undefined }),
    `${hmacHead}.${hmac}`,
    `${encoded({ alg: 'none', kid: 'key-1' })}.${payload}.`,
    `${good}${'x'.repeat(8 * 1024)}`,
    good.slice(0, -4),
    'a.b.c',
    '',
  ]) {
    await assert.rejects(userOf(token), UNAUTHORIZED, token.slice(0, 200));
  }
  for (const header of [undefined, '', 'Bearer', `Basic ${good}`, `Bearer${good}`]) {
    await assert.rejects(authenticate(header), UNAUTHORIZED, header);
  }
  const critical = { alg: 'ES256', kid: 'key-1', crit: ['b64'], b64: false };
  assert.equal(parseTokenHeader(`${encoded(critical)}.${payload}.x`), null);
  assert.equal(parseTokenHeader(encoded(null)), null);
});

test('a token is remembered for ten minutes at most, not beyond its expiry, and not with other keys', async () => {
  let now = Date.now();
  const signer = await newSigner();
  let keys = [signer.jwk];
  const authenticate = authenticator(async () => keys, { now: () => now });
  const seconds = (after) => Math.floor(now / 1000) + after;
  const long = `Bearer ${await signer.sign({ exp: seconds(86_400) })}`;
  const short = `Bearer ${await signer.sign({ exp: seconds(60) })}`;
  assert.deepEqual([await authenticate(long), await authenticate(short)], ['ada', 'ada']);
  now += 70_000;
  assert.equal(await authenticate(long), 'ada');
  await assert.rejects(authenticate(short), UNAUTHORIZED);
  keys = [];
  now += 10 * 60_000;
  // Old keys are read again in the background, while the known ones stay in use.
  await authenticate(long);
  await new Promise((resolve) => setImmediate(resolve));
  await assert.rejects(authenticate(long), UNAUTHORIZED);
});

test('keys are read for unknown ids, but not for every one', async () => {
  let now = 0;
  let reads = 0;
  const [signer, next] = await Promise.all([newSigner(), newSigner('ES256', 'key-2')]);
  let published = [signer.jwk];
  const keys = new Keys(
    async () => {
      reads += 1;
      return published;
    },
    () => now,
  );
  assert.equal((await keys.withId('key-1')).length, 1);
  published = [signer.jwk, next.jwk, { kty: 'EC', crv: 'P-256', kid: 'broken', x: 'x' }];
  assert.equal((await keys.withId('key-2')).length, 1);
  assert.equal(keys.number, 2);
  for (let attempt = 0; attempt < 20; attempt += 1) assert.deepEqual(await keys.withId(`made-up-${attempt}`), []);
  assert.equal(reads, 5);
  now = 20_000;
  for (let attempt = 0; attempt < 20; attempt += 1) await keys.withId('made-up');
  assert.equal(reads, 7);
  assert.equal(keys.number, 2, 'the same keys');
});

test('without keys the issuer is unavailable', async () => {
  const signer = await newSigner();
  let isAway = true;
  const read = async () => {
    if (isAway) throw new Error('away');
    return [signer.jwk];
  };
  const authenticate = authenticator(read);
  const token = `Bearer ${await signer.token('ada')}`;
  await assert.rejects(authenticate(token), { status: 503, message: 'Issuer unavailable' });
  isAway = false;
  assert.equal(await authenticate(token), 'ada');
});

test('keys come from a file or a URL, which is not trusted', async (context) => {
  const file = keyFile([{ kid: 'a' }]);
  context.after(() => file.remove());
  assert.deepEqual(await keySource(file.path)(), [{ kid: 'a' }]);
  file.write('none');
  await assert.rejects(keySource(file.path)(), /no keys/);
  const answers = {
    '/keys': (response) => response.end('{"keys":[{"kid":"b"}]}'),
    '/moved': (response) => response.writeHead(302, { location: '/keys' }).end(),
    '/broken': (response) => response.writeHead(500).end(),
    '/large': (response) => response.end(' '.repeat(1024 * 1024 + 1)),
  };
  const server = createServer((request, response) => answers[request.url](response));
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  context.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const from = (path) => keySource(`http://127.0.0.1:${server.address().port}${path}`)();
  assert.deepEqual(await from('/keys'), [{ kid: 'b' }]);
  for (const path of ['/moved', '/broken', '/large']) await assert.rejects(from(path), path);
  assert.throws(() => keySource('http://issuer.example.org/keys'), /https/);
  assert.equal(typeof keySource('https://issuer.example.org/keys'), 'function');
});

test('users of the first external issuer are its subjects, those of another are digests', async (context) => {
  const { url, drop } = await newDatabase();
  const database = new Database(url);
  context.after(async () => {
    await database.close();
    await drop();
  });
  const of = (issuer, hasOwnAccounts = false) => userOfSubject(database, { issuer, hasOwnAccounts });
  assert.equal(await of('garage-server', true)('ada'), 'ada');
  const first = of('https://one.example.org');
  assert.deepEqual([await first('ada'), await first('bob')], ['ada', 'bob']);
  const digest = await of('https://two.example.org')('ada');
  assert.equal(digest, await of('https://two.example.org')('ada'));
  assert.match(digest, /^[\w-]{43}$/);
  assert.equal(await of('https://one.example.org')('ada'), 'ada');
});
