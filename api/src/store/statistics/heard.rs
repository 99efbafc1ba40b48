//! When taxis were heard: for the first time, and in which hours.

use engine::heard::{HOUR_MS, HeardTaxi};
use ingest::clock::Millis;
use sqlx::AssertSqlSafe;

use crate::limits::{HEARD_A_STATEMENT, HEARD_FORGOTTEN};
use crate::statistics::calendar::{THRESHOLD, hour};
use crate::statistics::filter::Filter;
use crate::store::{Result, Store, read, write};

impl Store {
    /// Remembers when taxis were heard for the first time, if that was the first time. One that was deleted meanwhile
    /// is left out.
    pub async fn save_first_positions(&self, heard: &[HeardTaxi]) -> Result<()> {
        for rows in parts(heard) {
            let since = THRESHOLD.0;
            let sql = format!(
                "INSERT INTO first_positions AS f (taxi_id, ever_at, since_threshold_at)
                 SELECT t.id, min(v.column3), min(CASE WHEN v.column3 >= {since} THEN v.column3 END)
                 FROM (VALUES {rows}) AS v, taxis t WHERE t.id = v.column2 GROUP BY t.id ORDER BY t.id
                 ON CONFLICT (taxi_id) DO UPDATE SET
                 ever_at = CASE WHEN excluded.ever_at < f.ever_at THEN excluded.ever_at ELSE f.ever_at END,
                 since_threshold_at = CASE WHEN excluded.since_threshold_at < f.since_threshold_at
                 THEN excluded.since_threshold_at ELSE coalesce(f.since_threshold_at, excluded.since_threshold_at) END
                 WHERE excluded.ever_at < f.ever_at OR excluded.since_threshold_at < f.since_threshold_at
                 OR (f.since_threshold_at IS NULL AND excluded.since_threshold_at IS NOT NULL)"
            );
            self.run_text(sql).await?;
        }
        Ok(())
    }

    /// Remembers in which hours taxis were heard, until these are counted.
    pub async fn save_heard_hours(&self, heard: &[HeardTaxi]) -> Result<()> {
        for rows in parts(heard) {
            let sql = format!(
                "INSERT INTO heard_hours (hour, taxi_id) SELECT v.column1, t.id
                 FROM (VALUES {rows}) AS v, taxis t WHERE t.id = v.column2 ORDER BY t.id, v.column1
                 ON CONFLICT (hour, taxi_id) DO NOTHING"
            );
            self.run_text(sql).await?;
        }
        Ok(())
    }

    /// Counts who was connected in the hours that began before then, each once and for all, and forgets who it was.
    /// Whoever was heard in them is to be saved.
    pub async fn count_hours(&self, before: Millis) -> Result<()> {
        write!(self, tx => {
            // An hour belongs to who marks it; a process that comes later waits here, and finds it marked. Who came
            // late to it is then in its parts and in their sum, or in neither.
            let marked: Vec<(i64,)> = sqlx::query_as(
                "INSERT INTO connected_hours (hour, taxis) SELECT DISTINCT hour, 0 FROM heard_hours WHERE hour < $1
                 ORDER BY hour ON CONFLICT (hour) DO NOTHING RETURNING hour",
            )
            .bind(before.0)
            .fetch_all(&mut **tx)
            .await?;
            for (hour,) in marked {
                sqlx::query(
                    "INSERT INTO connected_parts (hour, insee, account_id, taxis)
                     SELECT h.hour, a.insee, t.operator_id, count(*) FROM heard_hours h
                     JOIN taxis t ON t.id = h.taxi_id JOIN ads a ON a.id = t.ads_id
                     WHERE h.hour = $1 AND t.trial_for IS NULL GROUP BY h.hour, a.insee, t.operator_id",
                )
                .bind(hour)
                .execute(&mut **tx)
                .await?;
                // One with ADS of several towns is in each of these: they may not be added up as so many vehicles.
                sqlx::query(
                    "INSERT INTO connected_vehicles (hour, insee, vehicles)
                     SELECT h.hour, a.insee, count(DISTINCT t.vehicle_id) FROM heard_hours h
                     JOIN taxis t ON t.id = h.taxi_id JOIN ads a ON a.id = t.ads_id
                     WHERE h.hour = $1 AND t.trial_for IS NULL GROUP BY h.hour, a.insee",
                )
                .bind(hour)
                .execute(&mut **tx)
                .await?;
                sqlx::query(
                    "UPDATE connected_hours SET taxis =
                     (SELECT coalesce(CAST(sum(taxis) AS BIGINT), 0) FROM connected_parts WHERE hour = $1)
                     WHERE hour = $1",
                )
                .bind(hour)
                .execute(&mut **tx)
                .await?;
            }
        })?;
        // What came late to an hour that is counted goes with the others.
        while self.forget_some_hours(before).await? > 0 {}
        Ok(())
    }

    /// How many taxis were connected in each hour of the day since the decree: the hour, the taxis of all its dates
    /// together, and on how many dates there were any. Reads a row for each hour; narrowed, one for each hour, town and
    /// account that is wanted, from an index: of a department a hundredth of all, some hundred thousand a year.
    pub async fn connected_per_hour(&self, filter: &Filter) -> Result<Vec<(i64, i64, i64)>> {
        let hours = if filter.takes_all() {
            format!("SELECT hour, taxis FROM connected_hours WHERE hour >= {} AND taxis > 0", THRESHOLD.0)
        } else {
            format!(
                "SELECT hour, sum(taxis) AS taxis FROM connected_parts WHERE hour >= {} AND {} GROUP BY hour",
                THRESHOLD.0,
                filter.condition("insee", "account_id")
            )
        };
        let sql = format!(
            "SELECT CAST(hour / {HOUR_MS} % 24 AS BIGINT) AS of_day, CAST(sum(taxis) AS BIGINT), count(*)
             FROM ({hours}) AS counted GROUP BY of_day"
        );
        read!(self, db => sqlx::query_as(AssertSqlSafe(sql)).persistent(false).fetch_all(db))
    }

    async fn forget_some_hours(&self, before: Millis) -> Result<u64> {
        write!(self, tx => {
            sqlx::query(
                "DELETE FROM heard_hours WHERE (hour, taxi_id) IN
                 (SELECT hour, taxi_id FROM heard_hours WHERE hour < $1 LIMIT $2)",
            )
            .bind(before.0)
            .bind(HEARD_FORGOTTEN)
            .execute(&mut **tx)
            .await?
            .rows_affected()
        })
    }

    async fn run_text(&self, sql: String) -> Result<()> {
        write!(self, tx => {
            sqlx::query(AssertSqlSafe(sql)).persistent(false).execute(&mut **tx).await?;
        })
    }
}

/// Rows of a statement: hour, taxi, time. In one order, so that of two processes none waits for a row of the other's
/// while that waits for one of its.
fn parts(heard: &[HeardTaxi]) -> impl Iterator<Item = String> {
    let mut heard = heard.to_vec();
    heard.sort_unstable();
    let parts: Vec<_> = heard.chunks(HEARD_A_STATEMENT).map(rows).collect();
    parts.into_iter()
}

fn rows(heard: &[HeardTaxi]) -> String {
    let row = |one: &HeardTaxi| {
        let (taxi, at) = (one.taxi.0, one.received_at);
        format!("({}, {taxi}, {})", hour(at).0, at.0)
    };
    heard.iter().map(row).collect::<Vec<_>>().join(", ")
}
