-- The pair of 0002_identity.postgres.sql: SQLite numbers the rows of an INTEGER PRIMARY KEY by itself.
SELECT 1;
