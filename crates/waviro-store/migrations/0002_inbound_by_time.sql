-- When somebody last wrote in a chat, without a walk over what they wrote.
CREATE INDEX inbound_last ON inbound (bot, chat, at);
