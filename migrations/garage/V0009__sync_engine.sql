-- The bookkeeping of sync, as the engine needs it. No released version has written to the tables that are dropped.

-- `is_row_gone`: the record's row was deleted by hand on the server, so only its id, version and removal are there.
ALTER TABLE base ADD COLUMN is_row_gone INTEGER NOT NULL DEFAULT 0;
-- `is_forgotten`: the server was restored to a state before this version.
ALTER TABLE base ADD COLUMN is_forgotten INTEGER NOT NULL DEFAULT 0;

-- `may_exist`: a create of the record was sent, and may have been applied although no base says so.
ALTER TABLE waiting ADD COLUMN may_exist INTEGER NOT NULL DEFAULT 0;

-- Operations of the batch in flight, frozen as JSON before the first byte leaves.
DROP TABLE sent;
CREATE TABLE sent (
    position   INTEGER PRIMARY KEY,
    collection TEXT NOT NULL,
    record_id  TEXT NOT NULL,
    operation  TEXT NOT NULL,
    UNIQUE (collection, record_id)
) STRICT;

-- Which server and account this garage syncs with, and how far it is; no row before the first sign-in.
DROP TABLE sync;
CREATE TABLE sync (
    only_row         INTEGER PRIMARY KEY CHECK (only_row = 1),
    -- The server's URL, without a path.
    server           TEXT NOT NULL,
    -- The account's id on the server, and the email address of the last sign-in, which may be unknown.
    account          TEXT NOT NULL,
    email            TEXT,
    epoch            TEXT,
    cursor           TEXT,
    -- The number of the last batch of operations.
    batch            INTEGER NOT NULL DEFAULT 0,
    -- The generation of the last full re-read, and whether it is going on.
    reread           INTEGER NOT NULL DEFAULT 0,
    is_rereading     INTEGER NOT NULL DEFAULT 0,
    audit_collection TEXT,
    audit_after      TEXT,
    -- How often digest or audit have differed since they were last equal.
    mismatches       INTEGER NOT NULL DEFAULT 0,
    -- The end of the last pass that left nothing to send and nothing to read.
    synced_at_us     INTEGER,
    -- Why sync has stopped until a person decides, as JSON; null if it has not.
    attention        TEXT
) STRICT;
