-- The last version that a user's vehicles were given, and the digest of all of them. Whoever writes raises the version,
-- which locks this row until the transaction ends: versions ascend in the order of commits, and whoever reads a version
-- sees all before it.
CREATE TABLE feeds (
    user_id      VARCHAR(255) PRIMARY KEY,
    version      BIGINT NOT NULL DEFAULT 0,
    -- Of vehicles and tombstones: how many, and the sum of their hashes modulo 2^48.
    record_count BIGINT NOT NULL DEFAULT 0,
    record_hash  BIGINT NOT NULL DEFAULT 0
);

-- Vehicles whose row is gone, not only marked: by hand, or given to another user.
CREATE TABLE tombstones (
    user_id    VARCHAR(255) NOT NULL,
    id         UUID NOT NULL,
    version    BIGINT NOT NULL,
    deleted_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    PRIMARY KEY (user_id, id)
);
CREATE INDEX tombstones_feed ON tombstones (user_id, version);

-- The hash of a record (docs/contract.md, "Digest"): the last twelve digits of the id as two numbers, and the version.
CREATE FUNCTION record_hash(id UUID, version BIGINT) RETURNS BIGINT LANGUAGE SQL IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT ((('x' || substr(id::text, 25, 6))::bit(24)::bigint + version) % 2147483647)
         * ((('x' || substr(id::text, 31, 6))::bit(24)::bigint + 3 * version) % 2147483647) % 2147483647
$$;

-- Set by a trigger, never by a statement. What is there already gets its versions in the order it was added.
ALTER TABLE vehicles ADD COLUMN version BIGINT NOT NULL DEFAULT 0;
ALTER TABLE vehicles DISABLE TRIGGER USER;
UPDATE vehicles SET
    version = ordered.version,
    created_at = COALESCE(created_at, updated_at, now()),
    updated_at = COALESCE(updated_at, created_at, now()),
    is_active = COALESCE(is_active, true)
FROM (SELECT id, row_number() OVER (PARTITION BY user_id ORDER BY created_at NULLS FIRST, id) AS version FROM vehicles)
    AS ordered
WHERE ordered.id = vehicles.id;
ALTER TABLE vehicles ENABLE TRIGGER USER;
INSERT INTO feeds (user_id, version, record_count, record_hash)
SELECT user_id, max(version), count(*), sum(record_hash(id, version)) % 281474976710656 FROM vehicles GROUP BY user_id;
CREATE INDEX vehicles_feed ON vehicles (user_id, version);

CREATE FUNCTION next_version(of_user TEXT) RETURNS BIGINT LANGUAGE SQL AS $$
    INSERT INTO feeds (user_id, version) VALUES (of_user, 1)
    ON CONFLICT (user_id) DO UPDATE SET version = feeds.version + 1 RETURNING version
$$;

CREATE FUNCTION give_version() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    NEW.version := next_version(NEW.user_id);
    NEW.created_at := COALESCE(NEW.created_at, now());
    NEW.updated_at := COALESCE(NEW.updated_at, now());
    NEW.is_active := COALESCE(NEW.is_active, true);
    RETURN NEW;
END $$;
CREATE TRIGGER vehicles_versioned BEFORE INSERT OR UPDATE ON vehicles
    FOR EACH ROW EXECUTE FUNCTION give_version();

CREATE FUNCTION end_tombstone() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM tombstones WHERE user_id = NEW.user_id AND id = NEW.id;
    RETURN NULL;
END $$;
CREATE TRIGGER vehicles_came AFTER INSERT OR UPDATE OF id, user_id ON vehicles
    FOR EACH ROW EXECUTE FUNCTION end_tombstone();

CREATE FUNCTION leave_tombstone() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO tombstones (user_id, id, version) VALUES (OLD.user_id, OLD.id, next_version(OLD.user_id))
    ON CONFLICT (user_id, id) DO UPDATE SET version = excluded.version, deleted_at = excluded.deleted_at;
    RETURN NULL;
END $$;
CREATE TRIGGER vehicles_moved AFTER UPDATE OF id, user_id ON vehicles
    FOR EACH ROW WHEN (OLD.user_id <> NEW.user_id OR OLD.id <> NEW.id) EXECUTE FUNCTION leave_tombstone();
CREATE TRIGGER vehicles_deleted AFTER DELETE ON vehicles
    FOR EACH ROW EXECUTE FUNCTION leave_tombstone();

-- The digest: what comes is added, what goes is taken away.
CREATE FUNCTION keep_digest() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP <> 'INSERT' THEN
        UPDATE feeds SET record_count = record_count - 1,
            record_hash = (record_hash - record_hash(OLD.id, OLD.version) + 281474976710656) % 281474976710656
        WHERE user_id = OLD.user_id;
    END IF;
    IF TG_OP <> 'DELETE' THEN
        UPDATE feeds SET record_count = record_count + 1,
            record_hash = (record_hash + record_hash(NEW.id, NEW.version)) % 281474976710656
        WHERE user_id = NEW.user_id;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER vehicles_counted AFTER INSERT OR UPDATE OR DELETE ON vehicles
    FOR EACH ROW EXECUTE FUNCTION keep_digest();
CREATE TRIGGER tombstones_counted AFTER INSERT OR UPDATE OR DELETE ON tombstones
    FOR EACH ROW EXECUTE FUNCTION keep_digest();

-- TRUNCATE fires no trigger of rows; so the rows are deleted first.
CREATE FUNCTION delete_all() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM vehicles;
    RETURN NULL;
END $$;
CREATE TRIGGER vehicles_truncated BEFORE TRUNCATE ON vehicles
    FOR EACH STATEMENT EXECUTE FUNCTION delete_all();
