// A backend as its own process, as operators run it.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { Agent, request } from 'node:http';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { newDatabase } from './database.js';
import { keyFile, newSigner } from './tokens.js';

async function startProcess(context, script) {
  const [database, signer] = await Promise.all([newDatabase(), newSigner()]);
  const keys = keyFile([signer.jwk]);
  const environment = { GARAGE_DATABASE: database.url, GARAGE_JWKS: keys.path, GARAGE_LISTEN: '127.0.0.1:0' };
  const child = spawn(process.execPath, [fileURLToPath(script)], { env: { ...process.env, ...environment } });
  context.after(async () => {
    child.kill('SIGKILL');
    keys.remove();
    await database.drop();
  });
  const [address] = await once(createInterface(child.stdout), 'line');
  return { address, signer, child, database };
}

/** @param {string} name @param {URL} script */
export function testProcess(name, script) {
  test(`${name} prints its address, serves, and stops on SIGTERM`, { timeout: 60_000 }, async (context) => {
    const { address, signer, child } = await startProcess(context, script);
    assert.match(address, /^http:\/\/127\.0\.0\.1:\d+$/);
    const health = await (await fetch(`${address}/api/health`)).json();
    assert.equal(health.backend, name);
    const authorization = `Bearer ${await signer.token('ada')}`;
    assert.equal((await fetch(`${address}/api/vehicles`, { headers: { authorization } })).status, 200);
    child.kill('SIGTERM');
    const [code] = await once(child, 'exit');
    assert.equal(code, 0);
  });

  test(`${name} answers what is in flight at SIGTERM, and closes kept-alive connections`, { timeout: 60_000 }, async (context) => {
    const { address, signer, child } = await startProcess(context, script);
    const agent = new Agent({ keepAlive: true });
    context.after(() => agent.destroy());
    const sent = request(`${address}/api/vehicles`, {
      agent,
      method: 'POST',
      headers: { authorization: `Bearer ${await signer.token('ada')}`, 'content-type': 'application/json' },
    });
    const answered = once(sent, 'response');
    sent.write('{"nickname":');
    await pause(300);
    child.kill('SIGTERM');
    await pause(300);
    const exited = once(child, 'exit');
    const stopped = Date.now();
    sent.end('"Blue"}');
    const [response] = await answered;
    response.resume();
    assert.equal(response.statusCode, 201);
    assert.equal((await exited)[0], 0);
    assert.ok(Date.now() - stopped < 3_000, `it took ${Date.now() - stopped} ms`);
  });

  test(`${name} exits although a statement of a request still runs`, { timeout: 60_000 }, async (context) => {
    const { address, signer, child, database } = await startProcess(context, script);
    const headers = { authorization: `Bearer ${await signer.token('ada')}`, 'content-type': 'application/json' };
    const add = (signal) => fetch(`${address}/api/vehicles`, { method: 'POST', headers, body: '{"nickname":"Blue"}', signal });
    assert.equal((await add()).status, 201);
    const locked = database.sql('BEGIN; SELECT FROM feeds FOR UPDATE; SELECT pg_sleep(4.5); COMMIT');
    await pause(300);
    await assert.rejects(add(AbortSignal.timeout(300)), { name: 'TimeoutError' });
    child.kill('SIGTERM');
    const stopped = Date.now();
    assert.equal((await once(child, 'exit'))[0], 0);
    assert.ok(Date.now() - stopped < 3_000, `it took ${Date.now() - stopped} ms`);
    await locked;
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
