-- Own accounts; with an external issuer there are none.
CREATE TABLE accounts (
    id            VARCHAR(255) PRIMARY KEY,
    -- Lower case: an address is the same person's however it is written.
    email         TEXT NOT NULL UNIQUE,
    -- Argon2id, in the PHC string format.
    password_hash TEXT NOT NULL,
    created_at    TIMESTAMPTZ NOT NULL,
    disabled_at   TIMESTAMPTZ
);

-- A family is what one log-in led to. Of its tokens the newest is good; an older one that comes again was stolen, and
-- ends the family.
CREATE TABLE refresh_tokens (
    -- SHA-256 of the token: who reads this table can log in as nobody.
    token_hash TEXT PRIMARY KEY,
    family     TEXT NOT NULL,
    account_id VARCHAR(255) NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    expires_at TIMESTAMPTZ NOT NULL,
    used_at    TIMESTAMPTZ
);
CREATE INDEX refresh_tokens_family ON refresh_tokens (family);
CREATE INDEX refresh_tokens_account ON refresh_tokens (account_id);
