// The SQL statements of vehicles. Rows are arrays, in the order of COLUMNS.

import { FIELDS } from './fields.js';

const OTHER_COLUMNS = ['id', 'user_id', 'image_url', 'created_at', 'updated_at', 'deleted_at', 'version'];
const FIELD_COLUMNS = FIELDS.map(({ column }) => column);
const COLUMNS = [...FIELD_COLUMNS, ...OTHER_COLUMNS].map((column) => `vehicles.${column}`).join(', ');

/** The number of columns of a vehicle; others follow. */
export const COLUMN_COUNT = FIELD_COLUMNS.length + OTHER_COLUMNS.length;

const parameters = (first) => FIELD_COLUMNS.map((_, index) => `$${first + index}`).join(', ');
const assignments = (first) => FIELD_COLUMNS.map((column, index) => `${column} = $${first + index}`).join(', ');
const statement = (name, text) => ({ name, text, rowMode: /** @type {const} */ ('array') });

/**
 * A user's live vehicles, newest first, each with the user's feed version of the same moment. Without vehicles it is one
 * row whose vehicle is null.
 */
export const LIST = statement(
  'list-vehicles',
  `SELECT ${COLUMNS}, feeds.version
    FROM feeds LEFT JOIN vehicles ON vehicles.user_id = $1 AND vehicles.deleted_at IS NULL
    WHERE feeds.user_id = $1 ORDER BY vehicles.created_at DESC, vehicles.id DESC`,
);

/** A live vehicle: user, id. */
export const LIVE = statement(
  'live-vehicle',
  `SELECT ${COLUMNS} FROM vehicles WHERE user_id = $1 AND id = $2 AND deleted_at IS NULL`,
);

export const FEED_VERSION = statement('feed-version', 'SELECT version FROM feeds WHERE user_id = $1');

/**
 * The facts for a write: user, id, VIN that it sets. `twin.vin <> ''` is what the partial index has as its condition.
 */
export const FACTS = statement(
  'vehicle-facts',
  `SELECT ${COLUMNS}, vehicles.created_with,
      EXISTS (
        SELECT FROM vehicles AS twin WHERE twin.user_id = $1 AND twin.vin = $3 AND twin.id <> $2
          AND twin.deleted_at IS NULL AND twin.vin <> ''
      ),
      COALESCE((SELECT record_count FROM feeds WHERE user_id = $1), 0)
    FROM (SELECT 1) AS one LEFT JOIN vehicles ON vehicles.id = $2`,
);

// The time is that of the database, when the statement arrives, because Node's clock has no microseconds. axum stores its own
// time, so vehicles of one list can have times of two clocks.

/** Fails if the schema lacks what the routes of vehicles need; reads next to nothing. */
export const PING = {
  name: 'ping',
  text: `SELECT current_setting('transaction_read_only') = 'off' AS writable,
    EXISTS (
      SELECT ${COLUMNS}, vehicles.created_with FROM vehicles
      WHERE user_id = '' AND id = '00000000-0000-0000-0000-000000000000'
    ),
    EXISTS (SELECT version, record_count FROM feeds WHERE user_id = ''),
    EXISTS (SELECT base FROM epoch),
    EXISTS (SELECT number FROM issuers WHERE issuer = ''),
    EXISTS (SELECT raw_data, cached_at FROM vin_cache WHERE vin = '')`,
};

/** Adds a vehicle: id, user, digest of the request, fields. */
export const INSERT = statement(
  'insert-vehicle',
  `INSERT INTO vehicles (id, user_id, created_at, updated_at, created_with, ${FIELD_COLUMNS.join(', ')})
    VALUES ($1, $2, statement_timestamp(), statement_timestamp(), $3, ${parameters(4)}) RETURNING ${COLUMNS}`,
);

/** Sets all fields of a vehicle: id, user, fields. */
export const UPDATE = statement(
  'update-vehicle',
  `UPDATE vehicles SET updated_at = statement_timestamp(), ${assignments(3)}
    WHERE id = $1 AND user_id = $2 RETURNING ${COLUMNS}`,
);

/** Marks a vehicle as removed: id, user. */
export const REMOVE = statement(
  'remove-vehicle',
  `UPDATE vehicles SET deleted_at = statement_timestamp(), updated_at = statement_timestamp()
    WHERE id = $1 AND user_id = $2 RETURNING ${COLUMNS}`,
);
