// The user of a token's subject. The first external issuer that a database sees has its subjects as users, as have the
// server's own accounts; the users of any other issuer are digests, because subjects of two issuers can be equal.

import { createHash } from 'node:crypto';

const FIND = { name: 'issuer-number', text: 'SELECT number FROM issuers WHERE issuer = $1' };
const LOCK = 'LOCK TABLE issuers IN SHARE ROW EXCLUSIVE MODE';
const ADD = {
  text: `INSERT INTO issuers (issuer, number) SELECT $1, count(*) + 1 FROM issuers ON CONFLICT (issuer) DO NOTHING`,
};

/**
 * @param {import('../database/database.js').Database} database
 * @param {import('../settings.js').Settings} settings
 * @returns {(subject: string) => Promise<string>}
 */
export function userOfSubject(database, { issuer, hasOwnAccounts }) {
  let isFirst = hasOwnAccounts ? true : null;
  return async (subject) => {
    isFirst ??= (await issuerNumber(database, issuer)) === 1;
    return isFirst ? subject : createHash('sha256').update(`${issuer}\0${subject}`).digest('base64url');
  };
}

async function issuerNumber(database, issuer) {
  const find = async (query) => (await query(FIND, [issuer])).rows[0]?.number;
  const known = await find((statement, values) => database.query(statement, values));
  if (known !== undefined) return known;
  return database.transaction(async (query) => {
    await query(LOCK);
    await query(ADD, [issuer]);
    return find(query);
  });
}
