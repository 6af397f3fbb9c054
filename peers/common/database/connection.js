// How to connect to PostgreSQL.

import { isIPv4 } from 'node:net';
import pg from 'pg';
import { parseIntoClientConfig } from 'pg-connection-string';

const MAX_CONNECTIONS = 16;
const CONNECTION_MILLISECONDS = 5_000;
const LOCK_MILLISECONDS = 5_000;
const STATEMENT_MILLISECONDS = 15_000;
const IDLE_TRANSACTION_MILLISECONDS = 20_000;
/** For a server that no longer answers; longer than the server's own limit. */
const ANSWER_MILLISECONDS = 20_000;

/**
 * Connections to other machines require TLS unless the URL says otherwise.
 * @param {string} url
 * @returns {import('pg').PoolConfig}
 */
export function poolConfig(url) {
  const fromUrl = parseIntoClientConfig(url);
  return {
    ...fromUrl,
    ssl: fromUrl.ssl ?? !isOnThisMachine(fromUrl.host),
    // Times are read as text, to keep their microseconds, so it must be UTC.
    options: `${fromUrl.options ?? ''} -c timezone=UTC -c datestyle=ISO`,
    application_name: 'motovault-peer',
    max: MAX_CONNECTIONS,
    connectionTimeoutMillis: CONNECTION_MILLISECONDS,
    lock_timeout: LOCK_MILLISECONDS,
    statement_timeout: STATEMENT_MILLISECONDS,
    idle_in_transaction_session_timeout: IDLE_TRANSACTION_MILLISECONDS,
    query_timeout: ANSWER_MILLISECONDS,
    // Statements that follow each other are sent together.
    pipeline: true,
    types: { getTypeParser },
  };
}

/** @param {string | null | undefined} host */
function isOnThisMachine(host) {
  if (!host) return true;
  const isLoopback = isIPv4(host) && host.startsWith('127.');
  return host.startsWith('/') || host === 'localhost' || host === '::1' || host === '[::1]' || isLoopback;
}

const PARSERS = new Map([
  // Versions stay far below 2^53.
  [pg.types.builtins.INT8, Number],
  [pg.types.builtins.TIMESTAMPTZ, rfc3339],
]);

function getTypeParser(type, format) {
  return PARSERS.get(type) ?? pg.types.getTypeParser(type, format);
}

/** `2026-11-24 00:00:00.25+00` as `2026-11-24T00:00:00.25Z`. */
function rfc3339(text) {
  return `${text.replace(' ', 'T').slice(0, -'+00'.length)}Z`;
}
