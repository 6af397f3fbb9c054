-- Records of several collections, with values that this version does not know, and the bookkeeping of sync.

-- JSON by field name: fields that this version does not know, and values that their own column cannot hold. NULL: none.
ALTER TABLE vehicles ADD COLUMN extra TEXT;

-- Search text and sort keys come from functions of the program, so that a change of how letters are folded needs no
-- migration. `upkeep` names the version of those functions that made them, and the schema up to which what older versions
-- did not know has been moved from `extra` and `foreign_records` to where it belongs.
DROP TRIGGER vehicle_words_insert;
DROP TRIGGER vehicle_words_update;
DROP TRIGGER vehicle_words_delete;
DROP VIEW vehicle_search;
DROP INDEX vehicles_by_name;
DROP INDEX vehicles_by_make;
ALTER TABLE vehicles DROP COLUMN name_key;
ALTER TABLE vehicles DROP COLUMN make_key;
ALTER TABLE vehicles ADD COLUMN name_key TEXT;
ALTER TABLE vehicles ADD COLUMN make_key TEXT;
ALTER TABLE vehicles ADD COLUMN type_key TEXT;
CREATE TABLE upkeep (
    only_row       INTEGER PRIMARY KEY CHECK (only_row = 1),
    search_version INTEGER NOT NULL,
    adopted_schema INTEGER NOT NULL
) STRICT;
INSERT INTO upkeep VALUES (1, 0, 0);

-- `position` becomes the place by creation time, then id: 1024 places for each microsecond, so that a vehicle that
-- arrives later than others can still stand before them.
UPDATE vehicles SET position = placed.position
FROM (
    SELECT id, max(earliest - row) OVER (ORDER BY created_at_us, id) + row AS position
    FROM (
        SELECT
            id, created_at_us, max(0, min(created_at_us, 9007199254740991)) * 1024 AS earliest,
            row_number() OVER (ORDER BY created_at_us, id) AS row
        FROM vehicles
    )
) AS placed
WHERE placed.id = vehicles.id;

CREATE VIEW vehicle_keys AS
SELECT
    position,
    fold(coalesce(
        nickname, nullif(concat_ws(' ', make, model, iif(make IS NULL AND model IS NULL, NULL, year)), ''),
        license_plate, vin, char(0x10ffff)
    )) AS name_key,
    fold(coalesce(make, char(0x10ffff))) AS make_key,
    fold(vehicle_type) AS type_key,
    search_text(
        vin, license_plate, model, nickname, year, make, model, trim_level, engine, transmission, drive_type, fuel_type,
        body_class, vehicle_type, color, notes
    ) AS words
FROM vehicles;

CREATE TRIGGER vehicles_inserted AFTER INSERT ON vehicles BEGIN
    UPDATE vehicles SET (name_key, make_key, type_key) =
        (SELECT name_key, make_key, type_key FROM vehicle_keys WHERE position = new.position)
    WHERE position = new.position;
    INSERT INTO vehicle_words (rowid, text) SELECT position, words FROM vehicle_keys WHERE position = new.position;
END;
CREATE TRIGGER vehicles_updated AFTER UPDATE OF
    position, vin, license_plate, nickname, year, make, model, trim_level, engine, transmission, drive_type, fuel_type,
    body_class, vehicle_type, color, notes
ON vehicles BEGIN
    UPDATE vehicles SET (name_key, make_key, type_key) =
        (SELECT name_key, make_key, type_key FROM vehicle_keys WHERE position = new.position)
    WHERE position = new.position;
    DELETE FROM vehicle_words WHERE rowid = old.position;
    INSERT INTO vehicle_words (rowid, text) SELECT position, words FROM vehicle_keys WHERE position = new.position;
END;
CREATE TRIGGER vehicles_deleted_for_good AFTER DELETE ON vehicles BEGIN
    DELETE FROM vehicle_words WHERE rowid = old.position;
END;

CREATE INDEX vehicles_by_name ON vehicles (name_key, position) WHERE deleted_at_us IS NULL;
CREATE INDEX vehicles_by_make ON vehicles (make_key, position) WHERE deleted_at_us IS NULL;
CREATE INDEX vehicles_by_type ON vehicles (type_key, position) WHERE deleted_at_us IS NULL;

-- What was done to a vehicle. Values of another version stand in `extra`, as in `vehicles`.
CREATE TABLE service_entries (
    position         INTEGER PRIMARY KEY,
    id               TEXT NOT NULL UNIQUE,
    vehicle_id       TEXT,
    -- A civil date, 2026-03-14.
    date             TEXT,
    kind             TEXT NOT NULL,
    description      TEXT,
    vendor           TEXT,
    odometer_reading INTEGER,
    odometer_unit    TEXT,
    -- Decimal text with the currency's digits: a float would lose cents.
    cost             TEXT,
    currency         TEXT,
    notes            TEXT,
    origins          TEXT NOT NULL,
    extra            TEXT,
    created_at_us    INTEGER NOT NULL,
    updated_at_us    INTEGER NOT NULL,
    deleted_at_us    INTEGER
) STRICT;
CREATE INDEX service_entries_of_vehicle ON service_entries (vehicle_id, date);

-- History is of any record.
DROP INDEX history_of_vehicle;
ALTER TABLE history RENAME COLUMN vehicle_id TO record_id;
ALTER TABLE history ADD COLUMN collection TEXT NOT NULL DEFAULT 'vehicles';
-- The id that the record had then, where it has been joined to another since.
ALTER TABLE history ADD COLUMN moved_from TEXT;
CREATE INDEX history_of_record ON history (record_id, position);

-- vPIC's answers are kept in a file of their own: they are no user data.
DROP TABLE vin_cache;

-- Sync. Every table is keyed by collection and record id, so that a new collection needs none.

-- The last copy of a record that the server acknowledged or sent, as text; `reread` is the generation of the full
-- re-read that listed it last.
CREATE TABLE base (
    collection    TEXT NOT NULL,
    record_id     TEXT NOT NULL,
    version       INTEGER NOT NULL,
    -- JSON by field name.
    fields        TEXT NOT NULL,
    origins       TEXT NOT NULL,
    created_at_us INTEGER NOT NULL,
    updated_at_us INTEGER NOT NULL,
    deleted_at_us INTEGER,
    reread        INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (collection, record_id)
) STRICT, WITHOUT ROWID;
-- Records with a local change that was not sent. A mark only: what is sent is the record minus its base.
CREATE TABLE waiting (
    collection TEXT NOT NULL,
    record_id  TEXT NOT NULL,
    PRIMARY KEY (collection, record_id)
) STRICT, WITHOUT ROWID;
-- Operations of the batch in flight, frozen before the first byte leaves.
CREATE TABLE sent (
    op_id        TEXT PRIMARY KEY,
    collection   TEXT NOT NULL,
    record_id    TEXT NOT NULL,
    kind         TEXT NOT NULL,
    base_version INTEGER,
    fields       TEXT NOT NULL
) STRICT, WITHOUT ROWID;
-- `alias_id` is another id of the record `record_id`; never forgotten.
CREATE TABLE alias (
    collection TEXT NOT NULL,
    alias_id   TEXT NOT NULL,
    record_id  TEXT NOT NULL,
    PRIMARY KEY (collection, alias_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX alias_of_record ON alias (collection, record_id);
-- Open conflicts: the values that a person is to choose from, as JSON.
CREATE TABLE conflict (
    collection   TEXT NOT NULL,
    record_id    TEXT NOT NULL,
    field        TEXT NOT NULL,
    decision     TEXT,
    alternatives TEXT NOT NULL,
    PRIMARY KEY (collection, record_id, field)
) STRICT, WITHOUT ROWID;
-- Records of collections that this version does not know, as they came. The version that brings such a collection moves
-- them into its table when it opens the garage; their bases and marks stay where they are.
CREATE TABLE foreign_records (
    collection    TEXT NOT NULL,
    record_id     TEXT NOT NULL,
    fields        TEXT NOT NULL,
    origins       TEXT NOT NULL,
    created_at_us INTEGER NOT NULL,
    updated_at_us INTEGER NOT NULL,
    deleted_at_us INTEGER,
    PRIMARY KEY (collection, record_id)
) STRICT, WITHOUT ROWID;
-- Values that the server refused, with its reason.
CREATE TABLE refused (
    collection TEXT NOT NULL,
    record_id  TEXT NOT NULL,
    field      TEXT NOT NULL,
    value      TEXT NOT NULL,
    reason     TEXT NOT NULL,
    PRIMARY KEY (collection, record_id, field)
) STRICT, WITHOUT ROWID;
-- Which server and account this garage syncs with, and how far it is; no row before the first sign-in.
CREATE TABLE sync (
    only_row         INTEGER PRIMARY KEY CHECK (only_row = 1),
    server           TEXT NOT NULL,
    account          TEXT NOT NULL,
    epoch            TEXT,
    cursor           TEXT,
    batch            INTEGER NOT NULL DEFAULT 0,
    reread           INTEGER NOT NULL DEFAULT 0,
    audit_collection TEXT,
    audit_after      TEXT
) STRICT;
