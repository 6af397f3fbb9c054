-- pgbench script: the statements by which the server creates, changes and removes a vehicle of one of 200 users, in the
-- same two round trips for each transaction.
\set user random(1, 200)
\set number random(1, 4611686018427387903)
\startpipeline
BEGIN;
SELECT FROM feeds WHERE user_id = 'pgbench-' || :user FOR UPDATE;
SELECT vehicles.*, EXISTS (SELECT 1 FROM vehicles AS twin WHERE twin.user_id = 'pgbench-' || :user AND twin.vin = NULL AND twin.id <> lpad(to_hex(:number::bigint), 32, '0')::uuid AND twin.deleted_at IS NULL AND twin.vin <> ''), COALESCE((SELECT record_count FROM feeds WHERE user_id = 'pgbench-' || :user), 0) FROM (SELECT 1) AS one LEFT JOIN vehicles ON vehicles.id = lpad(to_hex(:number::bigint), 32, '0')::uuid;
\endpipeline
\startpipeline
INSERT INTO vehicles (id, user_id, created_at, updated_at, created_with, nickname, license_plate, color) VALUES (lpad(to_hex(:number::bigint), 32, '0')::uuid, 'pgbench-' || :user, now(), now(), 'digest', 'Vehicle', 'BE 7', 'Blue') RETURNING *;
COMMIT;
\endpipeline
\startpipeline
BEGIN;
SELECT FROM feeds WHERE user_id = 'pgbench-' || :user FOR UPDATE;
SELECT vehicles.*, EXISTS (SELECT 1 FROM vehicles AS twin WHERE twin.user_id = 'pgbench-' || :user AND twin.vin = NULL AND twin.id <> lpad(to_hex(:number::bigint), 32, '0')::uuid AND twin.deleted_at IS NULL AND twin.vin <> ''), COALESCE((SELECT record_count FROM feeds WHERE user_id = 'pgbench-' || :user), 0) FROM (SELECT 1) AS one LEFT JOIN vehicles ON vehicles.id = lpad(to_hex(:number::bigint), 32, '0')::uuid;
\endpipeline
\startpipeline
UPDATE vehicles SET updated_at = now(), nickname = 'Vehicle', license_plate = 'BE 7', color = 'Red', odometer_reading = 7 WHERE id = lpad(to_hex(:number::bigint), 32, '0')::uuid AND user_id = 'pgbench-' || :user RETURNING *;
COMMIT;
\endpipeline
\startpipeline
BEGIN;
SELECT FROM feeds WHERE user_id = 'pgbench-' || :user FOR UPDATE;
SELECT vehicles.*, EXISTS (SELECT 1 FROM vehicles AS twin WHERE twin.user_id = 'pgbench-' || :user AND twin.vin = NULL AND twin.id <> lpad(to_hex(:number::bigint), 32, '0')::uuid AND twin.deleted_at IS NULL AND twin.vin <> ''), COALESCE((SELECT record_count FROM feeds WHERE user_id = 'pgbench-' || :user), 0) FROM (SELECT 1) AS one LEFT JOIN vehicles ON vehicles.id = lpad(to_hex(:number::bigint), 32, '0')::uuid;
\endpipeline
\startpipeline
UPDATE vehicles SET deleted_at = now(), updated_at = now() WHERE id = lpad(to_hex(:number::bigint), 32, '0')::uuid AND user_id = 'pgbench-' || :user RETURNING *;
COMMIT;
\endpipeline
