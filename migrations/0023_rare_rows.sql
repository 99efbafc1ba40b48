-- What is rare in a year is listed as soon as what is not. Hails get here once, when they end.
CREATE INDEX hails_ended ON hails (status, created_at, id) WHERE deadline_at IS NULL;
CREATE INDEX activity_log_of_action ON activity_log (action, id);
