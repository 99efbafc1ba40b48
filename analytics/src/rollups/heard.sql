-- Who was heard on a day (UTC), through which operator, and the town of whose ADS: of it weeks are made.
SELECT DISTINCT date_trunc('day', at) AS at, taxi, operator, insee
FROM present
ORDER BY taxi, operator, insee
