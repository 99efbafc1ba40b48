-- Hails: a customer of a search app asks for one taxi of an operator, and both sides bring it to an end.

CREATE TABLE customers (
    app_id INTEGER NOT NULL REFERENCES users (id),
    -- As the app names them.
    id TEXT NOT NULL,
    ban_begin BIGINT,
    ban_end BIGINT,
    reprieve_begin BIGINT,
    reprieve_end BIGINT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (app_id, id)
);

-- Hails of one customer that follow each other closely.
CREATE TABLE hail_sessions (
    id TEXT PRIMARY KEY NOT NULL,
    app_id INTEGER NOT NULL,
    customer_id TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    FOREIGN KEY (app_id, customer_id) REFERENCES customers (app_id, id)
);
CREATE INDEX hail_sessions_newest ON hail_sessions (app_id, created_at, id);
CREATE INDEX hail_sessions_newest_of_all ON hail_sessions (created_at, id);

CREATE TABLE hails (
    id TEXT PRIMARY KEY NOT NULL,
    session_id TEXT NOT NULL REFERENCES hail_sessions (id),
    app_id INTEGER NOT NULL REFERENCES users (id),
    operator_id INTEGER NOT NULL REFERENCES users (id),
    taxi_id INTEGER NOT NULL REFERENCES taxis (id),
    -- The operator's description of the vehicle, whose status follows the hail's.
    description_id INTEGER NOT NULL REFERENCES vehicle_descriptions (id),
    -- The id under which the app hailed the taxi.
    shown_taxi_id TEXT NOT NULL,
    taxi_lat_e7 INTEGER NOT NULL,
    taxi_lon_e7 INTEGER NOT NULL,
    taxi_phone_number TEXT NOT NULL DEFAULT '',
    customer_id TEXT NOT NULL,
    customer_lat_e7 INTEGER NOT NULL,
    customer_lon_e7 INTEGER NOT NULL,
    customer_address TEXT NOT NULL,
    customer_phone_number TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('received', 'sent_to_operator', 'received_by_operator', 'received_by_taxi',
        'accepted_by_taxi', 'accepted_by_customer', 'customer_on_board', 'failure', 'declined_by_taxi',
        'incident_taxi', 'timeout_taxi', 'declined_by_customer', 'incident_customer', 'timeout_customer',
        'timeout_accepted_by_customer', 'finished')),
    status_at BIGINT NOT NULL,
    -- How many transitions there were before the next one.
    transitions INTEGER NOT NULL,
    -- When the status ends by itself; NULL at the end.
    deadline_at BIGINT,
    -- From when on any process may call the operator's server; whoever does puts it off. NULL: no call is to be made.
    call_due_at BIGINT,
    incident_taxi_reason TEXT,
    incident_customer_reason TEXT,
    reporting_customer BOOLEAN,
    reporting_customer_reason TEXT,
    rating_ride INTEGER,
    rating_ride_reason TEXT,
    -- The ground of a refusal by the article R3121-23 of the transport code, and how long the refusal took.
    declined_by_taxi_reason TEXT,
    declined_after_ms BIGINT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    FOREIGN KEY (app_id, customer_id) REFERENCES customers (app_id, id)
);
CREATE INDEX hails_of_app ON hails (app_id, created_at, id);
CREATE INDEX hails_of_operator ON hails (operator_id, created_at, id);
CREATE INDEX hails_of_taxi ON hails (taxi_id, created_at, id);
CREATE INDEX hails_newest ON hails (created_at, id);
CREATE INDEX hails_of_customer ON hails (app_id, customer_id, status_at);
CREATE INDEX hails_of_session ON hails (session_id, created_at);
CREATE INDEX hails_deadline ON hails (deadline_at) WHERE deadline_at IS NOT NULL;
CREATE INDEX hails_call ON hails (call_due_at) WHERE call_due_at IS NOT NULL;

CREATE TABLE hail_transitions (
    hail_id TEXT NOT NULL REFERENCES hails (id) ON DELETE CASCADE,
    -- From 0.
    number INTEGER NOT NULL,
    at BIGINT NOT NULL,
    from_status TEXT,
    to_status TEXT NOT NULL,
    -- Whose doing it was; NULL: the registry's own.
    user_id INTEGER,
    reason TEXT,
    -- The hail's own, so that the events of one account are found among those of all.
    app_id INTEGER NOT NULL,
    operator_id INTEGER NOT NULL,
    -- Its place among all events, given after it was committed, by one publisher at a time.
    event_id BIGINT UNIQUE,
    PRIMARY KEY (hail_id, number)
);
CREATE INDEX hail_transitions_unpublished ON hail_transitions (at, hail_id, number) WHERE event_id IS NULL;
CREATE INDEX hail_transitions_of_app ON hail_transitions (app_id, event_id) WHERE event_id IS NOT NULL;
CREATE INDEX hail_transitions_of_operator ON hail_transitions (operator_id, event_id) WHERE event_id IS NOT NULL;

-- The last number that was given to a transition, which outlives the hails. Whoever holds the row gives the next ones.
CREATE TABLE event_numbers (
    id INTEGER PRIMARY KEY NOT NULL CHECK (id = 1),
    last BIGINT NOT NULL
);
INSERT INTO event_numbers (id, last) VALUES (1, 0);

-- Each call of an operator's server, as it ended.
CREATE TABLE hail_calls (
    hail_id TEXT NOT NULL REFERENCES hails (id) ON DELETE CASCADE,
    at BIGINT NOT NULL,
    took_ms BIGINT NOT NULL,
    outcome TEXT NOT NULL,
    PRIMARY KEY (hail_id, at)
);

-- Which hail the status of a description follows: the last one.
ALTER TABLE vehicle_descriptions ADD COLUMN hail_id TEXT;

-- What an app was answered to a request that it named, for a day.
CREATE TABLE idempotency_keys (
    app_id INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    key TEXT NOT NULL,
    -- Of the request's body, in hexadecimal.
    body_sha256 TEXT NOT NULL,
    answer TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (app_id, key)
);
CREATE INDEX idempotency_keys_oldest ON idempotency_keys (created_at);
