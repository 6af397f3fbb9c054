-- A session starts with a login and ends with a logout, with the theft of a refresh token, or by its age.
CREATE TABLE sessions (
    id           TEXT PRIMARY KEY,
    account_id   VARCHAR(255) NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    started_at   TIMESTAMPTZ NOT NULL,
    -- When the newest token expires.
    expires_at   TIMESTAMPTZ NOT NULL,
    -- The generation and the digest of the newest token, the only one that has neither been used nor replaced.
    generation   BIGINT NOT NULL,
    newest_token TEXT NOT NULL
);

-- A token was valid for 60 days.
INSERT INTO sessions (id, account_id, started_at, expires_at, generation, newest_token)
SELECT family, account_id,
       (SELECT min(expires_at) FROM refresh_tokens AS it WHERE it.family = newest.family) - interval '60 days',
       expires_at, (SELECT count(*) FROM refresh_tokens AS it WHERE it.family = newest.family AND used_at IS NOT NULL),
       token_hash
FROM refresh_tokens AS newest WHERE used_at IS NULL;

-- The tokens of one generation are the successors of one token: the newest, and those that it replaced. Before this
-- migration each token had one successor, which expired later.
ALTER TABLE refresh_tokens RENAME COLUMN family TO session_id;
DELETE FROM refresh_tokens WHERE session_id NOT IN (SELECT id FROM sessions);
ALTER TABLE refresh_tokens ADD COLUMN generation BIGINT;
UPDATE refresh_tokens SET generation = numbered.generation
FROM (SELECT token_hash,
             row_number() OVER (PARTITION BY session_id ORDER BY used_at IS NULL, expires_at, used_at) - 1 AS generation
      FROM refresh_tokens) AS numbered
WHERE numbered.token_hash = refresh_tokens.token_hash;
ALTER TABLE refresh_tokens
    ALTER COLUMN generation SET NOT NULL,
    DROP COLUMN account_id,
    ADD FOREIGN KEY (session_id) REFERENCES sessions (id) ON DELETE CASCADE;
ALTER INDEX refresh_tokens_family RENAME TO refresh_tokens_session;
CREATE INDEX refresh_tokens_expiry ON refresh_tokens (expires_at);
CREATE INDEX sessions_account ON sessions (account_id);
CREATE INDEX sessions_expiry ON sessions (expires_at);

-- External issuers whose users this database has. A user of the first is stored as the token's subject, a user of any
-- other as a digest of issuer and subject.
CREATE TABLE issuers (
    issuer TEXT PRIMARY KEY,
    number BIGINT NOT NULL UNIQUE
);
