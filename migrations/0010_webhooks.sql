-- Webhooks: servers of search apps that are told what happens to their hails.

CREATE TABLE webhooks (
    id TEXT PRIMARY KEY NOT NULL,
    app_id INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    url TEXT NOT NULL,
    secret_sealed TEXT NOT NULL,
    created_at BIGINT NOT NULL
);
CREATE INDEX webhooks_of_app ON webhooks (app_id, created_at);

-- An event that a webhook is to be told, inserted as the event gets its number.
CREATE TABLE webhook_deliveries (
    webhook_id TEXT NOT NULL REFERENCES webhooks (id) ON DELETE CASCADE,
    event_id BIGINT NOT NULL,
    hail_id TEXT NOT NULL,
    -- From when on any process may tell it, if nothing earlier of the same hail is to be told; whoever does puts it off.
    -- NULL: it was told, or given up.
    due_at BIGINT,
    -- From when on it was to be told, the last time that somebody wanted it.
    since BIGINT NOT NULL,
    -- How often it was tried since then, and what came of the last time.
    tries INTEGER NOT NULL,
    outcome TEXT,
    -- When it was told or given up, and which of the two.
    ended_at BIGINT,
    is_dead BOOLEAN NOT NULL,
    PRIMARY KEY (webhook_id, event_id)
);
CREATE INDEX webhook_deliveries_due ON webhook_deliveries (webhook_id, due_at) WHERE due_at IS NOT NULL;
CREATE INDEX webhook_deliveries_of_hail ON webhook_deliveries (webhook_id, hail_id, event_id) WHERE due_at IS NOT NULL;
CREATE INDEX webhook_deliveries_dead ON webhook_deliveries (webhook_id, event_id) WHERE is_dead;
CREATE INDEX webhook_deliveries_told_at ON webhook_deliveries (ended_at) WHERE ended_at IS NOT NULL AND NOT is_dead;
CREATE INDEX webhook_deliveries_dead_at ON webhook_deliveries (ended_at) WHERE ended_at IS NOT NULL AND is_dead;
