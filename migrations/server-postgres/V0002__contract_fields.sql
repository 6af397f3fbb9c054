-- What the contract has beyond the original.
ALTER TABLE vehicles
    ALTER COLUMN vin DROP NOT NULL,
    ADD COLUMN IF NOT EXISTS trim_level    VARCHAR(100),
    ADD COLUMN IF NOT EXISTS engine        VARCHAR(100),
    ADD COLUMN IF NOT EXISTS transmission  VARCHAR(100),
    ADD COLUMN IF NOT EXISTS drive_type    VARCHAR(100),
    ADD COLUMN IF NOT EXISTS fuel_type     VARCHAR(100),
    ADD COLUMN IF NOT EXISTS body_class    VARCHAR(100),
    ADD COLUMN IF NOT EXISTS vehicle_type  VARCHAR(100),
    ADD COLUMN IF NOT EXISTS odometer_unit VARCHAR(2) NOT NULL DEFAULT 'mi' CHECK (odometer_unit IN ('mi', 'km', 'h')),
    ADD COLUMN IF NOT EXISTS notes         TEXT,
    ADD COLUMN IF NOT EXISTS image_url     TEXT,
    -- A digest of what a create with this id was sent with, so that the same one again is known.
    ADD COLUMN IF NOT EXISTS created_with  TEXT,
    -- A deleted vehicle may be added again, so only live ones are unique.
    DROP CONSTRAINT IF EXISTS unique_user_vin;

-- An operator's own triggers, such as one that sets updated_at, are not for what is done here.
ALTER TABLE vehicles DISABLE TRIGGER USER;

-- VINs in the form that they are compared in, where they are VINs and no other vehicle of the user has it; an empty one
-- is none.
UPDATE vehicles SET vin = NULL WHERE btrim(vin) = '';
UPDATE vehicles SET vin = upper(regexp_replace(vin, '[\s-]', '', 'g'))
WHERE vin <> upper(regexp_replace(vin, '[\s-]', '', 'g'))
  AND upper(regexp_replace(vin, '[\s-]', '', 'g')) ~ '^([A-Z0-9]{5,16}|[A-HJ-NPR-Z0-9]{17})$'
  AND NOT EXISTS (
    SELECT FROM vehicles AS other
    WHERE other.user_id = vehicles.user_id AND other.id <> vehicles.id
      AND upper(regexp_replace(other.vin, '[\s-]', '', 'g')) = upper(regexp_replace(vehicles.vin, '[\s-]', '', 'g'))
  );

ALTER TABLE vehicles ENABLE TRIGGER USER;

CREATE INDEX vehicles_newest ON vehicles (user_id, created_at DESC, id DESC) WHERE deleted_at IS NULL;
CREATE UNIQUE INDEX vehicles_live_vin ON vehicles (user_id, vin) WHERE deleted_at IS NULL AND vin <> '';
