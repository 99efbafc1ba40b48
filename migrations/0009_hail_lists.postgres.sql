-- The pair of 0009_hail_lists.sqlite.sql: whatever the database's collation, beginnings are found byte by byte.
CREATE INDEX hails_beginning ON hails (lower(id) COLLATE "C");
CREATE INDEX hails_customer_beginning ON hails (lower(customer_id) COLLATE "C");
CREATE INDEX hails_taxi_beginning ON hails (lower(shown_taxi_id) COLLATE "C");
