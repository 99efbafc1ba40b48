//! The time that each status of a hail was allowed, and what became of it.

use std::time::Duration;

use super::Status;
use crate::store::hails::TransitionRow;
use crate::store::hails::change::DEADLINE;

/// When a status of a hail was to end by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowed {
    /// In milliseconds since 1970.
    pub until: i64,
    /// How long that was from its beginning.
    pub lasts: Duration,
    /// What came of it.
    pub outcome: Outcome,
}

/// What came of a deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing yet.
    Pending,
    /// The hail went on so many milliseconds before it.
    Kept(i64),
    /// The hail failed before it, by nobody's doing.
    Void,
    /// It ended the hail.
    Passed,
}

/// The time of each status that a hail came to, by its transitions in order; None: it may last for ever.
pub fn allowed(transitions: &[TransitionRow]) -> Vec<Option<Allowed>> {
    let one = |(place, began): (usize, &TransitionRow)| {
        let lasts = Status::try_from(began.to_status.clone()).ok()?.lasts()?;
        let until = began.at.saturating_add(i64::try_from(lasts.as_millis()).unwrap_or(i64::MAX));
        let outcome = match transitions.get(place + 1) {
            None => Outcome::Pending,
            Some(next) if next.reason.as_deref() == Some(DEADLINE) => Outcome::Passed,
            Some(next) if next.to_status == Status::Failure.as_str() => Outcome::Void,
            Some(next) => Outcome::Kept(until - next.at),
        };
        Some(Allowed { until, lasts, outcome })
    };
    transitions.iter().enumerate().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(at: i64, to: Status, reason: Option<&str>) -> TransitionRow {
        let (to_status, reason) = (to.to_string(), reason.map(str::to_owned));
        TransitionRow { at, from_status: None, to_status, reason }
    }

    fn outcomes(steps: &[TransitionRow]) -> Vec<Option<(i64, Outcome)>> {
        let told = allowed(steps).into_iter();
        told.map(|one| one.map(|Allowed { until, outcome, .. }| (until, outcome))).collect()
    }

    #[test]
    fn each_status_has_its_deadline_and_what_became_of_it() {
        let steps = [
            step(1_000, Status::Received, None),
            step(1_200, Status::ReceivedByOperator, None),
            step(3_000, Status::ReceivedByTaxi, None),
            step(33_050, Status::TimeoutTaxi, Some(DEADLINE)),
        ];
        let [kept, also, passed] =
            [(11_000, Outcome::Kept(9_800)), (11_200, Outcome::Kept(8_200)), (33_000, Outcome::Passed)];
        assert_eq!(outcomes(&steps), [Some(kept), Some(also), Some(passed), None]);
        assert_eq!(outcomes(&steps[..3]), [Some(kept), Some(also), Some((33_000, Outcome::Pending))]);
        assert_eq!(allowed(&steps)[2].map(|one| one.lasts), Status::ReceivedByTaxi.lasts());
    }

    #[test]
    fn a_call_that_failed_left_nothing_to_wait_for() {
        let failed = [step(0, Status::Received, None), step(90, Status::Failure, Some("no answer"))];
        assert_eq!(outcomes(&failed), [Some((10_000, Outcome::Void)), None]);
        assert_eq!(outcomes(&[]), []);
    }
}
