//! One shard as its readers see it. Its one writer is in [`crate::writer`].

use std::sync::Arc;

use foldhash::fast::RandomState;
use ingest::counter::{Counter, Gauge};
use ingest::position::SourceKey;
use papaya::{HashMap, ResizeMode};

use crate::block::{Block, Sighting};
use crate::cover::Cell;
use crate::disk::Disk;
use crate::register::Register;

/// What the writer of a shard publishes. Readers never wait and never retry.
pub(crate) struct Shard {
    /// Every cell with members and their block.
    pub(crate) cells: HashMap<Cell, Arc<Block>, RandomState>,
    /// Everyone ever heard. A source's last fix is there before it is in the cells.
    pub(crate) register: Register,
    /// How many sources were fresh at the last sweep.
    pub(crate) online: Gauge,
    /// How many fixes found no slot for their source.
    pub(crate) refused: Counter,
}

impl Default for Shard {
    fn default() -> Self {
        Self {
            // Else a table that has just grown stays half moved as long as nobody writes, and each look searches two.
            cells: HashMap::builder()
                .hasher(RandomState::default())
                .resize_mode(ResizeMode::Blocking)
                .build(),
            register: Register::default(),
            online: Gauge::default(),
            refused: Counter::default(),
        }
    }
}

/// Cells that are looked up at once: more than cover a disk of 1,000 m.
const AT_ONCE: usize = 64;

/// Which of so many shards has a source.
pub(crate) fn shard_of(source: SourceKey, shards: usize) -> usize {
    // The lower half: partitions of the log are made of the upper one, and so each holds sources of every shard.
    let lower = source.stable_hash() & u64::from(u32::MAX);
    usize::try_from(lower).unwrap_or_default() % shards
}

impl Shard {
    /// The last shown fix of a source of this shard.
    pub(crate) fn home(&self, source: SourceKey) -> Option<Sighting> {
        self.register.find(source)?.1.home.load()
    }

    /// Every sighting in these cells that may be in the disk.
    ///
    /// The caller stays pinned (`crossbeam::epoch`) from before the first shard to after the last. A source
    /// that moves meanwhile may appear twice; one that was in these cells all the time appears at least once.
    pub(crate) fn scan(&self, cells: &[Cell], disk: &Disk, found: &mut Vec<Sighting>) {
        self.look(cells, |block| {
            block.sightings_in(disk, found);
            true
        });
    }

    /// Looks at the blocks of these cells, until told not to go on; the caller stays pinned as above.
    pub(crate) fn look(&self, cells: &[Cell], mut goes_on: impl FnMut(&Block) -> bool) {
        let cells_pinned = self.cells.pin();
        let mut blocks = Vec::with_capacity(cells.len().min(AT_ONCE));
        for cells in cells.chunks(AT_ONCE) {
            // These are looked up before the first is read, so that waits for memory overlap.
            blocks.extend(cells.iter().filter_map(|cell| cells_pinned.get(cell)));
            for block in blocks.drain(..) {
                if !goes_on(block) {
                    return;
                }
            }
        }
    }
}
