-- Whether the taxi was on trial as it was hailed: such a hail is in no figure, when the trial has ended, too.
ALTER TABLE hails ADD COLUMN is_trial BOOLEAN NOT NULL DEFAULT FALSE;
UPDATE hails SET is_trial = TRUE WHERE taxi_id IN (SELECT id FROM taxis WHERE trial_for IS NOT NULL);
CREATE INDEX hails_of_trials ON hails (created_at) WHERE is_trial;

-- Where customers were, but for those of trials, is read from an index alone.
DROP INDEX hails_customer_at;
CREATE INDEX hails_customer_at ON hails (customer_lat_e7, customer_lon_e7, is_trial);
