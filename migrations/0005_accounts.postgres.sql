-- The pair of 0005_accounts.sqlite.sql. An identity never gives a number again.

-- A taxi's status changes several times a day: in a few years an INTEGER would be too small.
ALTER TABLE activity_log ALTER COLUMN id TYPE BIGINT;
-- Who did it is unknown where the command line did; the detail is a JSON object.
ALTER TABLE activity_log ALTER COLUMN user_id DROP NOT NULL;
ALTER TABLE activity_log ALTER COLUMN detail SET DEFAULT '{}';
DROP INDEX activity_log_resource;
CREATE INDEX activity_log_of_resource ON activity_log (resource, id);
CREATE INDEX activity_log_of_one ON activity_log (resource_id, id);
UPDATE activity_log SET action = 'taxi_status', detail = '{"availability": "' || detail || '"}'
    WHERE action = 'availability';
