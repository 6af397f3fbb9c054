-- Plates are found by their letters and digits however they are divided, and letters that are no base letter with an
-- accent (Ł, Ø, ß) by those people type for them, too; models with and without their dashes.
DROP VIEW vehicle_search;
CREATE VIEW vehicle_search AS
SELECT
    position,
    concat_ws(' ', words, nullif(folded, words), joined, license_plate, vin,
        substr(vin, 2), substr(vin, 3), substr(vin, 4), substr(vin, 5), substr(vin, 6), substr(vin, 7),
        substr(vin, 8), substr(vin, 9), substr(vin, 10), substr(vin, 11), substr(vin, 12), substr(vin, 13),
        substr(vin, 14), substr(vin, 15), substr(vin, 16),
        plate,
        substr(plate, 2), substr(plate, 3), substr(plate, 4), substr(plate, 5), substr(plate, 6), substr(plate, 7),
        substr(plate, 8), substr(plate, 9), substr(plate, 10), substr(plate, 11), substr(plate, 12), substr(plate, 13),
        substr(plate, 14), substr(plate, 15), substr(plate, 16), substr(plate, 17), substr(plate, 18), substr(plate, 19)
    ) AS text
FROM (
    SELECT
        *,
        replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(words, 'Ł', 'L'), 'ł', 'l'), 'Ø', 'O'), 'ø', 'o'), 'Đ', 'D'), 'đ', 'd'), 'Ħ', 'H'), 'ħ', 'h'), 'ı', 'i'), 'ß', 'ss'), 'ẞ', 'SS'), 'Æ', 'AE'), 'æ', 'ae'), 'Œ', 'OE'), 'œ', 'oe'), 'Þ', 'Th'), 'þ', 'th') AS folded
    FROM (
        SELECT
            position, vin, license_plate,
            replace(replace(replace(replace(replace(replace(replace(replace(license_plate, ' ', ''), '-', ''), '.', ''), '/', ''), '_', ''), '·', ''), '•', ''), char(160), '') AS plate,
            -- F-150 is F150 to many.
            nullif(replace(model, '-', ''), model) AS joined,
            concat_ws(' ',
                nickname, year, make, model, trim_level, engine, transmission, drive_type, fuel_type, body_class,
                vehicle_type, color, notes
            ) AS words
        FROM vehicles
    )
);

-- Only what reads differently now is indexed anew.
CREATE TEMP TABLE changed AS
SELECT position FROM vehicles
WHERE license_plate GLOB '*[./_·•' || char(160) || ']*'
    OR concat_ws(' ', nickname, make, model, trim_level, engine, color, notes) GLOB '*[ŁłØøĐđĦħıßẞÆæŒœÞþ]*'
    OR model LIKE '%-%';
DELETE FROM vehicle_words WHERE rowid IN (SELECT position FROM changed);
INSERT INTO vehicle_words (rowid, text)
SELECT position, text FROM vehicle_search WHERE position IN (SELECT position FROM changed);
DROP TABLE changed;
