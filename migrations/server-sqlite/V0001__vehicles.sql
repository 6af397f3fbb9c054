-- "MVSv", by which a file is known to be a server's.
PRAGMA application_id = 1297503094;

-- The vehicles of all users. The names are those of the PostgreSQL schema, which begins with the original's.
CREATE TABLE vehicles (
    id               TEXT PRIMARY KEY NOT NULL,
    user_id          TEXT NOT NULL,
    vin              TEXT,
    make             TEXT,
    model            TEXT,
    year             INTEGER,
    nickname         TEXT,
    color            TEXT,
    license_plate    TEXT,
    odometer_reading INTEGER,
    is_active        INTEGER NOT NULL DEFAULT 1,
    -- Microseconds since 1970-01-01T00:00:00Z.
    deleted_at       INTEGER,
    created_at       INTEGER NOT NULL,
    updated_at       INTEGER NOT NULL,
    trim_level       TEXT,
    engine           TEXT,
    transmission     TEXT,
    drive_type       TEXT,
    fuel_type        TEXT,
    body_class       TEXT,
    vehicle_type     TEXT,
    odometer_unit    TEXT NOT NULL DEFAULT 'mi',
    notes            TEXT,
    image_url        TEXT,
    -- What a create with this id was sent with, so that the same one again is known.
    created_with     TEXT,
    -- Set by a trigger, never by a statement.
    version          INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE INDEX vehicles_newest ON vehicles (user_id, created_at DESC, id DESC) WHERE deleted_at IS NULL;
CREATE UNIQUE INDEX vehicles_live_vin ON vehicles (user_id, vin) WHERE deleted_at IS NULL;
CREATE INDEX vehicles_feed ON vehicles (user_id, version);
