// Which claims an access token can have, beyond those that are verified with its signature.

const MAX_USER_CHARACTERS = 255;
const OTHER_TYPES = new Set(['id', 'refresh', 'logout']);

/**
 * Whether the claims are those of an ID token or of another kind: OpenID Connect Core 1.0, and the types that Cognito
 * and Keycloak put into claims.
 * @param {import('jose').JWTPayload} claims
 */
export function isOfOtherType(claims) {
  const isSet = (value) => value !== undefined && value !== null;
  const names = [claims.token_use, claims.typ];
  return (
    [claims.nonce, claims.at_hash, claims.c_hash].some(isSet) ||
    names.some((name) => typeof name === 'string' && OTHER_TYPES.has(name.toLowerCase()))
  );
}

/** @param {unknown} subject */
export function isUser(subject) {
  if (typeof subject !== 'string' || subject === '' || subject.length > 2 * MAX_USER_CHARACTERS) return false;
  return [...subject].length <= MAX_USER_CHARACTERS && !/\p{Cc}/u.test(subject);
}
