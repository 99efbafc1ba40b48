//! One shard as its readers see it. Its one writer is in [`crate::writer`].

use std::sync::Arc;

use h3o::CellIndex;
use ingest::counter::{Counter, Gauge};
use ingest::position::SourceKey;
use papaya::HashMap;

use crate::block::{Block, Entry, Sighting, Slot};

/// What the writer of a shard publishes. Readers never wait and never retry.
#[derive(Default)]
pub(crate) struct Shard {
    /// Every cell with members, by its H3 index, and their block.
    pub(crate) cells: HashMap<u64, Arc<Block>>,
    /// Whose slot is whose. Written before the first entry of the slot, and never changed.
    pub(crate) sources: HashMap<Slot, SourceKey>,
    /// Each source's last shown fix, however old. Written before its entries in the cells.
    pub(crate) homes: HashMap<SourceKey, Arc<Entry>>,
    /// How many sources were fresh at the last sweep.
    pub(crate) online: Gauge,
    /// How many fixes found no slot for their source.
    pub(crate) refused: Counter,
}

impl Shard {
    /// The last shown fix of a source of this shard.
    pub(crate) fn home(&self, source: SourceKey) -> Option<Sighting> {
        self.homes.pin().get(&source)?.load()
    }

    /// Every sighting in these cells that `wanted` accepts, and whose it is, with what `wanted` made of it.
    ///
    /// The caller stays pinned (`crossbeam::epoch`) from before the first shard to after the last. A source
    /// that moves meanwhile may appear twice; one that was in these cells all the time appears at least once.
    pub(crate) fn scan<T>(
        &self,
        cells: &[CellIndex],
        wanted: impl Fn(Sighting) -> Option<T>,
        mut found: impl FnMut(SourceKey, T),
    ) {
        let (blocks, sources) = (self.cells.pin(), self.sources.pin());
        for &cell in cells {
            let Some(block) = blocks.get(&u64::from(cell)) else { continue };
            for sighting in block.sightings() {
                let (Some(accepted), Some(&source)) = (wanted(sighting), sources.get(&sighting.slot)) else {
                    continue;
                };
                found(source, accepted);
            }
        }
    }
}
