-- Everything that is posted to users' endpoints, in one table: callbacks, keyword webhooks and events. A row stays after it ended,
-- so that it can be looked at and posted again, until retention takes it.
CREATE TABLE deliveries (
    id         BIGINT PRIMARY KEY NOT NULL,
    kind       TEXT NOT NULL,    -- notify_ack, keyword, event
    bot        BIGINT NOT NULL,  -- bots.slot
    subject    TEXT NOT NULL,    -- the id of the message that it tells of
    chat       TEXT,             -- keyword: where the answer goes; one webhook at a time for a chat
    source     BIGINT,           -- keyword: rules.id; event: subscriptions.id
    webhook_id TEXT,             -- stable over attempts; NULL = made of message and stage (notify_ack)
    url        TEXT NOT NULL,    -- follows the rule's or subscription's while the row is open
    lane       TEXT NOT NULL,    -- scheme://host:port: what shares a queue and a cap
    body       TEXT,             -- what is posted; NULL = made of message and stage (notify_ack)
    answer     TEXT,             -- keyword: what a 2xx answered; once it is here, nothing is posted again
    stage      BIGINT NOT NULL,  -- notify_ack: the lowest ack not yet posted, 4 = the endpoint said 410; else 0 = to post, 1 = answered
    attempts   BIGINT NOT NULL,  -- failed ones at this stage
    run_at     BIGINT NOT NULL,  -- not before; of a leased row: when the lease ends; the largest number: waits for its line
    leased     BIGINT NOT NULL,  -- 1 = a running process has it in memory
    held       BIGINT NOT NULL,  -- 1 = the endpoint itself asked for the wait: it is not cut short when the endpoint works again
    line       TEXT,             -- rows of one line go one after the other, in the order of their ids; NULL = no order
    last_error TEXT,             -- of the last failed attempt, in words
    lost       TEXT,             -- notify_ack: stages given up after the whole retry table, as 1,2
    fate       TEXT,             -- NULL = open; delivered, given_up, gone (410), cancelled
    note       TEXT,             -- keyword: what became of the answer, in words
    replied_at BIGINT,           -- keyword: when messages of an answer went to the chat; a row that has it sends none again
    ended_at   BIGINT,           -- NULL = open; a later stage of a callback opens the row again
    replays    BIGINT NOT NULL,  -- how often somebody asked for it to be posted again
    replay_of  BIGINT,           -- the row that this one repeats with another body
    created_at BIGINT NOT NULL
);
-- Callbacks: one row a message, order by construction.
CREATE UNIQUE INDEX deliveries_callback ON deliveries (subject) WHERE kind = 'notify_ack';
-- What is due in a lane, and which lanes have something due.
CREATE INDEX deliveries_due ON deliveries (lane, run_at) WHERE ended_at IS NULL;
-- What a dead process left leased.
CREATE INDEX deliveries_leased ON deliveries (id) WHERE leased = 1;
-- Who is first in a line.
CREATE INDEX deliveries_line ON deliveries (line, id) WHERE ended_at IS NULL AND line IS NOT NULL;
-- A bot's deliveries, newest first; and those of one message.
CREATE INDEX deliveries_bot ON deliveries (bot, id);
CREATE INDEX deliveries_subject ON deliveries (bot, subject);
-- What retention may take.
CREATE INDEX deliveries_ended ON deliveries (ended_at) WHERE ended_at IS NOT NULL;

INSERT INTO deliveries (id, kind, bot, subject, url, lane, stage, attempts, run_at, leased, held, last_error, lost, fate, ended_at, replays, created_at)
SELECT j.id, j.kind, j.bot, j.message_id, m.notify_url, j.lane, j.stage, j.attempts, j.run_at, j.leased, 0, j.last_error, j.lost,
       CASE WHEN j.given_up_at IS NULL THEN NULL WHEN j.stage = 4 THEN 'gone' ELSE 'given_up' END, j.given_up_at, 0, j.created_at
FROM jobs j JOIN messages m ON m.id = j.message_id WHERE m.notify_url IS NOT NULL;
DROP TABLE jobs;

-- Each attempt of a delivery.
CREATE TABLE attempts (
    id          BIGINT PRIMARY KEY NOT NULL,
    delivery    BIGINT NOT NULL, -- deliveries.id
    at          BIGINT NOT NULL, -- when it began
    stage       BIGINT NOT NULL, -- the delivery's at that time
    url         TEXT NOT NULL,
    status      BIGINT,          -- NULL = no answer
    duration_ms BIGINT NOT NULL,
    address     TEXT,            -- who was dialled
    answer      TEXT NOT NULL,   -- the beginning of the answer's body
    cause       TEXT             -- why it does not count as delivered, in words; NULL = it does
);
CREATE INDEX attempts_delivery ON attempts (delivery, id);

-- Keyword webhooks.
CREATE TABLE rules (
    id         BIGINT PRIMARY KEY NOT NULL, -- never used again
    bot        BIGINT NOT NULL,             -- bots.slot
    keyword    TEXT NOT NULL,               -- as registered, which is what the payload says; empty = takes the rest
    folded     TEXT NOT NULL,               -- without its case, which is what texts are held against
    url        TEXT NOT NULL,
    enabled    BIGINT NOT NULL,
    in_groups  BIGINT NOT NULL,             -- 1 = messages in groups too
    timeout_s  BIGINT,                      -- NULL = outbound.timeout_s
    off_cause  TEXT,                        -- why the gateway switched it off; NULL = it did not
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    deleted_at BIGINT                       -- gone for users; the row stays, its deliveries name it
);
-- Two rules that no text could tell apart would make the winner a matter of luck.
CREATE UNIQUE INDEX rules_keyword ON rules (bot, folded) WHERE deleted_at IS NULL;

-- Endpoints (lanes) in trouble. One that works has no row.
CREATE TABLE endpoints (
    lane          TEXT PRIMARY KEY NOT NULL,
    failing_since BIGINT NOT NULL, -- the first failure since the last success
    last_error    TEXT NOT NULL,   -- of the failure that was written down last
    off_at        BIGINT           -- when the gateway stopped calling it; NULL = it has not
);

-- The key that the document's webhooks carry, and the secrets that sign what is posted; made at the first use.
ALTER TABLE bots ADD COLUMN webhook_key TEXT;
ALTER TABLE bots ADD COLUMN signing_secret TEXT;
ALTER TABLE bots ADD COLUMN signing_before TEXT;        -- signs too, until:
ALTER TABLE bots ADD COLUMN signing_before_until BIGINT;
