// A new database with the server's schema for each test file, on the cluster that GARAGE_TEST_POSTGRES names.

import { randomBytes } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import pg from 'pg';

const MIGRATIONS = new URL('../../../migrations/server-postgres/', import.meta.url);

/** @returns {Promise<{url: string, sql: (text: string, values?: unknown[]) => Promise<any[]>, drop: () => Promise<void>}>} */
export async function newDatabase() {
  const cluster = process.env.GARAGE_TEST_POSTGRES;
  if (!cluster) throw new Error('set GARAGE_TEST_POSTGRES to the URL of a PostgreSQL cluster for tests');
  const name = `peers_${randomBytes(8).toString('hex')}`;
  const url = Object.assign(new URL(cluster), { pathname: `/${name}` }).href;
  await once(cluster, (client) => client.query(`CREATE DATABASE ${name}`));
  await once(url, async (client) => {
    for (const file of readdirSync(MIGRATIONS).sort()) {
      await client.query(readFileSync(new URL(file, MIGRATIONS), 'utf8'));
    }
  });
  return {
    url,
    sql: (text, values) => once(url, async (client) => (await client.query(text, values)).rows),
    drop: () => once(cluster, (client) => client.query(`DROP DATABASE ${name} WITH (FORCE)`)),
  };
}

async function once(url, work) {
  const client = new pg.Client(url);
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}
