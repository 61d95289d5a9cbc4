-- How a bot behaves where it differs from the document's way.
ALTER TABLE bots ADD COLUMN settings TEXT; -- JSON; NULL = the defaults

-- What was answered to requests with an Idempotency-Key, for a day.
CREATE TABLE idempotency (
    id             TEXT PRIMARY KEY NOT NULL, -- SHA-256 of who asked, the path and the key, lower-case hex
    request_sha256 TEXT NOT NULL,             -- of the body: the same key with another one is a mistake
    status         BIGINT NOT NULL,
    answer         TEXT NOT NULL,             -- the body of the answer; sealed where it may show a secret
    created_at     BIGINT NOT NULL
);
-- What is older than a day.
CREATE INDEX idempotency_created ON idempotency (created_at);
