-- A zone that holds on land of its own, as an airport's or a station's; without, it holds in each of its towns.
ALTER TABLE zupc ADD COLUMN shape TEXT;

-- Taxi stations, by the national schema of stations (stationstaxi 0.1.2).
CREATE TABLE stations (
    id TEXT PRIMARY KEY NOT NULL,
    name TEXT NOT NULL,
    insee TEXT NOT NULL REFERENCES towns (insee),
    lat_e7 INTEGER NOT NULL,
    lon_e7 INTEGER NOT NULL,
    address TEXT NOT NULL DEFAULT '',
    -- How many taxis may wait; NULL where nobody said.
    places INTEGER,
    call_number TEXT NOT NULL DEFAULT '',
    info TEXT NOT NULL DEFAULT '',
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE INDEX stations_insee ON stations (insee);
