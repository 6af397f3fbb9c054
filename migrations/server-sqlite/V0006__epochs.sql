-- The history that versions belong to. A database that is restored from a backup begins a new epoch: counters continue
-- above all versions that were ever given, so that no version, and no entity tag, stands for two states.
CREATE TABLE epoch (
    only_row    INTEGER PRIMARY KEY CHECK (only_row = 1),
    -- Stays the same in every copy.
    database_id TEXT NOT NULL,
    epoch       TEXT NOT NULL,
    -- Counters of users without a row in `feeds` begin after this version.
    base        INTEGER NOT NULL DEFAULT 0,
    -- How often a server has started on this database. A server that remembers more starts has a restored database.
    starts      INTEGER NOT NULL DEFAULT 0
) STRICT;
INSERT INTO epoch (only_row, database_id, epoch) VALUES (1, lower(hex(randomblob(16))), lower(hex(randomblob(16))));

-- Every change of a vehicle gets a version, whatever columns the table has or will have. SQLite does not fire a trigger
-- again for an update in its own body, so the update that sets the version gets none; the one that follows an insertion is
-- in another trigger's body and does.
DROP TRIGGER vehicles_inserted;
DROP TRIGGER vehicles_updated;
DROP TRIGGER vehicles_moved;
DROP TRIGGER vehicles_deleted;
DROP TRIGGER vehicles_counted;
DROP TRIGGER vehicles_recounted;
CREATE TRIGGER vehicles_inserted AFTER INSERT ON vehicles BEGIN
    UPDATE vehicles SET version = 0 WHERE id = new.id;
END;
CREATE TRIGGER vehicles_updated AFTER UPDATE ON vehicles BEGIN
    INSERT INTO feeds (user_id, version) VALUES (new.user_id, (SELECT base FROM epoch) + 1)
        ON CONFLICT (user_id) DO UPDATE SET version = version + 1;
    UPDATE vehicles SET version = (SELECT version FROM feeds WHERE user_id = new.user_id) WHERE id = new.id;
    DELETE FROM tombstones WHERE user_id = new.user_id AND id = new.id;
END;
CREATE TRIGGER vehicles_moved AFTER UPDATE OF id, user_id ON vehicles
WHEN old.user_id <> new.user_id OR old.id <> new.id BEGIN
    INSERT INTO feeds (user_id, version) VALUES (old.user_id, (SELECT base FROM epoch) + 1)
        ON CONFLICT (user_id) DO UPDATE SET version = version + 1;
    INSERT INTO tombstones (user_id, id, version, deleted_at) VALUES (
        old.user_id, old.id, (SELECT version FROM feeds WHERE user_id = old.user_id),
        CAST(unixepoch('subsec') * 1000000 AS INTEGER)
    ) ON CONFLICT (user_id, id) DO UPDATE SET version = excluded.version, deleted_at = excluded.deleted_at;
END;
CREATE TRIGGER vehicles_deleted AFTER DELETE ON vehicles BEGIN
    INSERT INTO feeds (user_id, version) VALUES (old.user_id, (SELECT base FROM epoch) + 1)
        ON CONFLICT (user_id) DO UPDATE SET version = version + 1;
    INSERT INTO tombstones (user_id, id, version, deleted_at) VALUES (
        old.user_id, old.id, (SELECT version FROM feeds WHERE user_id = old.user_id),
        CAST(unixepoch('subsec') * 1000000 AS INTEGER)
    ) ON CONFLICT (user_id, id) DO UPDATE SET version = excluded.version, deleted_at = excluded.deleted_at;
END;
CREATE TRIGGER vehicles_counted AFTER INSERT ON vehicles BEGIN
    INSERT INTO feeds (user_id, version, record_count, record_hash)
        VALUES (new.user_id, (SELECT base FROM epoch), 1, new.hash)
        ON CONFLICT (user_id) DO UPDATE SET record_count = record_count + 1,
            record_hash = (record_hash + excluded.record_hash) % 281474976710656;
END;
CREATE TRIGGER vehicles_recounted AFTER UPDATE OF id, user_id, version ON vehicles BEGIN
    UPDATE feeds SET record_count = record_count - 1,
        record_hash = (record_hash - old.hash + 281474976710656) % 281474976710656 WHERE user_id = old.user_id;
    INSERT INTO feeds (user_id, version, record_count, record_hash)
        VALUES (new.user_id, (SELECT base FROM epoch), 1, new.hash)
        ON CONFLICT (user_id) DO UPDATE SET record_count = record_count + 1,
            record_hash = (record_hash + excluded.record_hash) % 281474976710656;
END;
