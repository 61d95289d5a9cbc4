-- Events: who wants which, what was told, and what more is known of what came in.

-- Who is posted which events of a bot.
CREATE TABLE subscriptions (
    id         BIGINT PRIMARY KEY NOT NULL, -- never used again
    bot        BIGINT NOT NULL,             -- bots.slot
    url        TEXT NOT NULL,
    kinds      TEXT NOT NULL,               -- message.received,bot.state …, or * for all, those of later versions too
    enabled    BIGINT NOT NULL,
    timeout_s  BIGINT,                      -- NULL = outbound.timeout_s
    off_cause  TEXT,                        -- why the gateway switched it off; NULL = it did not
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    deleted_at BIGINT                       -- gone for users; the row stays, its deliveries name it
);
-- Those of a bot.
CREATE INDEX subscriptions_bot ON subscriptions (bot, id) WHERE deleted_at IS NULL;

-- What was told, for streams: they begin where they broke off. What nobody wants is not written.
CREATE TABLE events (
    id      BIGINT PRIMARY KEY NOT NULL, -- in the order of their commits, over all bots
    bot     BIGINT NOT NULL,             -- bots.slot
    kind    TEXT NOT NULL,               -- message.received …
    subject TEXT NOT NULL,               -- the id of the message, call or group that it tells of
    body    TEXT NOT NULL,               -- what is posted
    at      BIGINT NOT NULL              -- when it was written
);
-- What a bot's stream has missed.
CREATE INDEX events_bot ON events (bot, id);

-- How far a group's member has a message, so that what a phone says again is not told again. Only where somebody wants to know.
CREATE TABLE receipts (
    message TEXT NOT NULL,   -- messages.id
    member  TEXT NOT NULL,   -- 628…@c.us or …@lid
    level   BIGINT NOT NULL, -- 2 delivered, 3 read; only rises
    at      BIGINT NOT NULL,
    PRIMARY KEY (message, member)
);

-- What this installation made for itself, once.
CREATE TABLE installation (
    name  TEXT PRIMARY KEY NOT NULL, -- media_secret: signs links to files
    value TEXT NOT NULL
);

-- When somebody last listened to the bot's stream, to the minute: events are kept for who comes back within a week.
ALTER TABLE bots ADD COLUMN streamed_at BIGINT;

-- What more is known of what came in.
ALTER TABLE inbound ADD COLUMN quoted TEXT;       -- the id of the message that it answers
ALTER TABLE inbound ADD COLUMN detail TEXT;       -- what its kind has beyond a text, as JSON
ALTER TABLE inbound ADD COLUMN media TEXT;        -- what links call its file; NULL = it has none
ALTER TABLE inbound ADD COLUMN media_handle TEXT; -- what the file is fetched by; holds its key, so it leaves the gateway never; NULL = retention took it
-- The file that a link means.
CREATE INDEX inbound_media ON inbound (media) WHERE media IS NOT NULL;
