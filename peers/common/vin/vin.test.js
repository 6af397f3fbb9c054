import assert from 'node:assert/strict';
import { test } from 'node:test';
import { countryOf } from './country.js';
import { VIN_CHARACTERS, VIN_LENGTH, VIN_LETTERS } from './messages.js';
import { knownAt, parseQuery } from './query.js';
import { cleanVin, expectedCheckDigit, findVin, parseVin } from './vin.js';
import { possibleYears } from './year.js';

const ACCORD = '1HGCM82633A004352';

test('VINs are cleaned of spaces, dashes and lower case', () => {
  for (const text of [ACCORD, ' 1hgcm82633a004352\n', '1HGCM-82633-A004352', '1HGCM\u201382633\u2011A00435\u22122']) {
    assert.deepEqual(parseVin(text), { vin: ACCORD }, text);
  }
  assert.deepEqual(parseVin('10Q-IO'), { vin: '10QIO' }, 'numbers from before 1981 can have any letter');
  assert.equal(cleanVin('\u0131\u212a\u00e9'), '\u0131\u212a\u00e9', 'only ASCII letters are upper-cased');
});

test('errors of VINs are in the order of the contract', () => {
  for (const [text, message] of [
    ['1234', VIN_LENGTH],
    ['', VIN_LENGTH],
    ['1'.repeat(1000), VIN_LENGTH],
    ['1HGCM8263IA004352', VIN_LETTERS],
    ['1HGCM82633A00435\0', VIN_CHARACTERS],
    ['\u0131HGCM82633A004352', VIN_CHARACTERS],
    ['$', VIN_CHARACTERS],
  ]) {
    assert.deepEqual(parseVin(text), { message }, text);
  }
});

test('check digits match published VINs', () => {
  for (const vin of [ACCORD, '1M8GDM9AXKP042788', '11111111111111111', '1HGBH41JXMN109186']) {
    assert.equal(expectedCheckDigit(vin), vin[8]);
  }
  assert.equal(expectedCheckDigit('1HGCM82633A00435'), null);
  assert.equal(expectedCheckDigit('1HGCM82I33A004352'), null);
});

test('a VIN is found in a sentence', () => {
  assert.equal(findVin('For sale: 2003 Accord, VIN 1hgcm82633a004352, one owner.'), ACCORD);
  assert.equal(findVin('vin is 1HGCM 82633 A004352 ok'), ACCORD);
  assert.equal(findVin('number 1HGCM82643A004352'), '1HGCM82643A004352', 'without a correct check digit');
  assert.equal(findVin('1HGCM8263IA004352 is none'), null);
  assert.equal(findVin('HELLO WORLD'), null);
  assert.equal(findVin('ABCDEFGHJKLMNPRST'), null, 'words are no VIN');
  assert.equal(findVin('1HGCM82633A0043521'), null, 'a part of a longer number is no VIN');
});

test('queries are parts, wildcards and sentences', () => {
  for (const [text, query] of [
    ['1hg', '1HG'],
    ['5uxwx7c5*ba', '5UXWX7C5*BA'],
    ['The VIN is 1HGCM82633A004352, see photo', ACCORD],
    ['HELLO WORLD', 'HELLOWORLD'],
  ]) {
    assert.deepEqual(parseQuery(text), { query }, text);
  }
  for (const [text, message] of [
    ['', VIN_LENGTH],
    ['1H', VIN_LENGTH],
    ['1HGCM82633A0043521', VIN_LENGTH],
    ['<script>alert(1)</script>', VIN_CHARACTERS],
  ]) {
    assert.deepEqual(parseQuery(text), { message }, text);
  }
  assert.deepEqual([knownAt('1*', 1), knownAt('1*', 2), knownAt('1*', 3)], ['1', null, null]);
});

test('a year needs position 10 and a registered manufacturer', () => {
  const years = (query, decoded, isLightVehicle = false, isRegistered = true) =>
    possibleYears(query, decoded, { isRegistered, isLightVehicle, currentYear: 2026 });
  assert.deepEqual(years('1UYVS2535CU123456', 2012), [2012, 1982]);
  assert.deepEqual(years('1UYVS2535CU123456', 1982), [1982, 2012]);
  assert.deepEqual(years('1UYVS2535CU123456', 2012, true), [2012]);
  assert.deepEqual(years('1UYVS2*35CU123456', 2012, true), [2012, 1982], 'position 7 is unknown');
  assert.deepEqual(years('1UYVS25359U123456', 2009), [2009], '2039 is in the future');
  for (const [query, year] of [
    ['1UYVS2535CU123456', 2013],
    ['1UYVS2535CU123456', null],
    ['1UYVS25350U123456', 2010],
    ['1UYVS2535', 2012],
  ]) {
    assert.deepEqual(years(query, year), [], query);
  }
  assert.deepEqual(years('1UYVS2535CU123456', 2012, false, false), []);
});

test('countries of well-known manufacturers', () => {
  const found = ['1HG', 'JHM', 'WAU', 'YV1', 'KMH', '93Y', 'B12', '1', ''].map(countryOf);
  const names = ['United States', 'Japan', 'Germany', 'Sweden', 'South Korea', 'Brazil'];
  assert.deepEqual(found, [...names, null, null, null]);
});
