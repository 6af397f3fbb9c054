-- Vehicles of one make and model follow each other by year.
DROP INDEX vehicles_by_name;
ALTER TABLE vehicles DROP COLUMN name_key;
ALTER TABLE vehicles ADD COLUMN name_key TEXT AS (
    lower(coalesce(
        nickname, nullif(concat_ws(' ', make, model, iif(make IS NULL AND model IS NULL, NULL, year)), ''),
        license_plate, vin, char(0x10ffff)
    ))
);
CREATE INDEX vehicles_by_name ON vehicles (name_key, position) WHERE deleted_at_us IS NULL;
