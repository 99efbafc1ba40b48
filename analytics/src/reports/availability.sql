-- Availability: when and for how many a free taxi was within 500 m
--
-- Definition: people are counted where the middle of an H3 cell of resolution 8 (0.7 km2, its middle 0.9 km from the
-- next) stands for all who live in the cell. A cell is served in an hour in which a taxi that said it was free reported
-- a position within 500 m of its middle, as measured from the exact position on the ellipsoid. A cell belongs to the
-- town in which its middle lies; a town in which none does has the cell that its land lies in; a town's inhabitants are
-- taken to live evenly over its cells. Days of which positions are blurred (after 60 days) are no part of the period:
-- nothing is known of them. Figures are null where fewer than 5 taxis were free in the town's cells, unless none was
-- and none served it. That one period's report is subtracted from another's is not prevented.
-- Unit: hours, percent, inhabitants
-- Source: the archive's positions; the registry's towns and their population
-- Column: insee: INSEE code of the town
-- Column: town: its name
-- Column: cells: cells of the town
-- Column: hours: hours of the period, without days that are blurred
-- Column: hours_served: hours in which at least one of its cells was served
-- Column: hours_percent: their share
-- Column: population_percent: mean over all hours of the share of cells served, and so of inhabitants
-- Column: population: inhabitants; null: unknown
-- Column: population_served: inhabitants within 500 m of a free taxi in the mean hour
WITH blurred AS (
    SELECT DISTINCT CAST(received_at AS DATE) AS day
    FROM positions
    WHERE received_at >= $begins AND received_at < $ends AND cell IS NULL
), exact AS (
    SELECT CAST(days.begins_at AS BIGINT) / 86400000 AS day
    FROM days LEFT JOIN blurred ON blurred.day = days.day
    WHERE blurred.day IS NULL
), period AS (
    SELECT 24 * count(*) AS hours FROM exact
), near AS (
    SELECT CAST(received_at AS BIGINT) / 3600000 AS hour, unnest(h3_near(cell, lat_e7, lon_e7, 500)) AS cell
    FROM positions
    WHERE received_at >= $begins AND received_at < $ends AND status = 1 AND cell IS NOT NULL
), served AS (
    SELECT DISTINCT hour, cell FROM near
), hourly AS (
    SELECT cells.insee, served.hour, count(*) AS n
    FROM served JOIN cells ON cells.cell = served.cell JOIN exact ON exact.day = served.hour / 24
    GROUP BY cells.insee, served.hour
), summed AS (
    SELECT insee, count(*) AS hours, sum(n) AS cell_hours FROM hourly GROUP BY insee
), present AS (
    SELECT DISTINCT cell, taxi
    FROM positions
    WHERE received_at >= $begins AND received_at < $ends AND status = 1 AND cell IS NOT NULL
), many AS (
    SELECT cells.insee, count(DISTINCT present.taxi) AS taxis
    FROM present JOIN cells ON cells.cell = present.cell
    GROUP BY cells.insee
), land AS (
    SELECT insee, count(*) AS n FROM cells GROUP BY insee
), known AS (
    SELECT land.insee, land.n AS cells, period.hours,
        many.taxis >= $fewest OR many.taxis IS NULL AND summed.hours IS NULL AS is_told,
        coalesce(summed.hours, 0) AS hours_served,
        coalesce(summed.cell_hours, 0) / nullif(CAST(land.n AS DOUBLE) * period.hours, 0) AS share
    FROM land CROSS JOIN period
        LEFT JOIN summed ON summed.insee = land.insee
        LEFT JOIN many ON many.insee = land.insee
), told AS (
    SELECT insee, cells, hours,
        CASE WHEN is_told AND hours > 0 THEN hours_served END AS hours_served,
        CASE WHEN is_told THEN share END AS share
    FROM known
)
SELECT told.insee, towns.name AS town, told.cells, told.hours, told.hours_served,
    100.0 * told.hours_served / nullif(told.hours, 0) AS hours_percent,
    100.0 * told.share AS population_percent,
    towns.population,
    towns.population * told.share AS population_served
FROM told JOIN towns ON towns.insee = told.insee
ORDER BY told.insee
