-- Whoever tells a webhook of an event has a lease on that, apart from when it is due; a webhook goes in steps.

-- When it was removed: nothing is told to it any more, and its rows are going.
ALTER TABLE webhooks ADD COLUMN removed_at BIGINT;

-- Until when nobody else tells it, and who does. 0: nobody has it.
ALTER TABLE webhook_deliveries ADD COLUMN leased_until BIGINT NOT NULL DEFAULT 0;
ALTER TABLE webhook_deliveries ADD COLUMN leased_by TEXT;

-- Read in the order in which it is told, and no further than there is room.
DROP INDEX webhook_deliveries_due;
CREATE INDEX webhook_deliveries_due ON webhook_deliveries (webhook_id, due_at, event_id) WHERE due_at IS NOT NULL;

-- Of what has not ended, and told from the one above by that alone: SQLite would take either for the other.
DROP INDEX webhook_deliveries_of_hail;
CREATE INDEX webhook_deliveries_of_hail ON webhook_deliveries (webhook_id, hail_id, event_id) WHERE ended_at IS NULL;
