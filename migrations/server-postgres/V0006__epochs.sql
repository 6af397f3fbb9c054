-- The history that versions belong to. A database that is restored from a backup begins a new epoch: counters continue
-- above all versions that were ever given, so that no version, and no entity tag, stands for two states.
CREATE TABLE epoch (
    only_row    BOOLEAN PRIMARY KEY DEFAULT true CHECK (only_row),
    -- Stays the same in every copy.
    database_id UUID NOT NULL DEFAULT gen_random_uuid(),
    epoch       UUID NOT NULL DEFAULT gen_random_uuid(),
    -- Counters of users without a row in `feeds` begin after this version.
    base        BIGINT NOT NULL DEFAULT 0,
    -- How often a server has started on this database. A server that remembers more starts has a restored database.
    starts      BIGINT NOT NULL DEFAULT 0
);
INSERT INTO epoch DEFAULT VALUES;

-- The functions run with the rights of the role that created them, because other roles that write vehicles, such as an
-- original backend's, have none on `feeds` and `tombstones`. Their search path is fixed below, so that no other schema
-- can slip in a table.
DROP TRIGGER vehicles_versioned ON vehicles;
DROP TRIGGER vehicles_came ON vehicles;
DROP TRIGGER vehicles_moved ON vehicles;
DROP TRIGGER vehicles_deleted ON vehicles;
DROP TRIGGER vehicles_counted ON vehicles;
DROP TRIGGER tombstones_counted ON tombstones;
DROP TRIGGER vehicles_truncated ON vehicles;
DROP FUNCTION give_version();
DROP FUNCTION end_tombstone();
DROP FUNCTION leave_tombstone();
DROP FUNCTION keep_digest();
DROP FUNCTION delete_all();
DROP FUNCTION next_version(TEXT);
ALTER FUNCTION record_hash(UUID, BIGINT) RENAME TO motovault_record_hash;

CREATE FUNCTION motovault_next_version(of_user TEXT) RETURNS BIGINT LANGUAGE SQL SECURITY DEFINER AS $$
    INSERT INTO feeds (user_id, version) SELECT of_user, base + 1 FROM epoch
    ON CONFLICT (user_id) DO UPDATE SET version = feeds.version + 1 RETURNING version
$$;

CREATE FUNCTION motovault_give_version() RETURNS TRIGGER LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    NEW.version := motovault_next_version(NEW.user_id);
    NEW.created_at := COALESCE(NEW.created_at, now());
    NEW.updated_at := COALESCE(NEW.updated_at, now());
    NEW.is_active := COALESCE(NEW.is_active, true);
    RETURN NEW;
END $$;

CREATE FUNCTION motovault_end_tombstone() RETURNS TRIGGER LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    DELETE FROM tombstones WHERE user_id = NEW.user_id AND id = NEW.id;
    RETURN NULL;
END $$;

CREATE FUNCTION motovault_leave_tombstone() RETURNS TRIGGER LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    INSERT INTO tombstones (user_id, id, version) VALUES (OLD.user_id, OLD.id, motovault_next_version(OLD.user_id))
    ON CONFLICT (user_id, id) DO UPDATE SET version = excluded.version, deleted_at = excluded.deleted_at;
    RETURN NULL;
END $$;

-- The digest: what comes is added, what goes is taken away.
CREATE FUNCTION motovault_keep_digest() RETURNS TRIGGER LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    IF TG_OP <> 'INSERT' THEN
        UPDATE feeds SET record_count = record_count - 1,
            record_hash = (record_hash - motovault_record_hash(OLD.id, OLD.version) + 281474976710656)
                % 281474976710656
        WHERE user_id = OLD.user_id;
    END IF;
    IF TG_OP <> 'DELETE' THEN
        UPDATE feeds SET record_count = record_count + 1,
            record_hash = (record_hash + motovault_record_hash(NEW.id, NEW.version)) % 281474976710656
        WHERE user_id = NEW.user_id;
    END IF;
    RETURN NULL;
END $$;

-- TRUNCATE fires no trigger of rows, so the rows are deleted first.
CREATE FUNCTION motovault_delete_all() RETURNS TRIGGER LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    DELETE FROM vehicles;
    RETURN NULL;
END $$;

DO $$
DECLARE name TEXT;
BEGIN
    FOREACH name IN ARRAY ARRAY[
        'motovault_next_version(text)', 'motovault_give_version()', 'motovault_end_tombstone()',
        'motovault_leave_tombstone()', 'motovault_keep_digest()', 'motovault_delete_all()'
    ] LOOP
        EXECUTE format('ALTER FUNCTION %s SET search_path = pg_catalog, %I, pg_temp', name, current_schema());
        EXECUTE format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', name);
    END LOOP;
END $$;

CREATE TRIGGER vehicles_versioned BEFORE INSERT OR UPDATE ON vehicles
    FOR EACH ROW EXECUTE FUNCTION motovault_give_version();
CREATE TRIGGER vehicles_came AFTER INSERT OR UPDATE OF id, user_id ON vehicles
    FOR EACH ROW EXECUTE FUNCTION motovault_end_tombstone();
CREATE TRIGGER vehicles_moved AFTER UPDATE OF id, user_id ON vehicles
    FOR EACH ROW WHEN (OLD.user_id <> NEW.user_id OR OLD.id <> NEW.id) EXECUTE FUNCTION motovault_leave_tombstone();
CREATE TRIGGER vehicles_deleted AFTER DELETE ON vehicles
    FOR EACH ROW EXECUTE FUNCTION motovault_leave_tombstone();
CREATE TRIGGER vehicles_counted AFTER INSERT OR UPDATE OR DELETE ON vehicles
    FOR EACH ROW EXECUTE FUNCTION motovault_keep_digest();
CREATE TRIGGER tombstones_counted AFTER INSERT OR UPDATE OR DELETE ON tombstones
    FOR EACH ROW EXECUTE FUNCTION motovault_keep_digest();
CREATE TRIGGER vehicles_truncated BEFORE TRUNCATE ON vehicles
    FOR EACH STATEMENT EXECUTE FUNCTION motovault_delete_all();
