-- Work: how long taxis are connected, and what they do meanwhile
--
-- Definition: a taxi is connected in each minute in which at least one position of it is received, through whichever
-- operator. A shift is what lies between two pauses of more than two hours; one that goes on at the beginning of the
-- period begins there. Free and occupied are shares of positions by what they said the taxi was doing. Taxis count for
-- the town of their ADS, wherever they were. A town of which fewer than 5 taxis were connected has no line. That one
-- period's report is subtracted from another's is not prevented.
-- Unit: taxis, hours, shifts, percent
-- Source: the archive's positions
-- Column: insee: INSEE code of the town of the ADS
-- Column: town: its name
-- Column: taxis: taxis connected in the period
-- Column: hours: connected hours of all of them
-- Column: hours_a_taxi: mean connected hours of a taxi
-- Column: hours_a_taxi_p50: connected hours of half of them at most
-- Column: hours_a_taxi_p90: of nine in ten at most
-- Column: shifts: shifts of all of them
-- Column: hours_a_shift: connected hours of a shift in the mean
-- Column: free_percent: share of positions that said free
-- Column: occupied_percent: share of positions that said occupied
WITH minutes AS (
    SELECT taxi, ads, CAST(received_at AS BIGINT) / 60000 AS minute, count(*) AS positions,
        sum(CASE WHEN status = 1 THEN 1 ELSE 0 END) AS free,
        sum(CASE WHEN status = 2 THEN 1 ELSE 0 END) AS occupied
    FROM positions
    WHERE received_at >= $begins AND received_at < $ends
    GROUP BY taxi, ads, 3
), begun AS (
    SELECT taxi, ads, positions, free, occupied,
        CASE WHEN minute - lag(minute) OVER (PARTITION BY taxi, ads ORDER BY minute) <= 120 THEN 0 ELSE 1 END AS begins
    FROM minutes
), worked AS (
    SELECT taxi, ads, count(*) / 60.0 AS hours, sum(begins) AS shifts, sum(positions) AS positions, sum(free) AS free,
        sum(occupied) AS occupied
    FROM begun
    GROUP BY taxi, ads
), by_town AS (
    SELECT ads AS insee, count(*) AS taxis, sum(hours) AS hours,
        percentile_cont(hours, 0.5) AS hours_p50, percentile_cont(hours, 0.9) AS hours_p90,
        sum(shifts) AS shifts, sum(positions) AS positions, sum(free) AS free, sum(occupied) AS occupied
    FROM worked
    GROUP BY ads
    HAVING count(*) >= $fewest
)
SELECT by_town.insee, towns.name AS town, taxis, hours, hours / taxis AS hours_a_taxi,
    hours_p50 AS hours_a_taxi_p50, hours_p90 AS hours_a_taxi_p90, shifts, hours / shifts AS hours_a_shift,
    100.0 * free / positions AS free_percent, 100.0 * occupied / positions AS occupied_percent
FROM by_town
    JOIN territory ON territory.insee = by_town.insee
    JOIN towns ON towns.insee = by_town.insee
ORDER BY by_town.insee
