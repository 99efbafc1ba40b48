//! Where a source lives among the cells, in one word of its record.

use crate::register::WAITS;

/// An entry of a cell, as the record of who lives there keeps it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entered {
    /// The place of the cell among the writer's populations.
    pub(crate) population: u32,
    /// The entry in it.
    pub(crate) index: u32,
}

/// Where a source lives, unless it is stale and was swept, and whether entries of it wait elsewhere: in one word,
/// which is zero for one who is nowhere.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Lives {
    pub(crate) entered: Option<Entered>,
    pub(crate) waits: bool,
}

impl Lives {
    pub(crate) fn from_bits(bits: u64) -> Self {
        let (population, index) = ((bits >> 32) as u32, (bits & (WAITS - 1)) as u32);
        let entered = population.checked_sub(1).map(|population| Entered { population, index });
        Self { entered, waits: bits & WAITS != 0 }
    }

    pub(crate) fn bits(self) -> u64 {
        let entered =
            self.entered.map_or(0, |one| u64::from(one.population + 1) << 32 | u64::from(one.index));
        entered | if self.waits { WAITS } else { 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_gives_back_what_it_was_made_of() {
        let entered = [(0, 0), (u32::MAX - 1, (1 << 31) - 1), (7, 12_345)];
        let entered = entered.map(|(population, index)| Some(Entered { population, index }));
        for entered in entered.into_iter().chain([None]) {
            for waits in [false, true] {
                let lives = Lives { entered, waits };
                assert_eq!(Lives::from_bits(lives.bits()), lives);
            }
        }
        assert_eq!(Lives::default().bits(), 0);
    }
}
