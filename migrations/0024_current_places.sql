-- What of places is published now, as everybody has it: made anew each night. Of what it was before, published_places
-- has the digests.

CREATE TABLE current_places (
    dataset TEXT PRIMARY KEY NOT NULL,
    -- On which day (UTC) it was made, as 2026-09-21.
    made_on TEXT NOT NULL,
    row_count BIGINT NOT NULL
);

CREATE TABLE current_place_files (
    dataset TEXT NOT NULL REFERENCES current_places (dataset),
    -- csv or geojson.
    form TEXT NOT NULL,
    -- Of the content as it is, in hexadecimal digits.
    sha256 TEXT NOT NULL,
    byte_count BIGINT NOT NULL,
    content BYTEA NOT NULL,
    gzip BYTEA NOT NULL,
    PRIMARY KEY (dataset, form)
);

-- Of a table by cell, the finest H3 resolution of which it has figures. Nobody noted it before.
ALTER TABLE releases ADD COLUMN resolution INTEGER;
