//! Vehicles, and what each operator says of them.

use sqlx::FromRow;

use super::changes::{Announce as _, Change};
use super::{Result, Store, read, write};

/// What one operator says of a vehicle.
#[derive(Clone, Debug, FromRow)]
pub struct DescriptionRow {
    /// The vehicle's number.
    pub vehicle_id: i32,
    /// Model; empty when unknown.
    pub model: String,
    /// Constructor; empty when unknown.
    pub constructor: String,
    /// Motorisation; empty when unknown.
    pub engine: String,
    /// Colour; empty when unknown.
    pub color: String,
    /// Seats.
    pub nb_seats: Option<i32>,
    /// A relief vehicle in the sense of article R.3121-2 of the transport code.
    pub relais: Option<bool>,
    /// Takes American Express.
    pub amex_accepted: Option<bool>,
    /// Takes French cheques.
    pub bank_check_accepted: Option<bool>,
    /// Wi-Fi on board.
    pub wifi: Option<bool>,
    /// Has a baby seat.
    pub baby_seat: Option<bool>,
    /// Takes bicycles.
    pub bike_accepted: Option<bool>,
    /// Takes pets.
    pub pet_accepted: Option<bool>,
    /// Registered as adapted to disabled passengers.
    pub vasp_handicap: Option<bool>,
    /// Kind of body.
    pub body_type: Option<String>,
    /// Has an agreement with the health insurance.
    pub cpam_conventionne: Option<bool>,
}

/// What a `POST /vehicles` gives: an outer None leaves the column as it is.
#[derive(Clone, Debug, Default)]
pub struct DescriptionChanges {
    /// Model.
    pub model: Option<String>,
    /// Constructor.
    pub constructor: Option<String>,
    /// Motorisation.
    pub engine: Option<String>,
    /// Colour.
    pub color: Option<String>,
    /// Seats.
    pub nb_seats: Option<Option<i32>>,
    /// Relief vehicle.
    pub relais: Option<Option<bool>>,
    /// American Express.
    pub amex_accepted: Option<Option<bool>>,
    /// French cheques.
    pub bank_check_accepted: Option<Option<bool>>,
    /// Wi-Fi.
    pub wifi: Option<Option<bool>>,
    /// Baby seat.
    pub baby_seat: Option<Option<bool>>,
    /// Bicycles.
    pub bike_accepted: Option<Option<bool>>,
    /// Pets.
    pub pet_accepted: Option<Option<bool>>,
    /// Adapted to disabled passengers.
    pub vasp_handicap: Option<Option<bool>>,
    /// Kind of body.
    pub body_type: Option<Option<String>>,
    /// Health insurance.
    pub cpam_conventionne: Option<Option<bool>>,
}

impl DescriptionRow {
    fn change(&mut self, by: &DescriptionChanges) {
        fn set<T: Clone>(column: &mut T, value: Option<&T>) {
            if let Some(value) = value {
                *column = value.clone();
            }
        }
        set(&mut self.model, by.model.as_ref());
        set(&mut self.constructor, by.constructor.as_ref());
        set(&mut self.engine, by.engine.as_ref());
        set(&mut self.color, by.color.as_ref());
        set(&mut self.nb_seats, by.nb_seats.as_ref());
        set(&mut self.relais, by.relais.as_ref());
        set(&mut self.amex_accepted, by.amex_accepted.as_ref());
        set(&mut self.bank_check_accepted, by.bank_check_accepted.as_ref());
        set(&mut self.wifi, by.wifi.as_ref());
        set(&mut self.baby_seat, by.baby_seat.as_ref());
        set(&mut self.bike_accepted, by.bike_accepted.as_ref());
        set(&mut self.pet_accepted, by.pet_accepted.as_ref());
        set(&mut self.vasp_handicap, by.vasp_handicap.as_ref());
        set(&mut self.body_type, by.body_type.as_ref());
        set(&mut self.cpam_conventionne, by.cpam_conventionne.as_ref());
    }
}

const SELECT_ONE: &str = "SELECT vehicle_id, model, constructor, engine, color, nb_seats, relais, amex_accepted,
    bank_check_accepted, wifi, baby_seat, bike_accepted, pet_accepted, vasp_handicap, body_type, cpam_conventionne
    FROM vehicle_descriptions WHERE id = $1";

impl Store {
    /// Adds what `operator` says of the vehicle of this plate, or changes what it said; the vehicle is made when
    /// there is none. Gives the description as it is now, and whether it is new.
    pub async fn put_vehicle(
        &self,
        operator: i32,
        plate: &str,
        by: &DescriptionChanges,
    ) -> Result<(DescriptionRow, bool)> {
        let now = self.now_ms();
        write!(self, tx => {
            sqlx::query(
                "INSERT INTO vehicles (licence_plate, created_at) VALUES ($1, $2)
                 ON CONFLICT (licence_plate) DO NOTHING",
            )
                .bind(plate)
                .bind(now)
                .execute(&mut **tx)
                .await?;
            let (vehicle,): (i32,) =
                sqlx::query_as("SELECT id FROM vehicles WHERE licence_plate = $1")
                    .bind(plate)
                    .fetch_one(&mut **tx)
                    .await?;
            let new = sqlx::query(
                "INSERT INTO vehicle_descriptions (vehicle_id, operator_id, created_at, updated_at, version)
                 VALUES ($1, $2, $3, $3, $3) ON CONFLICT (vehicle_id, operator_id) DO NOTHING",
            )
            .bind(vehicle)
            .bind(operator)
            .bind(now)
            .execute(&mut **tx)
            .await?
            .rows_affected() == 1;
            // The version is raised first: it locks the row, so that what is read next is what will be replaced.
            let (id,): (i32,) = sqlx::query_as(
                "UPDATE vehicle_descriptions SET version = version + 1, updated_at = $3
                 WHERE vehicle_id = $1 AND operator_id = $2 RETURNING id",
            )
            .bind(vehicle)
            .bind(operator)
            .bind(now)
            .fetch_one(&mut **tx)
            .await?;
            let mut row: DescriptionRow = sqlx::query_as(SELECT_ONE).bind(id).fetch_one(&mut **tx).await?;
            row.change(by);
            sqlx::query(
                "UPDATE vehicle_descriptions SET model = $2, constructor = $3, engine = $4, color = $5, nb_seats = $6,
                 relais = $7, amex_accepted = $8, bank_check_accepted = $9, wifi = $10, baby_seat = $11,
                 bike_accepted = $12, pet_accepted = $13, vasp_handicap = $14, body_type = $15, cpam_conventionne = $16
                 WHERE id = $1",
            )
            .bind(id)
            .bind(&row.model)
            .bind(&row.constructor)
            .bind(&row.engine)
            .bind(&row.color)
            .bind(row.nb_seats)
            .bind(row.relais)
            .bind(row.amex_accepted)
            .bind(row.bank_check_accepted)
            .bind(row.wifi)
            .bind(row.baby_seat)
            .bind(row.bike_accepted)
            .bind(row.pet_accepted)
            .bind(row.vasp_handicap)
            .bind(row.body_type.as_deref())
            .bind(row.cpam_conventionne)
            .execute(&mut **tx)
            .await?;
            tx.announce(Change::Vehicle(vehicle)).await?;
            (row, new)
        })
    }

    /// Whether `operator` describes this vehicle.
    pub async fn describes_vehicle(&self, operator: i32, vehicle: i32) -> Result<bool> {
        let row: Option<(i32,)> = read!(self, db => {
            sqlx::query_as("SELECT id FROM vehicle_descriptions WHERE operator_id = $1 AND vehicle_id = $2")
                .bind(operator)
                .bind(vehicle)
                .fetch_optional(db)
        })?;
        Ok(row.is_some())
    }
}
