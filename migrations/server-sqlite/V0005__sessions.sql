-- A session starts with a login and ends with a logout, with the theft of a refresh token, or by its age.
CREATE TABLE sessions (
    id           TEXT PRIMARY KEY NOT NULL,
    account_id   TEXT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    started_at   INTEGER NOT NULL,
    -- When the newest token expires.
    expires_at   INTEGER NOT NULL,
    -- The generation and the digest of the newest token, the only one that has neither been used nor replaced.
    generation   INTEGER NOT NULL,
    newest_token TEXT NOT NULL
) STRICT;

-- The tokens of one generation are the successors of one token: the newest, and those that it replaced. Before this
-- migration each token had one successor, which expired later.
CREATE TABLE session_tokens (
    -- SHA-256 of the token, so that nobody can log in with what this table has.
    token_hash TEXT PRIMARY KEY NOT NULL,
    session_id TEXT NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
    generation INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    -- When the token was exchanged for its first successor.
    used_at    INTEGER
) STRICT;

-- A token was valid for 60 days.
INSERT INTO sessions (id, account_id, started_at, expires_at, generation, newest_token)
SELECT family, account_id, (SELECT min(expires_at) FROM refresh_tokens AS it WHERE it.family = newest.family) - 5184000000000,
       expires_at, (SELECT count(*) FROM refresh_tokens AS it WHERE it.family = newest.family AND used_at IS NOT NULL),
       token_hash
FROM refresh_tokens AS newest WHERE used_at IS NULL;

INSERT INTO session_tokens (token_hash, session_id, generation, expires_at, used_at)
SELECT token_hash, family, row_number() OVER (PARTITION BY family ORDER BY used_at IS NULL, expires_at, used_at) - 1,
       expires_at, used_at
FROM refresh_tokens WHERE family IN (SELECT id FROM sessions);

DROP TABLE refresh_tokens;
ALTER TABLE session_tokens RENAME TO refresh_tokens;
CREATE INDEX refresh_tokens_session ON refresh_tokens (session_id);
CREATE INDEX refresh_tokens_expiry ON refresh_tokens (expires_at);
CREATE INDEX sessions_account ON sessions (account_id);
CREATE INDEX sessions_expiry ON sessions (expires_at);

-- External issuers whose users this database has. A user of the first is stored as the token's subject, a user of any
-- other as a digest of issuer and subject.
CREATE TABLE issuers (
    issuer TEXT PRIMARY KEY NOT NULL,
    number INTEGER NOT NULL UNIQUE
) STRICT;
