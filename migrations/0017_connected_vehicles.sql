-- How many vehicles with an ADS of a town were connected in an hour: one may be several taxis, of several accounts and
-- drivers. What is published counts these; of hours that were counted before nobody knows.
CREATE TABLE connected_vehicles (
    hour BIGINT NOT NULL,
    insee TEXT NOT NULL,
    vehicles BIGINT NOT NULL,
    PRIMARY KEY (hour, insee)
);
