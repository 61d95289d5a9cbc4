-- What is due of a bot in a lane, and which bots have something due there: each bot is served in its turn.
DROP INDEX deliveries_due;
CREATE INDEX deliveries_due ON deliveries (lane, bot, run_at) WHERE ended_at IS NULL;
