//! The account of a run: where every row of the file and every position that was sent has gone.

use std::fmt::{self, Display, Formatter};

use serde_json::{Value, json};

use super::drive::Sent;
use super::tally::{Counts, Outcome};
use super::trace::Trace;

/// What became of a trace.
#[derive(Debug)]
pub struct Account {
    /// What was read.
    pub trace: Trace,
    /// What was sent of it.
    pub sent: Sent,
    /// What the server counted.
    pub outcome: Outcome,
    /// How long sending took, in seconds.
    pub seconds: f64,
}

impl Account {
    /// Positions that were sent and left no trace in the server's counts; None: these tell nothing.
    pub fn lost(&self) -> Option<u64> {
        let counts = self.counts()?;
        Some(self.sent.sent.saturating_sub(counts.accepted + counts.refused.values().sum::<u64>()))
    }

    /// A sentence for each thing that did not go as it should.
    pub fn explanations(&self) -> Vec<String> {
        let mut said = Vec::new();
        for (what, count) in &self.sent.failed {
            said.push(format!("{count} not sent: the system said: {what}"));
        }
        let counts = match &self.outcome {
            Outcome::Unknown(why) => {
                said.push(format!("what became of the positions sent is unknown: {why}"));
                return said;
            }
            Outcome::Counted(counts) => counts,
        };
        for (reason, count) in &counts.refused {
            said.push(format!("{count} refused: {}", meaning(reason)));
        }
        let lost = self.lost().unwrap_or(0);
        let in_kernel = counts.dropped.unwrap_or(0).min(lost);
        if in_kernel > 0 {
            said.push(format!("{in_kernel} lost: the server's kernel dropped them, its buffer being full"));
        }
        if lost > in_kernel {
            let where_else = "on the way, or nobody listened at that address";
            said.push(format!("{} lost: they did not reach the server: {where_else}", lost - in_kernel));
        }
        said
    }

    /// The account for machines.
    pub fn json(&self) -> Value {
        let (trace, sent, counts) = (&self.trace, &self.sent, self.counts());
        let reasons = trace
            .refused
            .by_reason
            .iter()
            .map(|((field, reason), count)| json!({"field": field, "reason": reason, "count": count}));
        let examples = trace.refused.examples.iter();
        let examples = examples.map(|row| json!({"row": row.row, "field": row.field, "reason": row.reason}));
        json!({
            "rows": {
                "read": trace.read,
                "refused": {
                    "count": trace.refused.count(), "by_reason": reasons.collect::<Vec<_>>(),
                    "examples": examples.collect::<Vec<_>>(),
                },
                "past_limit": trace.past_limit, "to_send": trace.fixes.len(),
            },
            "taxis": trace.taxis.len(),
            "positions": {
                "sent": sent.sent, "failed": sent.failed, "not_due": sent.not_due,
                "accepted": counts.map(|counts| counts.accepted), "refused": counts.map(|counts| &counts.refused),
                "lost": self.lost(), "dropped_by_kernel": counts.and_then(|counts| counts.dropped),
            },
            "explanations": self.explanations(), "seconds": self.seconds, "late_ms_max": sent.late_ms_max,
        })
    }

    fn counts(&self) -> Option<&Counts> {
        match &self.outcome {
            Outcome::Counted(counts) => Some(counts),
            Outcome::Unknown(_) => None,
        }
    }
}

impl Display for Account {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let (trace, sent) = (&self.trace, &self.sent);
        writeln!(
            f,
            "rows       {} read: {} refused, {} past the limit of hours, {} to send, of {} taxis",
            trace.read,
            trace.refused.count(),
            trace.past_limit,
            trace.fixes.len(),
            trace.taxis.len()
        )?;
        for ((field, reason), count) in &trace.refused.by_reason {
            writeln!(f, "           {count} refused: {field} {reason}")?;
        }
        for row in &trace.refused.examples {
            writeln!(f, "           row {}: {} {}", row.row, row.field, row.reason)?;
        }
        writeln!(
            f,
            "positions  {} sent in {:.1} s, {} not sent, {} not due yet when stopped; the latest was {} ms late",
            sent.sent,
            self.seconds,
            sent.failed.values().sum::<u64>(),
            sent.not_due,
            sent.late_ms_max
        )?;
        if let (Some(counts), Some(lost)) = (self.counts(), self.lost()) {
            let refused: u64 = counts.refused.values().sum();
            writeln!(f, "of these   {} accepted, {refused} refused, {lost} lost", counts.accepted)?;
            writeln!(
                f,
                "           (as the server counts for this key; nobody else was heard sending with it)"
            )?;
        }
        self.explanations().iter().try_for_each(|sentence| writeln!(f, "           {sentence}"))
    }
}

/// What a reason means to whoever sent.
fn meaning(reason: &str) -> String {
    let meaning = match reason {
        "bad_hash" => "the key was changed during the run",
        "unknown_taxi" => "the taxi was removed during the run",
        "not_their_taxi" => "the operator no longer describes the taxi's vehicle",
        "lat_out_of_range" => "the latitude, rounded to six decimals, is out of range",
        "sent_at_off" => "this machine's clock is more than two minutes off the server's",
        "replayed" => "the network brought a datagram twice",
        "overloaded" => "the server's log had no room",
        _ => return reason.to_owned(),
    };
    format!("{reason}, {meaning}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::replay::trace;

    fn account(sent: u64, accepted: u64, dropped: Option<u64>) -> Account {
        let text = "taxi_id,unix_ts,lat,lon\na,1,41,-8\na,2,41,-8\na,x,41,-8\n";
        let trace = trace::read(text.as_bytes(), None).unwrap();
        let refused = [("overloaded".to_owned(), 1)].into();
        let counts = Counts { since: String::new(), accepted, refused, dropped };
        let failed = [("connection refused".to_owned(), 2)].into();
        let sent = Sent { sent, failed, ..Sent::default() };
        Account { trace, sent, outcome: Outcome::Counted(counts), seconds: 1.0 }
    }

    #[test]
    fn each_lost_position_is_explained() {
        assert_eq!(account(10, 9, Some(5)).lost(), Some(0));
        let said = |account: &Account| account.explanations().join("\n");
        let all = said(&account(10, 5, Some(3)));
        for part in
            ["2 not sent: the system said: connection refused", "1 refused: overloaded, the server's log"]
        {
            assert!(all.contains(part), "{all}");
        }
        assert!(all.contains("3 lost: the server's kernel") && all.contains("1 lost: they did not"), "{all}");
        let all = said(&account(10, 5, None));
        assert!(!all.contains("kernel") && all.contains("4 lost: they did not reach"), "{all}");
        let all = said(&account(10, 5, Some(9)));
        assert!(all.contains("4 lost: the server's kernel") && !all.contains("did not reach"), "{all}");
    }

    #[test]
    fn unknown_is_told_as_unknown() {
        let outcome = Outcome::Unknown("others send".to_owned());
        let account = Account { outcome, ..account(10, 9, None) };
        assert_eq!(account.lost(), None);
        assert_eq!(account.json()["positions"]["lost"], Value::Null);
        assert_eq!(account.json()["positions"]["accepted"], Value::Null);
        let text = account.to_string();
        assert!(text.contains("unknown: others send") && !text.contains("accepted"), "{text}");
    }

    #[test]
    fn it_names_every_row() {
        let account = account(2, 1, None);
        let (json, text) = (account.json(), account.to_string());
        assert_eq!((&json["rows"]["read"], &json["rows"]["to_send"]), (&json!(3), &json!(2)));
        let example = json!({"row": 3, "field": "unix_ts", "reason": "is not a number"});
        assert_eq!(json["rows"]["refused"]["examples"], json!([example]));
        assert!(
            text.contains("3 read: 1 refused") && text.contains("row 3: unix_ts is not a number"),
            "{text}"
        );
    }
}
