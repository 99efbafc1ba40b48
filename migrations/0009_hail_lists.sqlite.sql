-- The pair of 0009_hail_lists.postgres.sql: as in 0007, beginnings are found without reading all hails.
CREATE INDEX hails_beginning ON hails (lower(id));
CREATE INDEX hails_customer_beginning ON hails (lower(customer_id));
CREATE INDEX hails_taxi_beginning ON hails (lower(shown_taxi_id));
