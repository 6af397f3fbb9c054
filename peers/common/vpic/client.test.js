import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ACCORD, startFakeVpic } from '../testing/fake-vpic.js';
import { Breaker } from './breaker.js';
import { createVpicClient, MAX_ANSWER_BYTES } from './client.js';
import { createDecoder } from './decoder.js';

const get = async (url, signal) => {
  const { status, body } = await fetch(url, { signal });
  return { status, body };
};

async function fake(context) {
  const vpic = await startFakeVpic();
  context.after(() => vpic.stop());
  return vpic;
}

test('equal questions are asked once at a time', async (context) => {
  const vpic = await fake(context);
  const ask = createVpicClient(vpic.url, get);
  const answers = await Promise.all([ask(ACCORD), ask(ACCORD), ask(ACCORD, 2003)]);
  assert.deepEqual(answers.map(({ Make }) => Make), ['HONDA', 'HONDA', 'HONDA']);
  assert.deepEqual(vpic.questions.sort(), [
    `/DecodeVinValues/${ACCORD}?format=json`,
    `/DecodeVinValues/${ACCORD}?format=json&modelyear=2003`,
  ]);
  await ask('5UXWX7C5*BA');
  assert.equal(vpic.questions.at(-1), '/DecodeVinValues/5UXWX7C5*BA?format=json');
});

test('there is no answer when vPIC fails, stalls, or sends too much or nonsense', async (context) => {
  const vpic = await fake(context);
  const behaviors = [
    (request, response) => response.writeHead(500).end('<html>'),
    (request, response) => response.end('<html>'),
    (request, response) => response.end(JSON.stringify({ Results: [{ VIN: 'OTHER', Make: 'X' }] })),
    (request, response) => response.end(' '.repeat(MAX_ANSWER_BYTES + 1)),
    (request, response) => {
      response.write('{');
      setTimeout(() => response.destroy(), 20);
    },
    () => {},
  ];
  for (const behavior of behaviors) {
    vpic.behave(behavior);
    assert.equal(await createVpicClient(vpic.url, get, 200)(ACCORD), null, String(behavior));
  }
  assert.equal(await createVpicClient('http://127.0.0.1:9', get)(ACCORD), null);
});

test('the number of requests at a time is limited', async (context) => {
  const vpic = await fake(context);
  vpic.behave(() => {});
  const ask = createVpicClient(vpic.url, get, 300);
  const waiting = Array.from({ length: 64 }, (_, index) => ask(`VIN${index}`));
  assert.equal(await ask(ACCORD), null);
  await Promise.all(waiting);
  assert.equal(await ask(ACCORD), null, 'after so many failures vPIC is left alone');
  assert.equal(vpic.questions.length, 64);
});

test('only failures of vPIC itself count for the breaker', async (context) => {
  const vpic = await fake(context);
  const questionsAfter = async (behavior) => {
    vpic.behave(behavior);
    vpic.questions.length = 0;
    const ask = createVpicClient(vpic.url, get);
    for (let question = 0; question < 8; question += 1) assert.equal(await ask(ACCORD), null);
    return vpic.questions.length;
  };
  const status = (code) => (request, response) => response.writeHead(code).end('<html>');
  const other = JSON.stringify({ Results: [{ VIN: 'OTHER', Make: 'X' }] });
  assert.equal(await questionsAfter((request, response) => response.end(other)), 8);
  for (const [code, questions] of [[400, 8], [404, 8], [429, 5], [500, 5], [200, 5]]) {
    assert.equal(await questionsAfter(status(code)), questions, String(code));
  }
});

test('the breaker opens after repeated failures, and then permits one request at a time', () => {
  let now = 0;
  const breaker = new Breaker(() => now);
  for (let failure = 0; failure < 4; failure += 1) breaker.failed();
  breaker.succeeded();
  for (let failure = 0; failure < 5; failure += 1) {
    assert.ok(breaker.permits(), 'a success resets the count');
    breaker.failed();
  }
  assert.ok(!breaker.permits());
  now = 60_000;
  assert.ok(breaker.permits() && !breaker.permits());
  breaker.succeeded();
  assert.ok(breaker.permits() && breaker.permits());
});

test('a model year selects one of two, and is ignored if the VIN does not encode it', async () => {
  const trailer = '1UYVS2535CU123456';
  const asked = [];
  let unavailableYear = 0;
  const answers = { [trailer]: { Make: 'UTILITY', VehicleType: 'TRAILER', ModelYear: '2012', ErrorCode: '0', ErrorText: '0 - ok' } };
  const askVpic = async (query, year) => {
    asked.push(year);
    return year === unavailableYear ? null : answers[query] && { ...answers[query], ...(year && { ModelYear: String(year) }) };
  };
  const saved = [];
  const vinCache = { find: async () => null, save: async (vin) => saved.push(vin) };
  const decode = createDecoder({ askVpic, vinCache });
  const at = new Date('2026-11-30T00:00:00Z');
  assert.deepEqual((await decode(trailer, { at })).years, [2012, 1982]);
  const other = await decode(trailer, { modelYear: 1982, at });
  assert.deepEqual([other.years, other.modelYear], [[1982, 2012], 1982]);
  const ignored = await decode(trailer, { modelYear: 2013, at });
  assert.deepEqual([ignored.modelYear, ignored.errors.map(({ code }) => code)], [2012, [12]]);
  assert.deepEqual((await decode(trailer, { modelYear: 2012, at })).errors.map(({ code }) => code), [0]);
  assert.deepEqual(asked, [undefined, undefined, 1982, undefined, undefined]);
  assert.deepEqual(saved, Array(4).fill(trailer), 'only answers without a year');
  answers['1UY'] = { ErrorCode: '6', ErrorText: '6 - Incomplete' };
  assert.deepEqual((await decode('1UY')).fields, {});
  const unencoded = await decode('1UY', { modelYear: 2012 });
  assert.deepEqual([unencoded.modelYear, unencoded.errors.map(({ code }) => code)], [null, [12]]);
  assert.deepEqual(asked.slice(5), [undefined, undefined], 'a year that is ignored is not sent');
  answers['1UYVS2535CU'] = answers[trailer];
  unavailableYear = 1982;
  await assert.rejects(decode('1UYVS2535CU', { modelYear: 1982, at }), { message: 'Decoder unavailable' });
  assert.equal(saved.length, 4, 'parts are not saved');
});
