-- The pair of 0007_lists.postgres.sql. A page of an operator's taxis is found in their order without sorting them all,
-- and beginnings of ids and plates without reading them all. Texts are compared byte by byte here anyway.
CREATE INDEX taxis_newest ON taxis (operator_id, created_at, id);
DROP INDEX taxis_operator;
CREATE INDEX taxis_beginning ON taxis (lower(public_id));
CREATE INDEX vehicles_beginning ON vehicles (lower(licence_plate));
