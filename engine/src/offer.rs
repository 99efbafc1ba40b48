//! Which taxi is offered to a customer, and by which of its operators: every condition of a search, each once.
//!
//! [`Engine::nearby`] asks these conditions of the many, as fast as it can; [`Engine::sight`] asks the same ones of one
//! source, one by one, and says what it saw. So what explains a search cannot disagree with it.

use ingest::clock::Millis;
use ingest::position::{LatLon, OperatorKey, SourceKey};

use crate::block::Sighting;
use crate::distance::Origin;
use crate::engine::{Engine, FRESH_MS, Hit, MAX_RADIUS_M, Search};
use crate::profile::{Description, Offer, Profile, Status};
use crate::territory::Insee;

/// What a search asks of one taxi as one operator describes it, and what it saw.
///
/// The taxi is in the answer of this search, by this operator, exactly if [`Sight::is_offered`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sight {
    /// The town of its ADS.
    pub ads_town: Insee,
    /// Whether that is one of the towns whose taxis may pick up there.
    pub may_pick_up: bool,
    /// How the operator describes it.
    pub description: Description,
    /// The account that alone finds it, if that is another one than searches.
    pub kept_for: Option<i32>,
    /// Whether the search asks for this operator's descriptions.
    pub is_asked: bool,
    /// Its last fix by this operator, however old, measured from the customer; its reach too.
    pub hit: Option<Hit>,
    /// Whether that fix is fresh.
    pub is_fresh: bool,
    /// How far the search looks, in metres.
    pub looks_m: f64,
    /// Of the other operators that the search may choose from, the one heard last.
    pub rival: Option<Rival>,
}

/// Another operator that describes the taxi as free and was heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rival {
    /// Which.
    pub operator: OperatorKey,
    /// When it was heard last.
    pub received_at: Millis,
}

impl Sight {
    /// Whether the operator says that it may be hailed.
    pub fn is_free(&self) -> bool {
        is_free(&self.description)
    }

    /// Whether no other operator was heard more recently.
    pub fn is_heard_last(&self) -> bool {
        let own = self.hit.map(|hit| (hit.received_at, hit.source.operator));
        self.rival.is_none_or(|rival| own > Some((rival.received_at, rival.operator)))
    }

    /// Whether the last fix lies within the taxi's own reach, and where the search looks.
    pub fn is_within_reach(&self) -> bool {
        self.hit.is_some_and(|hit| is_within(hit.distance_m, self.looks_m) && hit.within_reach())
    }

    /// Whether all of it holds: the taxi is offered, by this operator.
    pub fn is_offered(&self) -> bool {
        self.may_pick_up
            && self.kept_for.is_none()
            && self.is_free()
            && self.is_asked
            && self.is_fresh
            && self.is_within_reach()
            && self.is_heard_last()
    }
}

impl Search<'_> {
    /// How far it looks, in metres.
    pub(crate) fn looks_m(&self) -> f64 {
        self.radius_m.min(MAX_RADIUS_M)
    }

    /// Whether a taxi with an ADS of this town may pick up there. O(log towns).
    fn admits(&self, ads_town: Insee) -> bool {
        self.towns.binary_search(&ads_town).is_ok()
    }

    /// Whether it is about this operator's descriptions.
    #[inline]
    pub(crate) fn asks(&self, operator: OperatorKey) -> bool {
        self.operator.is_none_or(|asked| asked == operator)
    }

    #[inline]
    fn is_fresh(&self, received_at: Millis) -> bool {
        self.now.since(received_at) < FRESH_MS
    }

    /// Whether it may choose this description of a taxi, once it was heard.
    fn considers(&self, description: &Description) -> bool {
        is_free(description) && self.asks(description.operator)
    }
}

fn is_free(description: &Description) -> bool {
    description.status == Status::Free
}

/// Whether a distance is no more than a limit.
#[inline]
pub(crate) fn is_within(distance_m: f64, limit_m: f64) -> bool {
    distance_m <= limit_m
}

/// A fresh sighting, measured.
#[derive(Clone, Copy)]
pub(crate) struct Sighted {
    pub(crate) at: LatLon,
    pub(crate) received_at: Millis,
    pub(crate) distance_m: f64,
}

impl Sighted {
    /// None for one that is no longer fresh; only the others are measured.
    #[inline]
    pub(crate) fn new(sighting: Sighting, customer: &Origin, search: &Search<'_>) -> Option<Self> {
        search.is_fresh(sighting.received_at).then(|| Self::measured(sighting, customer))
    }

    #[inline]
    fn measured(sighting: Sighting, customer: &Origin) -> Self {
        let Sighting { at, received_at, .. } = sighting;
        Self { at, received_at, distance_m: customer.distance_m(at) }
    }

    #[inline]
    pub(crate) fn hit(self, source: SourceKey, reach_m: u16) -> Hit {
        let Self { at, received_at, distance_m } = self;
        Hit { source, at, received_at, distance_m, reach_m }
    }
}

/// The towns of a search, asked again and again for the same few.
pub(crate) struct Admitted<'a> {
    towns: &'a [Insee],
    /// The last town that was asked for, by its bits, and the answer.
    last: (u64, bool),
}

impl<'a> Admitted<'a> {
    pub(crate) fn new(search: &Search<'a>) -> Self {
        // No town has these bits.
        Self { towns: search.towns, last: (0, false) }
    }

    /// Whether a taxi of this offer may pick up there. O(log towns), or at once where the one before was of its town.
    pub(crate) fn admits(&mut self, offer: Offer) -> bool {
        let town = offer.town_bits();
        if self.last.0 != town {
            self.last = (town, self.towns.binary_search_by_key(&town, |one| one.bits()).is_ok());
        }
        self.last.1
    }
}

/// The descriptions of a taxi that a search may choose from, if the taxi may pick up there and be found by it.
fn competing(profile: &Profile, search: &Search<'_>) -> Option<Vec<Description>> {
    let considered = profile.descriptions.iter().filter(|one| search.considers(one));
    let may_be_found = search.admits(profile.ads_town) && profile.is_shown_to(search.account);
    may_be_found.then(|| considered.copied().collect())
}

/// Of several that were heard, the one heard last; in a tie, the greater key.
fn last_heard(heard: impl Iterator<Item = (Sighted, Description)>) -> Option<(Sighted, Description)> {
    heard.max_by_key(|(sighted, one)| (sighted.received_at, one.operator))
}

impl Engine {
    /// The one hit that a taxi can be, given those of its sources that were found within the radius.
    pub(crate) fn offer(
        &self,
        search: &Search<'_>,
        customer: &Origin,
        found: &[(SourceKey, Sighted)],
    ) -> Option<Hit> {
        let taxi = found.first()?.0.taxi;
        let competing = self.profiles().with(&taxi, |profile| competing(profile, search))??;
        // With one competitor, which is almost always, no need to look any further than the cell.
        let (sighted, description) = if let [only] = competing[..] {
            let (_, sighted) = found.iter().find(|(source, _)| source.operator == only.operator)?;
            (*sighted, only)
        } else {
            last_heard(competing.into_iter().filter_map(|one| {
                let source = SourceKey { taxi, operator: one.operator };
                Some((Sighted::new(self.home(source)?, customer, search)?, one))
            }))?
        };
        Some(sighted.hit(SourceKey { taxi, operator: description.operator }, description.reach_m()))
    }

    /// What a search asks of one source, and sees. None: no taxi has this key, or the operator does not describe it.
    ///
    /// O(operators of the taxi). Like a search, it takes no snapshot.
    pub fn sight(&self, search: &Search<'_>, source: SourceKey) -> Option<Sight> {
        let profile = self.profiles().get(&source.taxi)?;
        let own = *profile.descriptions.iter().find(|one| one.operator == source.operator)?;
        let customer = &Origin::new(search.customer);
        let others = profile.descriptions.iter().filter(|one| one.operator != source.operator);
        let rival = last_heard(others.filter(|one| search.considers(one)).filter_map(|one| {
            let source = SourceKey { taxi: source.taxi, operator: one.operator };
            Some((Sighted::new(self.home(source)?, customer, search)?, *one))
        }));
        let hit = self
            .home(source)
            .map(|sighting| Sighted::measured(sighting, customer).hit(source, own.reach_m()));
        Some(Sight {
            ads_town: profile.ads_town,
            may_pick_up: search.admits(profile.ads_town),
            description: own,
            kept_for: profile.trial_for.filter(|_| !profile.is_shown_to(search.account)),
            is_asked: search.asks(source.operator),
            hit,
            is_fresh: hit.is_some_and(|hit| search.is_fresh(hit.received_at)),
            looks_m: search.looks_m(),
            rival: rival
                .map(|(sighted, one)| Rival { operator: one.operator, received_at: sighted.received_at }),
        })
    }
}
