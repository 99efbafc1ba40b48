//! Drivers and the departements that licensed them.

use sqlx::FromRow;

use super::{Result, Store, read, write};

/// A departement.
#[derive(Clone, Debug, FromRow)]
pub struct DepartementRow {
    /// `75`, `2A`, `974`.
    pub numero: String,
    /// Its name.
    pub nom: String,
}

/// A driver as an operator registers it.
#[derive(Clone, Debug)]
pub struct Driver {
    /// Licensed by.
    pub departement: String,
    /// Number of the licence.
    pub professional_licence: String,
    /// First name.
    pub first_name: String,
    /// Last name.
    pub last_name: String,
    /// ISO 8601.
    pub birth_date: Option<String>,
}

impl Store {
    /// The 101 departements by number.
    pub async fn departements(&self) -> Result<Vec<DepartementRow>> {
        read!(self, db => sqlx::query_as("SELECT numero, nom FROM departements ORDER BY numero").fetch_all(db))
    }

    /// Adds a driver or updates the one of the same operator, departement and licence. True: it is new.
    pub async fn put_driver(&self, operator: i32, driver: &Driver) -> Result<bool> {
        let now = self.now_ms();
        write!(self, tx => {
            let new: Option<(i32,)> = sqlx::query_as(
                "INSERT INTO drivers (operator_id, departement, professional_licence, first_name, last_name, birth_date,
                                      created_at, updated_at)
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $7)
                 ON CONFLICT (operator_id, departement, professional_licence) DO NOTHING RETURNING id",
            )
            .bind(operator)
            .bind(&driver.departement)
            .bind(&driver.professional_licence)
            .bind(&driver.first_name)
            .bind(&driver.last_name)
            .bind(driver.birth_date.as_deref())
            .bind(now)
            .fetch_optional(&mut **tx)
            .await?;
            if new.is_none() {
                sqlx::query(
                    "UPDATE drivers SET first_name = $4, last_name = $5, birth_date = $6, updated_at = $7
                     WHERE operator_id = $1 AND departement = $2 AND professional_licence = $3",
                )
                .bind(operator)
                .bind(&driver.departement)
                .bind(&driver.professional_licence)
                .bind(&driver.first_name)
                .bind(&driver.last_name)
                .bind(driver.birth_date.as_deref())
                .bind(now)
                .execute(&mut **tx)
                .await?;
            }
            new.is_some()
        })
    }
}
