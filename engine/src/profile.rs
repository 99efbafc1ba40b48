//! What a search needs to know of a taxi: projected from the registry's rows, never from datagrams.

use std::fmt;
use std::str::FromStr;

use ingest::position::{OperatorKey, TaxiKey};
use ingest::projection::Projection;

use crate::territory::Insee;

/// How far from a customer a taxi is offered whose operator says nothing, in metres.
pub const DEFAULT_RADIUS_M: u16 = 500;

/// The least radius an operator may give, in metres.
pub const MIN_RADIUS_M: u16 = 150;

const _: () = assert!(MIN_RADIUS_M <= DEFAULT_RADIUS_M);

/// Every taxi's profile, by the registry's key. A taxi without one is never found.
pub type Profiles = Projection<TaxiKey, Profile>;

/// One taxi.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    /// The town whose ADS (licence to pick up) the taxi holds.
    pub ads_town: Insee,
    /// Its vehicle as each operator describes it, at most one description an operator.
    pub descriptions: Box<[Description]>,
}

/// A taxi as one operator describes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Description {
    /// Which operator.
    pub operator: OperatorKey,
    /// What the taxi does, by the registry.
    pub status: Status,
    /// How far from a customer it is offered, in metres; none: [`DEFAULT_RADIUS_M`].
    pub radius_m: Option<u16>,
}

impl Description {
    /// How far from a customer the taxi is offered, in metres.
    pub fn reach_m(&self) -> u16 {
        self.radius_m.unwrap_or(DEFAULT_RADIUS_M)
    }
}

/// What a taxi does, as the registry knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Status {
    /// It may be hailed.
    Free,
    /// It has a customer.
    Occupied,
    /// It does not work.
    Off,
    /// It has a hail to answer.
    Answering,
    /// It is on its way to a customer.
    Oncoming,
}

impl Status {
    /// Every status there is.
    pub const ALL: [Self; 5] = [Self::Free, Self::Occupied, Self::Off, Self::Answering, Self::Oncoming];

    /// Its name in the registry's interface.
    ///
    /// ```
    /// use engine::profile::Status;
    /// assert_eq!("oncoming".parse(), Ok(Status::Oncoming));
    /// assert_eq!(Status::Off.as_str(), "off");
    /// ```
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Free => "free",
            Self::Occupied => "occupied",
            Self::Off => "off",
            Self::Answering => "answering",
            Self::Oncoming => "oncoming",
        }
    }
}

impl FromStr for Status {
    type Err = UnknownStatus;

    fn from_str(name: &str) -> Result<Self, UnknownStatus> {
        Self::ALL.into_iter().find(|status| status.as_str() == name).ok_or(UnknownStatus)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// No status has this name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownStatus;

impl fmt::Display for UnknownStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no status of a taxi has this name")
    }
}

impl std::error::Error for UnknownStatus {}
