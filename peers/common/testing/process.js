// A backend as its own process, as operators run it.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { newDatabase } from './database.js';
import { keyFile, newSigner } from './tokens.js';

/** @param {string} name @param {URL} script */
export function testProcess(name, script) {
  test(`${name} prints its address, serves, and stops on SIGTERM`, { timeout: 60_000 }, async (context) => {
    const [database, signer] = await Promise.all([newDatabase(), newSigner()]);
    const keys = keyFile([signer.jwk]);
    context.after(async () => {
      keys.remove();
      await database.drop();
    });
    const environment = { GARAGE_DATABASE: database.url, GARAGE_JWKS: keys.path, GARAGE_LISTEN: '127.0.0.1:0' };
    const child = spawn(process.execPath, [fileURLToPath(script)], { env: { ...process.env, ...environment } });
    const [address] = await once(createInterface(child.stdout), 'line');
    assert.match(address, /^http:\/\/127\.0\.0\.1:\d+$/);
    const health = await (await fetch(`${address}/api/health`)).json();
    assert.equal(health.backend, name);
    const authorization = `Bearer ${await signer.token('ada')}`;
    assert.equal((await fetch(`${address}/api/vehicles`, { headers: { authorization } })).status, 200);
    child.kill('SIGTERM');
    const [code] = await once(child, 'exit');
    assert.equal(code, 0);
  });

  test(`${name} does not start without its settings`, async () => {
    const child = spawn(process.execPath, [fileURLToPath(script)], { env: { PATH: process.env.PATH } });
    let errors = '';
    child.stderr.on('data', (text) => (errors += text));
    const [code] = await once(child, 'close');
    assert.notEqual(code, 0);
    assert.match(errors, /set GARAGE_DATABASE/);
  });
}
