import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readSettings } from './settings.js';

const REQUIRED = { GARAGE_DATABASE: 'postgres://garage@127.0.0.1/garage', GARAGE_JWKS: 'jwks.json' };

test('settings have defaults, and empty ones are not set', () => {
  const settings = readSettings({ ...REQUIRED, GARAGE_ISSUER: '', GARAGE_LISTEN: '' });
  assert.deepEqual(settings.listen, { host: '127.0.0.1', port: 8080 });
  assert.deepEqual([settings.issuer, settings.audience, settings.hasOwnAccounts], ['garage-server', 'garage', true]);
  assert.equal(settings.vpicUrl, 'https://vpic.nhtsa.dot.gov/api/vehicles');
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
  assert.equal(settings.vpicUrl, 'http://127.0.0.1:9/api/vehicles');
});

test('the time for which lists are remembered is off or a number of seconds', () => {
  const lifetime = (text) => readSettings({ ...REQUIRED, GARAGE_LIST_CACHE: text }).listCacheMilliseconds;
  assert.deepEqual(['off', '', '60', '300s'].map(lifetime), [0, 300_000, 60_000, 300_000]);
  for (const text of ['0', '-1', 'on', '5m', '86401']) assert.throws(() => lifetime(text), /GARAGE_LIST_CACHE/, text);
});

test('missing and malformed settings are refused', () => {
  assert.throws(() => readSettings({ GARAGE_JWKS: 'x' }), /set GARAGE_DATABASE/);
  assert.throws(() => readSettings({ GARAGE_DATABASE: 'x' }), /set GARAGE_JWKS/);
  for (const listen of ['8080', 'localhost', 'localhost:x', ':80', '127.0.0.1:65536', '::1:80']) {
    assert.throws(() => readSettings({ ...REQUIRED, GARAGE_LISTEN: listen }), /GARAGE_LISTEN/, listen);
  }
});
