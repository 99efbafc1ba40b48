//! The hail: a total function of what it is and what happens to it.
//!
//! [`next`] has one line for each legal move. Who may make it ([`Event::sender`]), what it does to the taxi
//! ([`Status::taxi`]) and how long a status may last ([`Status::lasts`]) are functions beside it. Nothing here does
//! I/O or knows the time: a deadline is an event like any other. [`deadlines`] and [`dispatch`] feed it
//! events; [`events`] tells what happened.

use std::time::Duration;

use engine::profile::Status as TaxiStatus;
use thiserror::Error;

pub mod allowed;
pub mod backlog;
pub mod deadlines;
pub mod diagram;
pub mod dispatch;
pub mod events;
pub mod meters;
pub mod streams;
pub mod tracks;
pub mod webhooks;
pub mod wish;

/// Where a hail stands. The names on the wire and in SQL are the contract's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Status {
    /// An app asked for a taxi.
    Received,
    /// It waits on the event stream of an operator that has no server to be called.
    SentToOperator,
    /// The operator has it.
    ReceivedByOperator,
    /// The taxi has it.
    ReceivedByTaxi,
    /// The taxi wants to come.
    AcceptedByTaxi,
    /// The customer wants it to come: it is on its way.
    AcceptedByCustomer,
    /// The customer is in the taxi.
    CustomerOnBoard,
    /// It never reached the taxi.
    Failure,
    /// The taxi refused.
    DeclinedByTaxi,
    /// The taxi could not go on.
    IncidentTaxi,
    /// The taxi did not answer, or did not tell the end.
    TimeoutTaxi,
    /// The customer refused.
    DeclinedByCustomer,
    /// The customer could not go on.
    IncidentCustomer,
    /// The customer did not confirm.
    TimeoutCustomer,
    /// The customer was not picked up.
    TimeoutAcceptedByCustomer,
    /// The ride is over.
    Finished,
}

/// What may happen to a hail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Event {
    /// The operator's server took it.
    CallAnswered,
    /// The operator's server did not.
    CallFailed,
    /// The operator has no server; it is on its event stream.
    Offered,
    /// The status has lasted as long as it may.
    Deadline,
    /// The operator took it from its stream.
    ReceivedByOperator,
    /// The taxi has it.
    ReceivedByTaxi,
    /// The taxi accepts.
    AcceptedByTaxi,
    /// The taxi refuses.
    DeclinedByTaxi,
    /// The taxi cannot go on.
    IncidentTaxi,
    /// The customer got in.
    CustomerOnBoard,
    /// The customer got out.
    Finished,
    /// The customer confirms.
    AcceptedByCustomer,
    /// The customer refuses.
    DeclinedByCustomer,
    /// The customer cannot go on.
    IncidentCustomer,
}

/// Whose doing an event is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Sender {
    /// Ours.
    Registry,
    /// The operator of the taxi.
    Operator,
    /// The search app of the customer.
    App,
}

/// Where an event leads to; None: it cannot happen then.
///
/// ```
/// use api::hail::{Event, Status, next};
/// assert_eq!(next(Status::ReceivedByTaxi, Event::AcceptedByTaxi), Some(Status::AcceptedByTaxi));
/// assert_eq!(next(Status::Finished, Event::Deadline), None);
/// ```
#[expect(clippy::match_same_arms, reason = "one line for each legal move, by where it starts")]
#[rustfmt::skip]
pub fn next(status: Status, event: Event) -> Option<Status> {
    use Event as E;
    use Status as S;
    Some(match (status, event) {
        (S::Received, E::CallAnswered) => S::ReceivedByOperator,
        (S::Received, E::CallFailed | E::Deadline) => S::Failure,
        (S::Received, E::Offered) => S::SentToOperator,
        (S::Received, E::DeclinedByCustomer) => S::DeclinedByCustomer,

        (S::SentToOperator, E::ReceivedByOperator) => S::ReceivedByOperator,
        (S::SentToOperator, E::Deadline) => S::Failure,
        (S::SentToOperator, E::DeclinedByCustomer) => S::DeclinedByCustomer,

        (S::ReceivedByOperator, E::ReceivedByTaxi) => S::ReceivedByTaxi,
        (S::ReceivedByOperator, E::Deadline) => S::Failure,
        (S::ReceivedByOperator, E::DeclinedByCustomer) => S::DeclinedByCustomer,

        (S::ReceivedByTaxi, E::AcceptedByTaxi) => S::AcceptedByTaxi,
        (S::ReceivedByTaxi, E::DeclinedByTaxi) => S::DeclinedByTaxi,
        (S::ReceivedByTaxi, E::IncidentTaxi) => S::IncidentTaxi,
        (S::ReceivedByTaxi, E::Deadline) => S::TimeoutTaxi,
        (S::ReceivedByTaxi, E::DeclinedByCustomer) => S::DeclinedByCustomer,
        (S::ReceivedByTaxi, E::IncidentCustomer) => S::IncidentCustomer,

        (S::AcceptedByTaxi, E::AcceptedByCustomer) => S::AcceptedByCustomer,
        (S::AcceptedByTaxi, E::IncidentTaxi) => S::IncidentTaxi,
        (S::AcceptedByTaxi, E::Deadline) => S::TimeoutCustomer,
        (S::AcceptedByTaxi, E::DeclinedByCustomer) => S::DeclinedByCustomer,
        (S::AcceptedByTaxi, E::IncidentCustomer) => S::IncidentCustomer,

        (S::AcceptedByCustomer, E::CustomerOnBoard) => S::CustomerOnBoard,
        (S::AcceptedByCustomer, E::IncidentTaxi) => S::IncidentTaxi,
        (S::AcceptedByCustomer, E::Deadline) => S::TimeoutAcceptedByCustomer,
        (S::AcceptedByCustomer, E::IncidentCustomer) => S::IncidentCustomer,

        (S::CustomerOnBoard, E::Finished) => S::Finished,
        (S::CustomerOnBoard, E::IncidentTaxi) => S::IncidentTaxi,
        (S::CustomerOnBoard, E::Deadline) => S::TimeoutTaxi,
        (S::CustomerOnBoard, E::IncidentCustomer) => S::IncidentCustomer,

        _ => return None,
    })
}

impl Status {
    /// Every status, in the order in which the contract lists them.
    pub const ALL: [Self; 16] = [
        Self::Received,
        Self::SentToOperator,
        Self::ReceivedByOperator,
        Self::ReceivedByTaxi,
        Self::AcceptedByTaxi,
        Self::AcceptedByCustomer,
        Self::CustomerOnBoard,
        Self::Failure,
        Self::DeclinedByTaxi,
        Self::IncidentTaxi,
        Self::TimeoutTaxi,
        Self::DeclinedByCustomer,
        Self::IncidentCustomer,
        Self::TimeoutCustomer,
        Self::TimeoutAcceptedByCustomer,
        Self::Finished,
    ];

    /// Their names, in the same order.
    pub const NAMES: &[&str] = &{
        let mut names = [""; Self::ALL.len()];
        let mut i = 0;
        while i < names.len() {
            names[i] = Self::ALL[i].as_str();
            i += 1;
        }
        names
    };

    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Received => "received",
            Self::SentToOperator => "sent_to_operator",
            Self::ReceivedByOperator => "received_by_operator",
            Self::ReceivedByTaxi => "received_by_taxi",
            Self::AcceptedByTaxi => "accepted_by_taxi",
            Self::AcceptedByCustomer => "accepted_by_customer",
            Self::CustomerOnBoard => "customer_on_board",
            Self::Failure => "failure",
            Self::DeclinedByTaxi => "declined_by_taxi",
            Self::IncidentTaxi => "incident_taxi",
            Self::TimeoutTaxi => "timeout_taxi",
            Self::DeclinedByCustomer => "declined_by_customer",
            Self::IncidentCustomer => "incident_customer",
            Self::TimeoutCustomer => "timeout_customer",
            Self::TimeoutAcceptedByCustomer => "timeout_accepted_by_customer",
            Self::Finished => "finished",
        }
    }

    /// Whether nothing can happen any more.
    pub fn is_end(self) -> bool {
        self.lasts().is_none()
    }

    /// How long it may last; None: for ever.
    pub const fn lasts(self) -> Option<Duration> {
        match self {
            Self::Received | Self::SentToOperator | Self::ReceivedByOperator => Some(Duration::from_secs(10)),
            Self::ReceivedByTaxi | Self::AcceptedByTaxi => Some(Duration::from_secs(30)),
            Self::AcceptedByCustomer => Some(Duration::from_mins(30)),
            Self::CustomerOnBoard => Some(Duration::from_hours(2)),
            Self::Failure
            | Self::DeclinedByTaxi
            | Self::IncidentTaxi
            | Self::TimeoutTaxi
            | Self::DeclinedByCustomer
            | Self::IncidentCustomer
            | Self::TimeoutCustomer
            | Self::TimeoutAcceptedByCustomer
            | Self::Finished => None,
        }
    }

    /// What the taxi is from then on; None: what it was.
    pub fn taxi(self) -> Option<TaxiStatus> {
        match self {
            Self::Received => Some(TaxiStatus::Answering),
            Self::AcceptedByCustomer => Some(TaxiStatus::Oncoming),
            Self::CustomerOnBoard | Self::TimeoutAcceptedByCustomer => Some(TaxiStatus::Occupied),
            Self::DeclinedByTaxi | Self::TimeoutTaxi => Some(TaxiStatus::Off),
            Self::Failure
            | Self::IncidentTaxi
            | Self::DeclinedByCustomer
            | Self::IncidentCustomer
            | Self::TimeoutCustomer
            | Self::Finished => Some(TaxiStatus::Free),
            Self::SentToOperator | Self::ReceivedByOperator | Self::ReceivedByTaxi | Self::AcceptedByTaxi => {
                None
            }
        }
    }

    /// The event by which somebody who wishes this status brings it about; None: nobody may wish it.
    pub fn wished(self) -> Option<Event> {
        match self {
            Self::ReceivedByOperator => Some(Event::ReceivedByOperator),
            Self::ReceivedByTaxi => Some(Event::ReceivedByTaxi),
            Self::AcceptedByTaxi => Some(Event::AcceptedByTaxi),
            Self::DeclinedByTaxi => Some(Event::DeclinedByTaxi),
            Self::IncidentTaxi => Some(Event::IncidentTaxi),
            Self::CustomerOnBoard => Some(Event::CustomerOnBoard),
            Self::Finished => Some(Event::Finished),
            Self::AcceptedByCustomer => Some(Event::AcceptedByCustomer),
            Self::DeclinedByCustomer => Some(Event::DeclinedByCustomer),
            Self::IncidentCustomer => Some(Event::IncidentCustomer),
            Self::Received
            | Self::SentToOperator
            | Self::Failure
            | Self::TimeoutTaxi
            | Self::TimeoutCustomer
            | Self::TimeoutAcceptedByCustomer => None,
        }
    }

    /// Whether the vehicle and the driver are shown: from when the taxi wants to come until the ride is over.
    pub fn shows_vehicle(self) -> bool {
        matches!(self, Self::AcceptedByTaxi | Self::AcceptedByCustomer | Self::CustomerOnBoard)
    }

    /// Whether customer and taxi see each other's phone numbers: while the one waits for the other.
    pub fn shows_phone_numbers(self) -> bool {
        self == Self::AcceptedByCustomer
    }
}

impl std::fmt::Display for Status {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

/// No status of a hail has this name.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{0:?} is no status of a hail")]
pub struct UnknownStatus(String);

impl TryFrom<String> for Status {
    type Error = UnknownStatus;

    fn try_from(name: String) -> Result<Self, UnknownStatus> {
        Self::ALL.into_iter().find(|status| status.as_str() == name).ok_or(UnknownStatus(name))
    }
}

impl Event {
    /// Every event.
    pub const ALL: [Self; 14] = [
        Self::CallAnswered,
        Self::CallFailed,
        Self::Offered,
        Self::Deadline,
        Self::ReceivedByOperator,
        Self::ReceivedByTaxi,
        Self::AcceptedByTaxi,
        Self::DeclinedByTaxi,
        Self::IncidentTaxi,
        Self::CustomerOnBoard,
        Self::Finished,
        Self::AcceptedByCustomer,
        Self::DeclinedByCustomer,
        Self::IncidentCustomer,
    ];

    /// Who may make it happen.
    pub fn sender(self) -> Sender {
        match self {
            Self::CallAnswered | Self::CallFailed | Self::Offered | Self::Deadline => Sender::Registry,
            Self::ReceivedByOperator
            | Self::ReceivedByTaxi
            | Self::AcceptedByTaxi
            | Self::DeclinedByTaxi
            | Self::IncidentTaxi
            | Self::CustomerOnBoard
            | Self::Finished => Sender::Operator,
            Self::AcceptedByCustomer | Self::DeclinedByCustomer | Self::IncidentCustomer => Sender::App,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_status_is_reached_and_every_end_is_an_end() {
        let mut reached = BTreeSet::from([Status::Received]);
        for _ in Status::ALL {
            let further = reached.iter().flat_map(|status| Event::ALL.map(|event| next(*status, event)));
            let further: Vec<_> = further.flatten().collect();
            reached.extend(further);
        }
        assert_eq!(reached, BTreeSet::from(Status::ALL));
        for status in Status::ALL {
            let moves = Event::ALL.into_iter().filter(|event| next(status, *event).is_some()).count();
            assert_eq!(moves == 0, status.is_end(), "{status}");
        }
    }

    #[test]
    fn what_may_last_has_a_deadline_that_ends_it() {
        for status in Status::ALL {
            let after = next(status, Event::Deadline);
            assert_eq!(after.is_some(), status.lasts().is_some(), "{status}");
            if let Some(after) = after {
                assert!(after.is_end(), "{status} to {after}");
                assert_ne!(after.taxi(), None, "no taxi stays with a hail that is over");
            }
        }
    }

    #[test]
    fn a_hail_that_is_over_leaves_its_taxi_with_a_status_of_its_own() {
        for status in Status::ALL.into_iter().filter(|status| status.is_end()) {
            assert!(
                !matches!(status.taxi(), None | Some(TaxiStatus::Answering | TaxiStatus::Oncoming)),
                "{status}"
            );
        }
    }

    #[test]
    fn a_wish_brings_about_what_is_wished_or_nothing() {
        for wished in Status::ALL {
            let Some(event) = wished.wished() else { continue };
            assert_ne!(event.sender(), Sender::Registry, "{wished}");
            for status in Status::ALL {
                assert!(next(status, event).is_none_or(|to| to == wished), "{status} to {wished}");
            }
        }
        let wished: BTreeSet<_> = Status::ALL.into_iter().filter_map(Status::wished).collect();
        let of_people = Event::ALL.into_iter().filter(|event| event.sender() != Sender::Registry);
        assert_eq!(wished, of_people.collect());
    }

    #[test]
    fn names_go_both_ways() {
        for (status, name) in Status::ALL.into_iter().zip(Status::NAMES) {
            assert_eq!((status.as_str(), Status::try_from((*name).to_owned())), (*name, Ok(status)));
        }
        assert!(Status::try_from("teleported".to_owned()).is_err());
    }
}
