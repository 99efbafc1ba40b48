//! Taxis that are registered now: how many, by whom, of which towns, since when.

use ingest::clock::Millis;
use sqlx::{AssertSqlSafe, FromRow};

use crate::statistics::filter::{Filter, one_of, quoted};
use crate::store::{Result, Store, read};

/// The taxis that an account registered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromRow)]
pub struct OfAccount {
    /// The account.
    pub account_id: i32,
    /// How many.
    pub taxis: i64,
    /// When the newest was, in milliseconds since 1970.
    pub newest_at: i64,
}

/// A taxi, as figures need it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromRow)]
pub struct RegisteredRow {
    /// Its number.
    pub id: i32,
    /// When it was added, in milliseconds since 1970; so are the others.
    pub created_at: i64,
    /// When it was heard for the first time.
    pub ever_at: Option<i64>,
    /// The same since the decree.
    pub since_threshold_at: Option<i64>,
    /// Whether the account that registered it describes its vehicle, and the radius that it then says, in metres.
    pub is_described: bool,
    #[expect(missing_docs, reason = "told above")]
    pub radius: Option<i32>,
}

const FROM: &str = "FROM taxis t JOIN ads a ON a.id = t.ads_id";

/// Narrows taxis by the town of their ADS and the account that registered them.
pub(super) fn condition(filter: &Filter) -> String {
    filter.condition("a.insee", "t.operator_id")
}

impl Store {
    /// Every taxi.
    pub async fn registered(&self, filter: &Filter) -> Result<Vec<RegisteredRow>> {
        let sql = format!(
            "SELECT t.id, t.created_at, f.ever_at, f.since_threshold_at, d.id IS NOT NULL AS is_described, d.radius
             {FROM} LEFT JOIN first_positions f ON f.taxi_id = t.id
             LEFT JOIN vehicle_descriptions d ON d.vehicle_id = t.vehicle_id AND d.operator_id = t.operator_id
             WHERE {}",
            condition(filter)
        );
        read!(self, db => sqlx::query_as(AssertSqlSafe(sql)).persistent(false).fetch_all(db))
    }

    /// What each account that registered taxis registered.
    pub async fn taxis_by_account(&self, filter: &Filter) -> Result<Vec<OfAccount>> {
        let sql = format!(
            "SELECT t.operator_id AS account_id, count(*) AS taxis, max(t.created_at) AS newest_at {FROM}
             WHERE {} GROUP BY t.operator_id",
            condition(filter)
        );
        read!(self, db => sqlx::query_as(AssertSqlSafe(sql)).persistent(false).fetch_all(db))
    }

    /// How many taxis have an ADS of each town that has any, by the town's code.
    pub async fn taxis_by_town(&self, filter: &Filter) -> Result<Vec<(String, i64)>> {
        let sql = format!("SELECT a.insee, count(*) {FROM} WHERE {} GROUP BY a.insee", condition(filter));
        let mut rows: Vec<(String, i64)> = read!(self, db => {
            sqlx::query_as(AssertSqlSafe(sql)).persistent(false).fetch_all(db)
        })?;
        // Databases sort texts each in their own way.
        rows.sort_unstable();
        Ok(rows)
    }

    /// When each taxi with an ADS of these towns was registered, the oldest first.
    pub async fn taxis_added_in(&self, towns: &[&str]) -> Result<Vec<Millis>> {
        let of_towns = one_of("a.insee", towns.iter().map(quoted));
        let sql = format!("SELECT t.created_at {FROM} WHERE {of_towns} ORDER BY t.created_at");
        let rows: Vec<(i64,)> = read!(self, db => sqlx::query_as(AssertSqlSafe(sql)).fetch_all(db))?;
        Ok(rows.into_iter().map(|(at,)| Millis(at)).collect())
    }
}
