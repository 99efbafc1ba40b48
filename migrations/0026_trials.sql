-- What acceptance runs need: a taxi that one search app alone finds, and who asked for a hail twice.

-- The account that finds it; absent: everybody does.
ALTER TABLE taxis ADD COLUMN trial_for INTEGER REFERENCES users (id);
CREATE INDEX taxis_of_trials ON taxis (trial_for) WHERE trial_for IS NOT NULL;

-- The hail that was made under this name; absent of those that an earlier version made.
ALTER TABLE idempotency_keys ADD COLUMN hail_id TEXT;
-- Whether the request came again, and was answered as at first.
ALTER TABLE idempotency_keys ADD COLUMN is_repeated BOOLEAN NOT NULL DEFAULT FALSE;
CREATE INDEX idempotency_keys_repeated ON idempotency_keys (hail_id) WHERE is_repeated;

-- Accounts that take part in an acceptance run that goes on, judged or as the other side: each in one at a time.
CREATE TABLE certification_parties (
    account_id INTEGER NOT NULL UNIQUE REFERENCES users (id) ON DELETE CASCADE,
    run_id TEXT NOT NULL,
    -- Put off while the run goes on.
    leased_until BIGINT NOT NULL
);
