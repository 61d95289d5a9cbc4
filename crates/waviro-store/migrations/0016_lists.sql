-- Indexes in the order of the lists, so that a page costs what it shows: newest first by time, narrowed by chat or state.

-- A bot's messages: all, those of a state, and those with a chat.
DROP INDEX messages_bot;
CREATE INDEX messages_time ON messages (bot, accepted_at, seq);
DROP INDEX messages_failed;
CREATE INDEX messages_state ON messages (bot, ack, accepted_at, seq);
DROP INDEX messages_chat;
CREATE INDEX messages_chat ON messages (bot, chat, accepted_at, seq);
-- What was written to a bot in one chat.
CREATE INDEX inbound_chat ON inbound (bot, chat, received_at);
-- A bot's deliveries: all, those of a kind that ended in a way, those of a message, and those to an endpoint.
DROP INDEX deliveries_bot;
CREATE INDEX deliveries_time ON deliveries (bot, created_at, id);
CREATE INDEX deliveries_state ON deliveries (bot, kind, fate, created_at, id);
DROP INDEX deliveries_subject;
CREATE INDEX deliveries_subject ON deliveries (bot, subject, created_at, id);
CREATE INDEX deliveries_lane ON deliveries (bot, lane, created_at, id);
-- Deliveries that repeat another one with another body.
CREATE INDEX deliveries_family ON deliveries (replay_of) WHERE replay_of IS NOT NULL;
