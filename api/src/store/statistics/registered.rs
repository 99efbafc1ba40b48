//! Taxis that are registered now: how many, by whom, of which towns, since when.

use ingest::clock::Millis;
use sqlx::{AssertSqlSafe, FromRow};

use crate::statistics::calendar::THRESHOLD;
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

/// How many taxis there were before each of four instants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Before {
    /// All.
    pub ever: [i64; 4],
    /// Those since the decree.
    pub since_threshold: [i64; 4],
}

/// The radii that accounts say of taxis that they registered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromRow)]
pub struct Radii {
    /// How many taxis are described by the account that registered them.
    pub described: i64,
    /// How many of these have a radius.
    pub told: i64,
    /// In metres, all together.
    pub metres: i64,
}

const FROM: &str = "FROM taxis t JOIN ads a ON a.id = t.ads_id";

/// Narrows taxis by the town of their ADS and the account that registered them, to those that everybody may find.
pub(super) fn condition(filter: &Filter) -> String {
    format!("{} AND t.trial_for IS NULL", filter.condition("a.insee", "t.operator_id"))
}

/// Taxis as `t` with what is joined to them, and which; where all are taken, none is looked for by its town.
fn taxis(filter: &Filter, joined: &str) -> String {
    let ads = if filter.takes_all() { "" } else { "JOIN ads a ON a.id = t.ads_id" };
    format!("taxis t {ads} {joined} WHERE {}", condition(filter))
}

impl Store {
    /// The numbers of all taxis.
    pub async fn taxi_ids(&self, filter: &Filter) -> Result<Vec<i64>> {
        self.numbers_of("taxis", "t.id", &taxis(filter, "")).await
    }

    /// When taxis were registered.
    pub async fn registered(&self, filter: &Filter, before: &[Millis; 4]) -> Result<Before> {
        self.before(["t.created_at"; 2], before, &taxis(filter, "")).await
    }

    /// When taxis were heard for the first time, as far as that is saved.
    pub async fn heard_first(&self, filter: &Filter, before: &[Millis; 4]) -> Result<Before> {
        // A row goes with its taxi; those of trials are few, and have an index.
        let from = if filter.takes_all() {
            let of_trials = "SELECT id FROM taxis WHERE trial_for IS NOT NULL";
            format!("first_positions f WHERE f.taxi_id NOT IN ({of_trials})")
        } else {
            taxis(filter, "JOIN first_positions f ON f.taxi_id = t.id")
        };
        self.before(["f.ever_at", "f.since_threshold_at"], before, &from).await
    }

    /// Taxis of which it is not saved that they were heard since the decree: their numbers, and whether it is not saved
    /// either that they were heard before.
    pub async fn unheard(&self, filter: &Filter) -> Result<Vec<(i64, bool)>> {
        let columns = "t.id, CASE WHEN f.taxi_id IS NULL THEN 1 ELSE 0 END";
        let unheard = taxis(filter, "LEFT JOIN first_positions f ON f.taxi_id = t.id");
        let unheard = format!("{unheard} AND f.since_threshold_at IS NULL");
        let rows: Vec<(i64, i64)> = self.text_of("taxis", (columns, &unheard), &[]).await?.rows()?;
        Ok(rows.into_iter().map(|(taxi, is_new)| (taxi, is_new == 1)).collect())
    }

    /// The radii of taxis.
    pub async fn radii(&self, filter: &Filter) -> Result<Radii> {
        let described =
            "JOIN vehicle_descriptions d ON d.vehicle_id = t.vehicle_id AND d.operator_id = t.operator_id";
        let sql = format!(
            "SELECT count(*) AS described, count(d.radius) AS told,
             CAST(coalesce(sum(d.radius), 0) AS BIGINT) AS metres FROM {}",
            taxis(filter, described)
        );
        read!(self, db => sqlx::query_as(AssertSqlSafe(sql)).persistent(false).fetch_one(db))
    }

    /// Counts two times of rows, the second since the decree.
    async fn before(&self, [ever, since]: [&str; 2], before: &[Millis; 4], from: &str) -> Result<Before> {
        let all = before.iter().map(|at| format!("count(CASE WHEN {ever} < {} THEN 1 END)", at.0));
        let later = before.iter().map(|at| {
            format!("count(CASE WHEN {since} >= {} AND {since} < {} THEN 1 END)", THRESHOLD.0, at.0)
        });
        let counts: Vec<_> = all.chain(later).collect();
        let sql = format!("SELECT {} FROM {from}", counts.join(", "));
        let n: (i64, i64, i64, i64, i64, i64, i64, i64) = read!(self, db => {
            sqlx::query_as(AssertSqlSafe(sql)).persistent(false).fetch_one(db)
        })?;
        Ok(Before { ever: [n.0, n.1, n.2, n.3], since_threshold: [n.4, n.5, n.6, n.7] })
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

    /// How many taxis with an ADS of these towns were registered before each of some instants, one at least, which
    /// rise.
    pub async fn taxis_before(&self, towns: &[&str], instants: &[Millis]) -> Result<Vec<i64>> {
        let of_towns = one_of("a.insee", towns.iter().map(quoted));
        let period = |(i, at): (u32, &Millis)| format!("WHEN t.created_at < {} THEN {i}", at.0);
        let periods = (0..).zip(instants).map(period).collect::<Vec<_>>().join(" ");
        let after = instants.len();
        // Each taxi once, whatever the instants.
        let sql = format!(
            "SELECT CAST(CASE {periods} ELSE {after} END AS BIGINT) AS period, count(*) {FROM}
             WHERE {of_towns} AND t.trial_for IS NULL GROUP BY period"
        );
        let rows: Vec<(i64, i64)> = read!(self, db => {
            sqlx::query_as(AssertSqlSafe(sql)).persistent(false).fetch_all(db)
        })?;
        let before =
            |last: i64| rows.iter().filter(|(period, _)| *period <= last).map(|(_, taxis)| taxis).sum();
        Ok((0..).zip(instants).map(|(i, _)| before(i)).collect())
    }
}
