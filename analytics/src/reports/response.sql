-- Response: searches that found a taxi, and what became of hails
--
-- Definition: for each town of the customer. A search found a taxi when there was one in its answer. Of hails, by when
-- they were added: accepted by the taxi, whatever came later; declined by the taxi; timed out, as the taxi neither
-- accepted nor declined in time. Delays run from the hail to the taxi's acceptance, and to the customer on board, of
-- those hails that came so far; p50 and p90 are interpolated between hails. The hails of a day are in the archive 28
-- hours after its end. Figures of searches are null where there are fewer than 5, those of hails where fewer than 5
-- taxis were hailed, and a delay where fewer than 5 hails came so far; a town of which nothing is left has no line. How
-- many searches found a taxi is null, too, where some but fewer than 5 did or did not. That one period's report is
-- subtracted from another's is not prevented.
-- Unit: searches, hails, percent, seconds
-- Source: the archive's searches and hails
-- Column: insee: INSEE code of the town
-- Column: town: its name
-- Column: searches: searches from the town
-- Column: searches_found: those that found a taxi
-- Column: found_percent: their share
-- Column: hails: hails from the town
-- Column: hails_accepted: accepted by the taxi
-- Column: hails_declined: declined by the taxi
-- Column: hails_timed_out: not answered by the taxi in time
-- Column: accepted_percent: share of hails accepted
-- Column: accepted_after_p50_s: seconds until the acceptance, of half of them at most
-- Column: accepted_after_p90_s: of nine in ten at most
-- Column: on_board_after_p50_s: seconds until the customer was on board, of half of them at most
-- Column: on_board_after_p90_s: of nine in ten at most
WITH asked AS (
    SELECT town, count(*) AS n, count(*) FILTER (WHERE seen > 0) AS found
    FROM searches
    WHERE at >= $begins AND at < $ends
    GROUP BY town
    HAVING count(*) >= $fewest
), searched AS (
    SELECT town, n,
        CASE WHEN (found = 0 OR found >= $fewest) AND (found = n OR n - found >= $fewest) THEN found END AS found
    FROM asked
), timed AS (
    SELECT town, taxi, status, accepted_by_taxi_at IS NOT NULL AS accepted,
        (CAST(accepted_by_taxi_at AS BIGINT) - CAST(added_at AS BIGINT)) / 1000.0 AS accepted_after,
        (CAST(customer_on_board_at AS BIGINT) - CAST(added_at AS BIGINT)) / 1000.0 AS on_board_after
    FROM hails
    WHERE added_at >= $begins AND added_at < $ends
), hailed AS (
    SELECT town, count(*) AS n,
        count(*) FILTER (WHERE accepted) AS accepted,
        count(*) FILTER (WHERE status = 'declined_by_taxi') AS declined,
        count(*) FILTER (WHERE status = 'timeout_taxi' AND NOT accepted) AS timed_out,
        CASE WHEN count(accepted_after) >= $fewest THEN percentile_cont(accepted_after, 0.5) END AS accepted_p50,
        CASE WHEN count(accepted_after) >= $fewest THEN percentile_cont(accepted_after, 0.9) END AS accepted_p90,
        CASE WHEN count(on_board_after) >= $fewest THEN percentile_cont(on_board_after, 0.5) END AS on_board_p50,
        CASE WHEN count(on_board_after) >= $fewest THEN percentile_cont(on_board_after, 0.9) END AS on_board_p90
    FROM timed
    GROUP BY town
    HAVING count(DISTINCT taxi) >= $fewest
)
SELECT territory.insee, towns.name AS town,
    searched.n AS searches,
    searched.found AS searches_found,
    100.0 * searched.found / searched.n AS found_percent,
    hailed.n AS hails,
    hailed.accepted AS hails_accepted,
    hailed.declined AS hails_declined,
    hailed.timed_out AS hails_timed_out,
    100.0 * hailed.accepted / hailed.n AS accepted_percent,
    hailed.accepted_p50 AS accepted_after_p50_s,
    hailed.accepted_p90 AS accepted_after_p90_s,
    hailed.on_board_p50 AS on_board_after_p50_s,
    hailed.on_board_p90 AS on_board_after_p90_s
FROM territory
    JOIN towns ON towns.insee = territory.insee
    LEFT JOIN searched ON searched.town = territory.insee
    LEFT JOIN hailed ON hailed.town = territory.insee
WHERE searched.n > 0 OR hailed.n > 0
ORDER BY territory.insee
