-- Taxis of which at least one position was received in each minute, hour, day or week (UTC, weeks begin on Mondays),
-- each once, whatever its status. A taxi belongs to the town of its ADS wherever it drives, as in `/stats`, and to
-- each ZUPC whose taxis that town's are.
WITH heard AS (
    SELECT DISTINCT date_trunc('$grain', at) AS at, taxi, operator, insee FROM present
), zoned AS (
    SELECT heard.at, heard.taxi, heard.operator, zupc.zupc FROM zupc JOIN heard ON heard.insee = zupc.insee
)
SELECT 'all' AS "by", NULL AS insee, NULL AS zupc, NULL AS operator, at, count(DISTINCT taxi) AS taxis
FROM heard GROUP BY at
UNION ALL
SELECT 'operator', NULL, NULL, operator, at, count(DISTINCT taxi) FROM heard GROUP BY operator, at
UNION ALL
SELECT 'town', insee, NULL, NULL, at, count(DISTINCT taxi)
FROM heard WHERE insee IS NOT NULL GROUP BY insee, at
UNION ALL
SELECT 'town_operator', insee, NULL, operator, at, count(DISTINCT taxi)
FROM heard WHERE insee IS NOT NULL GROUP BY insee, operator, at
UNION ALL
SELECT 'zupc', NULL, zupc, NULL, at, count(DISTINCT taxi) FROM zoned GROUP BY zupc, at
UNION ALL
SELECT 'zupc_operator', NULL, zupc, operator, at, count(DISTINCT taxi) FROM zoned GROUP BY zupc, operator, at
ORDER BY "by", insee, zupc, operator, at
