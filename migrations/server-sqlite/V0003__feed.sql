-- The last version that a user's vehicles were given, and the digest of all of them. Whoever writes raises the version in
-- the same transaction, so versions ascend in the order of commits.
CREATE TABLE feeds (
    user_id      TEXT PRIMARY KEY NOT NULL,
    version      INTEGER NOT NULL DEFAULT 0,
    -- Of vehicles and tombstones: how many, and the sum of their hashes modulo 2^48.
    record_count INTEGER NOT NULL DEFAULT 0,
    record_hash  INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;

-- Vehicles whose row is gone, not only marked: by hand, or given to another user.
CREATE TABLE tombstones (
    user_id    TEXT NOT NULL,
    id         TEXT NOT NULL,
    version    INTEGER NOT NULL,
    deleted_at INTEGER NOT NULL,
    -- The last twelve digits of the id as two numbers, and the hash of a record (docs/contract.md, "Digest").
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
    PRIMARY KEY (user_id, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX tombstones_feed ON tombstones (user_id, version);

-- Set by a trigger, never by a statement.
ALTER TABLE vehicles ADD COLUMN version INTEGER NOT NULL DEFAULT 0;
ALTER TABLE vehicles ADD COLUMN hash_a INTEGER GENERATED ALWAYS AS (
    (instr('123456789abcdef', substr(id, 25, 1)) << 20) + (instr('123456789abcdef', substr(id, 26, 1)) << 16)
    + (instr('123456789abcdef', substr(id, 27, 1)) << 12) + (instr('123456789abcdef', substr(id, 28, 1)) << 8)
    + (instr('123456789abcdef', substr(id, 29, 1)) << 4) + instr('123456789abcdef', substr(id, 30, 1))
) VIRTUAL;
ALTER TABLE vehicles ADD COLUMN hash_b INTEGER GENERATED ALWAYS AS (
    (instr('123456789abcdef', substr(id, 31, 1)) << 20) + (instr('123456789abcdef', substr(id, 32, 1)) << 16)
    + (instr('123456789abcdef', substr(id, 33, 1)) << 12) + (instr('123456789abcdef', substr(id, 34, 1)) << 8)
    + (instr('123456789abcdef', substr(id, 35, 1)) << 4) + instr('123456789abcdef', substr(id, 36, 1))
) VIRTUAL;
ALTER TABLE vehicles ADD COLUMN hash INTEGER GENERATED ALWAYS AS (
    ((hash_a + version) % 2147483647) * ((hash_b + 3 * version) % 2147483647) % 2147483647
) VIRTUAL;
CREATE INDEX vehicles_feed ON vehicles (user_id, version);

CREATE TRIGGER vehicles_inserted AFTER INSERT ON vehicles BEGIN
    INSERT INTO feeds (user_id, version) VALUES (new.user_id, 1)
        ON CONFLICT (user_id) DO UPDATE SET version = version + 1;
    UPDATE vehicles SET version = (SELECT version FROM feeds WHERE user_id = new.user_id) WHERE id = new.id;
    DELETE FROM tombstones WHERE user_id = new.user_id AND id = new.id;
END;

-- Of every column but `version`: setting that is no change of its own.
CREATE TRIGGER vehicles_updated AFTER UPDATE OF
    id, user_id, vin, make, model, year, nickname, color, license_plate, odometer_reading, is_active, deleted_at,
    created_at, updated_at, trim_level, engine, transmission, drive_type, fuel_type, body_class, vehicle_type,
    odometer_unit, notes, image_url
ON vehicles BEGIN
    INSERT INTO feeds (user_id, version) VALUES (new.user_id, 1)
        ON CONFLICT (user_id) DO UPDATE SET version = version + 1;
    UPDATE vehicles SET version = (SELECT version FROM feeds WHERE user_id = new.user_id) WHERE id = new.id;
    DELETE FROM tombstones WHERE user_id = new.user_id AND id = new.id;
END;

CREATE TRIGGER vehicles_moved AFTER UPDATE OF id, user_id ON vehicles
WHEN old.user_id <> new.user_id OR old.id <> new.id BEGIN
    INSERT INTO feeds (user_id, version) VALUES (old.user_id, 1)
        ON CONFLICT (user_id) DO UPDATE SET version = version + 1;
    INSERT INTO tombstones (user_id, id, version, deleted_at) VALUES (
        old.user_id, old.id, (SELECT version FROM feeds WHERE user_id = old.user_id),
        CAST(unixepoch('subsec') * 1000000 AS INTEGER)
    ) ON CONFLICT (user_id, id) DO UPDATE SET version = excluded.version, deleted_at = excluded.deleted_at;
END;

CREATE TRIGGER vehicles_deleted AFTER DELETE ON vehicles BEGIN
    INSERT INTO feeds (user_id, version) VALUES (old.user_id, 1)
        ON CONFLICT (user_id) DO UPDATE SET version = version + 1;
    INSERT INTO tombstones (user_id, id, version, deleted_at) VALUES (
        old.user_id, old.id, (SELECT version FROM feeds WHERE user_id = old.user_id),
        CAST(unixepoch('subsec') * 1000000 AS INTEGER)
    ) ON CONFLICT (user_id, id) DO UPDATE SET version = excluded.version, deleted_at = excluded.deleted_at;
END;

-- The digest: what comes is added, what goes is taken away, in whatever order the triggers run.
CREATE TRIGGER vehicles_counted AFTER INSERT ON vehicles BEGIN
    INSERT INTO feeds (user_id, record_count, record_hash) VALUES (new.user_id, 1, new.hash)
        ON CONFLICT (user_id) DO UPDATE SET record_count = record_count + 1,
            record_hash = (record_hash + excluded.record_hash) % 281474976710656;
END;
CREATE TRIGGER vehicles_recounted AFTER UPDATE OF id, user_id, version ON vehicles BEGIN
    UPDATE feeds SET record_count = record_count - 1,
        record_hash = (record_hash - old.hash + 281474976710656) % 281474976710656 WHERE user_id = old.user_id;
    INSERT INTO feeds (user_id, record_count, record_hash) VALUES (new.user_id, 1, new.hash)
        ON CONFLICT (user_id) DO UPDATE SET record_count = record_count + 1,
            record_hash = (record_hash + excluded.record_hash) % 281474976710656;
END;
CREATE TRIGGER vehicles_uncounted AFTER DELETE ON vehicles BEGIN
    UPDATE feeds SET record_count = record_count - 1,
        record_hash = (record_hash - old.hash + 281474976710656) % 281474976710656 WHERE user_id = old.user_id;
END;
CREATE TRIGGER tombstones_counted AFTER INSERT ON tombstones BEGIN
    UPDATE feeds SET record_count = record_count + 1, record_hash = (record_hash + new.hash) % 281474976710656
        WHERE user_id = new.user_id;
END;
CREATE TRIGGER tombstones_recounted AFTER UPDATE ON tombstones BEGIN
    UPDATE feeds SET record_hash = (record_hash - old.hash + new.hash + 281474976710656) % 281474976710656
        WHERE user_id = new.user_id;
END;
CREATE TRIGGER tombstones_uncounted AFTER DELETE ON tombstones BEGIN
    UPDATE feeds SET record_count = record_count - 1,
        record_hash = (record_hash - old.hash + 281474976710656) % 281474976710656 WHERE user_id = old.user_id;
END;
