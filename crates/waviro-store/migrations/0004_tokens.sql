-- What may administer the gateway. A revoked token leaves its row, so that its id is never given out again.
CREATE TABLE tokens (
    id           BIGINT PRIMARY KEY NOT NULL, -- 1, 2, 3 …, never reused
    name         TEXT NOT NULL,               -- what people call it
    sha256       TEXT NOT NULL,               -- SHA-256 of the token, lower-case hex; the token itself is kept nowhere
    role         TEXT NOT NULL,               -- admin, or bot
    bot          BIGINT,                      -- bots.slot where the role is bot
    created_at   BIGINT NOT NULL,
    last_used_at BIGINT,                      -- to the minute
    expires_at   BIGINT,                      -- NULL = never
    revoked_at   BIGINT                       -- it is dead and its name is free
);
-- A token means one row.
CREATE UNIQUE INDEX tokens_sha256 ON tokens (sha256);
-- A name means one token that was not revoked.
CREATE UNIQUE INDEX tokens_name ON tokens (name) WHERE revoked_at IS NULL;

-- A key that was replaced may go on working for a while beside its successor.
ALTER TABLE bots ADD COLUMN key_created_at BIGINT;      -- NULL = before this was noted
ALTER TABLE bots ADD COLUMN previous_key_sha256 TEXT;   -- NULL = the key before is dead
ALTER TABLE bots ADD COLUMN previous_key_until BIGINT;  -- when it dies

-- When WhatsApp last took a message of a bot. Without a row that still waits: accepting one writes nothing here.
CREATE INDEX messages_settled ON messages (bot, settled_at) WHERE settled_at IS NOT NULL;
-- When a bot last heard anything.
CREATE INDEX inbound_received ON inbound (bot, received_at);
