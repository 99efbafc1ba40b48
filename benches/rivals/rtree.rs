//! An R-tree behind a lock: `rstar`, loaded in bulk, then a removal and an insertion for each fix.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

use engine::distance::Origin;
use engine::engine::{Fix, Search};
use engine::territory::Insee;
use ingest::position::{LatLon, SourceKey};
use rstar::primitives::GeomWithData;
use rstar::{AABB, RTree};

use super::{Index, Kept, half_box};
use crate::world::Found;

/// The tree, and what it holds of each source, to find it there.
pub struct Tree(RwLock<(RTree<Leaf>, HashMap<SourceKey, Kept>)>);

type Leaf = GeomWithData<[f64; 2], Kept>;

impl Tree {
    /// A tree of everybody.
    pub fn new(everybody: &[(Fix, Insee)]) -> Self {
        let kept: Vec<_> = everybody.iter().copied().map(Kept::new).collect();
        let tree = RTree::bulk_load(kept.iter().copied().map(leaf).collect());
        Self(RwLock::new((tree, kept.into_iter().map(|kept| (kept.fix.source, kept)).collect())))
    }
}

impl Index for Tree {
    fn apply(&self, fixes: &[Fix]) {
        let mut locked = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let (tree, sources) = &mut *locked;
        for fix in fixes {
            let Some(kept) = sources.get_mut(&fix.source) else { continue };
            if fix.order.supersedes(kept.fix.order) {
                tree.remove(&leaf(*kept));
                kept.fix = *fix;
                tree.insert(leaf(*kept));
            }
        }
    }

    fn nearby(&self, search: &Search<'_>) -> Vec<Found> {
        let customer = Origin::new(search.customer);
        let (middle, (half_lon, half_lat)) = (degrees(search.customer), half_box(search));
        let around = AABB::from_corners(
            [middle[0] - half_lon, middle[1] - half_lat],
            [middle[0] + half_lon, middle[1] + half_lat],
        );
        let locked = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let found = locked.0.locate_in_envelope(&around).filter_map(|leaf| {
            let distance_m = customer.distance_m(leaf.data.fix.at);
            let offered = distance_m <= search.radius_m && leaf.data.may_be_offered(search);
            offered.then_some((leaf.data.fix.source, distance_m))
        });
        found.collect()
    }
}

fn leaf(kept: Kept) -> Leaf {
    GeomWithData::new(degrees(kept.fix.at), kept)
}

fn degrees(at: LatLon) -> [f64; 2] {
    [at.lon(), at.lat()]
}
