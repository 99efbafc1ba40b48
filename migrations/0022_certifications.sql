-- Acceptance runs of partners, each with its report as it was signed.

CREATE TABLE certifications (
    id TEXT PRIMARY KEY NOT NULL,
    user_id INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    ended_at BIGINT NOT NULL,
    -- JSON, byte for byte what the signature is of.
    report TEXT NOT NULL,
    signature TEXT NOT NULL
);
CREATE INDEX certifications_of_user ON certifications (user_id, ended_at);
