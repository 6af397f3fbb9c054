-- Sync: records of every collection in the feed, and what the server remembers of each device.

-- JSON: conflicts, origins and fields without a column, as a device sent them. NULL: none. Not JSONB, which would change it.
ALTER TABLE vehicles ADD COLUMN extra TEXT;

-- Of vehicles and their tombstones `record_count` and `record_hash` stay the digest.
-- Bytes of JSON that devices have stored.
ALTER TABLE feeds ADD COLUMN bytes BIGINT NOT NULL DEFAULT 0;
-- NULL: the database's.
ALTER TABLE feeds ADD COLUMN epoch TEXT;

-- The epochs before the current one of a user, each with the last version of it that is still known.
CREATE TABLE lineage (
    user_id      VARCHAR(255) NOT NULL,
    epoch        TEXT NOT NULL,
    last_version BIGINT NOT NULL,
    PRIMARY KEY (user_id, epoch)
);

-- Records of all collections but vehicles, as devices sent them.
CREATE TABLE records (
    user_id    VARCHAR(255) NOT NULL,
    collection TEXT NOT NULL,
    id         UUID NOT NULL,
    -- JSON by field name, without empty fields.
    fields     TEXT NOT NULL,
    origins    TEXT NOT NULL,
    device_id  UUID,
    created_at TIMESTAMPTZ NOT NULL,
    updated_at TIMESTAMPTZ NOT NULL,
    deleted_at TIMESTAMPTZ,
    version    BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (user_id, collection, id)
);
CREATE INDEX records_feed ON records (user_id, version);

-- The digest of each collection but vehicles, as `record_count` and `record_hash` of `feeds`.
CREATE TABLE digests (
    user_id      VARCHAR(255) NOT NULL,
    collection   TEXT NOT NULL,
    record_count BIGINT NOT NULL DEFAULT 0,
    record_hash  BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (user_id, collection)
);

-- Tombstones of every collection. One with `alias_of` is of a record that was merged into another.
ALTER TABLE tombstones ADD COLUMN collection TEXT NOT NULL DEFAULT 'vehicles', ADD COLUMN alias_of UUID;
ALTER TABLE tombstones DROP CONSTRAINT tombstones_pkey, ADD PRIMARY KEY (user_id, collection, id);


CREATE OR REPLACE FUNCTION motovault_end_tombstone() RETURNS TRIGGER LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    DELETE FROM tombstones WHERE user_id = NEW.user_id AND collection = 'vehicles' AND id = NEW.id;
    RETURN NULL;
END $$;
CREATE OR REPLACE FUNCTION motovault_leave_tombstone() RETURNS TRIGGER LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    INSERT INTO tombstones (user_id, id, version) VALUES (OLD.user_id, OLD.id, motovault_next_version(OLD.user_id))
    ON CONFLICT (user_id, collection, id) DO UPDATE SET
        version = excluded.version, deleted_at = excluded.deleted_at, alias_of = NULL;
    RETURN NULL;
END $$;

CREATE FUNCTION motovault_give_record_version() RETURNS TRIGGER LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    NEW.version := motovault_next_version(NEW.user_id);
    RETURN NEW;
END $$;
CREATE FUNCTION motovault_end_record_tombstone() RETURNS TRIGGER LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    DELETE FROM tombstones WHERE user_id = NEW.user_id AND collection = NEW.collection AND id = NEW.id;
    RETURN NULL;
END $$;
CREATE FUNCTION motovault_leave_record_tombstone() RETURNS TRIGGER LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    INSERT INTO tombstones (user_id, collection, id, version)
    VALUES (OLD.user_id, OLD.collection, OLD.id, motovault_next_version(OLD.user_id))
    ON CONFLICT (user_id, collection, id) DO UPDATE SET
        version = excluded.version, deleted_at = excluded.deleted_at, alias_of = NULL;
    RETURN NULL;
END $$;

-- The digests: what comes is added (sign 1), what goes is taken away (sign -1).
CREATE FUNCTION motovault_count_record(of_user TEXT, of_collection TEXT, sign BIGINT, hash BIGINT)
RETURNS VOID LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    IF of_collection = 'vehicles' THEN
        UPDATE feeds SET record_count = record_count + sign,
            record_hash = (record_hash + sign * hash + 281474976710656) % 281474976710656
        WHERE user_id = of_user;
    ELSE
        INSERT INTO digests (user_id, collection, record_count, record_hash)
        VALUES (of_user, of_collection, sign, (sign * hash + 281474976710656) % 281474976710656)
        ON CONFLICT (user_id, collection) DO UPDATE SET record_count = digests.record_count + sign,
            record_hash = (digests.record_hash + sign * hash + 281474976710656) % 281474976710656;
    END IF;
END $$;
CREATE FUNCTION motovault_keep_record_digest() RETURNS TRIGGER LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    IF TG_OP <> 'INSERT' THEN
        PERFORM motovault_count_record(OLD.user_id, OLD.collection, -1, motovault_record_hash(OLD.id, OLD.version));
    END IF;
    IF TG_OP <> 'DELETE' THEN
        PERFORM motovault_count_record(NEW.user_id, NEW.collection, 1, motovault_record_hash(NEW.id, NEW.version));
    END IF;
    RETURN NULL;
END $$;

-- The bytes.
CREATE FUNCTION motovault_keep_vehicle_bytes() RETURNS TRIGGER LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    IF TG_OP <> 'INSERT' THEN
        UPDATE feeds SET bytes = bytes - COALESCE(octet_length(OLD.extra), 0) WHERE user_id = OLD.user_id;
    END IF;
    IF TG_OP <> 'DELETE' THEN
        UPDATE feeds SET bytes = bytes + COALESCE(octet_length(NEW.extra), 0) WHERE user_id = NEW.user_id;
    END IF;
    RETURN NULL;
END $$;
CREATE FUNCTION motovault_keep_record_bytes() RETURNS TRIGGER LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    IF TG_OP <> 'INSERT' THEN
        UPDATE feeds SET bytes = bytes - octet_length(OLD.fields) - octet_length(OLD.origins) WHERE user_id = OLD.user_id;
    END IF;
    IF TG_OP <> 'DELETE' THEN
        UPDATE feeds SET bytes = bytes + octet_length(NEW.fields) + octet_length(NEW.origins) WHERE user_id = NEW.user_id;
    END IF;
    RETURN NULL;
END $$;

-- TRUNCATE fires no trigger of rows, so the rows are deleted first.
CREATE FUNCTION motovault_delete_all_records() RETURNS TRIGGER LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    DELETE FROM records;
    RETURN NULL;
END $$;

DROP TRIGGER tombstones_counted ON tombstones;
CREATE TRIGGER tombstones_counted AFTER INSERT OR UPDATE OR DELETE ON tombstones
    FOR EACH ROW EXECUTE FUNCTION motovault_keep_record_digest();
CREATE TRIGGER vehicles_measured_first AFTER INSERT OR DELETE ON vehicles
    FOR EACH ROW EXECUTE FUNCTION motovault_keep_vehicle_bytes();
CREATE TRIGGER vehicles_measured AFTER UPDATE ON vehicles FOR EACH ROW
    WHEN (OLD.extra IS DISTINCT FROM NEW.extra OR OLD.user_id <> NEW.user_id)
    EXECUTE FUNCTION motovault_keep_vehicle_bytes();
CREATE TRIGGER records_versioned BEFORE INSERT OR UPDATE ON records
    FOR EACH ROW EXECUTE FUNCTION motovault_give_record_version();
CREATE TRIGGER records_came AFTER INSERT OR UPDATE OF user_id, collection, id ON records
    FOR EACH ROW EXECUTE FUNCTION motovault_end_record_tombstone();
CREATE TRIGGER records_moved AFTER UPDATE OF user_id, collection, id ON records FOR EACH ROW
    WHEN ((OLD.user_id, OLD.collection, OLD.id) <> (NEW.user_id, NEW.collection, NEW.id))
    EXECUTE FUNCTION motovault_leave_record_tombstone();
CREATE TRIGGER records_deleted AFTER DELETE ON records
    FOR EACH ROW EXECUTE FUNCTION motovault_leave_record_tombstone();
CREATE TRIGGER records_counted AFTER INSERT OR UPDATE OR DELETE ON records
    FOR EACH ROW EXECUTE FUNCTION motovault_keep_record_digest();
CREATE TRIGGER records_truncated BEFORE TRUNCATE ON records
    FOR EACH STATEMENT EXECUTE FUNCTION motovault_delete_all_records();
CREATE TRIGGER records_measured AFTER INSERT OR UPDATE OR DELETE ON records
    FOR EACH ROW EXECUTE FUNCTION motovault_keep_record_bytes();

-- `alias_id` was merged into `record_id`; never forgotten.
CREATE TABLE aliases (
    user_id    VARCHAR(255) NOT NULL,
    collection TEXT NOT NULL,
    alias_id   UUID NOT NULL,
    record_id  UUID NOT NULL,
    PRIMARY KEY (user_id, collection, alias_id)
);

CREATE FUNCTION motovault_refuse_alias() RETURNS TRIGGER LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    IF EXISTS (
        SELECT 1 FROM aliases WHERE user_id = NEW.user_id AND collection = 'vehicles' AND alias_id = NEW.id
    ) THEN
        RAISE unique_violation USING MESSAGE = 'this id is an alias of another vehicle', CONSTRAINT = 'vehicles_pkey';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER vehicles_are_no_aliases BEFORE INSERT ON vehicles
    FOR EACH ROW EXECUTE FUNCTION motovault_refuse_alias();

-- The last cursors of each device, the latest first, and its last two batches with the results of their operations as JSON.
CREATE TABLE devices (
    user_id          VARCHAR(255) NOT NULL,
    device_id        UUID NOT NULL,
    cursors          TEXT NOT NULL,
    batch            BIGINT,
    results          TEXT,
    previous_batch   BIGINT,
    previous_results TEXT,
    PRIMARY KEY (user_id, device_id)
);

DO $$
DECLARE name TEXT;
BEGIN
    FOREACH name IN ARRAY ARRAY[
        'motovault_end_tombstone()', 'motovault_leave_tombstone()', 'motovault_give_record_version()',
        'motovault_end_record_tombstone()', 'motovault_leave_record_tombstone()',
        'motovault_count_record(text, text, bigint, bigint)', 'motovault_keep_record_digest()',
        'motovault_keep_vehicle_bytes()', 'motovault_keep_record_bytes()', 'motovault_delete_all_records()',
        'motovault_refuse_alias()'
    ] LOOP
        EXECUTE format('ALTER FUNCTION %s SET search_path = pg_catalog, %I, pg_temp', name, current_schema());
        EXECUTE format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', name);
    END LOOP;
END $$;
