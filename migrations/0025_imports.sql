-- What each import of places did, the newest of them.

CREATE TABLE import_runs (
    id TEXT PRIMARY KEY NOT NULL,
    -- towns, zupc, exclusions, stations, departements or populations.
    what TEXT NOT NULL,
    -- Its path, as it was given.
    file TEXT NOT NULL,
    started_at BIGINT NOT NULL,
    -- Absent while it lasts, and for ever where its process was killed.
    ended_at BIGINT,
    -- Why nothing was imported; absent where it was.
    error TEXT,
    added_count BIGINT NOT NULL,
    changed_count BIGINT NOT NULL,
    same_count BIGINT NOT NULL,
    refused_count BIGINT NOT NULL,
    noted_count BIGINT NOT NULL
);
CREATE INDEX import_runs_started_at ON import_runs (started_at);

-- The first remarks of each.
CREATE TABLE import_remarks (
    run_id TEXT NOT NULL REFERENCES import_runs (id) ON DELETE CASCADE,
    -- Whether the row was left out, or imported otherwise than it was written.
    is_refusal BOOLEAN NOT NULL,
    -- Its place among those of its kind, from 1.
    number BIGINT NOT NULL,
    row_number BIGINT NOT NULL,
    field TEXT NOT NULL,
    reason TEXT NOT NULL,
    PRIMARY KEY (run_id, is_refusal, number)
);
