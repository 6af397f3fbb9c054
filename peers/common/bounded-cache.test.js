import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BoundedCache } from './bounded-cache.js';

test('the least recently used entries go first when the cache is full', () => {
  const cache = new BoundedCache(3, () => 0);
  for (const key of ['a', 'b', 'c']) cache.set(key, key, 1, 10);
  cache.get('a');
  cache.set('d', 'd', 1, 10);
  assert.deepEqual(['a', 'b', 'c', 'd'].map((key) => cache.get(key)), ['a', undefined, 'c', 'd']);
  cache.set('large', 'large', 4, 10);
  assert.equal(cache.get('large'), undefined);
  cache.set('e', 'e', 3, 10);
  assert.deepEqual(['a', 'c', 'd', 'e'].map((key) => cache.get(key)), [undefined, undefined, undefined, 'e']);
  cache.delete('e');
  cache.delete('e');
  cache.set('f', 'f', 3, 10);
  assert.equal(cache.get('f'), 'f');
});

test('entries expire', () => {
  let now = 0;
  const cache = new BoundedCache(10, () => now);
  cache.set('a', 1, 1, 100);
  now = 99;
  assert.equal(cache.get('a'), 1);
  now = 100;
  assert.equal(cache.get('a'), undefined);
});
