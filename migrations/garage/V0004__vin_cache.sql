-- vPIC's answers, kept: it is slow, often away, and seldom changes its mind.
CREATE TABLE vin_cache (
    vin           TEXT NOT NULL,
    -- The model year that was asked with; 0 where none was.
    model_year    INTEGER NOT NULL,
    -- JSON: vPIC's values by its codes.
    answer        TEXT NOT NULL,
    fetched_at_us INTEGER NOT NULL,
    PRIMARY KEY (vin, model_year)
) STRICT, WITHOUT ROWID;
