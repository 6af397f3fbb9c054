-- Search as one types. Every text field's words, and every fragment of VIN and plate: a fragment is the beginning of
-- one of the suffixes listed here, so one index of prefixes finds both.
CREATE VIEW vehicle_search AS
SELECT
    position,
    concat_ws(' ',
        nickname, year, make, model, trim_level, engine, transmission, drive_type, fuel_type, body_class,
        vehicle_type, color, notes, license_plate, vin,
        substr(vin, 2), substr(vin, 3), substr(vin, 4), substr(vin, 5), substr(vin, 6), substr(vin, 7),
        substr(vin, 8), substr(vin, 9), substr(vin, 10), substr(vin, 11), substr(vin, 12), substr(vin, 13),
        substr(vin, 14), substr(vin, 15), substr(vin, 16),
        plate,
        substr(plate, 2), substr(plate, 3), substr(plate, 4), substr(plate, 5), substr(plate, 6), substr(plate, 7),
        substr(plate, 8), substr(plate, 9), substr(plate, 10), substr(plate, 11), substr(plate, 12), substr(plate, 13),
        substr(plate, 14), substr(plate, 15), substr(plate, 16), substr(plate, 17), substr(plate, 18), substr(plate, 19)
    ) AS text
FROM (SELECT *, replace(replace(license_plate, ' ', ''), '-', '') AS plate FROM vehicles);

CREATE VIRTUAL TABLE vehicle_words USING fts5 (
    text, content = '', contentless_delete = 1, prefix = '1 2 3', tokenize = 'unicode61 remove_diacritics 2'
);
INSERT INTO vehicle_words (rowid, text) SELECT position, text FROM vehicle_search;

CREATE TRIGGER vehicle_words_insert AFTER INSERT ON vehicles BEGIN
    INSERT INTO vehicle_words (rowid, text) SELECT position, text FROM vehicle_search WHERE position = new.position;
END;
CREATE TRIGGER vehicle_words_update AFTER UPDATE ON vehicles BEGIN
    DELETE FROM vehicle_words WHERE rowid = old.position;
    INSERT INTO vehicle_words (rowid, text) SELECT position, text FROM vehicle_search WHERE position = new.position;
END;
CREATE TRIGGER vehicle_words_delete AFTER DELETE ON vehicles BEGIN
    DELETE FROM vehicle_words WHERE rowid = old.position;
END;

-- What lists are sorted by. Empty values sort after all others, in the direction people read each in.
ALTER TABLE vehicles ADD COLUMN name_key TEXT AS (
    lower(coalesce(nickname, nullif(concat_ws(' ', make, model), ''), license_plate, vin, char(0x10ffff)))
);
ALTER TABLE vehicles ADD COLUMN make_key TEXT AS (lower(coalesce(make, char(0x10ffff))));
ALTER TABLE vehicles ADD COLUMN year_key INTEGER AS (coalesce(year, -1));
ALTER TABLE vehicles ADD COLUMN odometer_key INTEGER AS (coalesce(odometer_reading, -1));
DROP INDEX vehicles_newest;
CREATE INDEX vehicles_newest ON vehicles (position) WHERE deleted_at_us IS NULL;
CREATE INDEX vehicles_by_name ON vehicles (name_key, position) WHERE deleted_at_us IS NULL;
CREATE INDEX vehicles_by_make ON vehicles (make_key, position) WHERE deleted_at_us IS NULL;
CREATE INDEX vehicles_by_year ON vehicles (year_key, position) WHERE deleted_at_us IS NULL;
CREATE INDEX vehicles_by_odometer ON vehicles (odometer_key, position) WHERE deleted_at_us IS NULL;
CREATE INDEX vehicles_by_update ON vehicles (updated_at_us, position) WHERE deleted_at_us IS NULL;
CREATE INDEX vehicles_deleted ON vehicles (position) WHERE deleted_at_us IS NOT NULL;
