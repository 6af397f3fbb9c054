-- What this device calls itself in history and, one day, to a server. A restored copy gets another name.
CREATE TABLE device (
    only_row  INTEGER PRIMARY KEY CHECK (only_row = 1),
    device_id TEXT NOT NULL
) STRICT;
INSERT INTO device VALUES (1, lower(
    hex(randomblob(4)) || '-' || hex(randomblob(2)) || '-4' || substr(hex(randomblob(2)), 2) || '-8'
    || substr(hex(randomblob(2)), 2) || '-' || hex(randomblob(6))
));

-- JSON by field: who set the value that stands there now. A field that is not in it was typed, or is empty.
ALTER TABLE vehicles ADD COLUMN origins TEXT NOT NULL DEFAULT '{}';

-- One row a write, made in the write's transaction.
CREATE TABLE history (
    position   INTEGER PRIMARY KEY,
    id         TEXT NOT NULL UNIQUE,
    vehicle_id TEXT NOT NULL,
    -- added, edited, removed, restored
    kind       TEXT NOT NULL,
    -- JSON: [{"field", "old", "new", "origin"}], values as on the wire.
    fields     TEXT NOT NULL,
    -- The change that this one takes back.
    undoes     TEXT,
    at_us      INTEGER NOT NULL,
    device_id  TEXT NOT NULL,
    -- app or cli
    program    TEXT NOT NULL
) STRICT;
CREATE INDEX history_of_vehicle ON history (vehicle_id, position);
