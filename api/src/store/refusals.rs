//! What was refused of operators' positions: a row an operator, hour and reason.

use std::collections::BTreeMap;

use ingest::clock::Millis;
use ingest::gate::Refusal;
use ingest::gate::heaviest::{Heaviest, Weight};
use ingest::position::{OperatorKey, Transport};
use serde::{Deserialize, Serialize};

use super::{Result, Store, StoreError, read, write};
use crate::limits::REFUSALS_A_PAGE;
use crate::refused::{Example, Refused, Row};

/// What a row says besides numbers.
#[derive(Serialize, Deserialize)]
struct Detail {
    taxis: Vec<Counted>,
    sources: Vec<Counted>,
    examples: Vec<Sent>,
}

/// A name, how often it came at most, and how much of that is doubtful.
type Counted = (String, u64, u64);

#[derive(Serialize, Deserialize)]
struct Sent {
    at: i64,
    http: bool,
    from: Option<String>,
    text: String,
}

type Stored = (i64, String, i64, i64, String);

/// A row after which a page begins.
#[derive(Clone, Debug)]
pub struct After {
    hour: i64,
    reason: String,
}

/// Some rows, as they are stored.
#[derive(Debug)]
pub struct Page {
    operator: OperatorKey,
    rows: Vec<Stored>,
}

impl Page {
    /// After which row the next page begins; None if there is none.
    pub fn next(&self) -> Option<After> {
        let is_full = i64::try_from(self.rows.len()) == Ok(REFUSALS_A_PAGE);
        let (hour, reason, ..) = self.rows.last().filter(|_| is_full)?;
        Some(After { hour: *hour, reason: reason.clone() })
    }

    /// What the rows say. Slow: up to a millisecond each.
    pub fn decode(self) -> impl Iterator<Item = (Refusal, Refused)> {
        let operator = self.operator;
        self.rows.into_iter().filter_map(move |(hour, reason, count, last_at, detail)| {
            // A reason of a version that is newer than this one has no name here.
            let reason = Refusal::named(&reason)?;
            let decoded = decode(&detail, &Row { hour: Millis(hour), operator, reason });
            let count = u64::try_from(count).unwrap_or_default();
            Some((reason, Refused { count, last_at: Millis(last_at), ..decoded }))
        })
    }
}

impl Store {
    /// Adds to the rows of operators that still exist, in one transaction.
    pub async fn add_refusals(&self, rows: &BTreeMap<Row, Refused>) -> Result<()> {
        write!(self, tx => {
            for (row, refused) in rows {
                let Ok(operator) = i32::try_from(row.operator.0) else { continue };
                let count = i64::try_from(refused.count).unwrap_or(i64::MAX);
                // Holds the row until the commit, if another process writes it too.
                let now: Option<(i64, String)> = sqlx::query_as(
                    "INSERT INTO refusals (operator_id, hour, reason, refused, last_at, detail)
                     SELECT u.id, $2, $3, $4, $5, $6 FROM users u WHERE u.id = $1
                     ON CONFLICT (operator_id, hour, reason)
                     DO UPDATE SET refused = refusals.refused + excluded.refused, last_at = CASE
                     WHEN excluded.last_at > refusals.last_at THEN excluded.last_at ELSE refusals.last_at END
                     RETURNING refused, detail",
                )
                .bind(operator)
                .bind(row.hour.0)
                .bind(row.reason.name())
                .bind(count)
                .bind(refused.last_at.0)
                .bind(encode(refused, row)?)
                .fetch_optional(&mut **tx)
                .await?;
                // It had counted before: its detail is what it was.
                if let Some((_, before)) = now.filter(|(sum, _)| *sum != count) {
                    let mut sum = decode(&before, row);
                    sum.add(refused.clone());
                    sqlx::query(
                        "UPDATE refusals SET detail = $4 WHERE operator_id = $1 AND hour = $2 AND reason = $3",
                    )
                    .bind(operator)
                    .bind(row.hour.0)
                    .bind(row.reason.name())
                    .bind(encode(&sum, row)?)
                    .execute(&mut **tx)
                    .await?;
                }
            }
        })
    }

    /// A page of what was refused of an operator from the hour of `since` on, unless nothing was after that instant; in
    /// the order of hours, from `after` on.
    pub async fn refusals(&self, operator: i32, since: Millis, after: Option<&After>) -> Result<Page> {
        let first = After { hour: crate::refused::hour(since).0, reason: String::new() };
        let after = after.unwrap_or(&first);
        let rows: Vec<Stored> = read!(self, db => {
            sqlx::query_as(
                "SELECT hour, reason, refused, last_at, detail FROM refusals
                 WHERE operator_id = $1 AND (hour, reason) > ($2, $3) AND last_at >= $4
                 ORDER BY hour, reason LIMIT $5",
            )
            .bind(operator)
            .bind(after.hour)
            .bind(&after.reason)
            .bind(since.0)
            .bind(REFUSALS_A_PAGE)
            .fetch_all(db)
        })?;
        Ok(Page { operator: OperatorKey(operator.unsigned_abs()), rows })
    }

    /// Removes the rows of hours that began before.
    pub async fn forget_refusals(&self, before: Millis) -> Result<()> {
        write!(self, tx => {
            sqlx::query("DELETE FROM refusals WHERE hour < $1").bind(before.0).execute(&mut **tx).await?;
        })
    }
}

fn encode(refused: &Refused, row: &Row) -> Result<String> {
    let counted = |weights: &Heaviest<String>| -> Vec<Counted> {
        let weights = weights.weights().iter();
        weights.map(|weight| (weight.name.clone(), weight.at_most, weight.doubtful)).collect()
    };
    let sent = |example: &Example| Sent {
        at: example.at.0,
        http: example.transport == Transport::Http,
        from: example.from.clone(),
        text: example.text.clone(),
    };
    let detail = Detail {
        taxis: counted(&refused.taxis),
        sources: counted(&refused.sources),
        examples: refused.examples.iter().map(sent).collect(),
    };
    serde_json::to_string(&detail).map_err(|error| damaged(row, &error))
}

/// What a row says besides numbers; those are zero. Nothing if it is damaged: the counts still stand, and one row is no
/// reason to fail those of everybody.
fn decode(detail: &str, row: &Row) -> Refused {
    let mut refused = Refused::default();
    let detail: Detail = match serde_json::from_str(detail) {
        Ok(detail) => detail,
        Err(error) => {
            tracing::warn!(error = %damaged(row, &error), "what was refused is told without its detail");
            return refused;
        }
    };
    let weigh = |(name, at_most, doubtful)| Weight { name, at_most, doubtful };
    detail.taxis.into_iter().for_each(|counted| refused.taxis.add(weigh(counted)));
    detail.sources.into_iter().for_each(|counted| refused.sources.add(weigh(counted)));
    let sent = |sent: Sent| Example {
        at: Millis(sent.at),
        transport: if sent.http { Transport::Http } else { Transport::Udp },
        from: sent.from,
        text: sent.text,
    };
    refused.examples = detail.examples.into_iter().map(sent).collect();
    refused
}

fn damaged(row: &Row, error: &serde_json::Error) -> StoreError {
    let key = format!("{} {} {}", row.operator.0, row.hour.0, row.reason.name());
    StoreError::Damaged { table: "refusals", key, reason: error.to_string() }
}
