-- The pair of 0007_lists.sqlite.sql: whatever the database's collation, beginnings are found byte by byte.
CREATE INDEX taxis_newest ON taxis (operator_id, created_at, id);
DROP INDEX taxis_operator;
CREATE INDEX taxis_beginning ON taxis (lower(public_id) COLLATE "C");
CREATE INDEX vehicles_beginning ON vehicles (lower(licence_plate) COLLATE "C");
