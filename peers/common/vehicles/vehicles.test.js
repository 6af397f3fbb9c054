import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { decideCreate, decideRemove, decideUpdate, QUOTA } from './decide.js';
import { digestOf } from './digest.js';
import { emptyFields, FIELDS } from './fields.js';
import { newId, parseId } from './ids.js';
import { ListCache } from './list-cache.js';
import { applyPatch, parsePatch } from './patch.js';
import { vehicleOf } from './rows.js';
import { COLUMN_COUNT, INSERT, LIVE, UPDATE } from './statements.js';
import { fitted } from './values.js';
import { serializeVehicles } from './wire.js';

const AT = new Date('2026-11-30T00:00:00Z');
const field = (name) => FIELDS.find((it) => it.name === name);
const fields = (changes) => ({ ...emptyFields(), ...changes });
const vehicle = (changes) => ({ ...fields({ nickname: 'Blue' }), userId: 'ada', deletedAt: null, version: 1, ...changes });
const facts = (changes) => ({ vehicle: null, createdWith: null, hasTwin: false, records: 0, ...changes });

test('the digest covers the set fields sorted by name, as the other backends compute it', () => {
  const text = '{"color":"Red","nickname":"Blue","odometerUnit":"km","year":2003}';
  const expected = createHash('sha256').update(text).digest('hex');
  assert.equal(digestOf(fields({ nickname: 'Blue', color: 'Red', year: 2003, odometerUnit: 'km' })), expected);
  assert.equal(digestOf(fields({})), createHash('sha256').update('{}').digest('hex'));
  const escaped = '{"isActive":false,"notes":"\\u0001\\"\\\\\\n\u2028\u{1f697}"}';
  const withEscapes = fields({ isActive: false, notes: '\u0001"\\\n\u2028\u{1f697}' });
  assert.equal(digestOf(withEscapes), createHash('sha256').update(escaped).digest('hex'));
});

test('ids are read in all notations of a UUID', () => {
  const id = '018f0000-0000-7000-8000-00000000abcd';
  const bare = id.replaceAll('-', '');
  for (const text of [id, id.toUpperCase(), bare, `{${id}}`, `urn:uuid:${id}`]) assert.equal(parseId(text), id, text);
  for (const text of ['', 'x', `${id}0`, `{${bare}}`, `{${id}`, id.replace('-', '0'), `urn:uuid:${'-'.repeat(36)}`, `${id}\n`]) {
    assert.equal(parseId(text), null, text);
  }
  assert.match(newId(), /^[\da-f]{8}-[\da-f]{4}-7[\da-f]{3}-[89ab][\da-f]{3}-[\da-f]{12}$/);
  const earliest = Date.now();
  const milliseconds = parseInt(newId().replaceAll('-', '').slice(0, 12), 16);
  assert.ok(earliest <= milliseconds && milliseconds <= Date.now());
});

test('a create is kept if it was sent before, and refused if its id, VIN or quota is used up', () => {
  const create = { fields: fields({ nickname: 'Blue' }), sent: 'digest' };
  const decide = (changes) => decideCreate(create, 'ada', facts(changes));
  assert.deepEqual(decide({}), { insert: create.fields });
  const own = vehicle({});
  assert.deepEqual(decide({ vehicle: own, createdWith: 'digest' }), { keep: own });
  const used = { message: 'This id is already used by another vehicle' };
  assert.throws(() => decide({ vehicle: own, createdWith: 'other' }), used);
  assert.throws(() => decide({ vehicle: vehicle({ userId: 'eve' }), createdWith: 'digest' }), used);
  assert.throws(() => decide({ vehicle: vehicle({ deletedAt: 'then' }), createdWith: 'digest' }), used);
  assert.throws(() => decide({ hasTwin: true }), { status: 409 });
  const full = 'An account can have at most 100000 vehicles, removed ones included';
  assert.throws(() => decide({ records: QUOTA }), { status: 403, message: full });
});

test('an update fills empty fields after a new VIN only, and keeps a vehicle that it does not change', () => {
  const decoded = new Map([['make', 'HONDA']]);
  const decide = (changes, before, more = {}) =>
    decideUpdate({ patch: new Map(Object.entries(changes)), decoded, versions: null, ...more }, 'ada', facts({ vehicle: before }));
  const before = vehicle({ vin: '11111' });
  assert.equal(decide({ vin: '22222' }, before).update.make, 'HONDA');
  assert.equal(decide({ vin: '22222', make: 'Mine' }, before).update.make, 'Mine');
  assert.equal(decide({ vin: '11111', color: 'Red' }, before).update.make, null);
  assert.deepEqual(decide({ vin: '11111' }, before), { keep: before });
  assert.throws(() => decide({ nickname: null, vin: null }, before), { status: 400 });
  assert.throws(() => decide({}, null), { status: 404 });
  assert.throws(() => decide({}, before, { versions: [2, 3] }), { status: 412, current: before });
  assert.deepEqual(decideRemove({ versions: [1] }, 'ada', facts({ vehicle: before })), { remove: true });
});

test('a patch reports all errors in order, and null clears', () => {
  const types = () => new Map([['year', 'year must be an integer']]);
  assert.throws(() => parsePatch(types, { year: 'x', vin: '$', other: 1 }, AT), {
    details: [
      { field: 'vin', message: 'VIN can contain only letters and digits' },
      { field: 'year', message: 'year must be an integer' },
    ],
  });
  const patch = parsePatch(() => new Map(), { vin: ' ', odometerUnit: null, odometerReading: -0, nickname: ' a ' }, AT);
  assert.deepEqual([...patch], [['vin', null], ['nickname', 'a'], ['odometerReading', 0], ['odometerUnit', null]]);
  assert.ok(Object.is(patch.get('odometerReading'), 0));
  assert.equal(applyPatch(fields({ odometerUnit: 'km' }), patch).odometerUnit, 'mi');
});

test('decoded values are adapted to the rules', () => {
  assert.equal(fitted(field('make'), ' a\u0007b ', AT), 'a b');
  assert.equal(fitted(field('make'), '\u{1f697}'.repeat(101), AT), '\u{1f697}'.repeat(100));
  assert.equal(fitted(field('make'), ' \n ', AT), null);
  assert.deepEqual([1885, 2003, 2029].map((year) => fitted(field('year'), year, AT)), [null, 2003, null]);
});

test('statements name every field in the order of the declaration', () => {
  const columns = FIELDS.map(({ column }) => column);
  assert.ok(LIVE.text.includes(columns.map((column) => `vehicles.${column}`).join(', ')));
  assert.ok(INSERT.text.includes(`$${columns.length + 3})`));
  assert.ok(UPDATE.text.includes(`is_active = $${columns.length + 2}`));
  assert.ok(columns.includes('license_plate'));
});

test('a row of an adopted table is read with the defaults of what it lacks', () => {
  const row = Array(COLUMN_COUNT).fill(null);
  assert.equal(vehicleOf(row), null);
  row[0] = ' \u0085';
  row[FIELDS.length] = 'id';
  const read = vehicleOf(row);
  assert.deepEqual([read.vin, read.odometerUnit, read.isActive], [null, 'mi', true]);
  assert.equal(JSON.parse(serializeVehicles([read]))[0].make, null);
});

test('the list cache drops what a write may have made outdated', async () => {
  let now = 0;
  const cache = new ListCache(300_000, () => now);
  const list = (version) => async () => ({ version, json: Buffer.from('[]') });
  const versionOf = async (read) => (await cache.get('ada', read)).version;
  assert.equal(await versionOf(list(1)), 1);
  assert.equal(await versionOf(list(2)), 1, 'it is remembered');
  cache.drop('ada');
  const { promise, resolve } = (() => {
    let resolve;
    return { promise: new Promise((done) => (resolve = done)), resolve: (it) => resolve(it) };
  })();
  const outdated = versionOf(() => promise);
  const shared = versionOf(list(9));
  cache.drop('ada');
  assert.equal(await versionOf(list(3)), 3, 'a read that began before the write is not shared');
  resolve({ version: 2, json: Buffer.from('[]') });
  assert.deepEqual(await Promise.all([outdated, shared]), [2, 2]);
  assert.equal(await versionOf(list(4)), 3, 'nor does it replace a later one');
  now = 300_000;
  assert.equal(await versionOf(list(5)), 5, 'it is old');
  cache.drop('ada');
  await assert.rejects(cache.get('ada', () => Promise.reject(new Error('no'))), { message: 'no' });
  assert.equal(await versionOf(list(6)), 6);
  cache.suspend('ada');
  assert.deepEqual([await versionOf(list(7)), await versionOf(list(8))], [7, 8], 'a write may still be committed');
  now += 60_000;
  assert.deepEqual([await versionOf(list(9)), await versionOf(list(10))], [9, 9]);
  for (let number = 0; number <= 10_000; number++) cache.suspend(`user-${number}`);
  assert.equal((await cache.get('user-0', list(1))).version, 1);
  assert.equal((await cache.get('user-0', list(2))).version, 1, 'the number of such users is limited');
  const off = new ListCache(0);
  assert.deepEqual([(await off.get('ada', list(1))).version, (await off.get('ada', list(2))).version], [1, 2]);
});
