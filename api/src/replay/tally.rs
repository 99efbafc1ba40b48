//! What the server counted of the positions that a run sent.
//!
//! The server counts by operator, whoever sends with its key. So the counts are looked at for a while before the first
//! position and after the last one: where they move then, somebody else sends too, and nothing is concluded from them.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::fleet::plan::Operator;
use crate::simulation::{Result, SimulationError, Target};

/// How long the counts must stand still while nothing is sent.
const QUIET: Duration = Duration::from_secs(1);
/// How often they are asked for at the end.
const LOOK: Duration = Duration::from_millis(50);
/// How long the last positions may take to be counted.
const ARRIVE_WITHIN: Duration = Duration::from_secs(5);
/// Where they are asked for.
const PATH: &str = "/operators/me/positions";

/// Counts of an operator's datagrams.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// When the server began to count.
    pub since: String,
    /// Those that were accepted.
    pub accepted: u64,
    /// Those that were refused, by reason.
    pub refused: BTreeMap<String, u64>,
    /// Those of anybody that the server's kernel dropped; None: it does not say.
    pub dropped: Option<u64>,
}

/// What became of a run's positions at the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// What it counted during the run, and nobody else was heard.
    Counted(Counts),
    /// Why its counts tell nothing.
    Unknown(String),
}

/// The counts before a run.
#[derive(Debug)]
pub struct Tally {
    key: String,
    before: Counts,
    is_alone: bool,
}

impl Tally {
    /// Looks at the counts before anything is sent. An error: the key is not the operator's, or the server does not
    /// count.
    pub async fn begin(target: &Target, operator: &Operator) -> Result<Self> {
        let (email, before) = ask(target, &operator.key).await?;
        if email != operator.name {
            return Err(SimulationError::NotTheKey { operator: operator.name.clone(), email });
        }
        Ok(Self { key: operator.key.clone(), before, is_alone: true })
    }

    /// Looks again just before the first position, to see whether somebody else has sent meanwhile.
    pub async fn ready(mut self, target: &Target) -> Result<Self> {
        sleep(QUIET).await;
        let (_, now) = ask(target, &self.key).await?;
        self.is_alone = now.total() == self.before.total();
        self.before = now;
        Ok(self)
    }

    /// Waits until the positions that were sent are counted, and then whether more come.
    pub async fn end(self, target: &Target, sent: u64) -> Outcome {
        let until = Instant::now() + ARRIVE_WITHIN;
        loop {
            let now = match ask(target, &self.key).await {
                Ok((_, now)) => now,
                Err(error) => return Outcome::Unknown(format!("the server no longer tells: {error}")),
            };
            if now.since != self.before.since || now.total() < self.before.total() {
                let why = "the server was restarted during the run, and counts anew since";
                return Outcome::Unknown(why.to_owned());
            }
            let during = now.less(&self.before);
            if during.total() < sent && Instant::now() < until {
                sleep(LOOK).await;
                continue;
            }
            sleep(QUIET).await;
            let again = ask(target, &self.key).await.map(|(_, again)| again.less(&self.before));
            return judge(self.is_alone, sent, &during, again);
        }
    }
}

fn judge(was_alone: bool, sent: u64, during: &Counts, again: Result<Counts>) -> Outcome {
    match again {
        Err(error) => Outcome::Unknown(format!("the server no longer tells: {error}")),
        Ok(again) if !was_alone || again.total() != during.total() || again.total() > sent => {
            let why = "others send with the same key, and the server does not tell theirs from ours; give the replay \
                       an account of its own";
            Outcome::Unknown(why.to_owned())
        }
        Ok(again) => Outcome::Counted(again),
    }
}

impl Counts {
    fn total(&self) -> u64 {
        self.accepted + self.refused.values().sum::<u64>()
    }

    /// What was counted since `before`.
    fn less(&self, before: &Self) -> Self {
        let refused = self.refused.iter().map(|(reason, count)| {
            (reason.clone(), count.saturating_sub(before.refused.get(reason).copied().unwrap_or(0)))
        });
        Self {
            since: self.since.clone(),
            accepted: self.accepted.saturating_sub(before.accepted),
            refused: refused.filter(|(_, count)| *count > 0).collect(),
            dropped: self.dropped.zip(before.dropped).map(|(now, before)| now.saturating_sub(before)),
        }
    }
}

/// The operator's email as the server knows it, and its counts.
async fn ask(target: &Target, key: &str) -> Result<(String, Counts)> {
    let answer = target.get(PATH, key).await?;
    let counts = &answer["data"][0];
    let text = |name: &str| counts[name].as_str().unwrap_or_default().to_owned();
    let refused = counts["refused"].as_object().into_iter().flatten();
    let counts = Counts {
        since: text("since"),
        accepted: counts["accepted"].as_u64().unwrap_or(0),
        refused: refused.filter_map(|(reason, count)| Some((reason.clone(), count.as_u64()?))).collect(),
        dropped: counts["dropped_by_kernel"].as_u64(),
    };
    Ok((text("operator"), counts))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(accepted: u64, bad_hash: u64) -> Counts {
        let refused =
            [("bad_hash".to_owned(), bad_hash)].into_iter().filter(|(_, count)| *count > 0).collect();
        Counts { since: "then".to_owned(), accepted, refused, dropped: Some(accepted) }
    }

    #[test]
    fn what_was_counted_before_is_not_of_this_run() {
        let during = counts(10, 5).less(&counts(7, 5));
        assert_eq!((during.accepted, during.total(), during.dropped), (3, 3, Some(3)));
        assert_eq!(counts(10, 5).less(&counts(7, 0)).refused["bad_hash"], 5);
    }

    #[test]
    fn nothing_is_concluded_from_what_others_sent_too() {
        let others = |outcome| matches!(outcome, Outcome::Unknown(why) if why.contains("others send"));
        assert_eq!(judge(true, 10, &counts(9, 1), Ok(counts(9, 1))), Outcome::Counted(counts(9, 1)));
        assert_eq!(judge(true, 10, &counts(8, 0), Ok(counts(8, 0))), Outcome::Counted(counts(8, 0)));
        assert!(others(judge(false, 10, &counts(9, 1), Ok(counts(9, 1)))), "heard before");
        assert!(others(judge(true, 10, &counts(8, 0), Ok(counts(9, 0)))), "heard after");
        assert!(others(judge(true, 10, &counts(11, 0), Ok(counts(11, 0)))), "more than was sent");
    }
}
