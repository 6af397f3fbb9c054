-- vPIC's answers by question. A cache: the file may be deleted at any time.
CREATE TABLE vin_cache (
    vin            TEXT NOT NULL,
    -- The model year that was asked with; 0 where none was.
    model_year     INTEGER NOT NULL,
    -- JSON: vPIC's values by its codes.
    answer         TEXT NOT NULL,
    -- Microseconds since 1970-01-01T00:00:00Z.
    answered_at_us INTEGER NOT NULL,
    PRIMARY KEY (vin, model_year)
) STRICT, WITHOUT ROWID;
-- "MVVa", by which a file is known to hold vPIC's answers.
PRAGMA application_id = 1297503841;
