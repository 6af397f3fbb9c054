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
    const options = {
      agent,
      method: 'POST',
      headers: { authorization: `Bearer ${await signer.token('ada')}`, 'content-type': 'application/json' },
    };
    // The first is completed. The second never is, so that it is cut off when the time for stopping is over.
    const [sent, unfinished] = [1, 2].map(() => request(`${address}/api/vehicles`, options));
    const closed = [];
    const closing = [sent, unfinished].map(async (it, index) => {
      const [socket] = await once(it, 'socket');
      await once(socket, 'close');
      closed.push(index);
    });
    unfinished.on('error', () => {});
    const answered = once(sent, 'response');
    for (const it of [sent, unfinished]) it.write('{"nickname":');
    await pause(300);
    child.kill('SIGTERM');
    await pause(300);
    const exited = once(child, 'exit');
    sent.end('"Blue"}');
    const [response] = await answered;
    response.resume();
    assert.equal(response.statusCode, 201);
    assert.equal((await exited)[0], 0);
    await Promise.all(closing);
    assert.deepEqual(closed, [0, 1], 'a connection is closed when its request is answered');
  });

  test(`${name} exits although a statement of a request still runs`, { timeout: 60_000 }, async (context) => {
    const { address, signer, child, database } = await startProcess(context, script);
    const headers = { authorization: `Bearer ${await signer.token('ada')}`, 'content-type': 'application/json' };
    const add = () => request(`${address}/api/vehicles`, { method: 'POST', headers, agent: false }).end('{"nickname":"Blue"}');
    const [response] = await once(add(), 'response');
    response.resume();
    assert.equal(response.statusCode, 201);
    const locked = database.sql('BEGIN; SELECT FROM feeds FOR UPDATE; SELECT pg_sleep(50); COMMIT').catch(() => {});
    const ofEvent = (event) => `FROM pg_stat_activity WHERE datname = current_database() AND ${event}`;
    const count = async (event) => (await database.sql(`SELECT count(*)::int ${ofEvent(event)}`))[0].count;
    const [isSleeping, isWaiting] = ["wait_event = 'PgSleep'", "wait_event_type = 'Lock'"];
    while ((await count(isSleeping)) === 0) await pause(20);
    const givenUp = add().on('error', () => {});
    while ((await count(isWaiting)) === 0) await pause(20);
    givenUp.destroy();
    child.kill('SIGTERM');
    assert.equal((await once(child, 'exit'))[0], 0);
    // PostgreSQL notices that the process is gone only when the statement ends.
    assert.equal(await count(isWaiting), 1, 'it exits before the statement ends');
    await database.sql(`SELECT pg_terminate_backend(pid) ${ofEvent(isSleeping)}`);
    await locked;
  });

  test(`${name} refuses settings that are wrong, with the reason only`, { timeout: 60_000 }, async () => {
    const right = { GARAGE_DATABASE: 'postgres://garage@127.0.0.1/garage', GARAGE_JWKS: 'jwks.json' };
    for (const [wrong, reason] of [
      [{}, /^error: set GARAGE_DATABASE.*\n$/],
      [{ ...right, GARAGE_LISTEN: '8080' }, /^error: GARAGE_LISTEN must be.*\n$/],
      [{ ...right, GARAGE_LISTEN: '192.0.2.1:0' }, /^error: listen EADDRNOTAVAIL.*\n$/],
      [{ ...right, GARAGE_JWKS: 'http://example.org/jwks.json' }, /^error: GARAGE_JWKS must be.*\n$/],
    ]) {
      const child = spawn(process.execPath, [fileURLToPath(script)], { env: { PATH: process.env.PATH, ...wrong } });
      let errors = '';
      child.stderr.on('data', (text) => (errors += text));
      const [code] = await once(child, 'close');
      assert.equal(code, 1);
      assert.match(errors, reason);
    }
  });
}
