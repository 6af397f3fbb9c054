-- The last version that a user's vehicles were given. Whoever writes raises it in the same transaction, so versions
-- ascend in the order of commits.
CREATE TABLE feeds (
    user_id TEXT PRIMARY KEY NOT NULL,
    version INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Vehicles whose row is gone, not only marked: by hand, or given to another user.
CREATE TABLE tombstones (
    user_id    TEXT NOT NULL,
    vehicle_id TEXT NOT NULL,
    version    INTEGER NOT NULL,
    deleted_at INTEGER NOT NULL,
    PRIMARY KEY (user_id, vehicle_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX tombstones_feed ON tombstones (user_id, version);

CREATE TRIGGER vehicles_inserted AFTER INSERT ON vehicles BEGIN
    INSERT INTO feeds VALUES (new.user_id, 1) ON CONFLICT (user_id) DO UPDATE SET version = version + 1;
    UPDATE vehicles SET version = (SELECT version FROM feeds WHERE user_id = new.user_id) WHERE id = new.id;
    DELETE FROM tombstones WHERE user_id = new.user_id AND vehicle_id = new.id;
END;

-- Of every column but `version`: setting that is no change of its own.
CREATE TRIGGER vehicles_updated AFTER UPDATE OF
    id, user_id, vin, make, model, year, nickname, color, license_plate, odometer_reading, is_active, deleted_at,
    created_at, updated_at, trim_level, engine, transmission, drive_type, fuel_type, body_class, vehicle_type,
    odometer_unit, notes, image_url
ON vehicles BEGIN
    INSERT INTO feeds VALUES (new.user_id, 1) ON CONFLICT (user_id) DO UPDATE SET version = version + 1;
    UPDATE vehicles SET version = (SELECT version FROM feeds WHERE user_id = new.user_id) WHERE id = new.id;
    DELETE FROM tombstones WHERE user_id = new.user_id AND vehicle_id = new.id;
END;

CREATE TRIGGER vehicles_moved AFTER UPDATE OF id, user_id ON vehicles
WHEN old.user_id <> new.user_id OR old.id <> new.id BEGIN
    INSERT INTO feeds VALUES (old.user_id, 1) ON CONFLICT (user_id) DO UPDATE SET version = version + 1;
    INSERT OR REPLACE INTO tombstones VALUES (
        old.user_id, old.id, (SELECT version FROM feeds WHERE user_id = old.user_id),
        CAST(unixepoch('subsec') * 1000000 AS INTEGER)
    );
END;

CREATE TRIGGER vehicles_deleted AFTER DELETE ON vehicles BEGIN
    INSERT INTO feeds VALUES (old.user_id, 1) ON CONFLICT (user_id) DO UPDATE SET version = version + 1;
    INSERT OR REPLACE INTO tombstones VALUES (
        old.user_id, old.id, (SELECT version FROM feeds WHERE user_id = old.user_id),
        CAST(unixepoch('subsec') * 1000000 AS INTEGER)
    );
END;
