// The header of a token, and which headers an access token can have.

const MAX_TOKEN_BYTES = 8 * 1024;

/**
 * @typedef {object} TokenHeader
 * @property {string} keyId
 * @property {boolean} isAccessToken whether the type is `at+jwt` (RFC 9068)
 */

/**
 * Returns null if the token is too long, names no key, has critical extensions, or is of another type such as
 * `logout+jwt`.
 * @param {string} token
 * @returns {TokenHeader | null}
 */
export function parseTokenHeader(token) {
  if (token.length > MAX_TOKEN_BYTES) return null;
  const header = decodeJson(token.split('.', 1)[0]);
  if (header === null || typeof header !== 'object' || 'crit' in header || typeof header.kid !== 'string') return null;
  if (header.typ === undefined || header.typ === null) return { keyId: header.kid, isAccessToken: false };
  if (typeof header.typ !== 'string') return null;
  const type = header.typ.toLowerCase().replace(/^application\//, '');
  if (type !== 'at+jwt' && type !== 'jwt') return null;
  return { keyId: header.kid, isAccessToken: type === 'at+jwt' };
}

/** @param {string} part */
function decodeJson(part) {
  try {
    return JSON.parse(Buffer.from(part, 'base64url').toString('utf8'));
  } catch {
    return null;
  }
}
