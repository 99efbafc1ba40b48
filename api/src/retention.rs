//! What is kept for how long: positions and hails become those of their town, then go; so do taxis that nobody hears.
//!
//! What is outside every town is no more than latitude and longitude 0. Statistics outlive it all, in copies of their
//! own (`crate::statistics::copies`).

use std::time::Duration;

use engine::territory::Territory;
use ingest::clock::Millis;
use ingest::position::LatLon;
use tokio_util::sync::CancellationToken;

use crate::limits::{BLURRED_A_TRANSACTION, HAILS_BLURRED_A_TRANSACTION};
use crate::registry::geometry::inside;
use crate::store::daily::Run;
use crate::store::retention::{Doomed, HailPositions, LastPosition};
use crate::store::{Result, Store};

/// Latitude and longitude in 1e-7 degrees.
pub type E7 = (i32, i32);

/// How long what is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Exact positions, addresses and phone numbers.
    pub exact: Duration,
    /// Hails.
    pub hails: Duration,
    /// Taxis that are not heard, and what nothing refers to.
    pub taxis: Duration,
}

/// Part of it, done in one run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Last positions become those of their town.
    BlurPositions,
    /// Hails lose their positions, addresses and phone numbers.
    BlurHails,
    /// Blurred hails are deleted.
    DeleteHails,
    /// Taxis that were silent are deleted.
    DeleteTaxis,
    /// What nothing refers to any more is deleted.
    DeleteOrphans,
}

/// What a step would do: the table, what would happen to rows of it, and which they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The table.
    pub table: &'static str,
    /// `blurred` or `deleted`.
    pub what: &'static str,
    /// The rows.
    pub rows: Vec<String>,
}

impl Step {
    /// Each of them, in the order in which they are done.
    pub const ALL: [Self; 5] =
        [Self::BlurPositions, Self::BlurHails, Self::DeleteHails, Self::DeleteTaxis, Self::DeleteOrphans];

    /// Its name among runs.
    pub fn name(self) -> &'static str {
        match self {
            Self::BlurPositions => "blur_positions",
            Self::BlurHails => "blur_hails",
            Self::DeleteHails => "delete_hails",
            Self::DeleteTaxis => "delete_taxis",
            Self::DeleteOrphans => "delete_orphans",
        }
    }

    /// What it would do as of now. Holds all of it in memory.
    pub async fn plan(self, keeping: &Keeping<'_>, now: Millis) -> Result<Vec<Plan>> {
        let (store, before) = (keeping.store, keeping.retention.before(self, now));
        let deleted = async |doomed: Doomed| {
            let rows = store.doomed(doomed, before).await?;
            Ok::<_, crate::store::StoreError>(Plan { table: doomed.table(), what: "deleted", rows })
        };
        Ok(match self {
            Self::BlurPositions => {
                let name = |(old, _): &(LastPosition, _)| format!("{} {}", old.taxi_id, old.operator_id);
                let rows = keeping.blurred_positions(before).await?.iter().map(name).collect();
                vec![Plan { table: "last_positions", what: "blurred", rows }]
            }
            Self::BlurHails => {
                let rows =
                    store.exact_hails(before, i64::MAX).await?.into_iter().map(|hail| hail.id).collect();
                vec![Plan { table: "hails", what: "blurred", rows }]
            }
            Self::DeleteHails => vec![deleted(Doomed::Hails).await?],
            Self::DeleteTaxis => vec![deleted(Doomed::Taxis).await?],
            Self::DeleteOrphans => {
                let mut plans = Vec::new();
                for orphans in Doomed::ORPHANS {
                    plans.push(deleted(orphans).await?);
                }
                plans
            }
        })
    }

    /// Does it, some rows at a time, as of when the run was due.
    pub async fn work(self, keeping: &Keeping<'_>, run: &Run, stop: &CancellationToken) -> Result<()> {
        let before = keeping.retention.before(self, run.due_at);
        match self {
            Self::BlurPositions => keeping.blur_positions(before, run, stop).await,
            Self::BlurHails => keeping.blur_hails(before, run, stop).await,
            Self::DeleteHails => keeping.delete(Doomed::Hails, before, run, stop).await,
            Self::DeleteTaxis => keeping.delete(Doomed::Taxis, before, run, stop).await,
            Self::DeleteOrphans => {
                for orphans in Doomed::ORPHANS {
                    keeping.delete(orphans, before, run, stop).await?;
                }
                Ok(())
            }
        }
    }
}

impl Retention {
    /// What is older than this is too old for a step.
    fn before(&self, step: Step, now: Millis) -> Millis {
        let kept = match step {
            Step::BlurPositions | Step::BlurHails => self.exact,
            Step::DeleteHails => self.hails,
            Step::DeleteTaxis | Step::DeleteOrphans => self.taxis,
        };
        now.plus(-i64::try_from(kept.as_millis()).unwrap_or(i64::MAX))
    }

    /// When positions were received that are still exact.
    pub fn exact_since(&self, now: Millis) -> Millis {
        self.before(Step::BlurPositions, now)
    }

    /// When hails were made that are still kept.
    pub fn hails_since(&self, now: Millis) -> Millis {
        self.before(Step::DeleteHails, now)
    }
}

/// Rows, where they lie, and for how long they are kept.
#[derive(Clone, Copy)]
pub struct Keeping<'a> {
    /// The rows.
    pub store: &'a Store,
    /// The towns.
    pub territory: &'a Territory,
    /// For how long.
    pub retention: Retention,
}

impl Keeping<'_> {
    /// Last positions that are not yet as they are to be, and what they become.
    async fn blurred_positions(&self, until: Millis) -> Result<Vec<(LastPosition, E7)>> {
        let old = self.store.old_positions(until).await?;
        let moved = old.into_iter().filter_map(|old| {
            let at = (old.lat_e7, old.lon_e7);
            let to = blurred(self.territory, at);
            (to != at).then_some((old, to))
        });
        Ok(moved.collect())
    }

    async fn blur_positions(&self, until: Millis, run: &Run, stop: &CancellationToken) -> Result<()> {
        let moved = self.blurred_positions(until).await?;
        for some in moved.chunks(BLURRED_A_TRANSACTION) {
            if stop.is_cancelled() || !self.store.move_positions(run, some).await? {
                break;
            }
        }
        Ok(())
    }

    async fn blur_hails(&self, before: Millis, run: &Run, stop: &CancellationToken) -> Result<()> {
        let most = i64::try_from(HAILS_BLURRED_A_TRANSACTION).unwrap_or(i64::MAX);
        while !stop.is_cancelled() {
            let mut hails = self.store.exact_hails(before, most).await?;
            for hail in &mut hails {
                self.blur(hail);
            }
            if hails.is_empty() || !self.store.blur_hails(run, &hails).await? {
                break;
            }
        }
        Ok(())
    }

    fn blur(&self, hail: &mut HailPositions) {
        let blurred = |at| blurred(self.territory, at);
        (hail.taxi_lat_e7, hail.taxi_lon_e7) = blurred((hail.taxi_lat_e7, hail.taxi_lon_e7));
        (hail.customer_lat_e7, hail.customer_lon_e7) = blurred((hail.customer_lat_e7, hail.customer_lon_e7));
    }

    async fn delete(
        &self,
        doomed: Doomed,
        before: Millis,
        run: &Run,
        stop: &CancellationToken,
    ) -> Result<()> {
        while !stop.is_cancelled() {
            if self.store.delete_some(run, doomed, before).await?.is_none_or(|deleted| deleted == 0) {
                break;
            }
        }
        Ok(())
    }
}

/// What becomes of an old position: a point in its town, always the same; outside every town nothing is left of it.
pub fn blurred(territory: &Territory, (lat_e7, lon_e7): E7) -> E7 {
    let town = LatLon::from_e7(lat_e7, lon_e7).ok().and_then(|at| territory.town_at(at));
    let inside = town.and_then(|town| inside(&town.shape));
    inside.map_or((0, 0), |at| (at.lat_e7(), at.lon_e7()))
}
