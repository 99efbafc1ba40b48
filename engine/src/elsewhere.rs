//! Where else a source may be found than where it lives: its entries in cells that it has left.

use crate::block::Slot;
use crate::lives::Entered;

/// Entries of one source that may wait before the rest of a batch is followed at its end. Who drives has one or two.
pub(crate) const MOST_WAITING: usize = 8;

/// An entry that is to die.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Waiting {
    pub(crate) entered: Entered,
    /// The move that it is to die of.
    pub(crate) dies_of: u64,
}

/// Where else a source may be found than where it lives.
#[derive(Default)]
pub(crate) struct Elsewhere {
    pub(crate) entries: Vec<Waiting>,
    /// When there are none: the number of what ends this.
    pub(crate) ends_by: u64,
    /// Whether it is among those that are late.
    pub(crate) is_late: bool,
}

/// What is to happen once every search under way has ended. Void where its number is no longer that of what it is
/// about.
pub(crate) enum Due {
    /// An entry dies.
    Death { slot: Slot, population: u32, of: u64 },
    /// A source of which no search sees a second entry is no longer said to wait.
    End { slot: Slot, by: u64 },
}
