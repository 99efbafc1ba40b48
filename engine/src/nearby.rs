//! Who is near: the search itself, by radius and by number.

use std::cmp::Reverse;

use crossbeam::epoch;
use ingest::position::SourceKey;

use crate::cover;
use crate::disk::Disk;
use crate::distance::Origin;
use crate::engine::{Engine, Hit, Search};
use crate::offer::{Admitted, Sighted, is_within};
use crate::register::Known;

impl Engine {
    /// The taxis near a customer, each at most once, in no order: whoever needs one asks for the [`Engine::nearest`],
    /// and counting needs none.
    ///
    /// A taxi is there if its ADS is of one of the towns, an operator describes it as free, that operator's
    /// last fix is fresh and lies within the radius. Of several such operators the one heard last counts (in
    /// a tie, the greater key), even where its own fix lies outside the radius: then the taxi is not in the
    /// answer. One that is of a trial is there for the account of that alone.
    pub fn nearby(&self, search: &Search<'_>) -> Vec<Hit> {
        let radius_m = search.looks_m();
        let (customer, disk) = (Origin::new(search.customer), Disk::around(search.customer, radius_m));
        let cells = cover::cells(&disk);
        let mut admitted = Admitted::new(search);
        let (mut sightings, mut known, mut hits) = (Vec::new(), Vec::new(), Vec::new());
        let mut several: Vec<(SourceKey, Sighted)> = Vec::new();
        // From before the first look to after the last: what the writers wait for.
        let searching = epoch::pin();
        for shard in &self.shared.shards {
            sightings.clear();
            known.clear();
            shard.scan(&cells, &disk, &mut sightings);
            // Far memory, each line waited for beside many others.
            known.extend(sightings.iter().map(|sighting| shard.register.known(sighting.slot)));
            hits.reserve(sightings.len());
            for (sighting, Known { source, offer, waits }) in sightings.iter().zip(&known) {
                let Some(sighted) = Sighted::new(*sighting, &customer, search) else { continue };
                if !is_within(sighted.distance_m, radius_m) || !admitted.admits(*offer) {
                    continue;
                }
                if *waits || !offer.is_alone() {
                    several.push((*source, sighted));
                } else if offer.is_free() && search.asks(source.operator) {
                    hits.push(sighted.hit(*source, offer.reach_m()));
                }
            }
        }
        drop(searching);
        self.add_of_several(search, &customer, several, &mut hits);
        hits
    }

    /// Of the taxis that [`Engine::nearby`] finds and that are `wanted`, the nearest `count`, in the order of
    /// [`Hit::nearer`].
    ///
    /// Looks a quarter of the radius around first, then twice as far and so on: once there are enough within a disk,
    /// nobody outside it is nearer. Where they are few this costs a third more than one search, where they are many a
    /// fraction of it.
    pub fn nearest(&self, search: &Search<'_>, count: usize, wanted: impl Fn(&Hit) -> bool) -> Vec<Hit> {
        let mut radius_m = search.looks_m() / 4.0;
        loop {
            let mut hits = self.nearby(&Search { radius_m, ..*search });
            hits.retain(&wanted);
            if hits.len() >= count || radius_m >= search.looks_m() {
                return Hit::nearest(hits, count);
            }
            radius_m = (2.0 * radius_m).min(search.looks_m());
        }
    }

    /// Adds the hits of taxis that may have been found more than once: described by several operators, or on their way
    /// from cell to cell.
    fn add_of_several(
        &self,
        search: &Search<'_>,
        customer: &Origin,
        mut found: Vec<(SourceKey, Sighted)>,
        hits: &mut Vec<Hit>,
    ) {
        if found.is_empty() {
            return;
        }
        // Of one source what was received later comes first, and counts.
        found.sort_unstable_by_key(|(source, sighted)| (*source, Reverse(sighted.received_at)));
        let of_one_taxi = found.chunk_by(|(a, _), (b, _)| a.taxi == b.taxi);
        let offered: Vec<Hit> = of_one_taxi
            .filter_map(|found| self.offer(search, customer, found))
            .filter(|hit| is_within(hit.distance_m, search.looks_m()))
            .collect();
        // One that had a single description a moment ago is here already.
        hits.retain(|hit| offered.binary_search_by_key(&hit.source.taxi, |one| one.source.taxi).is_err());
        hits.extend(offered);
    }
}
