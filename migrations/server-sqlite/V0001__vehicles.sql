-- "MVSv", by which a file is known to be a server's.
PRAGMA application_id = 1297503094;

-- The vehicles of all users. Names and order of the migrations are those of PostgreSQL, whose first is the original's
-- schema.
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
    updated_at       INTEGER NOT NULL
) STRICT;
