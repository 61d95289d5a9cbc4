-- One text for SQLite and PostgreSQL: TEXT, BIGINT and DOUBLE PRECISION only, times in Unix milliseconds, truth as 0 and 1.

-- The bots, one companion device each. A removed bot leaves its row, so that its slot is never given out again.
CREATE TABLE bots (
    slot          BIGINT PRIMARY KEY NOT NULL, -- the device's key in the link store: 1, 2, 3 …, never reused
    name          TEXT NOT NULL,               -- what people call it
    key_sha256    TEXT NOT NULL,               -- SHA-256 of the SecretKey, lower-case hex; the key itself is kept nowhere
    created_at    BIGINT NOT NULL,
    linked_number TEXT,                        -- who the device was last linked as; NULL before the first link
    linked_name   TEXT,                        -- the name that account shows
    removed_at    BIGINT,                      -- the bot is gone for users: its key is dead, its name is free
    forgotten_at  BIGINT                       -- its device was logged out and its link keys were wiped
);
-- A key means one bot.
CREATE UNIQUE INDEX bots_key ON bots (key_sha256);
-- A name means one living bot.
CREATE UNIQUE INDEX bots_name ON bots (name) WHERE removed_at IS NULL;

-- What was accepted for sending. A row with ack 0 is its own job: it is in its bot's queue until the server acks it.
CREATE TABLE messages (
    id             TEXT PRIMARY KEY NOT NULL, -- the id of the answer, of the wire and of every callback
    seq            BIGINT NOT NULL,           -- the order of acceptance over all bots
    bot            BIGINT NOT NULL,           -- bots.slot; no foreign key, the log outlives the bot
    chat           TEXT NOT NULL,             -- 628…@c.us, 1203…@g.us, …@lid
    kind           TEXT NOT NULL,             -- text, …
    body           TEXT NOT NULL,             -- the content as JSON, its shape given by kind
    content_sha256 TEXT NOT NULL,             -- of kind and body, for the duplicate rule
    notify_url     TEXT,                      -- where changes of ack are posted; NULL = nowhere
    ack            BIGINT NOT NULL,           -- -1 error, 0 pending, 1 sent, 2 delivered, 3 read; only rises, -1 is final
    cause          TEXT,                      -- why -1
    accepted_at    BIGINT NOT NULL,
    settled_at     BIGINT,                    -- when ack left 0
    reminded       BIGINT NOT NULL            -- 1 = no callback of ack 0 is wanted (any more)
);
-- A bot's queue in order of acceptance; also the answer to "is anything unsent".
CREATE INDEX messages_pending ON messages (bot, seq) WHERE ack = 0;
-- The duplicate rule: the last message of a bot to a chat that did not end in -1.
CREATE INDEX messages_last ON messages (bot, chat, seq) WHERE ack >= 0;
-- Whose pending state must be posted, oldest first.
CREATE INDEX messages_unreminded ON messages (accepted_at) WHERE ack = 0 AND reminded = 0;

-- Work for others' endpoints, committed with the change it tells of. One row a message: its stages go out one by one.
CREATE TABLE jobs (
    id          BIGINT PRIMARY KEY NOT NULL,
    kind        TEXT NOT NULL,    -- notify_ack
    bot         BIGINT NOT NULL,  -- bots.slot
    message_id  TEXT NOT NULL,    -- messages.id
    lane        TEXT NOT NULL,    -- scheme://host:port: what shares a queue and a cap
    stage       BIGINT NOT NULL,  -- the lowest ack not yet posted; 4 = the endpoint said 410, nothing more goes out
    attempts    BIGINT NOT NULL,  -- failed ones at this stage
    run_at      BIGINT NOT NULL,  -- not before; of a leased job: when the lease ends
    leased      BIGINT NOT NULL,  -- 1 = a running process has it in memory
    last_error  TEXT,             -- of the last failed attempt
    lost        TEXT,             -- stages given up after the whole retry table, as 1,2
    given_up_at BIGINT,           -- set = nobody tries any more; a later stage revives it
    created_at  BIGINT NOT NULL
);
-- One row a message and kind: order by construction.
CREATE UNIQUE INDEX jobs_message ON jobs (message_id, kind);
-- What is due in a lane, and which lanes have something due.
CREATE INDEX jobs_due ON jobs (lane, run_at) WHERE given_up_at IS NULL;
-- What a dead process left leased.
CREATE INDEX jobs_leased ON jobs (id) WHERE leased = 1;

-- What was written to the bots. The key is WhatsApp's own: an id is unique within chat and sender only.
CREATE TABLE inbound (
    bot         BIGINT NOT NULL, -- bots.slot
    chat        TEXT NOT NULL,
    sender      TEXT NOT NULL,   -- 628…@c.us or …@lid
    id          TEXT NOT NULL,
    push_name   TEXT NOT NULL,   -- hostile text
    from_me     BIGINT NOT NULL, -- 1 = written by the bot's own account on another device
    kind        TEXT NOT NULL,   -- text, or the name in WhatsApp's schema
    body        TEXT NOT NULL,   -- the text; empty for other kinds
    at          BIGINT NOT NULL, -- WhatsApp's time
    received_at BIGINT NOT NULL, -- ours
    PRIMARY KEY (bot, chat, sender, id)
);

-- Which numbers are on WhatsApp, so that a text to a known number costs no lookup on the wire.
CREATE TABLE numbers (
    number     TEXT PRIMARY KEY NOT NULL,
    registered BIGINT NOT NULL, -- 1 or 0; the two live differently long
    checked_at BIGINT NOT NULL
);
