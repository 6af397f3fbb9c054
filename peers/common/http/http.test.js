import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import { test } from 'node:test';
import { readJsonObject } from './body.js';
import { expectedVersions, isNotModified, listTag, versionTag } from './conditions.js';
import { fieldErrors, sendJson } from './errors.js';
import { toApiError } from './failure.js';
import { decodableUrl, queryParameter } from './url.js';

test('If-Match compares strongly', () => {
  assert.deepEqual([expectedVersions(undefined), expectedVersions('*'), expectedVersions(' , ')], [null, null, null]);
  assert.deepEqual(expectedVersions('"7"'), [7]);
  assert.deepEqual(expectedVersions('"1", "7"'), [1, 7]);
  for (const other of ['W/"7"', '7', '"x"', '"7', '""']) assert.deepEqual(expectedVersions(other), [], other);
});

test('If-None-Match compares weakly', () => {
  for (const known of ['"7"', 'W/"7"', '*', '"1", "7"']) assert.ok(isNotModified(known, versionTag(7)), known);
  for (const other of [undefined, '"6"', '7', '"77"', 'w/"7"']) assert.ok(!isNotModified(other, versionTag(7)), other);
  assert.notEqual(listTag(7), versionTag(7));
});

test('a path that cannot be decoded becomes one that can', () => {
  assert.equal(decodableUrl('/api/vehicles/%ff?full=%ff'), '/api/vehicles/-ff?full=%ff');
  for (const url of ['/api/vehicles', '/api/vehicles/%7B1%7D', '/x?y=%ff']) assert.equal(decodableUrl(url), url);
});

test('a repeated parameter of the query is an error', () => {
  assert.deepEqual(['/', '/?x=1', '/?full=', '/?full=true'].map((url) => queryParameter(url, 'full')), [null, null, '', 'true']);
  assert.throws(() => queryParameter('/?full=true&full=true', 'full'), { message: 'Query string is not valid' });
});

test('an unexpected error has no reason in its response', () => {
  for (const error of [new TypeError('secret'), 'secret']) {
    assert.deepEqual(toApiError(error).body, {
      statusCode: 500,
      error: 'Internal Server Error',
      message: 'Internal Server Error',
      details: undefined,
      current: undefined,
    });
  }
  const known = fieldErrors([{ field: 'vin', message: 'x' }]);
  assert.equal(toApiError(known), known);
});

test('a response is sent once', () => {
  sendJson({ headersSent: true, writeHead: () => assert.fail() }, 200, '{}');
});

test('surrogates must come in pairs, also where they are escaped', async () => {
  const read = (text) => {
    const request = Object.assign(new EventEmitter(), { headers: { 'content-type': 'Application/JSON' } });
    const object = readJsonObject(request);
    request.emit('data', Buffer.from(text));
    request.emit('end');
    return object;
  };
  for (const text of ['"\\ud83d\\ude97"', '"\\\\ud83d"', '"\\\\\\ud83d\\ude97\\n"', '"\\u00e9\\ud83d\\ude97"']) {
    assert.deepEqual(await read(`{"a":${text}}`), { a: JSON.parse(text) });
  }
  for (const text of ['"\\ud83d"', '"\\ude97"', '"\\ude97\\ud83d"', '"\\ud83d\\n"', '"\\\\\\ud83d"', '"\\ud83d\\ud83d\\ude97"']) {
    await assert.rejects(read(`{"a":${text}}`), { message: 'Request body is not valid JSON' }, text);
  }
  await assert.rejects(read('\ufeff{}'), { message: 'Request body is not valid JSON' });
  const broken = Object.assign(new EventEmitter(), { headers: { 'content-type': 'application/json' } });
  const reading = readJsonObject(broken);
  broken.emit('close');
  await assert.rejects(reading, { status: 400 });
});
