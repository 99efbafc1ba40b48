-- What was refused of each operator's positions: a row an operator, hour and reason, of a size that does not grow.
CREATE TABLE refusals (
    operator_id INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    -- When the hour began.
    hour BIGINT NOT NULL,
    reason TEXT NOT NULL,
    refused BIGINT NOT NULL,
    last_at BIGINT NOT NULL,
    -- JSON: the taxis and senders that came most often, and the latest examples.
    detail TEXT NOT NULL,
    PRIMARY KEY (operator_id, hour, reason)
);
CREATE INDEX refusals_hour ON refusals (hour);
