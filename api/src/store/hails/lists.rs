//! Pages of hails and of sessions, the newest first.
//!
//! What is asked for is put together as text, numbers in it and all: each question is planned for itself, by what it
//! asks and not by what the last one did.

use std::ops::Range;

use sqlx::{AssertSqlSafe, FromRow};

use crate::hail::Status;
use crate::limits::SESSION_HAILS_MAX;
use crate::store::{Result, Store, read};

/// A hail in a list, with those who have to do with it.
#[derive(Clone, Debug, FromRow)]
#[expect(missing_docs, reason = "the columns, named as in the tables")]
pub struct ListedRow {
    pub id: String,
    pub session_id: String,
    pub app_id: i32,
    pub app_email: String,
    pub app_name: String,
    pub operator_id: i32,
    pub operator_email: String,
    pub operator_name: String,
    pub public_taxi_id: String,
    pub shown_taxi_id: String,
    pub taxi_lat_e7: i32,
    pub taxi_lon_e7: i32,
    pub taxi_phone_number: String,
    pub customer_id: String,
    pub customer_lat_e7: i32,
    pub customer_lon_e7: i32,
    pub customer_address: String,
    pub customer_phone_number: String,
    #[sqlx(try_from = "String")]
    pub status: Status,
    pub created_at: i64,
    pub updated_at: i64,
}

/// A session as stored.
#[derive(Clone, Debug, FromRow)]
pub struct SessionRow {
    /// Its id.
    pub id: String,
    /// The account of the search app.
    pub app_id: i32,
    /// The customer, as the app names them.
    pub customer_id: String,
    /// When its first hail was made, in milliseconds since 1970.
    pub created_at: i64,
}

/// Whose hails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Whose {
    /// Everybody's.
    #[default]
    Everybodys,
    /// An account's.
    Account {
        /// Its number.
        id: i32,
        /// Those that it made, as a search app.
        as_app: bool,
        /// Those of its taxis, as an operator.
        as_operator: bool,
    },
}

/// A wish of a list of hails. Several values are alternatives, an empty list takes all. Texts are beginnings, compared
/// without regard to case.
#[derive(Clone, Debug, Default)]
pub struct HailFilter {
    /// Whose.
    pub whose: Whose,
    /// Beginnings of ids.
    pub ids: Vec<String>,
    /// The accounts of their search apps; None: any.
    pub apps: Option<Vec<i32>>,
    /// The accounts of their operators; None: any.
    pub operators: Option<Vec<i32>>,
    /// Beginnings of the ids under which whoever asks knows their taxis.
    pub taxis: Vec<String>,
    /// Beginnings of their customers' ids.
    pub customers: Vec<String>,
    /// Where they stand.
    pub statuses: Vec<Status>,
    /// When they were made, in milliseconds since 1970.
    pub made: Vec<Range<i64>>,
    /// Made then or later, in milliseconds since 1970.
    pub since: Option<i64>,
    /// Made earlier than that, in milliseconds since 1970.
    pub before: Option<i64>,
    /// Only those that were asked for again under their names, while these are remembered.
    pub repeated: bool,
}

/// A wish of a list of sessions, in the same way.
#[derive(Clone, Debug, Default)]
pub struct SessionFilter {
    /// Of this app alone, begun at this time or later, in milliseconds since 1970; None: of all apps.
    pub of: Option<(i32, i64)>,
    /// The accounts of their search apps; None: any.
    pub apps: Option<Vec<i32>>,
    /// Beginnings of their customers' ids.
    pub customers: Vec<String>,
    /// When they began, in milliseconds since 1970.
    pub begun: Vec<Range<i64>>,
}

const COLUMNS: &str = "h.id, h.session_id, h.app_id, a.email AS app_email, a.name AS app_name, h.operator_id,
    o.email AS operator_email, o.name AS operator_name, t.public_id AS public_taxi_id, h.shown_taxi_id, h.taxi_lat_e7,
    h.taxi_lon_e7, h.taxi_phone_number, h.customer_id, h.customer_lat_e7, h.customer_lon_e7, h.customer_address,
    h.customer_phone_number, h.status, h.created_at, h.updated_at";

/// That a hail was asked for again: of few, which have an index.
const REPEATED: &str = "h.id IN (SELECT hail_id FROM idempotency_keys WHERE is_repeated)";

/// Those who have to do with a hail.
const JOINED: &str = "JOIN users a ON a.id = h.app_id JOIN users o ON o.id = h.operator_id
    JOIN taxis t ON t.id = h.taxi_id";

impl Store {
    /// A page of hails, the newest first, and how many there are: of the newest `counted`, or of all.
    pub async fn hails(
        &self,
        filter: &HailFilter,
        page: (i64, i64),
        counted: Option<i64>,
    ) -> Result<(Vec<ListedRow>, i64)> {
        let (limit, offset) = within(page, counted);
        let mut question = Question { store: self, texts: Vec::new() };
        let condition = question.condition(filter);
        let texts = question.texts;
        let count = counting(&format!("hails h WHERE {condition}"), counted);
        let (total,): (i64,) = read!(self, db => {
            let query = sqlx::query_as(AssertSqlSafe(count)).persistent(false);
            texts.iter().fold(query, |query, text| query.bind(*text)).fetch_one(db)
        })?;
        // Nothing is joined to be passed over.
        let newest = "ORDER BY h.created_at DESC, h.id DESC";
        let page = format!(
            "SELECT {COLUMNS} FROM hails h {JOINED} WHERE h.id IN
             (SELECT h.id FROM hails h WHERE {condition} {newest} LIMIT {limit} OFFSET {offset}) {newest}"
        );
        let rows = read!(self, db => {
            let query = sqlx::query_as(AssertSqlSafe(page)).persistent(false);
            texts.iter().fold(query, |query, text| query.bind(*text)).fetch_all(db)
        })?;
        Ok((rows, total))
    }

    /// A page of sessions, the newest first, and how many there are: of the newest `counted`, or of all.
    pub async fn sessions(
        &self,
        filter: &SessionFilter,
        page: (i64, i64),
        counted: Option<i64>,
    ) -> Result<(Vec<SessionRow>, i64)> {
        let (limit, offset) = within(page, counted);
        let mut question = Question { store: self, texts: Vec::new() };
        let condition = question.of_sessions(filter);
        let texts = question.texts;
        let count = counting(&format!("hail_sessions WHERE {condition}"), counted);
        let (total,): (i64,) = read!(self, db => {
            let query = sqlx::query_as(AssertSqlSafe(count)).persistent(false);
            texts.iter().fold(query, |query, text| query.bind(*text)).fetch_one(db)
        })?;
        let page = format!(
            "SELECT id, app_id, customer_id, created_at FROM hail_sessions WHERE {condition}
             ORDER BY created_at DESC, id DESC LIMIT {limit} OFFSET {offset}"
        );
        let rows = read!(self, db => {
            let query = sqlx::query_as(AssertSqlSafe(page)).persistent(false);
            texts.iter().fold(query, |query, text| query.bind(*text)).fetch_all(db)
        })?;
        Ok((rows, total))
    }

    /// The hails of sessions, the oldest first; of each session at most [`SESSION_HAILS_MAX`].
    pub async fn hails_of(&self, sessions: &[SessionRow]) -> Result<Vec<ListedRow>> {
        if sessions.is_empty() {
            return Ok(Vec::new());
        }
        let numbers: Vec<_> = (1..=sessions.len()).map(|number| format!("${number}")).collect();
        let sql = format!(
            "SELECT {COLUMNS} FROM hails h {JOINED} WHERE h.id IN (SELECT id FROM
             (SELECT id, row_number() OVER (PARTITION BY session_id ORDER BY created_at, id) AS place
              FROM hails WHERE session_id IN ({})) placed WHERE place <= {SESSION_HAILS_MAX})
             ORDER BY h.created_at, h.id",
            numbers.join(", ")
        );
        read!(self, db => {
            let query = sqlx::query_as(AssertSqlSafe(sql)).persistent(false);
            sessions.iter().fold(query, |query, session| query.bind(&session.id)).fetch_all(db)
        })
    }
}

/// The question how many rows there are; of a year's, that there are so many or more is enough.
fn counting(rows: &str, counted: Option<i64>) -> String {
    match counted {
        Some(counted) => {
            format!("SELECT count(*) FROM (SELECT 1 AS one FROM {rows} LIMIT {counted}) counted")
        }
        None => format!("SELECT count(*) FROM {rows}"),
    }
}

/// Limit and offset of a page, but of nothing that is not counted.
fn within((limit, offset): (i64, i64), counted: Option<i64>) -> (i64, i64) {
    (counted.map_or(limit, |counted| limit.min(counted - offset).max(0)), offset)
}

/// The conditions of a question being put together, and the texts that are bound to it.
struct Question<'a> {
    store: &'a Store,
    texts: Vec<&'a str>,
}

impl<'a> Question<'a> {
    fn condition(&mut self, filter: &'a HailFilter) -> String {
        let mut wanted = vec![self.whose(filter)];
        wanted.extend(self.begins("h.id", &filter.ids));
        wanted.extend(self.begins("h.customer_id", &filter.customers));
        for (column, accounts) in [("h.app_id", &filter.apps), ("h.operator_id", &filter.operators)] {
            wanted.extend(accounts.as_ref().map(|accounts| one_of(column, accounts)));
        }
        if !filter.statuses.is_empty() {
            let names: Vec<_> = filter.statuses.iter().map(|status| format!("'{status}'")).collect();
            wanted.push(format!("h.status IN ({})", names.join(", ")));
            wanted.extend(is_rare(filter).then(|| "h.deadline_at IS NULL".to_owned()));
        }
        wanted.extend(any(filter.made.iter().map(|made| made_within("h.created_at", made))));
        wanted.extend(filter.since.map(|since| format!("h.created_at >= {since}")));
        wanted.extend(filter.before.map(|before| format!("h.created_at < {before}")));
        wanted.extend(filter.repeated.then(|| REPEATED.to_owned()));
        wanted.join(" AND ")
    }

    fn of_sessions(&mut self, filter: &'a SessionFilter) -> String {
        let SessionFilter { of, apps, customers, begun } = filter;
        let own = of.map(|(app, since)| format!("app_id = {app} AND created_at >= {since}"));
        let begun = any(begun.iter().map(|begun| made_within("created_at", begun)));
        let apps = apps.as_ref().map(|apps| one_of("app_id", apps));
        let wanted = all([own, apps, self.begins("customer_id", customers), begun]);
        if wanted.is_empty() { "1 = 1".to_owned() } else { wanted }
    }

    /// Whose hails they are, and under which ids they know the taxis.
    fn whose(&mut self, filter: &'a HailFilter) -> String {
        let public = |question: &mut Self| {
            let begins = question.begins("public_id", &filter.taxis);
            begins.map(|begins| format!("h.taxi_id IN (SELECT id FROM taxis WHERE {begins})"))
        };
        match filter.whose {
            Whose::Everybodys => public(self).unwrap_or_else(|| "1 = 1".to_owned()),
            Whose::Account { id, as_app, as_operator } => {
                let mut either = Vec::new();
                if as_operator {
                    either.push(all([Some(format!("h.operator_id = {id}")), public(self)]));
                }
                if as_app {
                    let others = as_operator.then(|| format!("h.operator_id <> {id}"));
                    let shown = self.begins("h.shown_taxi_id", &filter.taxis);
                    either.push(all([Some(format!("h.app_id = {id}")), others, shown]));
                }
                any(either.into_iter()).unwrap_or_else(|| "1 = 0".to_owned())
            }
        }
    }

    /// That a column begins like one of these texts; None: there are none.
    fn begins(&mut self, column: &str, texts: &'a [String]) -> Option<String> {
        let each = texts.iter().map(|text| {
            self.texts.push(text);
            format!("({})", self.store.begins(column, self.texts.len()))
        });
        any(each)
    }
}

/// Whether hails are narrowed by one status alone, in which they end: an index has those, and a year of others need not
/// be passed over.
fn is_rare(filter: &HailFilter) -> bool {
    let HailFilter {
        whose,
        ids,
        apps,
        operators,
        taxis,
        customers,
        statuses,
        made,
        since: _,
        before: _,
        repeated,
    } = filter;
    matches!(statuses[..], [status] if status.is_end())
        && *whose == Whose::Everybodys
        && (apps.is_none() && operators.is_none())
        && [ids, taxis, customers].iter().all(|texts| texts.is_empty())
        && (made.is_empty() && !repeated)
}

/// That a time is within these.
fn made_within(column: &str, made: &Range<i64>) -> String {
    format!("({column} >= {} AND {column} < {})", made.start, made.end)
}

/// That one of several conditions holds; None: there are none.
fn any(conditions: impl Iterator<Item = String>) -> Option<String> {
    let conditions: Vec<_> = conditions.collect();
    (!conditions.is_empty()).then(|| format!("({})", conditions.join(" OR ")))
}

/// That all of several conditions hold, those that there are.
fn all<const N: usize>(conditions: [Option<String>; N]) -> String {
    conditions.into_iter().flatten().collect::<Vec<_>>().join(" AND ")
}

/// That a column is one of these numbers, which may be none.
fn one_of(column: &str, numbers: &[i32]) -> String {
    if numbers.is_empty() {
        return "1 = 0".to_owned();
    }
    let numbers: Vec<_> = numbers.iter().map(i32::to_string).collect();
    format!("{column} IN ({})", numbers.join(", "))
}
