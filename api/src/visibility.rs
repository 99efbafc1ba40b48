//! Who is seen from where: what a search decides by, and the same conditions one by one for whoever asks why.
//!
//! `GET /taxis` and `GET /taxis/:id/visibility` both stand on a [`Ground`] and ask the engine the same question, so
//! that the second explains the first.

use std::borrow::Cow;

use engine::engine::{Engine, Hit, Search};
use engine::offer::Sight;
use engine::territory::{Exclusion, Insee, Territory, Town};
use ingest::clock::Millis;
use ingest::position::{LatLon, OperatorKey, SourceKey};

use crate::limits::HITS_MAX;

/// How far around the customer a search looks, in metres; it answers within each taxi's own radius.
pub const LOOK_AROUND_M: f64 = 1000.0;

/// Where a customer stands, and what follows from it alone.
#[derive(Clone)]
pub struct Ground<'a> {
    /// Where.
    pub customer: LatLon,
    /// The zone there, if one, in which no taxi may be hailed.
    pub exclusion: Option<&'a Exclusion>,
    /// The town there.
    pub town: Option<&'a Town>,
    /// The towns whose ADS may pick up there, sorted; none without a town.
    pub towns: Cow<'a, [Insee]>,
}

impl<'a> Ground<'a> {
    /// Looks the place up. About two microseconds.
    pub fn at(territory: &'a Territory, customer: LatLon) -> Self {
        let town = territory.town_at(customer);
        Self {
            customer,
            exclusion: territory.exclusion_at(customer),
            town,
            towns: town.map_or(Cow::Borrowed(&[]), |town| territory.towns_allowed_at(town.insee, customer)),
        }
    }

    /// Whether anybody may be offered here at all.
    pub fn may_be_searched(&self) -> bool {
        self.exclusion.is_none() && self.town.is_some()
    }

    /// Who is there, and of those to be offered the nearest `count` but at most [`HITS_MAX`]; where an operator is
    /// given, by its descriptions alone. The account that searches finds the taxis of its own trials, too.
    pub fn look(
        &self,
        engine: &Engine,
        now: Millis,
        (account, operator): (Option<i32>, Option<OperatorKey>),
        count: usize,
    ) -> Found {
        if !self.may_be_searched() {
            return Found::default();
        }
        // The whole disk, however few are asked for: all that are there are counted.
        let mut hits = engine.nearby(&self.search(now, account, operator));
        let (around, closest) = (hits.len(), hits.iter().copied().min_by(Hit::nearer));
        hits.retain(Hit::within_reach);
        let within_reach = hits.len();
        Found { offered: Hit::nearest(hits, count.min(HITS_MAX)), around, within_reach, closest }
    }

    /// Why one taxi, as one operator describes it, is or is not offered to any search app. `is_known`: whether there
    /// is a card to show of it.
    pub fn visibility(
        &self,
        engine: &Engine,
        now: Millis,
        source: SourceKey,
        is_known: bool,
    ) -> Visibility<'a> {
        let sight = engine.sight(&self.search(now, None, None), source).filter(|_| is_known);
        let mut hits =
            if self.may_be_searched() { engine.nearby(&self.search(now, None, None)) } else { Vec::new() };
        hits.retain(Hit::within_reach);
        let own = hits.iter().find(|hit| hit.source == source);
        let nearer = own.map_or(0, |own| hits.iter().filter(|hit| hit.nearer(own).is_lt()).count());
        Visibility { ground: self.clone(), now, sight, nearer }
    }

    fn search(&self, now: Millis, account: Option<i32>, operator: Option<OperatorKey>) -> Search<'_> {
        Search {
            customer: self.customer,
            radius_m: LOOK_AROUND_M,
            now,
            towns: &self.towns,
            operator,
            account,
        }
    }
}

/// Who was found around a customer.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// The taxis to be offered, nearest first.
    pub offered: Vec<Hit>,
    /// How many taxis there are within [`LOOK_AROUND_M`], of those that pass every rule but their own radius.
    pub around: usize,
    /// How many of these are within their own radius.
    pub within_reach: usize,
    /// The nearest of those around.
    pub closest: Option<Hit>,
}

/// What a taxi has to be in order to be offered, in the order in which it is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// The operator describes its vehicle.
    Registered,
    /// Everybody may find it: it is of no trial.
    Public,
    /// Its status is free.
    Free,
    /// A position was received, and not long ago.
    Position,
    /// The customer is in no exclusion zone.
    Exclusion,
    /// The customer is in a town.
    Town,
    /// The taxi's ADS is of that town, or of one that shares a ZUPC with it.
    Zupc,
    /// The taxi is near enough to be offered.
    Radius,
    /// No other operator of the taxi was heard more recently.
    HeardLast,
    /// Fewer than [`HITS_MAX`] of those offered are nearer.
    Nearest,
}

impl Condition {
    /// Every condition.
    pub const ALL: [Self; 10] = [
        Self::Registered,
        Self::Public,
        Self::Free,
        Self::Position,
        Self::Exclusion,
        Self::Town,
        Self::Zupc,
        Self::Radius,
        Self::HeardLast,
        Self::Nearest,
    ];

    /// Its name in answers: `snake_case`, never changed.
    pub fn name(self) -> &'static str {
        match self {
            Self::Registered => "registered",
            Self::Public => "public",
            Self::Free => "free",
            Self::Position => "position",
            Self::Exclusion => "exclusion",
            Self::Town => "town",
            Self::Zupc => "zupc",
            Self::Radius => "radius",
            Self::HeardLast => "heard_last",
            Self::Nearest => "nearest",
        }
    }
}

/// What a search sees of one taxi as one operator describes it.
#[derive(Clone)]
pub struct Visibility<'a> {
    /// Where the customer stands.
    pub ground: Ground<'a>,
    /// When it was asked.
    pub now: Millis,
    /// What the map knows; None: it knows no such taxi of this operator.
    pub sight: Option<Sight>,
    /// How many of those offered are nearer, where it is offered.
    pub nearer: usize,
}

impl Visibility<'_> {
    /// Whether a condition holds.
    pub fn holds(&self, condition: Condition) -> bool {
        let seen = |holds: fn(&Sight) -> bool| self.sight.as_ref().is_some_and(holds);
        match condition {
            Condition::Registered => seen(|_| true),
            Condition::Public => seen(|sight| sight.kept_for.is_none()),
            Condition::Free => seen(Sight::is_free),
            Condition::Position => seen(|sight| sight.is_fresh),
            Condition::Exclusion => self.ground.exclusion.is_none(),
            Condition::Town => self.ground.town.is_some(),
            Condition::Zupc => seen(|sight| sight.may_pick_up),
            Condition::Radius => seen(Sight::is_within_reach),
            Condition::HeardLast => seen(Sight::is_heard_last),
            Condition::Nearest => self.sight.is_some() && self.nearer < HITS_MAX,
        }
    }

    /// Whether a search app that searches from there is offered the taxi by this operator: every condition holds.
    pub fn is_visible(&self) -> bool {
        Condition::ALL.into_iter().all(|condition| self.holds(condition))
    }
}
