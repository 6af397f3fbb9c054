-- The device's vehicles. Values are validated before they come here, so the table does not repeat the rules:
-- what a server sends is stored even where a newer rule of this device would refuse it.
CREATE TABLE vehicles (
    -- Time-ordered position for paging and for the search index.
    position         INTEGER PRIMARY KEY,
    id               TEXT NOT NULL UNIQUE,
    vin              TEXT,
    license_plate    TEXT,
    nickname         TEXT,
    year             INTEGER,
    make             TEXT,
    model            TEXT,
    trim_level       TEXT,
    engine           TEXT,
    transmission     TEXT,
    drive_type       TEXT,
    fuel_type        TEXT,
    body_class       TEXT,
    vehicle_type     TEXT,
    color            TEXT,
    odometer_reading INTEGER,
    odometer_unit    TEXT NOT NULL,
    notes            TEXT,
    is_active        INTEGER NOT NULL,
    -- Microseconds since 1970-01-01T00:00:00Z.
    created_at_us    INTEGER NOT NULL,
    updated_at_us    INTEGER NOT NULL,
    deleted_at_us    INTEGER
) STRICT;

-- Not UNIQUE: two devices may add the same VIN before they meet, and both rows must fit until they are joined.
CREATE INDEX vehicles_live_vin ON vehicles (vin) WHERE deleted_at_us IS NULL;
CREATE INDEX vehicles_newest ON vehicles (created_at_us DESC, position DESC) WHERE deleted_at_us IS NULL;
