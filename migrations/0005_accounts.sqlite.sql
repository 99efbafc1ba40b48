-- Run outside of sqlx's transaction, because foreign keys cannot be switched off within one; hence it has its own, and
-- running it twice does no harm.
PRAGMA foreign_keys = OFF;
BEGIN IMMEDIATE;

-- A removed account's number is not given again: the log of positions and the activity log go on naming it.
DROP TABLE IF EXISTS users_numbered;
CREATE TABLE users_numbered (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    email TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    password_hash TEXT NOT NULL DEFAULT '',
    apikey_sha256 TEXT NOT NULL UNIQUE,
    apikey_sealed TEXT NOT NULL,
    email_customer TEXT NOT NULL DEFAULT '',
    email_technical TEXT NOT NULL DEFAULT '',
    phone_number_customer TEXT NOT NULL DEFAULT '',
    phone_number_technical TEXT NOT NULL DEFAULT '',
    hail_endpoint_production TEXT NOT NULL DEFAULT '',
    operator_header_name TEXT NOT NULL DEFAULT '',
    operator_api_key_sealed TEXT NOT NULL DEFAULT '',
    manager_id INTEGER REFERENCES users (id),
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    version BIGINT NOT NULL
);
INSERT INTO users_numbered SELECT id, email, name, password_hash, apikey_sha256, apikey_sealed, email_customer,
    email_technical, phone_number_customer, phone_number_technical, hail_endpoint_production, operator_header_name,
    operator_api_key_sealed, manager_id, created_at, updated_at, version FROM users;
DROP TABLE users;
ALTER TABLE users_numbered RENAME TO users;
CREATE INDEX users_manager ON users (manager_id);

-- Who did it is unknown where the command line did; the detail is a JSON object.
DROP TABLE IF EXISTS activity_log_kept;
CREATE TABLE activity_log_kept (
    id INTEGER PRIMARY KEY,
    at BIGINT NOT NULL,
    user_id INTEGER,
    resource TEXT NOT NULL,
    resource_id TEXT NOT NULL,
    action TEXT NOT NULL,
    detail TEXT NOT NULL DEFAULT '{}'
);
INSERT INTO activity_log_kept SELECT id, at, user_id, resource, resource_id, action, detail FROM activity_log;
DROP TABLE activity_log;
ALTER TABLE activity_log_kept RENAME TO activity_log;
CREATE INDEX activity_log_of_resource ON activity_log (resource, id);
CREATE INDEX activity_log_of_one ON activity_log (resource_id, id);
UPDATE activity_log SET action = 'taxi_status', detail = '{"availability": "' || detail || '"}'
    WHERE action = 'availability';

COMMIT;
PRAGMA foreign_keys = ON;
