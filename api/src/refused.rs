//! What was refused of operators' positions, on its way from memory to SQL, where any process can tell of it.
//!
//! The gate counts in memory ([`ingest::gate::Refusals`]). Every few seconds what is new is taken from there and added
//! to the row of its operator, hour and reason; while the database does not answer it stays here, in bounded memory.

use std::collections::BTreeMap;
use std::time::Duration;

use ingest::clock::Millis;
use ingest::gate::heaviest::{Heaviest, Weight};
use ingest::gate::tally::Tally;
use ingest::gate::{Refusal, Refusals};
use ingest::limits::{MAX_REFUSED_EXAMPLES, MAX_REFUSED_SOURCES, MAX_REFUSED_TAXIS};
use ingest::position::{OperatorKey, Transport};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::limits::REFUSALS_A_TRANSACTION;
use crate::store::{Result, Store};

/// How often what is new is written: an operator is to see within ten seconds why its positions are refused.
const FLUSH: Duration = Duration::from_secs(2);
/// How often what is too old is looked for.
const PRUNE: Duration = Duration::from_hours(1);
/// How long rows are kept, in days.
pub const RETENTION_DAYS: i64 = 31;
/// How long rows are kept, in milliseconds.
pub const RETENTION_MS: i64 = RETENTION_DAYS * 24 * HOUR_MS;
/// Rows that may wait for the database, of about 5 KB; beyond, older hours are counted with later ones.
const WAITING_MAX: usize = 4_096;

const HOUR_MS: i64 = 3_600_000;

/// The beginning of the hour of an instant.
pub fn hour(at: Millis) -> Millis {
    Millis(at.0.div_euclid(HOUR_MS) * HOUR_MS)
}

/// What was refused of one operator for one reason in some time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// How many.
    pub count: u64,
    /// When the last one was.
    pub last_at: Millis,
    /// The taxis that were named most often.
    pub taxis: Heaviest<String>,
    /// The addresses that most came from.
    pub sources: Heaviest<String>,
    /// The latest, the last one last.
    pub examples: Vec<Example>,
}

/// One refused position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Example {
    /// When it was received.
    pub at: Millis,
    /// How.
    pub transport: Transport,
    /// Where it came from.
    pub from: Option<String>,
    /// What it said, as JSON, without the hash.
    pub text: String,
}

impl Default for Refused {
    fn default() -> Self {
        Self::with_room(MAX_REFUSED_TAXIS, MAX_REFUSED_SOURCES)
    }
}

impl Refused {
    /// Nothing, with room for so many taxis and addresses.
    pub fn with_room(taxis: usize, sources: usize) -> Self {
        Self {
            count: 0,
            last_at: Millis(i64::MIN),
            taxis: Heaviest::new(taxis),
            sources: Heaviest::new(sources),
            examples: Vec::new(),
        }
    }

    /// Adds what was refused at about the same time or later.
    pub fn add(&mut self, later: Self) {
        self.count = self.count.saturating_add(later.count);
        self.last_at = self.last_at.max(later.last_at);
        later.taxis.weights().iter().for_each(|weight| self.taxis.add(weight.clone()));
        later.sources.weights().iter().for_each(|weight| self.sources.add(weight.clone()));
        self.examples.extend(later.examples);
        // Several processes add to one row, each its own.
        self.examples.sort_by_key(|example| example.at);
        self.examples.drain(..self.examples.len().saturating_sub(MAX_REFUSED_EXAMPLES));
    }
}

impl From<Tally> for Refused {
    fn from(tally: Tally) -> Self {
        let mut refused = Self { count: tally.count, last_at: tally.last_at, ..Self::default() };
        for Weight { name, at_most, doubtful } in tally.taxis.weights() {
            let (name, at_most, doubtful) = (name.as_str().to_owned(), *at_most, *doubtful);
            refused.taxis.add(Weight { name, at_most, doubtful });
        }
        for Weight { name, at_most, doubtful } in tally.sources.weights() {
            let (name, at_most, doubtful) = (name.to_string(), *at_most, *doubtful);
            refused.sources.add(Weight { name, at_most, doubtful });
        }
        let examples = tally.examples.into_iter().map(|example| Example {
            at: example.at,
            transport: example.transport,
            from: example.from.map(|from| from.to_string()),
            text: example.text,
        });
        refused.examples = examples.collect();
        refused
    }
}

/// A row's key. In the order in which rows are written, the same in every process, so that none waits for each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Row {
    /// The beginning of the hour.
    pub hour: Millis,
    /// Whose.
    pub operator: OperatorKey,
    /// Why.
    pub reason: Refusal,
}

/// What waits to be written.
#[derive(Debug, Default)]
pub struct Waiting(BTreeMap<Row, Refused>);

impl Waiting {
    /// Takes what is new.
    pub fn take(&mut self, refusals: &Refusals) {
        for (operator, reason, tally) in refusals.take() {
            let row = Row { hour: hour(tally.last_at), operator, reason };
            self.0.entry(row).or_default().add(tally.into());
        }
        self.shrink(WAITING_MAX);
    }

    /// Writes all of it, a part at a time. What could not be written keeps waiting. Where a connection broke in the
    /// very moment of a commit that part may be counted twice: better than not at all.
    pub async fn write(&mut self, store: &Store) -> Result<()> {
        while !self.0.is_empty() {
            let rows = self.0.iter().take(REFUSALS_A_TRANSACTION);
            let part: BTreeMap<_, _> = rows.map(|(row, refused)| (*row, refused.clone())).collect();
            store.add_refusals(&part).await?;
            self.0.retain(|row, _| !part.contains_key(row));
        }
        Ok(())
    }

    /// Counts the oldest hours with those after them until at most so many rows are left, or all are of one hour: those
    /// are as many as there are operators and reasons.
    fn shrink(&mut self, most: usize) {
        while self.0.len() > most {
            let Some(last) = self.0.last_key_value().map(|(row, _)| row.hour) else { return };
            let Some((row, refused)) = self.0.pop_first() else { return };
            let next = self.0.keys().map(|row| row.hour).find(|&hour| hour > row.hour).unwrap_or(last);
            let mut sum = refused;
            sum.add(self.0.remove(&Row { hour: next, ..row }).unwrap_or_default());
            self.0.insert(Row { hour: next, ..row }, sum);
            if row.hour == last {
                return;
            }
        }
    }
}

/// Writes what was refused, and forgets what is too old, until `stop`.
pub(crate) async fn keep(app: App, stop: CancellationToken) {
    let ticker = |period| {
        let mut ticker = interval(period);
        ticker.set_missed_tick_behavior(MissedTickBehavior::Delay);
        ticker
    };
    let (mut flush, mut prune) = (ticker(FLUSH), ticker(PRUNE));
    let (store, mut waiting, mut failing) = (app.registry.store().for_upkeep(), Waiting::default(), false);
    loop {
        let stopping = tokio::select! {
            () = stop.cancelled() => true,
            _ = flush.tick() => false,
            _ = prune.tick() => {
                let before = app.clock.now().plus(-RETENTION_MS);
                if let Err(error) = store.forget_refusals(hour(before)).await {
                    tracing::warn!(%error, "old counts of refused positions were not removed");
                }
                continue;
            }
        };
        waiting.take(&app.refusals);
        match waiting.write(&store).await {
            Ok(()) => failing = false,
            // An outage is said once.
            Err(error) if !failing => {
                tracing::warn!(%error, "counts of refused positions wait for the database");
                failing = true;
            }
            Err(_) => {}
        }
        if stopping {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(count: u64, at: i64) -> Refused {
        let mut refused = Refused { count, last_at: Millis(at), ..Refused::default() };
        refused.taxis.count(format!("taxi {at}"));
        refused.examples.push(Example {
            at: Millis(at),
            transport: Transport::Udp,
            from: None,
            text: at.to_string(),
        });
        refused
    }

    #[test]
    fn sums_keep_the_latest_examples_whatever_the_order() {
        let mut sum = Refused::default();
        for at in [5, 1, 9, 3, 7, 2, 8] {
            sum.add(refused(2, at));
        }
        assert_eq!((sum.count, sum.last_at, sum.taxis.weights().len()), (14, Millis(9), 7));
        assert_eq!(sum.examples.iter().map(|example| example.at.0).collect::<Vec<_>>(), [3, 5, 7, 8, 9]);
    }

    #[test]
    fn a_long_outage_keeps_every_count_in_bounded_memory() {
        let mut waiting = Waiting::default();
        for hour in 0..100 {
            for operator in 1..=3 {
                let row = Row {
                    hour: Millis(hour * HOUR_MS),
                    operator: OperatorKey(operator),
                    reason: Refusal::BadHash,
                };
                waiting.0.insert(row, refused(1, hour * HOUR_MS));
            }
            waiting.shrink(10);
            assert!(waiting.0.len() <= 10);
        }
        let counts = |operator| {
            let rows = waiting.0.iter().filter(move |(row, _)| row.operator == OperatorKey(operator));
            rows.map(|(_, refused)| refused.count).sum::<u64>()
        };
        assert_eq!([counts(1), counts(2), counts(3)], [100, 100, 100]);
        waiting.shrink(1);
        assert_eq!(waiting.0.len(), 3, "the last hour is as it is");
        assert_eq!(waiting.0.values().map(|refused| refused.count).sum::<u64>(), 300);
    }

    #[test]
    fn an_hour_begins_on_the_hour_before_1970_too() {
        assert_eq!(hour(Millis(HOUR_MS + 1)), Millis(HOUR_MS));
        assert_eq!(hour(Millis(HOUR_MS)), Millis(HOUR_MS));
        assert_eq!(hour(Millis(-1)), Millis(-HOUR_MS));
    }
}
