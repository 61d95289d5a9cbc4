-- What is due of a bot in a lane, in the order in which it is claimed: after an outage many rows share a time.
DROP INDEX deliveries_due;
CREATE INDEX deliveries_due ON deliveries (lane, bot, run_at, id) WHERE ended_at IS NULL;
