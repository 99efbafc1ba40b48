-- What of places was published, when: a version each time that one of their files became another.
CREATE TABLE published_places (
    dataset TEXT NOT NULL,
    -- From 1.
    version INTEGER NOT NULL,
    -- csv or geojson.
    form TEXT NOT NULL,
    -- The first day of which it was, as 2026-09-21.
    period TEXT NOT NULL,
    released_at BIGINT NOT NULL,
    row_count BIGINT NOT NULL,
    -- Of the file as it was, in hexadecimal digits.
    sha256 TEXT NOT NULL,
    byte_count BIGINT NOT NULL,
    PRIMARY KEY (dataset, version, form)
);
