//! What a search needs to know of a taxi: projected from the registry's rows, never from datagrams.

use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ingest::position::{OperatorKey, SourceKey, TaxiKey};
use ingest::projection::{Projection, Reading};

use crate::register::Record;
use crate::shard::{Shard, shard_of};
use crate::territory::Insee;

/// How far from a customer a taxi is offered whose operator says nothing, in metres.
pub const DEFAULT_RADIUS_M: u16 = 500;

/// The least radius an operator may give, in metres.
pub const MIN_RADIUS_M: u16 = 150;

const _: () = assert!(MIN_RADIUS_M <= DEFAULT_RADIUS_M);

/// Changes of taxis' profiles that may go on at once.
const LOCKS: usize = 64;

/// Every taxi's profile, by the registry's key. A taxi without one is never found.
///
/// What a search asks of each taxi that it finds is kept once more, as an `Offer` beside each of its sources: it
/// finds there in one line of memory what would take three. A taxi's offers are written under its lock together with
/// its profile, so that they agree whenever the lock is free; readers take no lock.
pub struct Profiles {
    rows: Projection<TaxiKey, Profile>,
    shards: Box<[Arc<Shard>]>,
    locks: [Mutex<()>; LOCKS],
}

impl Profiles {
    pub(crate) fn new(shards: &[Arc<Shard>]) -> Self {
        Self {
            rows: Projection::default(),
            shards: shards.into(),
            locks: std::array::from_fn(|_| Mutex::default()),
        }
    }

    /// A taxi's profile, cloned.
    pub fn get(&self, taxi: &TaxiKey) -> Option<Profile> {
        self.rows.get(taxi)
    }

    /// What `read` makes of a taxi's profile.
    pub fn with<R>(&self, taxi: &TaxiKey, read: impl FnOnce(&Profile) -> R) -> Option<R> {
        self.rows.with(taxi, read)
    }

    /// Projects a profile as [`Projection::put`] does. O(operators); searches that begin later go by it.
    pub fn put(&self, taxi: TaxiKey, version: u64, profile: Profile) -> bool {
        self.change(taxi, || self.rows.put(taxi, version, profile))
    }

    /// Projects that a taxi is no more, as [`Projection::remove`] does.
    pub fn remove(&self, taxi: TaxiKey, version: u64) -> bool {
        self.change(taxi, || self.rows.remove(taxi, version))
    }

    /// Begins a full reading: see [`Projection::begin_reading`].
    pub fn begin_reading(&self) -> Reading {
        self.rows.begin_reading()
    }

    /// Makes room for so many taxis: see [`Projection::reserve`].
    pub fn reserve(&self, taxis: usize) {
        self.rows.reserve(taxis);
    }

    /// Projects a profile that a full reading found, as [`Projection::put_read`] does.
    pub fn put_read(&self, reading: &Reading, taxi: TaxiKey, version: u64, profile: Profile) -> bool {
        self.change(taxi, || self.rows.put_read(reading, taxi, version, profile))
    }

    /// Ends a full reading that found every row: see [`Projection::finish_reading`].
    pub fn finish_reading(&self, reading: &Reading) {
        self.rows.finish_reading(reading);
        // Whoever read a profile before that has written its offer once its lock was free.
        self.locks.iter().for_each(|lock| drop(lock.lock()));
        for record in self.shards.iter().flat_map(|shard| shard.register.records()) {
            let source = record.source();
            let _locked = self.lock(source.taxi);
            record.set_offer(self.offer(source));
        }
    }

    /// Hands what the registry says of a source that was never heard before to `admit`, which is to make its record.
    pub(crate) fn admit<R>(&self, source: SourceKey, admit: impl FnOnce(Offer) -> R) -> R {
        let _locked = self.lock(source.taxi);
        admit(self.offer(source))
    }

    fn change(&self, taxi: TaxiKey, change: impl FnOnce() -> bool) -> bool {
        let _locked = self.lock(taxi);
        let operators = || self.rows.with(&taxi, |profile| profile.operators().collect()).unwrap_or_default();
        let before: Vec<OperatorKey> = operators();
        let is_news = change();
        for operator in before.into_iter().chain(operators()) {
            let source = SourceKey { taxi, operator };
            if let Some(record) = self.record(source) {
                record.set_offer(self.offer(source));
            }
        }
        is_news
    }

    fn record(&self, source: SourceKey) -> Option<&Record> {
        Some(self.shards[shard_of(source, self.shards.len())].register.find(source)?.1)
    }

    fn offer(&self, source: SourceKey) -> Offer {
        self.rows.with(&source.taxi, |profile| Offer::of(profile, source.operator)).unwrap_or_default()
    }

    fn lock(&self, taxi: TaxiKey) -> MutexGuard<'_, ()> {
        self.locks[taxi.0 as usize % LOCKS].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a search has to know of a source, in one word; the default is never offered.
///
/// ```text
/// 63            24 23     8 7     2   1      0
/// town of the ADS   reach    zero   alone  free
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Offer(u64);

impl Offer {
    const FREE: u64 = 1;
    const ALONE: u64 = 2;

    fn of(profile: &Profile, operator: OperatorKey) -> Self {
        let Some(one) = profile.descriptions.iter().find(|one| one.operator == operator) else {
            return Self::default();
        };
        let free = if one.status == Status::Free { Self::FREE } else { 0 };
        let is_alone = profile.descriptions.len() == 1 && profile.trial_for.is_none();
        let alone = if is_alone { Self::ALONE } else { 0 };
        Self(profile.ads_town.bits() << 24 | u64::from(one.reach_m()) << 8 | alone | free)
    }

    #[inline]
    pub(crate) fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    pub(crate) fn bits(self) -> u64 {
        self.0
    }

    /// Whether the operator says that the taxi may be hailed.
    #[inline]
    pub(crate) fn is_free(self) -> bool {
        self.0 & Self::FREE != 0
    }

    /// Whether no other operator describes the taxi and anybody may find it, so that this word says all there is.
    #[inline]
    pub(crate) fn is_alone(self) -> bool {
        self.0 & Self::ALONE != 0
    }

    /// How far from a customer it is offered, in metres.
    #[expect(clippy::cast_possible_truncation, reason = "the 16 bits in the middle")]
    #[inline]
    pub(crate) fn reach_m(self) -> u16 {
        (self.0 >> 8) as u16
    }

    /// The town of the ADS, by [`Insee::bits`].
    #[inline]
    pub(crate) fn town_bits(self) -> u64 {
        self.0 >> 24
    }
}

/// One taxi.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    /// The town whose ADS (licence to pick up) the taxi holds.
    pub ads_town: Insee,
    /// Its vehicle as each operator describes it, at most one description an operator.
    pub descriptions: Box<[Description]>,
    /// The number of the one account that finds it, where it is of a trial; none: everybody does.
    pub trial_for: Option<i32>,
}

impl Profile {
    /// Whether a search of this account finds it, as far as that depends on who searches.
    pub fn is_shown_to(&self, account: Option<i32>) -> bool {
        self.trial_for.is_none() || self.trial_for == account
    }

    fn operators(&self) -> impl Iterator<Item = OperatorKey> {
        self.descriptions.iter().map(|one| one.operator)
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offer_says_what_the_profile_does() {
        let describe =
            |operator, status, radius_m| Description { operator: OperatorKey(operator), status, radius_m };
        let town: Insee = "2A004".parse().unwrap();
        let two = [describe(1, Status::Free, Some(u16::MAX)), describe(2, Status::Off, None)];
        let profile = Profile { ads_town: town, descriptions: two.into(), trial_for: None };
        let offers = [1, 2, 3].map(|operator| Offer::of(&profile, OperatorKey(operator)));
        assert_eq!(offers.map(Offer::is_free), [true, false, false]);
        assert_eq!(offers.map(Offer::is_alone), [false; 3]);
        assert_eq!(offers.map(Offer::reach_m), [u16::MAX, DEFAULT_RADIUS_M, 0]);
        assert_eq!(offers.map(Offer::town_bits), [town.bits(), town.bits(), 0]);
        let one = Profile { descriptions: [two[1]].into(), ..profile };
        let alone = Offer::of(&one, OperatorKey(2));
        assert!(alone.is_alone() && !alone.is_free());
        let on_trial = Offer::of(&Profile { trial_for: Some(7), ..one }, OperatorKey(2));
        assert!(!on_trial.is_alone(), "who searches is not in the word");
    }
}
