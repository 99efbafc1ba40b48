-- Who is logged in to the console.

CREATE TABLE console_sessions (
    -- Of the token that the browser has; nobody else has that.
    token_sha256 TEXT PRIMARY KEY NOT NULL,
    user_id INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    -- For which account they act, if another.
    acting_as INTEGER REFERENCES users (id) ON DELETE CASCADE,
    started_at BIGINT NOT NULL
);
CREATE INDEX console_sessions_of_user ON console_sessions (user_id, started_at);
CREATE INDEX console_sessions_of_other ON console_sessions (acting_as) WHERE acting_as IS NOT NULL;
CREATE INDEX console_sessions_started_at ON console_sessions (started_at);
