import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import pg from 'pg';
import { newDatabase } from '../testing/database.js';
import { createRepository } from '../vehicles/repository.js';
import { emptyFields } from '../vehicles/fields.js';
import { newId } from '../vehicles/ids.js';
import { createVinCache } from '../vpic/vin-cache.js';
import { poolConfig } from './connection.js';
import { Database } from './database.js';

let own;
let database;
let repository;
before(async () => {
  own = await newDatabase();
  database = new Database(own.url);
  repository = createRepository(database);
});
after(async () => {
  await database.close();
  await own.drop();
});

const insert = (user, vin, id = newId(), into = repository) =>
  into.write(user, {
    id,
    vin,
    sent: 'digest',
    decide: () => ({ insert: { ...emptyFields(), vin, nickname: 'Blue' } }),
    isAwaited: () => true,
  });

test('connections to other machines require TLS unless the URL says otherwise', () => {
  for (const [url, ssl] of [
    ['postgres://garage@127.0.0.1/garage', false],
    ['postgres://garage@localhost:5433/garage', false],
    ['postgres://garage@[::1]/garage', false],
    ['postgres://garage@%2Frun%2Fpostgresql/garage', false],
    ['postgres://garage@127.0.0.2/garage', false],
    ['postgres://garage@127.example.org/garage', true],
    ['postgres://garage@db.example.org/garage', true],
    ['postgres://garage@db.example.org/garage?sslmode=disable', false],
  ]) {
    assert.equal(poolConfig(url).ssl, ssl, url);
  }
  const { options } = poolConfig('postgres://garage@localhost/garage?options=-c%20search_path%3Dgarage');
  assert.equal(options, '-c search_path=garage -c timezone=UTC -c datestyle=ISO');
});

test('times keep their microseconds, and versions are numbers', async () => {
  const { vehicle } = await insert('times', '11111');
  await own.sql(`UPDATE vehicles SET created_at = '2026-03-14 01:02:03.123456+02' WHERE id = $1`, [vehicle.id]);
  const found = await repository.find('times', vehicle.id);
  assert.deepEqual([found.createdAt, found.version, vehicle.version], ['2026-03-13T23:02:03.123456Z', 2, 1]);
  assert.deepEqual([await repository.feedVersion('times'), await repository.feedVersion('nobody')], [2, 0]);
  assert.deepEqual(await repository.list('nobody'), { version: 0, vehicles: [] });
});

test('constraints that others violated in between are conflicts', async () => {
  const { vehicle } = await insert('twins', '11111');
  await assert.rejects(insert('twins', '11111'), { message: 'Vehicle with this VIN already exists' });
  await assert.rejects(insert('others', '22222', vehicle.id), { message: 'This id is already used by another vehicle' });
  const { vehicles, version } = await repository.list('twins');
  assert.deepEqual([vehicles.length, version], [1, 1], 'a failed write is no version');
});

test('a vehicle that others deleted in between is not found', async () => {
  const { vehicle } = await insert('deleted', '11111');
  await own.sql(`CREATE FUNCTION skip() RETURNS TRIGGER LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
    CREATE TRIGGER a_skip BEFORE UPDATE ON vehicles FOR EACH ROW WHEN (NEW.nickname = 'skipped') EXECUTE FUNCTION skip()`);
  const update = { ...emptyFields(), nickname: 'skipped' };
  const write = { id: vehicle.id, vin: null, decide: () => ({ update }), isAwaited: () => true };
  await assert.rejects(repository.write('deleted', write), { status: 404, message: 'Vehicle not found' });
});

test('errors of the program are not failures of the database', async () => {
  for (const error of [new TypeError('x'), new RangeError('x'), new ReferenceError('x'), new SyntaxError('x')]) {
    const fail = () => {
      throw error;
    };
    await assert.rejects(database.transaction(fail), (thrown) => thrown === error);
    const write = { id: newId(), vin: null, decide: fail, isAwaited: () => true };
    await assert.rejects(repository.write('program', write), (thrown) => thrown === error);
  }
});

test('the first version of a user begins after the base of the epoch', async () => {
  await own.sql('UPDATE epoch SET base = 5000000000');
  assert.equal((await insert('late', '11111')).vehicle.version, 5_000_000_001);
  await own.sql('UPDATE epoch SET base = 0');
});

test('conflicts with other transactions are retried', async () => {
  let attempts = 0;
  const result = await database.transaction(async (query) => {
    attempts += 1;
    if (attempts < 3) await query(`DO $$ BEGIN RAISE 'x' USING ERRCODE = '40P01'; END $$`);
    return (await query('SELECT 7 AS seven')).rows[0].seven;
  });
  assert.deepEqual([attempts, result], [3, 7]);
  const always = database.transaction((query) => query(`DO $$ BEGIN RAISE 'x' USING ERRCODE = '40001'; END $$`));
  await assert.rejects(always, { status: 503, message: 'Database unavailable' });
});

test('a write for which nobody waits is not begun', async () => {
  const write = repository.write('gone', {
    id: newId(),
    vin: null,
    decide: () => assert.fail('it was begun'),
    isAwaited: () => false,
  });
  await assert.rejects(write, { message: 'Request took too long' });
});

test('a write that waits too long for a lock is refused, and its connection stays usable', { timeout: 30_000 }, async () => {
  await insert('locked', '11111');
  const client = new pg.Client(own.url);
  await client.connect();
  await client.query(`BEGIN; SELECT FROM feeds WHERE user_id = 'locked' FOR UPDATE`);
  await assert.rejects(insert('locked', '22222'), { status: 503, message: 'Database unavailable' });
  await client.query('ROLLBACK');
  await client.end();
  assert.equal((await insert('locked', '22222')).isWritten, true);
});

test('a connection that an operator ends is replaced', async () => {
  await own.sql('SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()');
  await new Promise((resolve) => setTimeout(resolve, 100));
  await database.ping();
});

test('a write whose connection is lost while it waits is refused, and the process goes on', { timeout: 30_000 }, async (context) => {
  const fresh = new Database(own.url);
  context.after(() => fresh.close());
  await insert('lost', '11111');
  const client = new pg.Client(own.url);
  await client.connect();
  await client.query(`BEGIN; SELECT FROM feeds WHERE user_id = 'lost' FOR UPDATE`);
  const refused = assert.rejects(insert('lost', '22222', newId(), createRepository(fresh)), { status: 503, message: 'Database unavailable' });
  const terminate = `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND wait_event_type = 'Lock'`;
  while ((await own.sql(terminate)).length === 0);
  await refused;
  await client.query('ROLLBACK');
  await client.end();
  assert.equal((await insert('lost', '22222', newId(), createRepository(fresh))).isWritten, true);
});

test('a connection that breaks between two statements is only logged', { timeout: 30_000 }, async (context) => {
  const fresh = new Database(own.url);
  context.after(() => fresh.close());
  const work = fresh.transaction(async (query) => {
    const { pid } = (await query('SELECT pg_backend_pid() AS pid')).rows[0];
    await own.sql('SELECT pg_terminate_backend($1)', [pid]);
    await new Promise((resolve) => setTimeout(resolve, 100));
    await query('SELECT 1');
  });
  await assert.rejects(work, { status: 503, message: 'Database unavailable' });
  await fresh.ping();
});

test('a database that lacks a column is unavailable', async (context) => {
  const other = await newDatabase();
  const old = new Database(other.url);
  context.after(async () => {
    await old.close();
    await other.drop();
  });
  await old.ping();
  await other.sql('ALTER TABLE vehicles DROP COLUMN notes');
  await assert.rejects(old.ping(), { status: 503, message: 'Database unavailable' });
});

test('a database that can only be read is unavailable', async (context) => {
  const url = Object.assign(new URL(own.url), { search: '?options=-c%20default_transaction_read_only%3Don' }).href;
  const readOnly = new Database(url);
  context.after(() => readOnly.close());
  const write = { id: newId(), vin: null, decide: () => assert.fail('it was begun'), isAwaited: () => true };
  for (const refused of [() => readOnly.ping(), () => createRepository(readOnly).write('x', write)]) {
    await assert.rejects(refused, { status: 503, message: 'Database unavailable' });
  }
});

test('answers of vPIC are remembered, and what others remembered is not trusted', async () => {
  const cache = createVinCache(database);
  assert.equal(await cache.find('1HGCM82633A004352'), null);
  const answer = { Make: 'HONDA', Model: 'x'.repeat(200), ModelYear: '2003', DisplacementL: '3.0' };
  await cache.save('1HGCM82633A004352', answer);
  await cache.save('1HGCM82633A004352', answer);
  const found = await cache.find('1HGCM82633A004352');
  assert.deepEqual([{ ...found.answer }, found.isFresh], [answer, true]);
  const [row] = await own.sql('SELECT make, length(model) AS length, year, engine_type FROM vin_cache');
  assert.deepEqual(row, { make: 'HONDA', length: 100, year: 2003, engine_type: '3.0L' });
  await own.sql(`UPDATE vin_cache SET cached_at = now() - interval '31 days'`);
  assert.equal((await cache.find('1HGCM82633A004352')).isFresh, false);
  for (const data of ['[]', '7', '{}', '{"Make":["x"]}', null]) {
    await own.sql('UPDATE vin_cache SET raw_data = $1', [data]);
    assert.equal(await cache.find('1HGCM82633A004352'), null, data);
  }
  await cache.save('longer than a VIN', { Make: 'the answer is there all the same' });
  await cache.save('longer than any VIN', { Make: 'the answer is there all the same' });
});
