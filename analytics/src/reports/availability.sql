-- Availability: when and for how many a free taxi was near
--
-- Definition: an H3 cell of resolution 8, whose corners lie about 530 m from its middle, is served in an hour in which a
-- taxi that said it was free reported a position in it: who stands there had a free taxi within about 500 m at some
-- moment of the hour. A cell belongs to the town in which its middle lies; a town's inhabitants are taken to live evenly
-- over its cells. Positions of before the archive blurs them (60 days) have no cell any more and serve none.
-- Unit: hours, percent, inhabitants
-- Source: the archive's positions; the registry's towns and their population
-- Column: insee: INSEE code of the town
-- Column: town: its name
-- Column: cells: cells of the town
-- Column: hours: hours of the period
-- Column: hours_served: hours in which at least one of its cells was served
-- Column: hours_percent: their share
-- Column: population_percent: mean over all hours of the share of cells served, and so of inhabitants
-- Column: population: inhabitants; null: unknown
-- Column: population_served: inhabitants within reach of a free taxi in the mean hour
WITH served AS (
    SELECT DISTINCT CAST(received_at AS BIGINT) / 3600000 AS hour, cell
    FROM positions
    WHERE received_at >= $begins AND received_at < $ends AND status = 1 AND cell IS NOT NULL
), land AS (
    SELECT insee, count(*) AS cells FROM cells GROUP BY insee
), hourly AS (
    SELECT cells.insee, served.hour, count(*) AS cells
    FROM served JOIN cells ON cells.cell = served.cell
    GROUP BY cells.insee, served.hour
), summed AS (
    SELECT insee, count(*) AS hours, sum(cells) AS cell_hours FROM hourly GROUP BY insee
), shares AS (
    SELECT land.insee, land.cells, coalesce(summed.hours, 0) AS hours_served,
        coalesce(summed.cell_hours, 0) AS served, CAST(land.cells AS DOUBLE) * $hours AS whole
    FROM land LEFT JOIN summed ON summed.insee = land.insee
)
SELECT shares.insee, towns.name AS town, shares.cells, $hours AS hours, shares.hours_served,
    100.0 * shares.hours_served / $hours AS hours_percent,
    100.0 * shares.served / shares.whole AS population_percent,
    towns.population,
    towns.population * shares.served / shares.whole AS population_served
FROM shares JOIN towns ON towns.insee = shares.insee
ORDER BY shares.insee
