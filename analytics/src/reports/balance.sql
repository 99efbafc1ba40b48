-- Balance: supply and demand by hour and place
--
-- Definition: for each hour (UTC), town and H3 cell of resolution 8 in which there was either: the taxis of which a
-- position in it was received, those of them that said at least once that they were free, the searches made from it,
-- and those that found no taxi. A cell on a border has a line a town. What was blurred (60 days) has no cell and no
-- line. Each of these four numbers is null where it is some but fewer than 5, and the second and the fourth where the
-- one before them is, or is greater by some but fewer than 5; of a line to which fewer than 5 taxis and fewer than 5
-- searches contribute there is none. That one period's report is subtracted from another's is not prevented.
-- Unit: taxis, searches
-- Source: the archive's positions and searches
-- Column: hour: the beginning of the hour
-- Column: insee: INSEE code of the town
-- Column: cell: the H3 cell
-- Column: taxis: taxis seen there; here and below null: too few
-- Column: taxis_free: those that were free
-- Column: searches: searches from there
-- Column: searches_in_vain: those that found no taxi
-- Column: free_a_search: free taxis for each search; null without searches, too
WITH present AS (
    SELECT CAST(received_at AS BIGINT) / 3600000 AS hour, town, cell, taxi, bool_or(status = 1) AS free
    FROM positions
    WHERE received_at >= $begins AND received_at < $ends AND cell IS NOT NULL
    GROUP BY 1, town, cell, taxi
), supply AS (
    SELECT hour, town, cell, count(*) AS taxis, count(*) FILTER (WHERE free) AS free
    FROM present
    GROUP BY hour, town, cell
), demand AS (
    SELECT CAST(at AS BIGINT) / 3600000 AS hour, town, cell, count(*) AS searches,
        count(*) FILTER (WHERE seen = 0) AS in_vain
    FROM searches
    WHERE at >= $begins AND at < $ends AND cell IS NOT NULL
    GROUP BY 1, town, cell
), both AS (
    SELECT coalesce(supply.hour, demand.hour) AS hour, coalesce(supply.town, demand.town) AS town,
        coalesce(supply.cell, demand.cell) AS cell,
        coalesce(taxis, 0) AS taxis, coalesce(free, 0) AS free,
        coalesce(searches, 0) AS searches, coalesce(in_vain, 0) AS in_vain
    FROM supply FULL JOIN demand
        ON supply.hour = demand.hour AND supply.town = demand.town AND supply.cell = demand.cell
), told AS (
    SELECT hour, town, cell,
        CASE WHEN taxis = 0 OR taxis >= $fewest THEN taxis END AS taxis,
        CASE WHEN taxis = 0 OR taxis >= $fewest AND (free = 0 OR free >= $fewest)
            AND (free = taxis OR taxis - free >= $fewest) THEN free END AS free,
        CASE WHEN searches = 0 OR searches >= $fewest THEN searches END AS searches,
        CASE WHEN searches = 0 OR searches >= $fewest AND (in_vain = 0 OR in_vain >= $fewest)
            AND (in_vain = searches OR searches - in_vain >= $fewest) THEN in_vain END AS in_vain
    FROM both
    WHERE taxis >= $fewest OR searches >= $fewest
)
SELECT arrow_cast(told.hour * 3600000, 'Timestamp(Millisecond, Some("UTC"))') AS hour,
    territory.insee, h3_text(told.cell) AS cell,
    told.taxis, told.free AS taxis_free, told.searches, told.in_vain AS searches_in_vain,
    CAST(told.free AS DOUBLE) / nullif(told.searches, 0) AS free_a_search
FROM told JOIN territory ON territory.insee = told.town
ORDER BY 1, 2, 3
