-- Who may use the dashboard. A removed user leaves its row, so that its id is never given out again.
CREATE TABLE users (
    id         BIGINT PRIMARY KEY NOT NULL, -- 1, 2, 3 …, never reused
    name       TEXT NOT NULL,
    password   TEXT NOT NULL,               -- argon2id, with its salt and parameters
    role       TEXT NOT NULL,               -- admin, operator, viewer
    created_at BIGINT NOT NULL,
    removed_at BIGINT                       -- its name is free
);
CREATE UNIQUE INDEX users_name ON users (name) WHERE removed_at IS NULL;

-- The bots that an operator may see and change.
CREATE TABLE user_bots (
    user_id BIGINT NOT NULL, -- users.id
    bot     BIGINT NOT NULL, -- bots.slot
    PRIMARY KEY (user_id, bot)
);

-- Who is logged in.
CREATE TABLE sessions (
    sha256     TEXT PRIMARY KEY NOT NULL, -- of what the browser keeps; that itself is kept nowhere
    user_id    BIGINT NOT NULL,           -- users.id
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX sessions_user ON sessions (user_id);
