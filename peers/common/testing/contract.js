// The contract of the vehicles API as tests, which each backend runs against itself.

import assert from 'node:assert/strict';
import { request as httpRequest } from 'node:http';
import { after, before, describe, test } from 'node:test';
import { newId } from '../vehicles/ids.js';
import { ACCORD } from './fake-vpic.js';
import { openServer } from './server.js';

const UNUSED = '/api/vehicles/018f0000-0000-7000-8000-00000000ffff';
const ROUTES = {
  '/api/health': ['GET'],
  '/api/vehicles/health': ['GET'],
  '/api/vehicles': ['GET', 'POST'],
  [UNUSED]: ['DELETE', 'GET', 'PUT'],
  '/api/vehicles/decode-vin': ['POST'],
};
const PUBLIC = ['/api/health', '/api/vehicles/health'];
const BODIES = [
  ['POST', '/api/vehicles'],
  ['POST', '/api/vehicles/decode-vin'],
  ['PUT', null],
];
const JSON_TYPE = { 'content-type': 'application/json; charset=utf-8' };
const VIN_LENGTH = 'VIN must be 17 characters, or 5 to 16 for vehicles before 1981';
const WHOLE = 'A vehicle needs a VIN, a license plate, a nickname or a make';

/** Asserts an error in the contract's format. */
export function refused(answer, status, message) {
  assert.equal(answer.status, status, answer.text);
  assert.equal(answer.body.message, message);
  assert.equal(answer.body.statusCode, status);
  assert.equal(typeof answer.body.error, 'string');
}

/** @param {string} name @param {import('./server.js').Start} start */
export function testContract(name, start) {
  describe(`${name} keeps the contract`, { timeout: 120_000 }, () => {
    let server;
    let ada;
    let number = 0;
    /** A user without vehicles. */
    const someone = () => server.user(`user-${(number += 1)}`);
    before(async () => {
      server = await openServer(start);
      ada = await server.user('ada');
    });
    after(() => server.close());

    test('health needs no token', async () => {
      const health = await server.send('GET', '/api/health');
      assert.deepEqual(
        { ...health.body, version: typeof health.body.version },
        { status: 'ok', backend: name, version: 'string', database: 'ok', capabilities: ['vehicles', 'decode'] },
      );
      const feature = await server.send('GET', '/api/vehicles/health');
      assert.deepEqual(feature.body, { status: 'ok', feature: 'vehicles', backend: name });
    });

    test('a vehicle is added, changed, deleted and added again', async () => {
      const user = await someone();
      const answer = await user.post('/api/vehicles', { vin: '1hgcm-82633 a004352', nickname: ' Blue ', userId: 'x' });
      assert.equal(answer.status, 201, answer.text);
      const added = answer.body;
      assert.deepEqual([added.vin, added.nickname, added.model, added.engine], [ACCORD, 'Blue', 'Accord', '3.0L V6']);
      assert.deepEqual([added.version, answer.headers.get('etag')], [1, '"1"']);
      const path = `/api/vehicles/${added.id}`;
      assert.equal(answer.headers.get('location'), path);
      assert.deepEqual((await user.get(path)).body, added);
      assert.match(added.createdAt, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z$/);

      const changed = await user.put(path, { odometerReading: 51_000, nickname: null });
      assert.deepEqual([changed.body.odometerReading, changed.body.nickname, changed.body.make], [51_000, null, 'HONDA']);
      assert.equal(changed.headers.get('etag'), '"2"');
      refused(await user.post('/api/vehicles', { vin: ACCORD }), 409, 'Vehicle with this VIN already exists');
      assert.equal((await user.delete(path)).status, 204);
      for (const gone of [await user.delete(path), await user.get(path), await user.put(path, { nickname: 'x' })]) {
        refused(gone, 404, 'Vehicle not found');
      }
      const again = await user.add({ vin: ACCORD });
      assert.notEqual(again.vehicle.id, added.id);
      assert.deepEqual((await user.get('/api/vehicles')).body, [again.vehicle]);
    });

    test('If-Match guards changes and If-None-Match saves responses', async () => {
      const user = await someone();
      const { path } = await user.add({ nickname: 'Blue' });
      const list = await user.get('/api/vehicles');
      const known = (of, tag) => user.get(of, { 'if-none-match': tag });
      const unchanged = await known('/api/vehicles', list.headers.get('etag'));
      assert.deepEqual([unchanged.status, unchanged.text], [304, '']);
      assert.equal((await known(path, '"1"')).status, 304);
      const change = (tag) => user.put(path, { color: 'Red' }, { 'if-match': tag });
      const stale = await change('"7"');
      refused(stale, 412, 'The vehicle has changed');
      assert.equal(stale.body.current.version, 1);
      assert.equal((await change('"1"')).status, 200);
      assert.equal((await known(path, '"1"')).status, 200);
      assert.equal((await known('/api/vehicles', list.headers.get('etag'))).status, 200);
      assert.equal((await user.put(path, { color: 'Red' })).headers.get('etag'), '"2"');
      assert.equal((await user.delete(path, { 'if-match': '"1"' })).status, 412);
      const incomplete = await user.put(path, { nickname: null }, { 'if-match': '"1"' });
      assert.equal(incomplete.status, 412, 'a stale change is not validated as a whole');
    });

    test('a create can be sent again with the same id', async () => {
      const [user, bob] = [await someone(), await someone()];
      const body = { id: newId(), vin: ACCORD, color: 'Red' };
      const first = await user.post('/api/vehicles', body);
      assert.equal(first.status, 201);
      const again = await user.post('/api/vehicles', { ...body, id: `{${body.id.toUpperCase()}}` });
      assert.deepEqual([again.status, again.body], [200, first.body]);
      const used = 'This id is already used by another vehicle';
      refused(await user.post('/api/vehicles', { ...body, color: 'Blue' }), 409, used);
      refused(await bob.post('/api/vehicles', body), 409, used);
      const path = `/api/vehicles/${body.id}`;
      await user.put(path, { color: 'Green' });
      assert.equal((await user.post('/api/vehicles', body)).body.color, 'Green');
      await user.delete(path);
      refused(await user.post('/api/vehicles', body), 409, used);
      const bad = await user.post('/api/vehicles', { id: '7', nickname: 5 });
      refused(bad, 400, 'nickname must be a string');
      assert.deepEqual(bad.body.details.map(({ field }) => field), ['nickname', 'id']);
      refused(await user.post('/api/vehicles', { id: 7 }), 400, 'id must be a UUID');
      refused(await user.post('/api/vehicles', { id: 7, nickname: 'x' }), 400, 'id must be a UUID');
    });

    test('one of many concurrent creates with the same VIN succeeds', async () => {
      const user = await someone();
      const answers = await Promise.all(Array.from({ length: 64 }, () => user.post('/api/vehicles', { vin: ACCORD })));
      const statuses = answers.map(({ status }) => status).sort();
      assert.deepEqual(statuses, [201, ...Array(63).fill(409)]);
    });

    test('responses for vehicles of others equal those for unknown ids', async () => {
      const [user, bob] = [await someone(), await someone()];
      const { path, vehicle } = await user.add({ vin: ACCORD });
      const removed = await bob.add({ nickname: 'Gone' });
      await bob.delete(removed.path);
      const ask = async (method, of, body, tag) => {
        const type = body === 'text' ? { 'content-type': 'nonsense' } : {};
        const headers = tag === '' ? type : { ...type, 'if-match': tag, 'if-none-match': tag };
        const answer = await bob.send(method, of, { headers, body: method === 'GET' ? undefined : body });
        return [answer.status, [...answer.headers].filter(([header]) => header !== 'date'), answer.text];
      };
      for (const method of ['GET', 'PUT', 'DELETE']) {
        for (const body of [{ color: 'Red' }, { year: 'x' }, [], undefined, 'text']) {
          for (const tag of ['"1"', '"9"', '*', '']) {
            const expected = await ask(method, UNUSED, body, tag);
            assert.equal(expected[0], 404);
            for (const other of [path, removed.path, ...['nonsense', '%00', '%ff', '%'].map((it) => `/api/vehicles/${it}`)]) {
              assert.deepEqual(await ask(method, other, body, tag), expected, `${method} ${other} ${tag}`);
            }
          }
        }
      }
      assert.deepEqual((await bob.get('/api/vehicles')).body, []);
      await bob.add({ vin: ACCORD });
      assert.deepEqual((await user.get(path)).body, vehicle);
    });

    test('invalid fields are refused with the message of their rule', async () => {
      const user = await someone();
      const { path } = await user.add({ nickname: 'Blue' });
      const year = new Date().getUTCFullYear() + 2;
      const years = `year must be between 1886 and ${year}`;
      const cases = [
        ['vin', 'HELLO!', 'VIN can contain only letters and digits'],
        ['vin', '\u212a1234', 'VIN can contain only letters and digits'],
        ['vin', '1234', VIN_LENGTH],
        ['vin', '1HGCM82633A0043521', VIN_LENGTH],
        ['vin', '1HGCM82633AOO4352', 'VIN cannot contain I, O or Q'],
        ['vin', 7, 'vin must be a string'],
        ['year', '2003', 'year must be an integer'],
        ['year', 2003.5, 'year must be an integer'],
        ['year', 5000.5, 'year must be an integer'],
        ['year', true, 'year must be an integer'],
        ['year', 1885, years],
        ['year', year + 1, years],
        ['year', 1e300, years],
        ['odometerReading', '1', 'odometerReading must be an integer'],
        ['odometerReading', -1, 'odometerReading must be between 0 and 9999999'],
        ['odometerReading', 10_000_000, 'odometerReading must be between 0 and 9999999'],
        ['odometerUnit', 'miles', 'odometerUnit must be one of mi, km, h'],
        ['odometerUnit', 1, 'odometerUnit must be one of mi, km, h'],
        ['isActive', 'true', 'isActive must be a boolean'],
        ['isActive', 1, 'isActive must be a boolean'],
      ];
      const hundred = ['nickname', 'make', 'model', 'trimLevel', 'engine', 'transmission', 'driveType', 'fuelType'];
      const limits = { licensePlate: 20, color: 50, bodyClass: 100, vehicleType: 100, notes: 10_000 };
      for (const field of hundred) limits[field] = 100;
      for (const [field, longest] of Object.entries(limits)) {
        cases.push([field, ['x'], `${field} must be a string`]);
        cases.push([field, '\u{1f697}'.repeat(longest + 1), `${field} must be at most ${longest} characters`]);
        for (const control of ['a\0b', 'a\u0007b', 'a\u0085b']) {
          cases.push([field, control, `${field} contains control characters`]);
        }
        const kept = await user.put(path, { [field]: ` ${'\u{1f697}'.repeat(longest)}\u0085` });
        assert.equal(kept.body[field], '\u{1f697}'.repeat(longest), field);
        if (field !== 'nickname') assert.equal((await user.put(path, { [field]: '  ' })).body[field], null);
      }
      for (const [field, value, message] of cases) {
        for (const answer of [
          await user.post('/api/vehicles', { nickname: 'x', [field]: value }),
          await user.put(path, { [field]: value }),
        ]) {
          refused(answer, 400, message);
          assert.deepEqual(answer.body.details, [{ field, message }]);
        }
      }
      assert.equal((await user.put(path, { notes: 'one\r\ntwo' })).body.notes, 'one\r\ntwo');
      const all = await user.post('/api/vehicles', { isActive: 1, year: 1, vin: 'x', color: 7 });
      assert.deepEqual(all.body.details.map(({ field }) => field), ['vin', 'color', 'year', 'isActive']);
    });

    test('a vehicle without an identifying field is refused', async () => {
      const user = await someone();
      for (const body of [{}, { color: 'Red', vin: '  ' }, { nickname: '', model: 'Accord' }]) {
        const answer = await user.post('/api/vehicles', body);
        refused(answer, 400, WHOLE);
        assert.ok(!('details' in answer.body));
      }
      const { path } = await user.add({ nickname: 'Blue' });
      refused(await user.put(path, { nickname: null }), 400, WHOLE);
      assert.equal((await user.put(path, { nickname: null, make: 'Honda' })).status, 200);
    });

    test('PUT changes only the fields that are sent', async () => {
      const user = await someone();
      const { path, vehicle } = await user.add({ nickname: 'Blue', color: 'Red', odometerUnit: 'km', isActive: false });
      assert.deepEqual([vehicle.isActive, vehicle.odometerUnit, vehicle.imageUrl], [false, 'km', null]);
      const time = '2000-01-01T00:00:00Z';
      const ignored = { id: newId(), userId: 'x', version: 99, createdAt: time, deletedAt: time, imageUrl: 'x', unknown: 7 };
      const { body: changed } = await user.put(path, { ...ignored, color: 'Green', year: 2003.0 });
      for (const same of ['id', 'userId', 'createdAt', 'deletedAt', 'imageUrl', 'nickname', 'odometerUnit', 'isActive']) {
        assert.equal(changed[same], vehicle[same], same);
      }
      assert.deepEqual([changed.color, changed.year, changed.version, 'unknown' in changed], ['Green', 2003, 2, false]);
      assert.ok(changed.updatedAt > vehicle.updatedAt);
      const back = await user.put(path, { odometerUnit: null, isActive: null });
      assert.deepEqual([back.body.odometerUnit, back.body.isActive], ['mi', true]);
      const filled = await user.put(path, { vin: ACCORD });
      assert.deepEqual([filled.body.make, filled.body.year, filled.body.color], ['HONDA', 2003, 'Green']);
      assert.equal((await user.put(path, { make: null, vin: ACCORD })).body.make, null, 'a cleared field stays empty');
      const other = await user.add({ vin: '5YJSA1E26HF000337' });
      const twin = await user.put(other.path, { vin: ACCORD.toLowerCase() });
      refused(twin, 409, 'Vehicle with this VIN already exists');
    });

    test('the list is newest first and every change gives it another tag', async () => {
      const user = await someone();
      const list = () => user.get('/api/vehicles');
      const tags = [(await list()).headers.get('etag')];
      const paths = [];
      for (const nickname of ['one', 'two', 'three']) {
        paths.push((await user.add({ nickname })).path);
        tags.push((await list()).headers.get('etag'));
      }
      await user.put(paths[0], { color: 'Red' });
      const all = await list();
      assert.deepEqual(all.body.map(({ nickname }) => nickname), ['three', 'two', 'one']);
      tags.push(all.headers.get('etag'));
      await user.delete(paths[1]);
      const last = await list();
      assert.equal(last.body.length, 2);
      tags.push(last.headers.get('etag'));
      assert.equal(new Set(tags).size, tags.length);
      for (const [tag, status] of [[tags[5], 304], ['*', 304], [tags[4], 200], ['x', 200], [`"x", W/${tags[5]}`, 304]]) {
        const answer = await user.get('/api/vehicles', { 'if-none-match': tag });
        assert.deepEqual([answer.status, answer.headers.get('etag')], [status, tags[5]], tag);
      }
    });

    test('operations require a token unless they are public', async () => {
      for (const [path, methods] of Object.entries(ROUTES).filter(([it]) => !PUBLIC.includes(it))) {
        for (const method of methods) {
          for (const authorization of [null, 'Basic x', 'Bearer', 'Bearer ', 'Bearer a.b.c', 'x']) {
            const headers = authorization === null ? {} : { authorization };
            const answer = await server.send(method, path, { headers, body: method === 'GET' ? undefined : '{' });
            refused(answer, 401, 'Missing or invalid token');
            assert.equal(answer.headers.get('www-authenticate'), 'Bearer');
          }
        }
      }
    });

    test('unsupported methods are refused with the supported ones in Allow', async () => {
      for (const [path, methods] of Object.entries(ROUTES)) {
        for (const method of ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'].filter((it) => !methods.includes(it))) {
          const answer = await ada.send(method, path);
          refused(answer, 405, 'Method Not Allowed');
          const allowed = answer.headers.get('allow').split(', ').filter((it) => it !== 'HEAD').sort();
          assert.deepEqual(allowed, methods, `${method} ${path}`);
        }
      }
    });

    test('HEAD is answered like GET without the body', async () => {
      for (const path of ['/api/health', '/api/vehicles']) {
        const [head, get] = [await ada.send('HEAD', path), await ada.get(path)];
        assert.deepEqual([head.status, head.text], [200, '']);
        assert.equal(head.headers.get('content-length'), get.headers.get('content-length'));
      }
    });

    test('unknown routes are not found, and responses are JSON', async () => {
      for (const path of ['/api/nothing', '/', '/api/vehicles/', '/%ff', '/API/vehicles', '/api/vehicles/dropdown/years']) {
        const answer = await ada.get(path);
        refused(answer, 404, 'Not Found');
        assert.equal(answer.headers.get('content-type').split(';')[0], 'application/json');
      }
    });

    test('invalid bodies are refused by every operation that has a body', async () => {
      const user = await someone();
      const { path: vehicle } = await user.add({ nickname: 'Blue' });
      const notJson = 'Request body is not valid JSON';
      const noMedia = 'Content-Type must be application/json';
      const cases = [
        ['', JSON_TYPE, 400, notJson],
        ['{', JSON_TYPE, 400, notJson],
        ['{"a":1}x', JSON_TYPE, 400, notJson],
        [Buffer.from([0x7b, 0x22, 0x61, 0x22, 0x3a, 0x22, 0xff, 0x22, 0x7d]), JSON_TYPE, 400, notJson],
        ['{"nickname":"\\ud83d"}', JSON_TYPE, 400, notJson],
        ['[]', JSON_TYPE, 400, 'Request body must be an object'],
        ['null', JSON_TYPE, 400, 'Request body must be an object'],
        [Buffer.from('{}'), {}, 415, noMedia],
        ['{}', { 'content-type': 'text/plain' }, 415, noMedia],
        ['{}', { 'content-type': 'nonsense' }, 415, noMedia],
        [undefined, {}, 415, noMedia],
        [`{"notes":"${'n'.repeat(1024 * 1024)}"}`, JSON_TYPE, 413, 'Request body is larger than 1 MiB'],
        ['['.repeat(100_000) + ']'.repeat(100_000), JSON_TYPE, 400, 'Request body must be an object'],
      ];
      for (const [method, path] of BODIES) {
        for (const [body, headers, status, message] of cases) {
          refused(await user.send(method, path ?? vehicle, { body, headers }), status, message);
        }
      }
      const shown = await user.get(vehicle);
      assert.deepEqual([shown.body.nickname, shown.body.version], ['Blue', 1], 'the vehicle is unchanged');
    });

    test('a body without a length is limited too', async () => {
      const status = await new Promise((resolve, reject) => {
        const headers = { authorization: `Bearer ${ada.token}`, 'content-type': 'application/json' };
        const request = httpRequest(`${server.base}/api/vehicles`, { method: 'POST', headers }, (response) => {
          response.resume();
          resolve(response.statusCode);
        });
        request.on('error', reject);
        for (let part = 0; part < 20; part += 1) request.write(Buffer.alloc(64 * 1024, ' '));
        request.end();
      });
      assert.equal(status, 413);
    });

    test('VINs are decoded', async () => {
      const decode = (body, query = '') => ada.post(`/api/vehicles/decode-vin${query}`, body);
      const { body: decoded } = await decode({ vin: '1hgcm82633a004352' });
      assert.deepEqual([decoded.input, decoded.vin, decoded.fields.model.value], ['1hgcm82633a004352', ACCORD, 'Accord']);
      assert.deepEqual([decoded.checkDigit, decoded.years], [{ valid: true, expected: '3' }, [2003]]);
      assert.ok(['vpic', 'cache'].includes(decoded.fields.make.source) && !('facts' in decoded));
      for (const [body, message] of [
        [{}, 'vin must be a string'],
        [{ vin: 7 }, 'vin must be a string'],
        [{ vin: ACCORD, modelYear: '2003' }, 'modelYear must be an integer'],
        [{ vin: '' }, VIN_LENGTH],
        [{ vin: '$$$' }, 'VIN can contain only letters and digits'],
      ]) {
        refused(await decode(body), 400, message);
      }
      refused(await decode({ vin: ACCORD }, '?full=banana'), 400, 'full must be a boolean');
      refused(await decode({ vin: ACCORD }, '?full=true&full=false'), 400, 'Query string is not valid');
      const full = await decode({ vin: ACCORD }, '?full=true');
      assert.ok(full.body.facts.length > 20);
      assert.equal(full.body.facts[0].code, 'WmiCountry');
      const part = await decode({ vin: '5uxwx7c5*ba', modelYear: 2011 });
      assert.deepEqual([part.body.vin, part.body.fields.model.value, part.body.errors], [null, 'X3', []]);
    });
  });

  describe(`${name} without what it needs`, { timeout: 120_000 }, () => {
    test('a decoder that is down stops no save, and remembered answers are served', async (context) => {
      const server = await openServer(start);
      context.after(() => server.close());
      const user = await server.user('ada');
      const decode = (vin) => user.post('/api/vehicles/decode-vin', { vin });
      assert.equal((await decode(ACCORD)).body.fields.make.source, 'vpic');
      server.vpic.behave((request, response) => response.writeHead(500).end('<html>'));
      assert.equal((await decode(ACCORD)).body.fields.make.source, 'cache');
      await server.database.sql(`UPDATE vin_cache SET cached_at = now() - interval '31 days'`);
      assert.equal((await decode(ACCORD)).body.fields.make.source, 'cache', 'an old answer is better than none');
      const other = '5YJSA1E26HF000337';
      refused(await decode(other), 503, 'Decoder unavailable');
      const { vehicle } = await user.add({ vin: other });
      assert.deepEqual([vehicle.vin, vehicle.make], [other, null]);
      server.vpic.behave(null);
      assert.equal((await decode(ACCORD)).body.fields.make.source, 'vpic', 'an old answer is renewed');
    });

    test('a request that takes too long is 503, and its write is not performed', async (context) => {
      const server = await openServer(start, {}, { requestMilliseconds: 300 });
      context.after(() => server.close());
      const user = await server.user('ada');
      const held = [];
      server.vpic.behave((request, response) => held.push(response));
      const late = await user.post('/api/vehicles', { vin: ACCORD });
      refused(late, 503, 'Request took too long');
      assert.equal(late.headers.get('retry-after'), '5');
      const gone = user.send('POST', '/api/vehicles', { body: { vin: '5YJSA1E26HF000337' }, signal: AbortSignal.timeout(100) });
      await assert.rejects(gone);
      for (const response of held) response.writeHead(500).end();
      // Writes that were begun would be done by then.
      await new Promise((resolve) => setTimeout(resolve, 300));
      assert.deepEqual(await server.database.sql('SELECT id FROM vehicles'), []);
      assert.deepEqual((await user.get('/api/vehicles')).body, []);
    });

    test('without the list cache, writes of other programs show at once', async (context) => {
      const server = await openServer(start, { GARAGE_LIST_CACHE: 'off' });
      context.after(() => server.close());
      const user = await server.user('ada');
      await user.add({ nickname: 'Blue' });
      const { headers } = await user.get('/api/vehicles');
      const known = () => user.get('/api/vehicles', { 'if-none-match': headers.get('etag') });
      assert.equal((await known()).status, 304);
      await server.database.sql(`UPDATE vehicles SET nickname = 'Red'`);
      const changed = await known();
      assert.deepEqual([changed.status, changed.body[0].nickname], [200, 'Red']);
    });

    test('a database that is away is 503 with Retry-After', async (context) => {
      const server = await openServer(start, { GARAGE_DATABASE: 'postgres://garage@127.0.0.1:9/nothing' });
      context.after(() => server.close());
      const user = await server.user('ada');
      for (const answer of [await user.get('/api/vehicles'), await user.get('/api/health')]) {
        refused(answer, 503, 'Database unavailable');
        assert.equal(answer.headers.get('retry-after'), '5');
      }
      refused(await user.post('/api/vehicles', { nickname: 'x' }), 503, 'Database unavailable');
    });

    test('a failure that nobody expected is 500 without its reason', async (context) => {
      const server = await openServer(start);
      context.after(() => server.close());
      const user = await server.user('ada');
      await server.database.sql('DROP TABLE vehicles');
      refused(await user.get('/api/vehicles'), 500, 'Internal Server Error');
    });
  });
}
