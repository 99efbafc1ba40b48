//! ADS: the authorisations to park and be hailed that towns give to taxis.

use super::{Result, Store, write};

/// An ADS as an operator registers it.
#[derive(Clone, Debug)]
pub struct Ads {
    /// The town that gave it.
    pub insee: String,
    /// Its number there. A text: leading zeros matter.
    pub numero: String,
    /// The vehicle it is for.
    pub vehicle_id: Option<i32>,
    /// `individual` or `company`.
    pub owner_type: Option<String>,
    /// Its holder.
    pub owner_name: String,
    /// Two outings a day.
    pub doublage: Option<bool>,
    /// Free text of old clients.
    pub category: String,
}

impl Store {
    /// Adds an ADS or replaces the one of the same operator, town and number. True: it is new.
    /// A conflict: there is no such town or vehicle.
    pub async fn put_ads(&self, operator: i32, ads: &Ads) -> Result<bool> {
        let now = self.now_ms();
        write!(self, tx => {
            let new: Option<(i32,)> = sqlx::query_as(
                "INSERT INTO ads (operator_id, insee, numero, vehicle_id, owner_type, owner_name, doublage, category,
                                  created_at, updated_at)
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9)
                 ON CONFLICT (operator_id, insee, numero) DO NOTHING RETURNING id",
            )
            .bind(operator)
            .bind(&ads.insee)
            .bind(&ads.numero)
            .bind(ads.vehicle_id)
            .bind(ads.owner_type.as_deref())
            .bind(&ads.owner_name)
            .bind(ads.doublage)
            .bind(&ads.category)
            .bind(now)
            .fetch_optional(&mut **tx)
            .await?;
            if new.is_none() {
                sqlx::query(
                    "UPDATE ads SET vehicle_id = $4, owner_type = $5, owner_name = $6, doublage = $7, category = $8,
                     updated_at = $9 WHERE operator_id = $1 AND insee = $2 AND numero = $3",
                )
                .bind(operator)
                .bind(&ads.insee)
                .bind(&ads.numero)
                .bind(ads.vehicle_id)
                .bind(ads.owner_type.as_deref())
                .bind(&ads.owner_name)
                .bind(ads.doublage)
                .bind(&ads.category)
                .bind(now)
                .execute(&mut **tx)
                .await?;
            }
            new.is_some()
        })
    }
}
