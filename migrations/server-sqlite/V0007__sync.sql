-- Sync: records of every collection in the feed, and what the server remembers of each device.

-- JSON: conflicts, origins and fields without a column, as a device sent them. NULL: none.
ALTER TABLE vehicles ADD COLUMN extra TEXT;

-- Of vehicles and their tombstones `record_count` and `record_hash` stay the digest.
-- Bytes of JSON that devices have stored.
ALTER TABLE feeds ADD COLUMN bytes INTEGER NOT NULL DEFAULT 0;
-- NULL: the database's.
ALTER TABLE feeds ADD COLUMN epoch TEXT;

-- The epochs before the current one of a user, each with the last version of it that is still known.
CREATE TABLE lineage (
    user_id      TEXT NOT NULL,
    epoch        TEXT NOT NULL,
    last_version INTEGER NOT NULL,
    PRIMARY KEY (user_id, epoch)
) STRICT, WITHOUT ROWID;

-- Records of all collections but vehicles, as devices sent them.
CREATE TABLE records (
    user_id    TEXT NOT NULL,
    collection TEXT NOT NULL,
    id         TEXT NOT NULL,
    -- JSON by field name, without empty fields.
    fields     TEXT NOT NULL,
    origins    TEXT NOT NULL,
    device_id  TEXT,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    deleted_at INTEGER,
    version    INTEGER NOT NULL DEFAULT 0,
    hash_a     INTEGER GENERATED ALWAYS AS (
        (instr('123456789abcdef', substr(id, 25, 1)) << 20) + (instr('123456789abcdef', substr(id, 26, 1)) << 16)
        + (instr('123456789abcdef', substr(id, 27, 1)) << 12) + (instr('123456789abcdef', substr(id, 28, 1)) << 8)
        + (instr('123456789abcdef', substr(id, 29, 1)) << 4) + instr('123456789abcdef', substr(id, 30, 1))
    ) VIRTUAL,
    hash_b     INTEGER GENERATED ALWAYS AS (
        (instr('123456789abcdef', substr(id, 31, 1)) << 20) + (instr('123456789abcdef', substr(id, 32, 1)) << 16)
        + (instr('123456789abcdef', substr(id, 33, 1)) << 12) + (instr('123456789abcdef', substr(id, 34, 1)) << 8)
        + (instr('123456789abcdef', substr(id, 35, 1)) << 4) + instr('123456789abcdef', substr(id, 36, 1))
    ) VIRTUAL,
    hash       INTEGER GENERATED ALWAYS AS (
        ((hash_a + version) % 2147483647) * ((hash_b + 3 * version) % 2147483647) % 2147483647
    ) VIRTUAL,
    PRIMARY KEY (user_id, collection, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX records_feed ON records (user_id, version);

-- The digest of each collection but vehicles, as `record_count` and `record_hash` of `feeds`.
CREATE TABLE digests (
    user_id      TEXT NOT NULL,
    collection   TEXT NOT NULL,
    record_count INTEGER NOT NULL DEFAULT 0,
    record_hash  INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (user_id, collection)
) STRICT, WITHOUT ROWID;

-- Tombstones of every collection. One with `alias_of` is of a record that was merged into another.
DROP TRIGGER tombstones_counted;
DROP TRIGGER tombstones_recounted;
DROP TRIGGER tombstones_uncounted;
DROP INDEX tombstones_feed;
ALTER TABLE tombstones RENAME TO old_tombstones;
CREATE TABLE tombstones (
    user_id    TEXT NOT NULL,
    collection TEXT NOT NULL DEFAULT 'vehicles',
    id         TEXT NOT NULL,
    alias_of   TEXT,
    version    INTEGER NOT NULL,
    deleted_at INTEGER NOT NULL,
    hash_a     INTEGER GENERATED ALWAYS AS (
        (instr('123456789abcdef', substr(id, 25, 1)) << 20) + (instr('123456789abcdef', substr(id, 26, 1)) << 16)
        + (instr('123456789abcdef', substr(id, 27, 1)) << 12) + (instr('123456789abcdef', substr(id, 28, 1)) << 8)
        + (instr('123456789abcdef', substr(id, 29, 1)) << 4) + instr('123456789abcdef', substr(id, 30, 1))
    ) VIRTUAL,
    hash_b     INTEGER GENERATED ALWAYS AS (
        (instr('123456789abcdef', substr(id, 31, 1)) << 20) + (instr('123456789abcdef', substr(id, 32, 1)) << 16)
        + (instr('123456789abcdef', substr(id, 33, 1)) << 12) + (instr('123456789abcdef', substr(id, 34, 1)) << 8)
        + (instr('123456789abcdef', substr(id, 35, 1)) << 4) + instr('123456789abcdef', substr(id, 36, 1))
    ) VIRTUAL,
    hash       INTEGER GENERATED ALWAYS AS (
        ((hash_a + version) % 2147483647) * ((hash_b + 3 * version) % 2147483647) % 2147483647
    ) VIRTUAL,
    PRIMARY KEY (user_id, collection, id)
) STRICT, WITHOUT ROWID;
INSERT INTO tombstones (user_id, id, version, deleted_at) SELECT user_id, id, version, deleted_at FROM old_tombstones;
DROP TABLE old_tombstones;
CREATE INDEX tombstones_feed ON tombstones (user_id, version);

DROP TRIGGER vehicles_updated;
DROP TRIGGER vehicles_moved;
DROP TRIGGER vehicles_deleted;
CREATE TRIGGER vehicles_updated AFTER UPDATE ON vehicles BEGIN
    INSERT INTO feeds (user_id, version) VALUES (new.user_id, (SELECT base FROM epoch) + 1)
        ON CONFLICT (user_id) DO UPDATE SET version = version + 1;
    UPDATE vehicles SET version = (SELECT version FROM feeds WHERE user_id = new.user_id) WHERE id = new.id;
    DELETE FROM tombstones WHERE user_id = new.user_id AND collection = 'vehicles' AND id = new.id;
END;
CREATE TRIGGER vehicles_moved AFTER UPDATE OF id, user_id ON vehicles
WHEN old.user_id <> new.user_id OR old.id <> new.id BEGIN
    INSERT INTO feeds (user_id, version) VALUES (old.user_id, (SELECT base FROM epoch) + 1)
        ON CONFLICT (user_id) DO UPDATE SET version = version + 1;
    INSERT INTO tombstones (user_id, collection, id, version, deleted_at) VALUES (
        old.user_id, 'vehicles', old.id, (SELECT version FROM feeds WHERE user_id = old.user_id),
        CAST(unixepoch('subsec') * 1000000 AS INTEGER)
    ) ON CONFLICT (user_id, collection, id) DO UPDATE SET
        version = excluded.version, deleted_at = excluded.deleted_at, alias_of = NULL;
END;
CREATE TRIGGER vehicles_deleted AFTER DELETE ON vehicles BEGIN
    INSERT INTO feeds (user_id, version) VALUES (old.user_id, (SELECT base FROM epoch) + 1)
        ON CONFLICT (user_id) DO UPDATE SET version = version + 1;
    INSERT INTO tombstones (user_id, collection, id, version, deleted_at) VALUES (
        old.user_id, 'vehicles', old.id, (SELECT version FROM feeds WHERE user_id = old.user_id),
        CAST(unixepoch('subsec') * 1000000 AS INTEGER)
    ) ON CONFLICT (user_id, collection, id) DO UPDATE SET
        version = excluded.version, deleted_at = excluded.deleted_at, alias_of = NULL;
END;
CREATE TRIGGER records_inserted AFTER INSERT ON records BEGIN
    UPDATE records SET version = 0 WHERE user_id = new.user_id AND collection = new.collection AND id = new.id;
END;
CREATE TRIGGER records_updated AFTER UPDATE ON records BEGIN
    INSERT INTO feeds (user_id, version) VALUES (new.user_id, (SELECT base FROM epoch) + 1)
        ON CONFLICT (user_id) DO UPDATE SET version = version + 1;
    UPDATE records SET version = (SELECT version FROM feeds WHERE user_id = new.user_id)
        WHERE user_id = new.user_id AND collection = new.collection AND id = new.id;
    DELETE FROM tombstones WHERE user_id = new.user_id AND collection = new.collection AND id = new.id;
END;
CREATE TRIGGER records_moved AFTER UPDATE OF user_id, collection, id ON records
WHEN (old.user_id, old.collection, old.id) <> (new.user_id, new.collection, new.id) BEGIN
    INSERT INTO feeds (user_id, version) VALUES (old.user_id, (SELECT base FROM epoch) + 1)
        ON CONFLICT (user_id) DO UPDATE SET version = version + 1;
    INSERT INTO tombstones (user_id, collection, id, version, deleted_at) VALUES (
        old.user_id, old.collection, old.id, (SELECT version FROM feeds WHERE user_id = old.user_id),
        CAST(unixepoch('subsec') * 1000000 AS INTEGER)
    ) ON CONFLICT (user_id, collection, id) DO UPDATE SET
        version = excluded.version, deleted_at = excluded.deleted_at, alias_of = NULL;
END;
CREATE TRIGGER records_deleted AFTER DELETE ON records BEGIN
    INSERT INTO feeds (user_id, version) VALUES (old.user_id, (SELECT base FROM epoch) + 1)
        ON CONFLICT (user_id) DO UPDATE SET version = version + 1;
    INSERT INTO tombstones (user_id, collection, id, version, deleted_at) VALUES (
        old.user_id, old.collection, old.id, (SELECT version FROM feeds WHERE user_id = old.user_id),
        CAST(unixepoch('subsec') * 1000000 AS INTEGER)
    ) ON CONFLICT (user_id, collection, id) DO UPDATE SET
        version = excluded.version, deleted_at = excluded.deleted_at, alias_of = NULL;
END;

-- The digests: what comes is added, what goes is taken away, in whatever order the triggers run.
CREATE TRIGGER records_counted AFTER INSERT ON records BEGIN
    INSERT INTO digests (user_id, collection, record_count, record_hash)
        VALUES (new.user_id, new.collection, 1, new.hash)
        ON CONFLICT (user_id, collection) DO UPDATE SET record_count = record_count + 1,
            record_hash = (record_hash + excluded.record_hash) % 281474976710656;
END;
CREATE TRIGGER records_recounted AFTER UPDATE OF user_id, collection, id, version ON records BEGIN
    UPDATE digests SET record_count = record_count - 1, record_hash = (record_hash - old.hash + 281474976710656) % 281474976710656
        WHERE user_id = old.user_id AND collection = old.collection;
    INSERT INTO digests (user_id, collection, record_count, record_hash)
        VALUES (new.user_id, new.collection, 1, new.hash)
        ON CONFLICT (user_id, collection) DO UPDATE SET record_count = record_count + 1,
            record_hash = (record_hash + excluded.record_hash) % 281474976710656;
END;
CREATE TRIGGER records_uncounted AFTER DELETE ON records BEGIN
    UPDATE digests SET record_count = record_count - 1, record_hash = (record_hash - old.hash + 281474976710656) % 281474976710656
        WHERE user_id = old.user_id AND collection = old.collection;
END;
CREATE TRIGGER tombstones_of_records_counted AFTER INSERT ON tombstones WHEN new.collection <> 'vehicles' BEGIN
    INSERT INTO digests (user_id, collection, record_count, record_hash)
        VALUES (new.user_id, new.collection, 1, new.hash)
        ON CONFLICT (user_id, collection) DO UPDATE SET record_count = record_count + 1,
            record_hash = (record_hash + excluded.record_hash) % 281474976710656;
END;
CREATE TRIGGER tombstones_of_records_recounted AFTER UPDATE ON tombstones WHEN new.collection <> 'vehicles' BEGIN
    UPDATE digests SET record_count = record_count - 1, record_hash = (record_hash - old.hash + 281474976710656) % 281474976710656
        WHERE user_id = old.user_id AND collection = old.collection;
    INSERT INTO digests (user_id, collection, record_count, record_hash)
        VALUES (new.user_id, new.collection, 1, new.hash)
        ON CONFLICT (user_id, collection) DO UPDATE SET record_count = record_count + 1,
            record_hash = (record_hash + excluded.record_hash) % 281474976710656;
END;
CREATE TRIGGER tombstones_of_records_uncounted AFTER DELETE ON tombstones WHEN old.collection <> 'vehicles' BEGIN
    UPDATE digests SET record_count = record_count - 1, record_hash = (record_hash - old.hash + 281474976710656) % 281474976710656
        WHERE user_id = old.user_id AND collection = old.collection;
END;
CREATE TRIGGER tombstones_counted AFTER INSERT ON tombstones WHEN new.collection = 'vehicles' BEGIN
    UPDATE feeds SET record_count = record_count + 1, record_hash = (record_hash + new.hash) % 281474976710656
        WHERE user_id = new.user_id;
END;
CREATE TRIGGER tombstones_recounted AFTER UPDATE ON tombstones WHEN new.collection = 'vehicles' BEGIN
    UPDATE feeds SET record_hash = (record_hash - old.hash + new.hash + 281474976710656) % 281474976710656
        WHERE user_id = new.user_id;
END;
CREATE TRIGGER tombstones_uncounted AFTER DELETE ON tombstones WHEN old.collection = 'vehicles' BEGIN
    UPDATE feeds SET record_count = record_count - 1, record_hash = (record_hash - old.hash + 281474976710656) % 281474976710656
        WHERE user_id = old.user_id;
END;

-- The bytes.
CREATE TRIGGER vehicles_bytes_added AFTER INSERT ON vehicles BEGIN
    INSERT INTO feeds (user_id, version, bytes) VALUES (new.user_id, (SELECT base FROM epoch), coalesce(octet_length(new.extra), 0))
        ON CONFLICT (user_id) DO UPDATE SET bytes = bytes + excluded.bytes;
END;
CREATE TRIGGER vehicles_bytes_changed AFTER UPDATE OF user_id, extra ON vehicles BEGIN
    UPDATE feeds SET bytes = bytes - (coalesce(octet_length(old.extra), 0)) WHERE user_id = old.user_id;
    INSERT INTO feeds (user_id, version, bytes) VALUES (new.user_id, (SELECT base FROM epoch), coalesce(octet_length(new.extra), 0))
        ON CONFLICT (user_id) DO UPDATE SET bytes = bytes + excluded.bytes;
END;
CREATE TRIGGER vehicles_bytes_removed AFTER DELETE ON vehicles BEGIN
    UPDATE feeds SET bytes = bytes - (coalesce(octet_length(old.extra), 0)) WHERE user_id = old.user_id;
END;
CREATE TRIGGER records_bytes_added AFTER INSERT ON records BEGIN
    INSERT INTO feeds (user_id, version, bytes) VALUES (new.user_id, (SELECT base FROM epoch), coalesce(octet_length(new.fields), 0) + coalesce(octet_length(new.origins), 0))
        ON CONFLICT (user_id) DO UPDATE SET bytes = bytes + excluded.bytes;
END;
CREATE TRIGGER records_bytes_changed AFTER UPDATE OF user_id, fields, origins ON records BEGIN
    UPDATE feeds SET bytes = bytes - (coalesce(octet_length(old.fields), 0) + coalesce(octet_length(old.origins), 0)) WHERE user_id = old.user_id;
    INSERT INTO feeds (user_id, version, bytes) VALUES (new.user_id, (SELECT base FROM epoch), coalesce(octet_length(new.fields), 0) + coalesce(octet_length(new.origins), 0))
        ON CONFLICT (user_id) DO UPDATE SET bytes = bytes + excluded.bytes;
END;
CREATE TRIGGER records_bytes_removed AFTER DELETE ON records BEGIN
    UPDATE feeds SET bytes = bytes - (coalesce(octet_length(old.fields), 0) + coalesce(octet_length(old.origins), 0)) WHERE user_id = old.user_id;
END;

-- `alias_id` was merged into `record_id`; never forgotten.
CREATE TABLE aliases (
    user_id    TEXT NOT NULL,
    collection TEXT NOT NULL,
    alias_id   TEXT NOT NULL,
    record_id  TEXT NOT NULL,
    PRIMARY KEY (user_id, collection, alias_id)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER vehicles_are_no_aliases BEFORE INSERT ON vehicles
WHEN EXISTS (
    SELECT 1 FROM aliases WHERE user_id = new.user_id AND collection = 'vehicles' AND alias_id = new.id
) BEGIN
    SELECT RAISE(ABORT, 'this id is an alias of another vehicle');
END;

-- The last cursors of each device, the latest first, and its last two batches with the results of their operations as JSON.
CREATE TABLE devices (
    user_id          TEXT NOT NULL,
    device_id        TEXT NOT NULL,
    cursors          TEXT NOT NULL,
    batch            INTEGER,
    results          TEXT,
    previous_batch   INTEGER,
    previous_results TEXT,
    PRIMARY KEY (user_id, device_id)
) STRICT, WITHOUT ROWID;
