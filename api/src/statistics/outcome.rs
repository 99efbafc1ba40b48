//! What a hail counts as, a day after it was made.

use std::str::FromStr;

use super::calendar::HOUR_MS;
use crate::hail::Status;

/// How a hail came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Outcome {
    /// The ride is over.
    Finished,
    /// It never reached the taxi.
    Failure,
    /// The taxi refused.
    DeclinedByTaxi,
    /// The customer refused.
    DeclinedByCustomer,
    /// The taxi did not answer.
    TimeoutTaxi,
    /// The taxi did not tell that the ride was over.
    TimeoutRide,
    /// The customer did not confirm.
    TimeoutCustomer,
    /// The customer was not picked up.
    TimeoutAcceptedByCustomer,
    /// The taxi could not go on.
    IncidentTaxi,
    /// The customer could not go on.
    IncidentCustomer,
    /// It had not ended, or nobody can tell how.
    Unknown,
}

impl Outcome {
    /// Every outcome.
    pub const ALL: [Self; 11] = [
        Self::Finished,
        Self::Failure,
        Self::DeclinedByTaxi,
        Self::DeclinedByCustomer,
        Self::TimeoutTaxi,
        Self::TimeoutRide,
        Self::TimeoutCustomer,
        Self::TimeoutAcceptedByCustomer,
        Self::IncidentTaxi,
        Self::IncidentCustomer,
        Self::Unknown,
    ];

    /// Of a hail that stands at this status, was received and, if that is its end, timed out then. A taxi that had not
    /// answered did so within a minute, a ride that was not closed lasted for hours: between them an hour decides.
    pub fn of(status: Status, received_at: Option<i64>, timeout_taxi_at: Option<i64>) -> Self {
        match status {
            Status::Finished => Self::Finished,
            Status::Failure => Self::Failure,
            Status::DeclinedByTaxi => Self::DeclinedByTaxi,
            Status::DeclinedByCustomer => Self::DeclinedByCustomer,
            Status::TimeoutCustomer => Self::TimeoutCustomer,
            Status::TimeoutAcceptedByCustomer => Self::TimeoutAcceptedByCustomer,
            Status::IncidentTaxi => Self::IncidentTaxi,
            Status::IncidentCustomer => Self::IncidentCustomer,
            Status::TimeoutTaxi => match received_at.zip(timeout_taxi_at).map(|(from, to)| to - from) {
                Some(took_ms) if took_ms < HOUR_MS => Self::TimeoutTaxi,
                Some(took_ms) if took_ms > HOUR_MS => Self::TimeoutRide,
                _ => Self::Unknown,
            },
            Status::Received
            | Status::SentToOperator
            | Status::ReceivedByOperator
            | Status::ReceivedByTaxi
            | Status::AcceptedByTaxi
            | Status::AcceptedByCustomer
            | Status::CustomerOnBoard => Self::Unknown,
        }
    }

    /// Its name in SQL.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Finished => "finished",
            Self::Failure => "failure",
            Self::DeclinedByTaxi => "declined_by_taxi",
            Self::DeclinedByCustomer => "declined_by_customer",
            Self::TimeoutTaxi => "timeout_taxi",
            Self::TimeoutRide => "timeout_ride",
            Self::TimeoutCustomer => "timeout_customer",
            Self::TimeoutAcceptedByCustomer => "timeout_accepted_by_customer",
            Self::IncidentTaxi => "incident_taxi",
            Self::IncidentCustomer => "incident_customer",
            Self::Unknown => "unknown",
        }
    }
}

/// No outcome has this name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no outcome of a hail has this name")]
pub struct UnknownOutcome;

impl FromStr for Outcome {
    type Err = UnknownOutcome;

    fn from_str(name: &str) -> Result<Self, UnknownOutcome> {
        Self::ALL.into_iter().find(|outcome| outcome.as_str() == name).ok_or(UnknownOutcome)
    }
}

impl TryFrom<String> for Outcome {
    type Error = UnknownOutcome;

    fn try_from(name: String) -> Result<Self, UnknownOutcome> {
        name.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_hour_tells_a_taxi_that_did_not_answer_from_a_ride_that_was_not_closed() {
        let of = |took_ms: Option<i64>| Outcome::of(Status::TimeoutTaxi, Some(5), took_ms.map(|ms| ms + 5));
        assert_eq!(of(Some(HOUR_MS - 1)), Outcome::TimeoutTaxi);
        assert_eq!(of(Some(HOUR_MS)), Outcome::Unknown);
        assert_eq!(of(Some(HOUR_MS + 1)), Outcome::TimeoutRide);
        assert_eq!(of(None), Outcome::Unknown);
        assert_eq!(Outcome::of(Status::TimeoutTaxi, None, Some(5)), Outcome::Unknown);
    }

    #[test]
    fn every_end_has_an_outcome_and_nothing_else_does() {
        for status in Status::ALL.into_iter().filter(|status| *status != Status::TimeoutTaxi) {
            assert_eq!(Outcome::of(status, Some(0), None) != Outcome::Unknown, status.is_end(), "{status}");
        }
        assert!(Outcome::ALL.iter().all(|outcome| outcome.as_str().parse() == Ok(*outcome)));
    }
}
