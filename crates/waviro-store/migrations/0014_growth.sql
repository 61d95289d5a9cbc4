-- Indexes that keep the cost of a question apart from the number of rows that are kept.

-- The highest number of all messages: at the start, and for retention, which leaves the newest row.
CREATE INDEX messages_seq ON messages (seq);
-- A bot's queue. SQLite took messages_bot in its place, which holds all that the bot ever sent: with ack among its columns
-- this index is the better match.
DROP INDEX messages_pending;
CREATE INDEX messages_queue ON messages (bot, ack, seq) WHERE ack = 0;
-- Messages that WhatsApp took, and messages that failed, by the time of it: each is found without a walk over the other.
DROP INDEX messages_settled;
CREATE INDEX messages_taken ON messages (bot, settled_at, seq) WHERE ack > 0;
CREATE INDEX messages_ended ON messages (bot, settled_at, seq) WHERE ack < 0;
-- What retention may take, in its order.
DROP INDEX deliveries_ended;
CREATE INDEX deliveries_ended ON deliveries (ended_at, id) WHERE ended_at IS NOT NULL;
-- What waits for a rule or a subscription.
CREATE INDEX deliveries_source ON deliveries (kind, source, url, id) WHERE ended_at IS NULL AND source IS NOT NULL;
-- Files that can still be fetched, by age.
CREATE INDEX inbound_handles ON inbound (bot, received_at) WHERE media_handle IS NOT NULL;
-- Sessions that are over.
CREATE INDEX sessions_expires ON sessions (expires_at);
