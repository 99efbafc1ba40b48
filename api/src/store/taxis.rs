//! Taxis: a vehicle, an ADS and a driver, brought together by an operator.

use sqlx::{AssertSqlSafe, FromRow};

use super::activity::Remember as _;
use super::changes::{Announce as _, Change};
use super::{Pool, Result, Store, read, write};
use crate::activity::{Actor, Entry};

/// A taxi with all that its operator sees of it, by one operator's description of the vehicle.
#[derive(Clone, Debug, FromRow)]
#[expect(missing_docs, reason = "the columns, named as in the tables")]
pub struct TaxiRow {
    pub id: i32,
    pub public_id: String,
    pub created_at: i64,
    pub licence_plate: String,
    pub operator_id: i32,
    pub operator_email: String,
    pub status: String,
    pub radius: Option<i32>,
    pub model: String,
    pub constructor: String,
    pub engine: String,
    pub color: String,
    pub nb_seats: Option<i32>,
    pub amex_accepted: Option<bool>,
    pub bank_check_accepted: Option<bool>,
    pub wifi: Option<bool>,
    pub baby_seat: Option<bool>,
    pub bike_accepted: Option<bool>,
    pub pet_accepted: Option<bool>,
    pub vasp_handicap: Option<bool>,
    pub body_type: Option<String>,
    pub cpam_conventionne: Option<bool>,
    pub ads_numero: String,
    pub ads_insee: String,
    pub ads_vehicle_id: Option<i32>,
    pub ads_owner_type: Option<String>,
    pub ads_owner_name: String,
    pub ads_doublage: Option<bool>,
    pub town_name: String,
    pub driver_licence: String,
    pub driver_departement: String,
    pub driver_first_name: String,
    pub driver_last_name: String,
}

const SELECT: &str = "SELECT t.id, t.public_id, t.created_at, v.licence_plate, d.operator_id, u.email AS operator_email,
    d.status, d.radius, d.model, d.constructor, d.engine, d.color, d.nb_seats, d.amex_accepted, d.bank_check_accepted,
    d.wifi, d.baby_seat, d.bike_accepted, d.pet_accepted, d.vasp_handicap, d.body_type, d.cpam_conventionne,
    a.numero AS ads_numero, a.insee AS ads_insee, a.vehicle_id AS ads_vehicle_id, a.owner_type AS ads_owner_type,
    a.owner_name AS ads_owner_name, a.doublage AS ads_doublage, w.name AS town_name,
    r.professional_licence AS driver_licence, r.departement AS driver_departement, r.first_name AS driver_first_name,
    r.last_name AS driver_last_name";

const FROM: &str = " FROM taxis t JOIN vehicles v ON v.id = t.vehicle_id
    JOIN vehicle_descriptions d ON d.vehicle_id = t.vehicle_id JOIN users u ON u.id = d.operator_id
    JOIN ads a ON a.id = t.ads_id JOIN towns w ON w.insee = a.insee JOIN drivers r ON r.id = t.driver_id";

/// What a taxi is made of, as partners refer to it.
#[derive(Clone, Debug)]
pub struct TaxiParts {
    /// ADS number.
    pub ads_numero: String,
    /// ADS town.
    pub ads_insee: String,
    /// Plate of the vehicle.
    pub licence_plate: String,
    /// Licence of the driver.
    pub driver_licence: String,
    /// Departement of the licence.
    pub driver_departement: String,
}

/// What the parts refer to: each may be missing.
#[derive(Clone, Copy, Debug, Default)]
pub struct FoundParts {
    /// The operator's ADS.
    pub ads: Option<i32>,
    /// The vehicle, whoever describes it.
    pub vehicle: Option<i32>,
    /// Whether the operator describes it.
    pub described: bool,
    /// Whether there is such a departement.
    pub departement: bool,
    /// The operator's driver.
    pub driver: Option<i32>,
}

/// A wish of the list of an operator's taxis. Texts are beginnings, compared without regard to case; several are
/// alternatives.
#[derive(Clone, Debug, Default)]
pub struct TaxiFilter {
    /// Beginnings of public ids.
    pub ids: Vec<String>,
    /// Beginnings of plates.
    pub plates: Vec<String>,
}

impl Store {
    /// What `parts` refers to among what `operator` registered.
    pub async fn find_parts(&self, operator: i32, parts: &TaxiParts) -> Result<FoundParts> {
        let ads: Option<(i32,)> = read!(self, db => {
            sqlx::query_as("SELECT id FROM ads WHERE operator_id = $1 AND insee = $2 AND numero = $3")
                .bind(operator)
                .bind(&parts.ads_insee)
                .bind(&parts.ads_numero)
                .fetch_optional(db)
        })?;
        let vehicle: Option<(i32, Option<i32>)> = read!(self, db => {
            sqlx::query_as(
                "SELECT v.id, d.id FROM vehicles v
                 LEFT JOIN vehicle_descriptions d ON d.vehicle_id = v.id AND d.operator_id = $1
                 WHERE v.licence_plate = $2",
            )
            .bind(operator)
            .bind(&parts.licence_plate)
            .fetch_optional(db)
        })?;
        let departement: Option<(String,)> = read!(self, db => {
            sqlx::query_as("SELECT numero FROM departements WHERE numero = $1")
                .bind(&parts.driver_departement)
                .fetch_optional(db)
        })?;
        let driver: Option<(i32,)> = read!(self, db => {
            sqlx::query_as("SELECT id FROM drivers
                 WHERE operator_id = $1 AND departement = $2 AND professional_licence = $3",
            )
                .bind(operator)
                .bind(&parts.driver_departement)
                .bind(&parts.driver_licence)
                .fetch_optional(db)
        })?;
        Ok(FoundParts {
            ads: ads.map(|row| row.0),
            vehicle: vehicle.map(|row| row.0),
            described: vehicle.is_some_and(|row| row.1.is_some()),
            departement: departement.is_some(),
            driver: driver.map(|row| row.0),
        })
    }

    /// Adds a taxi under `public_id`, or finds the one of the same parts and operator. Gives its number and public
    /// id, and whether it is new. A conflict: the public id is taken.
    pub async fn put_taxi(
        &self,
        operator: i32,
        (vehicle, ads, driver): (i32, i32, i32),
        public_id: &str,
    ) -> Result<(i32, String, bool)> {
        let now = self.now_ms();
        write!(self, tx => {
            let new = sqlx::query(
                "INSERT INTO taxis (public_id, vehicle_id, ads_id, driver_id, operator_id, created_at, updated_at,
                                    version)
                 VALUES ($1, $2, $3, $4, $5, $6, $6, $6)
                 ON CONFLICT (vehicle_id, ads_id, driver_id, operator_id) DO NOTHING",
            )
            .bind(public_id)
            .bind(vehicle)
            .bind(ads)
            .bind(driver)
            .bind(operator)
            .bind(now)
            .execute(&mut **tx)
            .await?
            .rows_affected() == 1;
            let (id, public_id): (i32, String) = sqlx::query_as(
                "SELECT id, public_id FROM taxis
                 WHERE vehicle_id = $1 AND ads_id = $2 AND driver_id = $3 AND operator_id = $4",
            )
            .bind(vehicle)
            .bind(ads)
            .bind(driver)
            .bind(operator)
            .fetch_one(&mut **tx)
            .await?;
            tx.announce(Change::Taxi(id)).await?;
            (id, public_id, new)
        })
    }

    /// A taxi by its public id, as `operator` describes its vehicle.
    pub async fn taxi(&self, operator: i32, public_id: &str) -> Result<Option<TaxiRow>> {
        // PostgreSQL would refuse the question.
        if public_id.contains('\0') {
            return Ok(None);
        }
        let sql = format!("{SELECT}{FROM} WHERE t.public_id = $1 AND d.operator_id = $2");
        read!(self, db => sqlx::query_as(AssertSqlSafe(sql)).bind(public_id).bind(operator).fetch_optional(db))
    }

    /// A page of the taxis that `operator` registered, the newest first, and how many there are in all.
    pub async fn taxis(
        &self,
        operator: i32,
        filter: &TaxiFilter,
        (limit, offset): (i64, i64),
    ) -> Result<(Vec<TaxiRow>, i64)> {
        let mut next = 2;
        let mut begin_so = |table: &str, column: &str, texts: &[String]| {
            let each = texts.iter().map(|_| {
                next += 1;
                format!("SELECT id FROM {table} WHERE {}", self.begins(column, next - 1))
            });
            each.collect::<Vec<_>>().join(" UNION ALL ")
        };
        let (ids, plates) = (
            begin_so("taxis", "public_id", &filter.ids),
            begin_so("vehicles", "licence_plate", &filter.plates),
        );
        let found = [("t.id", ids), ("t.vehicle_id", plates)];
        let found = found.iter().filter(|(_, ids)| !ids.is_empty());
        let found: Vec<_> = found.map(|(column, ids)| format!(" AND {column} IN ({ids})")).collect();
        // What begins so is few, what is the operator's may be everything: the plus keeps SQLite from its index then.
        let all = if found.is_empty() { "t.operator_id" } else { "+t.operator_id" };
        let matching = format!("FROM taxis t WHERE {all} = $1{}", found.concat());
        let texts: Vec<_> = filter.ids.iter().chain(&filter.plates).map(String::as_str).collect();
        // Nothing else is joined to be counted or passed over: whoever registers a taxi describes its vehicle.
        let count = format!("SELECT count(*) {matching}");
        let (total,): (i64,) = read!(self, db => {
            let query = sqlx::query_as(AssertSqlSafe(count)).bind(operator);
            texts.iter().fold(query, sqlx::query::QueryAs::bind).fetch_one(db)
        })?;
        let newest = "ORDER BY t.created_at DESC, t.id DESC";
        let page = format!(
            "{SELECT}{FROM} WHERE d.operator_id = $1 AND t.id IN
             (SELECT t.id {matching} {newest} LIMIT ${next} OFFSET ${}) {newest}",
            next + 1
        );
        let rows = read!(self, db => {
            let query = sqlx::query_as(AssertSqlSafe(page)).bind(operator);
            texts.iter().fold(query, sqlx::query::QueryAs::bind).bind(limit).bind(offset).fetch_all(db)
        })?;
        Ok((rows, total))
    }

    /// Sets, as `by` wishes, the one account that finds a taxi which `operator` registered; None: everybody does. Gives
    /// the taxi's number; None: it registered no such taxi.
    pub async fn set_trial(
        &self,
        by: Actor,
        operator: i32,
        public_id: &str,
        account: Option<i32>,
    ) -> Result<Option<i32>> {
        let now = self.now_ms();
        write!(self, tx => {
            let changed: Option<(i32,)> = sqlx::query_as(
                "UPDATE taxis SET trial_for = $3, updated_at = $4, version = version + 1
                 WHERE operator_id = $1 AND public_id = $2 RETURNING id",
            )
            .bind(operator)
            .bind(public_id)
            .bind(account)
            .bind(now)
            .fetch_optional(&mut **tx)
            .await?;
            if let Some((id,)) = changed {
                tx.remember(now, by, &Entry::taxi_trial(public_id, account)).await?;
                tx.announce(Change::Taxi(id)).await?;
            }
            changed.map(|(id,)| id)
        })
    }

    /// A condition: a text begins like the parameter of this number, whatever the case. Bytes are compared, so that an
    /// index of the same expression finds it.
    pub(super) fn begins(&self, column: &str, parameter: usize) -> String {
        let bytewise = match self.pool {
            Pool::Sqlite { .. } => "",
            Pool::Postgres(_) => " COLLATE \"C\"",
        };
        // After every text that begins so: the last character there is.
        let end = '\u{10ffff}';
        format!(
            "lower({column}){bytewise} >= lower(${parameter}) AND lower({column}){bytewise} < lower(${parameter}) || \
             '{end}'"
        )
    }

    /// Sets the status, the radius or both of what `operator` says of the vehicle of a taxi; None leaves it. Says
    /// in the activity log that `by` changed the status. Gives the vehicle's number; None: nothing was different, or
    /// no such row.
    pub async fn set_availability(
        &self,
        by: Actor,
        operator: i32,
        public_id: &str,
        (status, radius): (Option<&str>, Option<Option<i32>>),
    ) -> Result<Option<i32>> {
        let now = self.now_ms();
        write!(self, tx => {
            // The version is raised first: it locks the row, so that the status before is the one that is replaced.
            let changed: Option<(i32, i32, String)> = sqlx::query_as(
                "UPDATE vehicle_descriptions SET updated_at = $6, version = version + 1
                 WHERE operator_id = $1 AND vehicle_id = (SELECT vehicle_id FROM taxis WHERE public_id = $2)
                 AND (status <> coalesce($3, status) OR ($4 AND coalesce(radius, -1) <> coalesce($5, -1)))
                 RETURNING id, vehicle_id, status",
            )
            .bind(operator)
            .bind(public_id)
            .bind(status)
            .bind(radius.is_some())
            .bind(radius.flatten())
            .bind(now)
            .fetch_optional(&mut **tx)
            .await?;
            if let Some((id, vehicle, before)) = &changed {
                sqlx::query(
                    "UPDATE vehicle_descriptions SET status = coalesce($2, status),
                     radius = CASE WHEN $3 THEN $4 ELSE radius END WHERE id = $1",
                )
                .bind(id)
                .bind(status)
                .bind(radius.is_some())
                .bind(radius.flatten())
                .execute(&mut **tx)
                .await?;
                if let Some(status) = status.filter(|status| status != before) {
                    tx.remember(now, by, &Entry::taxi_status(public_id, before, status)).await?;
                }
                tx.announce(Change::Vehicle(*vehicle)).await?;
            }
            changed.map(|(_, vehicle, _)| vehicle)
        })
    }
}
