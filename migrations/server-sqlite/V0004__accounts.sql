-- Own accounts; with an external issuer there are none.
CREATE TABLE accounts (
    id            TEXT PRIMARY KEY NOT NULL,
    -- Lower case: an address is the same person's however it is written.
    email         TEXT NOT NULL UNIQUE,
    -- Argon2id, in the PHC string format.
    password_hash TEXT NOT NULL,
    created_at    INTEGER NOT NULL,
    disabled_at   INTEGER
) STRICT;

-- A family is what one log-in led to. Of its tokens the newest is good; an older one that comes again was stolen, and
-- ends the family.
CREATE TABLE refresh_tokens (
    -- SHA-256 of the token: who reads this table can log in as nobody.
    token_hash TEXT PRIMARY KEY NOT NULL,
    family     TEXT NOT NULL,
    account_id TEXT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    expires_at INTEGER NOT NULL,
    used_at    INTEGER
) STRICT;
CREATE INDEX refresh_tokens_family ON refresh_tokens (family);
CREATE INDEX refresh_tokens_account ON refresh_tokens (account_id);
