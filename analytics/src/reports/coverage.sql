-- Coverage: taxis registered and connected against the ADS known
--
-- Definition: for each day (UTC) and town that gave an ADS: how many ADS the registry knows of that town at the end of
-- the day, each number once whoever registered it; how many taxis with such an ADS were registered by then; and of how
-- many of them at least one position was received that day, through whichever operator and wherever they were. What was
-- deleted from the registry since is in none of the first two. How many were connected is null where it was some but
-- fewer than 5, or none of fewer than 5 that are registered, or some but fewer than 5 less than are registered. That
-- one period's report is subtracted from another's is not prevented.
-- Unit: authorisations, taxis, percent
-- Source: the registry's ADS and taxis as of now; the archive's positions
-- Column: day: the day
-- Column: insee: INSEE code of the town
-- Column: town: its name
-- Column: ads: ADS known
-- Column: taxis_registered: taxis with such an ADS
-- Column: taxis_connected: those of which a position was received that day; null: too few
-- Column: registered_percent: taxis registered for each hundred ADS
-- Column: connected_percent: taxis connected for each hundred ADS
WITH given AS (
    SELECT insee, numero, min(added_at) AS added_at FROM ads GROUP BY insee, numero
), known AS (
    SELECT days.day, given.insee, count(*) AS n
    FROM days JOIN given ON given.added_at < days.ends_at
    GROUP BY days.day, given.insee
), registered AS (
    SELECT days.day, taxis.insee, count(*) AS n
    FROM days JOIN taxis ON taxis.added_at < days.ends_at
    GROUP BY days.day, taxis.insee
), heard AS (
    SELECT DISTINCT CAST(received_at AS DATE) AS day, taxi, ads AS insee
    FROM positions
    WHERE received_at >= $begins AND received_at < $ends
), connected AS (
    SELECT day, insee, count(*) AS n FROM heard GROUP BY day, insee
), counted AS (
    SELECT known.day, known.insee, known.n AS ads, coalesce(registered.n, 0) AS registered,
        coalesce(connected.n, 0) AS connected
    FROM known
        JOIN territory ON territory.insee = known.insee
        LEFT JOIN registered ON registered.day = known.day AND registered.insee = known.insee
        LEFT JOIN connected ON connected.day = known.day AND connected.insee = known.insee
), told AS (
    SELECT day, insee, ads, registered,
        CASE WHEN (connected >= $fewest OR connected = 0 AND registered >= $fewest)
            AND (connected >= registered OR registered - connected >= $fewest) THEN connected END AS connected
    FROM counted
)
SELECT told.day, told.insee, towns.name AS town, told.ads,
    told.registered AS taxis_registered,
    told.connected AS taxis_connected,
    100.0 * told.registered / told.ads AS registered_percent,
    100.0 * told.connected / told.ads AS connected_percent
FROM told JOIN towns ON towns.insee = told.insee
ORDER BY told.day, told.insee
