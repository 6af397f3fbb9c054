import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hasControlCharacters, isLongerThan, trim } from './text.js';

test('white space is that of Unicode', () => {
  assert.equal(trim('\u0085 \u3000a b\n\u2028'), 'a b');
  assert.equal(trim('\ufeffa'), '\ufeffa', 'a byte order mark is no white space');
  assert.equal(trim(' \t '), '');
});

test('lengths count code points', () => {
  assert.equal(isLongerThan('\u{1f697}'.repeat(3), 3), false);
  assert.equal(isLongerThan('\u{1f697}'.repeat(4), 3), true);
  assert.equal(isLongerThan('abc\u{1f697}', 3), true);
  assert.equal(isLongerThan('x'.repeat(7), 3), true);
});

test('control characters are those of category Cc', () => {
  for (const control of ['\0', '\u001f', '\u007f', '\u009f']) assert.ok(hasControlCharacters(`a${control}`, true));
  assert.ok(hasControlCharacters('a\nb', false));
  assert.ok(!hasControlCharacters('a\r\nb', true));
  assert.ok(!hasControlCharacters('a\u200fb', false));
});
