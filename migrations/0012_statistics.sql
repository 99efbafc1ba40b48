-- What statistics are made of: what outlives the rows that it was counted from.

-- How many taxis a group says that it has.
ALTER TABLE users ADD COLUMN fleet_size INTEGER;

-- Each hail as it stood a day after it was made, for good: without its customer, and with the taxi as a keyed hash.
CREATE TABLE hail_copies (
    id TEXT PRIMARY KEY NOT NULL,
    added_at BIGINT NOT NULL,
    last_update_at BIGINT NOT NULL,
    status TEXT NOT NULL,
    -- What it counts as: the status, but for a ride that was not closed, and for hails that had not ended.
    outcome TEXT NOT NULL,
    -- By number alone: a copy outlives its accounts.
    app_id INTEGER NOT NULL,
    operator_id INTEGER NOT NULL,
    session_id TEXT NOT NULL,
    taxi_hash BIGINT NOT NULL,
    -- The customer's town; NULL outside every town.
    insee TEXT,
    -- How far the taxi was from the customer; NULL where nobody knows.
    distance_mm BIGINT,
    incident_taxi_reason TEXT,
    incident_customer_reason TEXT,
    reporting_customer BOOLEAN,
    reporting_customer_reason TEXT,
    -- When each status was entered; NULL where it was not.
    received_at BIGINT,
    sent_to_operator_at BIGINT,
    received_by_operator_at BIGINT,
    received_by_taxi_at BIGINT,
    accepted_by_taxi_at BIGINT,
    accepted_by_customer_at BIGINT,
    customer_on_board_at BIGINT,
    failure_at BIGINT,
    declined_by_taxi_at BIGINT,
    incident_taxi_at BIGINT,
    timeout_taxi_at BIGINT,
    declined_by_customer_at BIGINT,
    incident_customer_at BIGINT,
    timeout_customer_at BIGINT,
    finished_at BIGINT
);
CREATE INDEX hail_copies_newest ON hail_copies (added_at, taxi_hash);

-- What the copies of a day add up to, by what figures may be narrowed by: always as the copies are.
CREATE TABLE hail_days (
    -- When the day began.
    day BIGINT NOT NULL,
    outcome TEXT NOT NULL,
    -- Empty outside every town.
    insee TEXT NOT NULL,
    operator_id INTEGER NOT NULL,
    copies BIGINT NOT NULL,
    -- Of those whose distance is known: how many, and their distances together.
    distances BIGINT NOT NULL,
    distance_mm BIGINT NOT NULL,
    -- Of those that made both of two transitions: how many, and how long they took together. From received_by_taxi:
    accepted_by_taxi BIGINT NOT NULL,
    accepted_by_taxi_ms BIGINT NOT NULL,
    timeout_taxi BIGINT NOT NULL,
    timeout_taxi_ms BIGINT NOT NULL,
    -- From accepted_by_taxi:
    accepted_by_customer BIGINT NOT NULL,
    accepted_by_customer_ms BIGINT NOT NULL,
    timeout_customer BIGINT NOT NULL,
    timeout_customer_ms BIGINT NOT NULL,
    declined_by_customer BIGINT NOT NULL,
    declined_by_customer_ms BIGINT NOT NULL,
    incident_taxi BIGINT NOT NULL,
    incident_taxi_ms BIGINT NOT NULL,
    customer_on_board BIGINT NOT NULL,
    customer_on_board_ms BIGINT NOT NULL,
    -- From customer_on_board:
    customer_on_board_incident_taxi BIGINT NOT NULL,
    customer_on_board_incident_taxi_ms BIGINT NOT NULL,
    PRIMARY KEY (day, outcome, insee, operator_id)
);

-- When a taxi was heard for the first time: ever, and since the decree of 2022.
CREATE TABLE first_positions (
    taxi_id INTEGER NOT NULL UNIQUE REFERENCES taxis (id) ON DELETE CASCADE,
    ever_at BIGINT NOT NULL,
    since_threshold_at BIGINT
);
INSERT INTO first_positions (taxi_id, ever_at, since_threshold_at)
    SELECT taxi_id, min(received_at), min(CASE WHEN received_at >= 1640995200000 THEN received_at END)
    FROM last_positions GROUP BY taxi_id;

-- Which taxis were heard in an hour that is not counted yet.
CREATE TABLE heard_hours (
    -- When the hour began.
    hour BIGINT NOT NULL,
    taxi_id INTEGER NOT NULL REFERENCES taxis (id) ON DELETE CASCADE,
    PRIMARY KEY (hour, taxi_id)
);
CREATE INDEX heard_hours_taxi ON heard_hours (taxi_id);

-- How many taxis were connected in an hour, counted once, when it was over; an hour without any has no row.
CREATE TABLE connected_hours (
    hour BIGINT PRIMARY KEY NOT NULL,
    taxis BIGINT NOT NULL
);

-- The same by the town of the ADS and the account that registered the taxi, as they were then.
CREATE TABLE connected_parts (
    hour BIGINT NOT NULL,
    insee TEXT NOT NULL,
    account_id INTEGER NOT NULL,
    taxis BIGINT NOT NULL,
    PRIMARY KEY (hour, insee, account_id)
);
CREATE INDEX connected_parts_town ON connected_parts (insee, hour, account_id, taxis);
CREATE INDEX connected_parts_account ON connected_parts (account_id, hour, insee, taxis);

-- What is done once a day, and what came of it.
CREATE TABLE daily_runs (
    name TEXT NOT NULL,
    -- When it was to be done.
    due_at BIGINT NOT NULL,
    -- Which process does it, and until when nobody else may.
    held_by TEXT NOT NULL,
    held_until BIGINT NOT NULL,
    -- NULL: not yet.
    ended_at BIGINT,
    -- How many rows it wrote or removed.
    row_count BIGINT NOT NULL,
    PRIMARY KEY (name, due_at)
);
