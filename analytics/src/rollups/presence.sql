-- In which H3 cell (resolution 8) each taxi was in how many minutes of a day (UTC): of it a month is published by cell.
WITH minutes AS (
    SELECT DISTINCT at, cell, taxi FROM present WHERE cell IS NOT NULL
)
SELECT cell, taxi, count(*) AS minutes FROM minutes GROUP BY cell, taxi ORDER BY cell, taxi
