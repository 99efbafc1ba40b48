-- Figures of taxis by town, account and date are counted without reading a taxi's row.
CREATE INDEX taxis_counted ON taxis (ads_id, operator_id, created_at, trial_for);
-- It begins as this one.
DROP INDEX taxis_ads;
