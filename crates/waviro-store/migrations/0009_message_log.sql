-- What the message log is narrowed to, without a walk over all that a bot sent.

-- A bot's messages to a chat, the newest first: messages_last has those alone that did not fail.
CREATE INDEX messages_chat ON messages (bot, chat, seq);
-- Those that failed: few, and what somebody looks for.
CREATE INDEX messages_failed ON messages (bot, seq) WHERE ack < 0;
