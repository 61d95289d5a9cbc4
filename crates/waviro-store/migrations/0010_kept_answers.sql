-- Kept answers have a bound for each caller.
ALTER TABLE idempotency ADD COLUMN caller TEXT NOT NULL DEFAULT ''; -- who asked; empty for those of before
ALTER TABLE idempotency ADD COLUMN bytes BIGINT NOT NULL DEFAULT 0; -- what the row takes, about

-- The oldest of a caller.
CREATE INDEX idempotency_caller ON idempotency (caller, created_at);

-- What all rows of a caller take, kept by the writes that change them.
CREATE TABLE idempotency_callers (
    caller TEXT PRIMARY KEY NOT NULL,
    bytes  BIGINT NOT NULL
);
