-- What the contract has beyond the original.
ALTER TABLE vehicles ADD COLUMN trim_level    TEXT;
ALTER TABLE vehicles ADD COLUMN engine        TEXT;
ALTER TABLE vehicles ADD COLUMN transmission  TEXT;
ALTER TABLE vehicles ADD COLUMN drive_type    TEXT;
ALTER TABLE vehicles ADD COLUMN fuel_type     TEXT;
ALTER TABLE vehicles ADD COLUMN body_class    TEXT;
ALTER TABLE vehicles ADD COLUMN vehicle_type  TEXT;
ALTER TABLE vehicles ADD COLUMN odometer_unit TEXT NOT NULL DEFAULT 'mi';
ALTER TABLE vehicles ADD COLUMN notes         TEXT;
ALTER TABLE vehicles ADD COLUMN image_url     TEXT;
-- A digest of what a create with this id was sent with, so that the same one again is known.
ALTER TABLE vehicles ADD COLUMN created_with  TEXT;

CREATE INDEX vehicles_newest ON vehicles (user_id, created_at DESC, id DESC) WHERE deleted_at IS NULL;
CREATE UNIQUE INDEX vehicles_live_vin ON vehicles (user_id, vin) WHERE deleted_at IS NULL;
