-- Hails of each day (UTC) by the customer's town, operator, app and how they ended, of how many taxis they are, and the
-- seconds after which the taxi had them, accepted them and had the customer on board: of half of them at most, and of
-- nine in ten. Of fewer than $fewest hails none of these is told: it would be one hail's.
WITH timed AS (
    SELECT date_trunc('day', added_at) AS at, town AS insee, operator, app, status, taxi,
        (CAST(received_by_taxi_at AS BIGINT) - CAST(added_at AS BIGINT)) / 1000.0 AS received,
        (CAST(accepted_by_taxi_at AS BIGINT) - CAST(added_at AS BIGINT)) / 1000.0 AS accepted,
        (CAST(customer_on_board_at AS BIGINT) - CAST(added_at AS BIGINT)) / 1000.0 AS on_board
    FROM hails
    WHERE added_at >= $begins AND added_at < $ends
)
SELECT at, insee, operator, app, status, count(*) AS hails, count(DISTINCT taxi) AS taxis,
    CASE WHEN count(received) >= $fewest THEN percentile_cont(received, 0.5) END AS received_after_p50_s,
    CASE WHEN count(received) >= $fewest THEN percentile_cont(received, 0.9) END AS received_after_p90_s,
    CASE WHEN count(accepted) >= $fewest THEN percentile_cont(accepted, 0.5) END AS accepted_after_p50_s,
    CASE WHEN count(accepted) >= $fewest THEN percentile_cont(accepted, 0.9) END AS accepted_after_p90_s,
    CASE WHEN count(on_board) >= $fewest THEN percentile_cont(on_board, 0.5) END AS on_board_after_p50_s,
    CASE WHEN count(on_board) >= $fewest THEN percentile_cont(on_board, 0.9) END AS on_board_after_p90_s
FROM timed
GROUP BY at, insee, operator, app, status
ORDER BY insee, operator, app, status
