-- How many inhabitants a town has; NULL: unknown.
ALTER TABLE towns ADD COLUMN population INTEGER;
