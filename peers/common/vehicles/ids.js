// Ids of vehicles: UUIDs, of version 7 when they are made here.

import { randomBytes } from 'node:crypto';

const HYPHENATED = /^[\da-f]{8}-[\da-f]{4}-[\da-f]{4}-[\da-f]{4}-[\da-f]{12}$/i;
const SIMPLE = /^[\da-f]{32}$/i;
const VERSION_7 = 0x70;
const RFC_VARIANT = 0x80;

/**
 * Reads the notations of RFC 9562 that the other backends read too: also without hyphens, in braces, and as a URN.
 * @param {string} text
 * @returns {string | null} in lower case, with hyphens
 */
export function parseId(text) {
  if (HYPHENATED.test(text)) return text.toLowerCase();
  if (SIMPLE.test(text)) return hyphenated(text.toLowerCase());
  const [, inner] = /^(?:\{([\da-f-]{36})\}|urn:uuid:([\da-f-]{36}))$/i.exec(text)?.filter(Boolean) ?? [];
  return inner !== undefined && HYPHENATED.test(inner) ? inner.toLowerCase() : null;
}

/** An id that sorts by time. */
export function newId() {
  const bytes = randomBytes(16);
  bytes.writeUIntBE(Date.now(), 0, 6);
  bytes[6] = (bytes[6] & 0x0f) | VERSION_7;
  bytes[8] = (bytes[8] & 0x3f) | RFC_VARIANT;
  return hyphenated(bytes.toString('hex'));
}

const hyphenated = (hex) =>
  [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
