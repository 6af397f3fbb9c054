import assert from 'node:assert/strict';
import { test } from 'node:test';
import { recorded } from '../testing/fake-vpic.js';
import { errorCodes, isAbout, isLightVehicle, readAnswer, readResponse } from './answer.js';
import { toDecode } from './decode.js';
import { engineLabel } from './engine.js';
import { plainNumber, rounded } from './numbers.js';
import { errorsOf, possibleCharacters, suggestedVin } from './problems.js';

const TRUCK = '1FTMW1T88MFA00001';
const decodeRecorded = (name, query, isFull) => {
  const answer = readResponse(JSON.stringify(recorded(name)));
  return toDecode({ answer, source: 'vpic' }, { input: query.toLowerCase(), query, isFull, currentYear: 2026 });
};

test('a recorded answer becomes a decode', () => {
  const of = (value) => ({ value, source: 'vpic' });
  assert.deepEqual(decodeRecorded('f150', TRUCK, false), {
    input: TRUCK.toLowerCase(),
    vin: TRUCK,
    modelYear: 2021,
    fields: {
      make: of('FORD'),
      model: of('F-150'),
      year: of(2021),
      trimLevel: of('SuperCrew-SSV'),
      engine: of('3.5L V6'),
      driveType: of('4WD/4-Wheel Drive/4x4'),
      fuelType: of('Gasoline'),
      bodyClass: of('Pickup'),
      vehicleType: of('TRUCK'),
    },
    facts: undefined,
    errors: [{ code: 0, message: 'VIN decoded clean. Check Digit (9th position) is correct' }],
    checkDigit: { valid: true, expected: '8' },
    suggestedVin: null,
    possible: [],
    years: [2021],
  });
});

test('a recorded answer about a part has no VIN and no errors of missing characters', () => {
  const decode = decodeRecorded('x3-in-part', '5UXWX7C5*BA', true);
  assert.deepEqual([decode.vin, decode.checkDigit, decode.errors, decode.years], [null, null, [], [2011]]);
  const facts = new Map(decode.facts.map((fact) => [fact.code, fact]));
  assert.deepEqual([...facts.keys()].slice(0, 2), ['WmiCountry', 'AirBagLocFront']);
  assert.deepEqual(facts.get('WmiCountry').source, 'iso3780');
  assert.deepEqual(
    [facts.get('Model').value, facts.get('DisplacementL').value, facts.has('VIN'), facts.has('BusType')],
    ['X3', '3.0', false, false],
  );
});

test('a year that the VIN does not encode is withheld, and an unassigned country too', () => {
  const answer = readAnswer({ Make: 'X', ModelYear: '2013', VIN: 'B12' });
  const decode = toDecode({ answer, source: 'cache' }, { input: 'b12', query: 'B12', isFull: true, currentYear: 2026 });
  assert.deepEqual([decode.modelYear, decode.years], [null, []]);
  assert.deepEqual(decode.facts.map(({ code }) => code), ['Make']);
});

test('answers are not trusted', () => {
  const values = { Make: ' FORD ', Doors: 4, ABS: '', Trim: 'Not Applicable', Model: ['x'], Note: 'n'.repeat(2_001) };
  assert.deepEqual({ ...readAnswer(values) }, { Make: 'FORD', Doors: '4' });
  assert.equal(readAnswer({ ['__proto__']: 'x' }).Make, undefined);
  for (const other of [null, 'x', [values]]) assert.equal(readAnswer(other), null);
  const response = (...results) => readResponse(JSON.stringify({ Results: results }));
  assert.deepEqual({ ...response({ VIN: TRUCK.toLowerCase() }) }, { VIN: TRUCK.toLowerCase() });
  assert.deepEqual({ ...response({ Make: 'FORD' }) }, { Make: 'FORD' });
  assert.ok(isAbout(response({ VIN: TRUCK.toLowerCase() }), TRUCK) && isAbout(response({ Make: 'FORD' }), TRUCK));
  assert.ok(!isAbout(response({ VIN: '1HGCM82633A004352' }), TRUCK));
  assert.equal(response({}, {}), null);
  for (const text of ['<html>', 'null', '{}', '{"Results":{}}']) assert.equal(readResponse(text), null);
});

test('engines are written on one line', () => {
  const line = (DisplacementL, DisplacementCC, EngineConfiguration, EngineCylinders) =>
    engineLabel({ DisplacementL, DisplacementCC, EngineConfiguration, EngineCylinders });
  assert.equal(line('2.998832712', '2998.8', 'V-Shaped', '6'), '3.0L V6');
  assert.equal(line('2.5', undefined, 'Horizontally opposed (boxer)', '4'), '2.5L H4');
  assert.equal(line('0.649', '649.0', 'In-Line', '2'), '649 cc I2');
  assert.equal(line('0.649', undefined, 'In-Line', '2'), '649 cc I2');
  assert.equal(line('1.3', undefined, 'Rotary', '2'), '1.3L Rotary');
  assert.equal(line('5.0'), '5.0L');
  assert.equal(line(undefined, undefined, undefined, '4'), '4-cylinder');
  assert.equal(line('3', undefined, 'V-Shaped', '6.0'), '3.0L V6');
  assert.equal(line('not a number', undefined, 'V-Shaped', '0'), null);
});

test('numbers are plain decimals, and halves are rounded to even', () => {
  assert.deepEqual(['3', '3.', '.5', '1e3', 'inf', '', undefined, '1.2.3'].map(plainNumber), [3, 3, 0.5, ...Array(5).fill(null)]);
  assert.deepEqual([2.25, 2.35, 2.75, 3, 0.25].map((it) => rounded(it, 1)), ['2.2', '2.4', '2.8', '3.0', '0.2']);
  assert.deepEqual([648.5, 649.5, 649.4].map((it) => rounded(it, 0)), ['648', '650', '649']);
});

test('errors are split, also with semicolons of their own', () => {
  const answer = { ErrorCode: '1,14,x', ErrorText: '1 - Check; digit is 4; 14 - Unable to provide information' };
  assert.deepEqual(errorsOf(answer, TRUCK), [
    { code: 1, message: 'Check; digit is 4' },
    { code: 14, message: 'Unable to provide information' },
  ]);
  assert.deepEqual(errorsOf(answer, '1FT').map(({ code }) => code), [1]);
  assert.deepEqual(errorsOf({ ErrorCode: '6,7,8,11', ErrorText: '6 - a; 7 - b; 8 - c; 11 - d' }, '1FTM*'), []);
  assert.deepEqual(errorsOf({ ErrorCode: '6,7', ErrorText: '' }, TRUCK).map(({ code }) => code), [6, 7]);
  assert.deepEqual(errorCodes({}), []);
});

test('possible characters and the suggested VIN', () => {
  const values = { PossibleValues: '(8:6)(12:ABF)(8:7)', ErrorCode: '400' };
  assert.deepEqual(possibleCharacters(values, '1HGCM82O33A*04I52'), [
    { position: 8, characters: '6' },
    { position: 15, characters: '1' },
  ]);
  assert.deepEqual(possibleCharacters(values, '1HQ'), [{ position: 3, characters: '0' }]);
  const accord = '1HGCM82633A004352';
  assert.equal(suggestedVin({ SuggestedVIN: accord }, '1HGCM82643A004352'), accord);
  assert.equal(suggestedVin({ SuggestedVIN: '1HGCM826!3A004352' }, '1HGCM82643A004352'), null);
  assert.equal(suggestedVin({ ErrorCode: '400' }, '1HGCM82633AOO4352'), accord);
  assert.equal(suggestedVin({ ErrorCode: '0', SuggestedVIN: accord }, accord), null);
});

test('position 7 selects the year of light vehicles', () => {
  const light = (VehicleType, GVWR) => isLightVehicle({ VehicleType, GVWR });
  assert.ok(light('PASSENGER CAR') && light('MULTIPURPOSE PASSENGER VEHICLE (MPV)'));
  assert.ok(light('TRUCK', 'Class 2E: 6,001 - 7,000 lb'));
  assert.ok(!light('TRUCK', 'Class 3: 10,001 - 14,000 lb') && !light('TRUCK') && !light('MOTORCYCLE'));
});
