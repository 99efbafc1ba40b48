-- What pages about hails look for.

-- Where the taxi of a hail was while it lasted, until the hail is blurred.
CREATE TABLE hail_positions (
    hail_id TEXT NOT NULL REFERENCES hails (id) ON DELETE CASCADE,
    -- When the position was received, in tens of seconds since 1970: of each there is one, whichever process writes it.
    slot BIGINT NOT NULL,
    at BIGINT NOT NULL,
    lat_e7 INTEGER NOT NULL,
    lon_e7 INTEGER NOT NULL,
    PRIMARY KEY (hail_id, slot)
);

-- The pair of 0027_tracks_and_sessions.sqlite.sql: whatever the collation, beginnings are found byte by byte.
CREATE INDEX hail_sessions_customer_beginning ON hail_sessions (lower(customer_id) COLLATE "C");
