-- When a message came how far; when it was sent or failed is settled_at. NULL = it did not, or before this was noted.
ALTER TABLE messages ADD COLUMN delivered_at BIGINT;
ALTER TABLE messages ADD COLUMN read_at BIGINT;
-- The webhook delivery whose answer it is of.
ALTER TABLE messages ADD COLUMN reply_of BIGINT; -- deliveries.id; NULL = of none
CREATE INDEX messages_reply ON messages (reply_of) WHERE reply_of IS NOT NULL;
-- A bot's messages, newest first.
CREATE INDEX messages_bot ON messages (bot, seq);
-- An inbound message by its id alone.
CREATE INDEX inbound_id ON inbound (bot, id);
