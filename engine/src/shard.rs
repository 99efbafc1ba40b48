//! One shard as its readers see it. Its one writer is in [`crate::writer`].

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::Arc;

use ingest::counter::{Counter, Gauge};
use ingest::position::SourceKey;
use papaya::HashMap;

use crate::block::{Block, Sighting};
use crate::cover::Cell;
use crate::disk::Disk;
use crate::register::Register;

/// What the writer of a shard publishes. Readers never wait and never retry.
#[derive(Default)]
pub(crate) struct Shard {
    /// Every cell with members and their block.
    pub(crate) cells: HashMap<Cell, Arc<Block>, CellHashes>,
    /// Everyone ever heard. A source's last fix is there before it is in the cells.
    pub(crate) register: Register,
    /// How many sources were fresh at the last sweep.
    pub(crate) online: Gauge,
    /// How many fixes found no slot for their source.
    pub(crate) refused: Counter,
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

/// Hashes of cells in a nanosecond. The seed is each process's own, so that nobody can place taxis in cells that he
/// knows to fall together.
#[derive(Clone)]
pub(crate) struct CellHashes {
    seed: u64,
}

impl Default for CellHashes {
    fn default() -> Self {
        Self { seed: RandomState::new().hash_one(0) | 1 }
    }
}

impl BuildHasher for CellHashes {
    type Hasher = CellHasher;

    fn build_hasher(&self) -> CellHasher {
        CellHasher { seed: self.seed, hash: 0 }
    }
}

/// Multiplies with the seed and folds.
pub(crate) struct CellHasher {
    seed: u64,
    hash: u64,
}

impl Hasher for CellHasher {
    fn finish(&self) -> u64 {
        self.hash
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u32(u32::from(byte));
        }
    }

    fn write_u32(&mut self, number: u32) {
        let product =
            u128::from(self.hash ^ u64::from(number) ^ self.seed.rotate_left(32)) * u128::from(self.seed);
        #[expect(clippy::cast_possible_truncation, reason = "both halves are taken")]
        let folded = (product >> 64) as u64 ^ product as u64;
        self.hash = folded;
    }
}
