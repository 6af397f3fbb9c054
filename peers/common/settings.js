// Reads the settings of a backend from environment variables.

const DEFAULT_LISTEN = '127.0.0.1:8080';
const DEFAULT_ISSUER = 'garage-server';
const DEFAULT_AUDIENCE = 'garage';
const DEFAULT_VPIC_URL = 'https://vpic.nhtsa.dot.gov/api/vehicles';
const DEFAULT_LIST_CACHE = '300s';
const MAX_LIST_CACHE_SECONDS = 86_400;
const REQUEST_MILLISECONDS = 30_000;

/**
 * @typedef {object} Settings
 * @property {string} database the URL of the PostgreSQL database
 * @property {{host: string, port: number}} listen
 * @property {string} jwks a path or a URL of the public keys
 * @property {string} issuer the `iss` of accepted tokens
 * @property {string} audience the `aud` of accepted tokens
 * @property {boolean} hasOwnAccounts whether the issuer is garage-server
 * @property {string} vpicUrl the base URL of the vPIC API, without a slash at the end
 * @property {number} listCacheMilliseconds how long a list is remembered; 0 switches this off
 * @property {number} requestMilliseconds how long a request may take; the contract's time, but for tests
 */

/**
 * @param {Record<string, string | undefined>} environment
 * @returns {Settings}
 */
export function readSettings(environment) {
  const optional = (name, fallback) => environment[name] || fallback;
  const required = (name, meaning) => {
    const value = environment[name];
    if (!value) throw new Error(`set ${name}, ${meaning}`);
    return value;
  };
  const issuer = optional('GARAGE_ISSUER', DEFAULT_ISSUER);
  return {
    database: required('GARAGE_DATABASE', 'the URL of a PostgreSQL database, such as postgres://garage@127.0.0.1/garage'),
    listen: parseListen(optional('GARAGE_LISTEN', DEFAULT_LISTEN)),
    jwks: required('GARAGE_JWKS', 'the file or URL with the public keys of the issuer of tokens'),
    issuer,
    audience: optional('GARAGE_AUDIENCE', DEFAULT_AUDIENCE),
    hasOwnAccounts: issuer === DEFAULT_ISSUER,
    vpicUrl: optional('GARAGE_VPIC_URL', DEFAULT_VPIC_URL).replace(/\/+$/, ''),
    listCacheMilliseconds: 1_000 * parseListCache(optional('GARAGE_LIST_CACHE', DEFAULT_LIST_CACHE)),
    requestMilliseconds: REQUEST_MILLISECONDS,
  };
}

/** The seconds that a list is remembered: `off`, or such as `300s`. */
function parseListCache(text) {
  if (text === 'off') return 0;
  const seconds = Number(/^(\d+)s?$/.exec(text)?.[1]);
  if (!(seconds >= 1 && seconds <= MAX_LIST_CACHE_SECONDS)) {
    throw new Error('GARAGE_LIST_CACHE must be off, or a number of seconds from 1 to 86400, such as 300s');
  }
  return seconds;
}

/** Splits `host:port`, where the host can be an IPv6 address in brackets. */
function parseListen(text) {
  const [, v6, other, digits] = /^(?:\[([^\]]+)\]|([^:[\]]+)):(\d+)$/.exec(text) ?? [];
  const port = Number(digits);
  if (!(port <= 65_535)) throw new Error('GARAGE_LISTEN must be an address and a port, such as 127.0.0.1:8080');
  return { host: v6 ?? other, port };
}
