-- Plates are found by their letters and digits however they are divided, to the last one, as VINs are; letters that SQLite
-- does not fold (Ł, Ø, ß, Ё, ή) by those people type for them, too; models with and without their dashes.
DROP VIEW vehicle_search;
CREATE VIEW vehicle_search AS
SELECT
    position,
    concat_ws(' ', words, nullif(folded, words), joined, license_plate, vin,
        substr(vin, 2), substr(vin, 3), substr(vin, 4), substr(vin, 5), substr(vin, 6), substr(vin, 7),
        substr(vin, 8), substr(vin, 9), substr(vin, 10), substr(vin, 11), substr(vin, 12), substr(vin, 13),
        substr(vin, 14), substr(vin, 15), substr(vin, 16), substr(vin, 17),
        plate,
        substr(plate, 2), substr(plate, 3), substr(plate, 4), substr(plate, 5), substr(plate, 6), substr(plate, 7),
        substr(plate, 8), substr(plate, 9), substr(plate, 10), substr(plate, 11), substr(plate, 12), substr(plate, 13),
        substr(plate, 14), substr(plate, 15), substr(plate, 16), substr(plate, 17), substr(plate, 18), substr(plate, 19),
        substr(plate, 20)
    ) AS text
FROM (
    -- In steps: a few dozen replacements within each other are more than older versions of SQLite can parse.
    SELECT position, vin, license_plate, joined, words,
        replace(replace(replace(replace(replace(replace(replace(replace(replace(letters_of_plate, '–', ''), '—', ''), '‑', ''), '−', ''), ':', ''), '(', ''), ')', ''), '+', ''), '''', '') AS plate,
        replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(folded_2, 'ά', 'α'), 'Έ', 'Ε'), 'έ', 'ε'), 'Ή', 'Η'), 'ή', 'η'), 'Ί', 'Ι'), 'ί', 'ι'), 'Ό', 'Ο'), 'ό', 'ο'), 'Ύ', 'Υ'), 'ύ', 'υ'), 'Ώ', 'Ω'), 'ώ', 'ω') AS folded
    FROM (
        SELECT *, replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(folded_1, 'œ', 'oe'), 'Þ', 'Th'), 'þ', 'th'), 'Ð', 'D'), 'ð', 'd'), 'Ŋ', 'N'), 'ŋ', 'n'), 'ﬁ', 'fi'), 'ﬂ', 'fl'), 'Ё', 'Е'), 'ё', 'е'), 'Й', 'И'), 'й', 'и'), 'Ά', 'Α') AS folded_2
        FROM (
            SELECT *, replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(words, 'Ł', 'L'), 'ł', 'l'), 'Ø', 'O'), 'ø', 'o'), 'Đ', 'D'), 'đ', 'd'), 'Ħ', 'H'), 'ħ', 'h'), 'ı', 'i'), 'ß', 'ss'), 'ẞ', 'SS'), 'Æ', 'AE'), 'æ', 'ae'), 'Œ', 'OE') AS folded_1
            FROM (
                SELECT
                    position, vin, license_plate,
                    replace(replace(replace(replace(replace(replace(replace(replace(license_plate, ' ', ''), '-', ''), '.', ''), '/', ''), '_', ''), '·', ''), '•', ''), char(160), '') AS letters_of_plate,
                    -- F-150 is F150 to many.
                    nullif(replace(model, '-', ''), model) AS joined,
                    concat_ws(' ',
                        nickname, year, make, model, trim_level, engine, transmission, drive_type, fuel_type,
                        body_class, vehicle_type, color, notes
                    ) AS words
                FROM vehicles
            )
        )
    )
);

INSERT INTO vehicle_words (vehicle_words) VALUES ('delete-all');
INSERT INTO vehicle_words (rowid, text) SELECT position, text FROM vehicle_search;
