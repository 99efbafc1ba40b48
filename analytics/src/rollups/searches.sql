-- Searches of each hour (UTC) by the customer's town and who searched: how many, how many of them found a taxi within
-- 1,000 m, and how many had one in their answer.
SELECT date_trunc('hour', at) AS at, town AS insee, caller, count(*) AS searches,
    count(*) FILTER (WHERE found > 0) AS found,
    count(*) FILTER (WHERE seen > 0) AS answered
FROM searches
WHERE at >= $begins AND at < $ends
GROUP BY date_trunc('hour', at), town, caller
ORDER BY insee, caller, at
