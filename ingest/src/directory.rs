//! Who may report which taxi, projected from the registry's rows; asked for every datagram, without locks.

use std::fmt;
use std::ops::Deref;

use smol_str::SmolStr;

use crate::position::{OperatorKey, SourceKey, TaxiKey};
use crate::projection::{Pinned, Projection};
use crate::wire::binary::MacKey;

/// The operators and the taxis that positions may come from.
///
/// Whoever owns the rows puts, removes and reads again through [`Directory::operators`] and
/// [`Directory::taxis`]. About 100 bytes a taxi.
#[derive(Default)]
pub struct Directory {
    operators: Projection<Box<str>, Operator>,
    /// What a look-up touches lies in one place: with a hundred thousand taxis each place is far away.
    taxis: Projection<SmolStr, Taxi>,
}

/// One who may report positions. Keyed by email, which is what a datagram calls its `operator`.
#[derive(Clone, PartialEq, Eq)]
pub struct Operator {
    /// The registry's number.
    pub key: OperatorKey,
    /// The secret under which JSON datagrams are signed.
    api_key: Box<str>,
    /// What compact ones are hashed with. Derived here, because that takes as long as checking one.
    mac_key: MacKey,
}

impl Operator {
    /// An operator with its API key.
    pub fn new(key: OperatorKey, api_key: impl Into<Box<str>>) -> Self {
        let api_key = api_key.into();
        Self { key, mac_key: MacKey::of_api_key(&api_key), api_key }
    }

    /// The secret under which JSON datagrams are signed.
    pub fn api_key(&self) -> &str {
        &self.api_key
    }

    /// What compact datagrams are hashed with.
    pub fn mac_key(&self) -> &MacKey {
        &self.mac_key
    }
}

/// A taxi. Keyed by its public id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taxi {
    /// The registry's number.
    pub key: TaxiKey,
    /// Those that describe its vehicle, in any order: each may report it.
    pub operators: Describers,
}

/// Operators, of which there are mostly one or two: these are kept in place.
#[derive(Clone, PartialEq, Eq)]
pub struct Describers(Few);

#[derive(Clone, PartialEq, Eq)]
enum Few {
    None,
    One([OperatorKey; 1]),
    Two([OperatorKey; 2]),
    Many(Box<[OperatorKey]>),
}

impl Deref for Describers {
    type Target = [OperatorKey];

    fn deref(&self) -> &[OperatorKey] {
        match &self.0 {
            Few::None => &[],
            Few::One(keys) => keys,
            Few::Two(keys) => keys,
            Few::Many(keys) => keys,
        }
    }
}

impl FromIterator<OperatorKey> for Describers {
    fn from_iter<I: IntoIterator<Item = OperatorKey>>(keys: I) -> Self {
        let keys: Vec<_> = keys.into_iter().collect();
        Self(match *keys {
            [] => Few::None,
            [one] => Few::One([one]),
            [one, other] => Few::Two([one, other]),
            _ => Few::Many(keys.into()),
        })
    }
}

impl<const N: usize> From<[OperatorKey; N]> for Describers {
    fn from(keys: [OperatorKey; N]) -> Self {
        keys.into_iter().collect()
    }
}

impl fmt::Debug for Describers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&**self).finish()
    }
}

/// Why an operator may not report a taxi.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoSource {
    /// No taxi has this id.
    UnknownTaxi,
    /// The taxi exists, but the operator does not describe its vehicle.
    NotTheirs,
}

impl Directory {
    /// The operators by email.
    pub fn operators(&self) -> &Projection<Box<str>, Operator> {
        &self.operators
    }

    /// The taxis by public id.
    pub fn taxis(&self) -> &Projection<SmolStr, Taxi> {
        &self.taxis
    }

    /// The source that an operator's report of a taxi belongs to; None if there is no such taxi or it is not theirs.
    pub fn source(&self, taxi_id: &str, operator: OperatorKey) -> Option<SourceKey> {
        self.find_source(taxi_id, operator).ok()
    }

    /// As [`Directory::source`], with the reason. O(operators of the taxi), which are one or two; allocates nothing.
    pub fn find_source(&self, taxi_id: &str, operator: OperatorKey) -> Result<SourceKey, NoSource> {
        self.sources(operator).find(taxi_id)
    }

    /// The sources of an operator, for several look-ups in a row.
    pub fn sources(&self, operator: OperatorKey) -> Sources<'_> {
        Sources { taxis: self.taxis.pin(), operator }
    }
}

/// What one operator may report. Not to be kept: what is deleted meanwhile is not freed.
pub struct Sources<'a> {
    taxis: Pinned<'a, SmolStr, Taxi>,
    operator: OperatorKey,
}

impl Sources<'_> {
    /// As [`Directory::find_source`].
    pub fn find(&self, taxi_id: &str) -> Result<SourceKey, NoSource> {
        let taxi = self.taxis.get(taxi_id).ok_or(NoSource::UnknownTaxi)?;
        if taxi.operators.contains(&self.operator) {
            Ok(SourceKey { taxi: taxi.key, operator: self.operator })
        } else {
            Err(NoSource::NotTheirs)
        }
    }
}

impl fmt::Debug for Operator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Operator").field("key", &self.key).field("api_key", &"***").finish_non_exhaustive()
    }
}

impl fmt::Debug for Directory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Directory")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_those_who_describe_the_vehicle_may_report_it() {
        let directory = Directory::default();
        let taxi = Taxi { key: TaxiKey(7), operators: [OperatorKey(1), OperatorKey(2)].into() };
        directory.taxis().put("abc".into(), 1, taxi);

        let theirs = SourceKey { taxi: TaxiKey(7), operator: OperatorKey(2) };
        assert_eq!(directory.source("abc", OperatorKey(2)), Some(theirs));
        assert_eq!(directory.find_source("abc", OperatorKey(3)), Err(NoSource::NotTheirs));
        assert_eq!(directory.find_source("abd", OperatorKey(1)), Err(NoSource::UnknownTaxi));
    }

    #[test]
    fn an_operators_secret_is_not_printed() {
        let operator = Operator::new(OperatorKey(1), "open sesame");
        assert_eq!(format!("{operator:?}"), "Operator { key: OperatorKey(1), api_key: \"***\", .. }");
        assert_eq!(format!("{:?}", operator.mac_key()), "***");
    }
}
