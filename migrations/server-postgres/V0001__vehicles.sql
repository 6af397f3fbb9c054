-- The original's schema. Where an operator's own database has it already, that one is adopted as it is.
CREATE TABLE IF NOT EXISTS vehicles (
    id               UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    user_id          VARCHAR(255) NOT NULL,
    vin              VARCHAR(17) NOT NULL,
    make             VARCHAR(100),
    model            VARCHAR(100),
    year             INT,
    nickname         VARCHAR(100),
    color            VARCHAR(50),
    license_plate    VARCHAR(20),
    odometer_reading INT DEFAULT 0,
    is_active        BOOLEAN DEFAULT true,
    deleted_at       TIMESTAMPTZ,
    created_at       TIMESTAMPTZ DEFAULT now(),
    updated_at       TIMESTAMPTZ DEFAULT now(),
    CONSTRAINT unique_user_vin UNIQUE (user_id, vin)
);

CREATE TABLE IF NOT EXISTS vin_cache (
    vin         VARCHAR(17) PRIMARY KEY,
    make        VARCHAR(100),
    model       VARCHAR(100),
    year        INT,
    engine_type VARCHAR(100),
    body_type   VARCHAR(100),
    raw_data    JSONB,
    cached_at   TIMESTAMPTZ DEFAULT now()
);
