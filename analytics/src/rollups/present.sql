-- Who was heard in which minute of a day (UTC), through which operator, the town of whose ADS, and in which H3 cell,
-- while that is known: in the order of minutes, so that whoever adds them up holds one at a time, or an hour.
SELECT DISTINCT date_trunc('minute', received_at) AS at, taxi, operator, ads AS insee, cell
FROM positions
WHERE received_at >= $begins AND received_at < $ends
ORDER BY at
