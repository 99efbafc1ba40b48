-- Hails are blurred after some time, and deleted with all that only they need.

-- When its exact positions, its address and its phone numbers went.
ALTER TABLE hails ADD COLUMN blurred_at BIGINT;
CREATE INDEX hails_exact ON hails (created_at) WHERE blurred_at IS NULL;
-- What may be deleted is looked for by what refers to it.
CREATE INDEX hails_of_description ON hails (description_id);
CREATE INDEX hail_sessions_of_customer ON hail_sessions (app_id, customer_id);
