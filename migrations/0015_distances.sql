-- Distances as they were measured: what is cut to whole metres is not to be rounded before.
ALTER TABLE hail_copies ADD COLUMN distance_m DOUBLE PRECISION;
UPDATE hail_copies SET distance_m = distance_mm / 1000.0;
ALTER TABLE hail_copies DROP COLUMN distance_mm;
ALTER TABLE hail_days ADD COLUMN distance_m DOUBLE PRECISION NOT NULL DEFAULT 0;
UPDATE hail_days SET distance_m = distance_mm / 1000.0;
ALTER TABLE hail_days DROP COLUMN distance_mm;

-- Where customers were is drawn from this alone, without the rest of their hails.
CREATE INDEX hails_customer_at ON hails (customer_lat_e7, customer_lon_e7);
