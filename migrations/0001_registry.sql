-- The registry's rows. Portable: the same text makes the same schema on SQLite and on PostgreSQL.
-- Times are milliseconds since 1970 in UTC. `version` begins at the time of creation and rises with each write.

CREATE TABLE departements (
    numero TEXT PRIMARY KEY,
    nom TEXT NOT NULL
);

CREATE TABLE users (
    id INTEGER PRIMARY KEY,
    email TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    password_hash TEXT NOT NULL DEFAULT '',
    -- The key is looked up by its SHA-256 (hex) and kept sealed, because the UDP hash and the account page need it.
    apikey_sha256 TEXT NOT NULL UNIQUE,
    apikey_sealed TEXT NOT NULL,
    email_customer TEXT NOT NULL DEFAULT '',
    email_technical TEXT NOT NULL DEFAULT '',
    phone_number_customer TEXT NOT NULL DEFAULT '',
    phone_number_technical TEXT NOT NULL DEFAULT '',
    hail_endpoint_production TEXT NOT NULL DEFAULT '',
    operator_header_name TEXT NOT NULL DEFAULT '',
    operator_api_key_sealed TEXT NOT NULL DEFAULT '',
    manager_id INTEGER REFERENCES users (id),
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    version BIGINT NOT NULL
);
CREATE INDEX users_manager ON users (manager_id);

CREATE TABLE user_roles (
    user_id INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    role TEXT NOT NULL CHECK (role IN ('admin', 'moteur', 'operateur', 'groupement', 'editeur', 'departement',
                                       'mairie', 'prefecture', 'analyste')),
    PRIMARY KEY (user_id, role)
);

CREATE TABLE towns (
    insee TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    -- A GeoJSON geometry, Polygon or MultiPolygon.
    shape TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);

CREATE TABLE zupc (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);

CREATE TABLE zupc_towns (
    zupc_id TEXT NOT NULL REFERENCES zupc (id) ON DELETE CASCADE,
    insee TEXT NOT NULL REFERENCES towns (insee),
    PRIMARY KEY (zupc_id, insee)
);
CREATE INDEX zupc_towns_insee ON zupc_towns (insee);

CREATE TABLE exclusion_zones (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    shape TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);

CREATE TABLE drivers (
    id INTEGER PRIMARY KEY,
    operator_id INTEGER NOT NULL REFERENCES users (id),
    departement TEXT NOT NULL REFERENCES departements (numero),
    professional_licence TEXT NOT NULL,
    first_name TEXT NOT NULL,
    last_name TEXT NOT NULL,
    -- ISO 8601, without a time.
    birth_date TEXT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    UNIQUE (operator_id, departement, professional_licence)
);

CREATE TABLE vehicles (
    id INTEGER PRIMARY KEY,
    licence_plate TEXT NOT NULL UNIQUE,
    created_at BIGINT NOT NULL
);

CREATE TABLE vehicle_descriptions (
    id INTEGER PRIMARY KEY,
    vehicle_id INTEGER NOT NULL REFERENCES vehicles (id),
    operator_id INTEGER NOT NULL REFERENCES users (id),
    model TEXT NOT NULL DEFAULT '',
    constructor TEXT NOT NULL DEFAULT '',
    engine TEXT NOT NULL DEFAULT '',
    color TEXT NOT NULL DEFAULT '',
    nb_seats INTEGER,
    relais BOOLEAN,
    amex_accepted BOOLEAN,
    bank_check_accepted BOOLEAN,
    wifi BOOLEAN,
    baby_seat BOOLEAN,
    bike_accepted BOOLEAN,
    pet_accepted BOOLEAN,
    vasp_handicap BOOLEAN,
    body_type TEXT CHECK (body_type IN ('sedan', 'mpv', 'station_wagon', 'normal')),
    cpam_conventionne BOOLEAN,
    status TEXT NOT NULL DEFAULT 'off' CHECK (status IN ('free', 'occupied', 'off', 'answering', 'oncoming')),
    -- Metres; without one, 500.
    radius INTEGER CHECK (radius BETWEEN 150 AND 500),
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    version BIGINT NOT NULL,
    UNIQUE (vehicle_id, operator_id)
);
CREATE INDEX vehicle_descriptions_operator ON vehicle_descriptions (operator_id);

CREATE TABLE ads (
    id INTEGER PRIMARY KEY,
    operator_id INTEGER NOT NULL REFERENCES users (id),
    insee TEXT NOT NULL REFERENCES towns (insee),
    numero TEXT NOT NULL,
    vehicle_id INTEGER REFERENCES vehicles (id),
    owner_type TEXT CHECK (owner_type IN ('individual', 'company')),
    owner_name TEXT NOT NULL DEFAULT '',
    doublage BOOLEAN,
    category TEXT NOT NULL DEFAULT '',
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    UNIQUE (operator_id, insee, numero)
);
CREATE INDEX ads_insee ON ads (insee);
CREATE INDEX ads_vehicle ON ads (vehicle_id);

CREATE TABLE taxis (
    -- The key of positions in the log; partners see public_id only.
    id INTEGER PRIMARY KEY,
    public_id TEXT NOT NULL UNIQUE,
    vehicle_id INTEGER NOT NULL REFERENCES vehicles (id),
    ads_id INTEGER NOT NULL REFERENCES ads (id),
    driver_id INTEGER NOT NULL REFERENCES drivers (id),
    operator_id INTEGER NOT NULL REFERENCES users (id),
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    version BIGINT NOT NULL,
    UNIQUE (vehicle_id, ads_id, driver_id, operator_id)
);
CREATE INDEX taxis_operator ON taxis (operator_id);
CREATE INDEX taxis_ads ON taxis (ads_id);
CREATE INDEX taxis_driver ON taxis (driver_id);

CREATE TABLE activity_log (
    id INTEGER PRIMARY KEY,
    at BIGINT NOT NULL,
    -- Who did it, by number alone: an entry outlives its account.
    user_id INTEGER NOT NULL,
    resource TEXT NOT NULL,
    resource_id TEXT NOT NULL,
    action TEXT NOT NULL,
    detail TEXT NOT NULL DEFAULT ''
);
CREATE INDEX activity_log_resource ON activity_log (resource, resource_id, at);

-- Each source's last shown position, written in bulk; with it, in the same transaction, how far the log was read.
CREATE TABLE last_positions (
    taxi_id INTEGER NOT NULL REFERENCES taxis (id) ON DELETE CASCADE,
    operator_id INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    lat_e7 INTEGER NOT NULL,
    lon_e7 INTEGER NOT NULL,
    received_at BIGINT NOT NULL,
    device_at BIGINT,
    PRIMARY KEY (taxi_id, operator_id)
);

CREATE TABLE log_offsets (
    log_epoch TEXT NOT NULL,
    log_partition INTEGER NOT NULL,
    next_offset BIGINT NOT NULL,
    PRIMARY KEY (log_epoch, log_partition)
);
