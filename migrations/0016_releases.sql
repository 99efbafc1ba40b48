-- What statistics were published, when: kept for good, as everybody has it.

CREATE TABLE releases (
    dataset TEXT NOT NULL,
    -- What it tells of: a month, as 2026-09.
    period TEXT NOT NULL,
    -- From 1.
    version INTEGER NOT NULL,
    released_at BIGINT NOT NULL,
    row_count BIGINT NOT NULL,
    -- How many figures were withheld.
    withheld BIGINT NOT NULL,
    PRIMARY KEY (dataset, period, version)
);

CREATE TABLE release_files (
    dataset TEXT NOT NULL,
    period TEXT NOT NULL,
    version INTEGER NOT NULL,
    -- csv or parquet.
    form TEXT NOT NULL,
    -- Of the content as it is, in hexadecimal digits.
    sha256 TEXT NOT NULL,
    byte_count BIGINT NOT NULL,
    content BYTEA NOT NULL,
    gzip BYTEA NOT NULL,
    PRIMARY KEY (dataset, period, version, form),
    FOREIGN KEY (dataset, period, version) REFERENCES releases (dataset, period, version)
);
