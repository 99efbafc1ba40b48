-- Compliance: what operators owe the registry
--
-- Definition: for each operator with taxis of the territory (by the town of their ADS) or hails from it (by the town of
-- the customer). A taxi is to report a position every 5 seconds: of each minute in which one reported through the
-- operator 12 positions are expected, of which no more than 12 count. A hail is refused when its taxi declined it, and
-- answered late when neither the taxi accepted or declined it in time nor the operator could be told of it. An operator
-- is named however small it is, its drivers are not told: how many taxis reported and what was received are null where
-- some, but fewer than 5 did, and what is said of hails where there are some, but of fewer than 5 taxis. That one
-- period's or territory's report is subtracted from another's is not prevented.
-- Unit: taxis, positions, hails, percent
-- Source: the archive's positions and hails; the registry's accounts
-- Column: operator: number of the account
-- Column: name: its commercial name; null: it was deleted
-- Column: taxis: taxis that reported; here and below null: too few taxis
-- Column: positions: positions received
-- Column: in_time_percent: positions received for each hundred expected
-- Column: hails: hails of its taxis
-- Column: hails_refused: those that the taxi declined
-- Column: refused_percent: their share
-- Column: hails_late: those not answered in time
-- Column: late_percent: their share
WITH minutes AS (
    SELECT operator, taxi, ads, CAST(received_at AS BIGINT) / 60000 AS minute, count(*) AS positions
    FROM positions
    WHERE received_at >= $begins AND received_at < $ends
    GROUP BY operator, taxi, ads, 4
), by_taxi AS (
    SELECT operator, taxi, ads, count(*) AS minutes, sum(positions) AS positions, sum(least(positions, 12)) AS in_time
    FROM minutes
    GROUP BY operator, taxi, ads
), heard AS (
    SELECT CAST(operator AS BIGINT) AS operator, count(DISTINCT taxi) AS taxis, sum(minutes) AS minutes,
        sum(positions) AS positions, sum(in_time) AS in_time
    FROM by_taxi JOIN territory ON territory.insee = by_taxi.ads
    GROUP BY operator
), hailed AS (
    SELECT CAST(operator AS BIGINT) AS operator, count(*) AS n, count(DISTINCT taxi) AS n_taxis,
        count(*) FILTER (WHERE status = 'declined_by_taxi') AS refused,
        count(*) FILTER (WHERE status = 'failure' OR status = 'timeout_taxi' AND accepted_by_taxi_at IS NULL) AS late
    FROM hails JOIN territory ON territory.insee = hails.town
    WHERE added_at >= $begins AND added_at < $ends
    GROUP BY operator
), both AS (
    SELECT coalesce(heard.operator, hailed.operator) AS operator, CASE WHEN taxis IS NULL THEN 0 WHEN taxis >= $fewest THEN taxis END AS taxis,
        CASE WHEN taxis >= $fewest THEN positions END AS positions,
        CASE WHEN taxis >= $fewest THEN 100.0 * in_time / (12 * minutes) END AS in_time_percent,
        n IS NULL OR n_taxis >= $fewest AS are_many,
        coalesce(n, 0) AS n, coalesce(refused, 0) AS refused, coalesce(late, 0) AS late
    FROM heard FULL JOIN hailed ON heard.operator = hailed.operator
), told AS (
    SELECT operator, taxis, positions, in_time_percent,
        CASE WHEN are_many THEN n END AS hails,
        CASE WHEN are_many THEN refused END AS refused,
        CASE WHEN are_many THEN late END AS late
    FROM both
)
SELECT told.operator, accounts.name, taxis, positions, in_time_percent,
    hails, refused AS hails_refused, 100.0 * refused / nullif(hails, 0) AS refused_percent,
    late AS hails_late, 100.0 * late / nullif(hails, 0) AS late_percent
FROM told LEFT JOIN accounts ON accounts.id = told.operator
ORDER BY told.operator
