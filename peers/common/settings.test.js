import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readSettings } from './settings.js';

const REQUIRED = { GARAGE_DATABASE: 'postgres://garage@127.0.0.1/garage', GARAGE_JWKS: 'jwks.json' };

test('settings have defaults, and empty ones are not set', () => {
  const settings = readSettings({ ...REQUIRED, GARAGE_ISSUER: '', GARAGE_LISTEN: '' });
  assert.deepEqual(settings.listen, { host: '127.0.0.1', port: 8080 });
  assert.deepEqual([settings.issuer, settings.audience, settings.hasOwnAccounts], ['garage-server', 'garage', true]);
  assert.equal(settings.vpicUrl, 'https://vpic.nhtsa.dot.gov/api');
  assert.equal(settings.listCacheMilliseconds, 300_000);
});

test('settings are read', () => {
  const settings = readSettings({
    ...REQUIRED,
    GARAGE_LISTEN: '[::1]:0',
    GARAGE_ISSUER: 'https://issuer.example.org',
    GARAGE_LIST_CACHE: 'off',
    GARAGE_VPIC_URL: 'http://127.0.0.1:9/api/vehicles/',
  });
  assert.deepEqual(settings.listen, { host: '::1', port: 0 });
  assert.equal(settings.hasOwnAccounts, false);
  assert.equal(settings.listCacheMilliseconds, 0);
  assert.equal(settings.vpicUrl, 'http://127.0.0.1:9/api', 'with and without /vehicles');
});

test('missing and malformed settings are refused', () => {
  assert.throws(() => readSettings({ GARAGE_JWKS: 'x' }), /set GARAGE_DATABASE/);
  assert.throws(() => readSettings({ GARAGE_DATABASE: 'x' }), /set GARAGE_JWKS/);
  for (const listen of ['8080', 'localhost', 'localhost:x', ':80', '127.0.0.1:65536', '::1:80']) {
    assert.throws(() => readSettings({ ...REQUIRED, GARAGE_LISTEN: listen }), /GARAGE_LISTEN/, listen);
  }
});
