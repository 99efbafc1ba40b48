//! What may be published: the one suppression for everything public.
//!
//! A table has *places*, as fine as they get, and *columns*: the first counts everything, the others one *part* of it
//! each. A *figure* is what was given in some places to one column. It is *unsafe* where fewer than [`Rule::least`]
//! contributed to it, or one of them more than [`Rule::most_percent`] of it, on either of [`SIDES`], as a ride has a
//! taxi and a customer. One to which nobody contributed is about nobody.
//!
//! Each column divides the places into *blocks*, and tells figures of whole blocks only. A column's figures are of
//! places that have one in the column before, so its blocks are made of whole ones of that column. What is to be safe
//! is, for each block of each column,
//!
//! - what was given there to the column, and
//! - what was given there to the parts after it: what is left of the first column's figure when all until this one are
//!   taken away.
//!
//! **Nothing else comes of adding and subtracting**: whatever sum of gifts, each counted once, follows from all that is
//! told is made of these, each as a whole. And what is made of safe ones is safe: it has all their contributors, and
//! nobody gave more of it than the most that somebody gave of one of them.
//!
//! Why: multiply each told figure with a number and add them up, so that a gift, wherever there may be one, is counted
//! `a + b` times: `a` by the first column, the same in each of its blocks, `b` by its part's, the same in each of that
//! one's. Say that is always once or not at all. Then of each part and block either `a` is the same everywhere in it,
//! and all of it is counted or none; or `a` takes two values there, and `b` is such that just the places of the higher
//! one are counted. Blocks of later columns are made of such blocks, so `a` takes the same two values in them, and the
//! same places are counted: of each largest block in which `a` is the same, all parts after its column or none.
//!
//! Figures have their turn by importance: columns in their order, places before what divides them anew, the coarser
//! before the finer, the larger before the smaller, so that what is withheld for the sake of others is the smallest.
//! One is withheld if a block that it would divide would become an unsafe one.
//!
//! A missing figure is nil or withheld, and nobody is told which, nor how many are withheld: where the reader knows
//! that one is nil, or gave something himself, `least` and `most_percent` alone keep him at a distance. Estimates are
//! not prevented.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};

use self::blocks::Blocks;

mod blocks;

/// When a figure may be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// How many must have contributed, at least.
    pub least: usize,
    /// What one of them may have contributed at most, in percent of the figure.
    pub most_percent: u64,
}

impl Default for Rule {
    fn default() -> Self {
        Self { least: 5, most_percent: 85 }
    }
}

impl Rule {
    /// Whether this is about some, and on any side about too few or mostly about one.
    pub fn forbids(self, given: &Sum) -> bool {
        given.sides.iter().any(|side| {
            let few = !side.given.is_empty() && side.given.len() < self.least;
            let most = side.amounts.last_key_value().map_or(0, |(amount, _)| *amount);
            few || most * 100 > given.amount * u128::from(self.most_percent)
        })
    }
}

/// On how many sides each gift has a contributor.
pub const SIDES: usize = 2;

/// What was given at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gift {
    /// By whom, on each side, each by a number of its own.
    pub contributors: [u64; SIDES],
    /// Which column counts it beside the first, from 1; one beyond them all: none.
    pub part: usize,
    /// How much. Nothing is no contribution.
    pub amount: u64,
}

/// Gifts added up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sum {
    amount: u128,
    sides: [Side; SIDES],
}

/// Who gave how much, and how many gave as much.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Side {
    given: HashMap<u64, u128>,
    amounts: BTreeMap<u128, usize>,
}

impl Sum {
    /// Adds a gift.
    pub fn add(&mut self, gift: &Gift) {
        self.change(gift, |before| before.saturating_add(gift.amount.into()));
    }

    /// Takes away a gift that was added.
    fn remove(&mut self, gift: &Gift) {
        self.change(gift, |before| before.saturating_sub(gift.amount.into()));
    }

    fn change(&mut self, gift: &Gift, changed: impl Fn(u128) -> u128) {
        self.amount = changed(self.amount);
        for (side, contributor) in self.sides.iter_mut().zip(gift.contributors) {
            let before = side.given.remove(&contributor).unwrap_or_default();
            if let Some(others) = side.amounts.get_mut(&before) {
                *others -= 1;
                if *others == 0 {
                    side.amounts.remove(&before);
                }
            }
            let after = changed(before);
            if after > 0 {
                side.given.insert(contributor, after);
                *side.amounts.entry(after).or_default() += 1;
            }
        }
    }
}

/// Where something was given: along each dimension, from the coarsest to the finest, as in
/// `[["76", "76540"], ["861fb4657ffffff", "871fb4654ffffff"]]`. Dimensions divide the same anew.
pub type Place = Vec<Vec<String>>;

/// What was given in each place. Places have as many steps along each dimension as each other.
pub type Table = BTreeMap<Place, Vec<Gift>>;

/// What may be told of one dimension.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// The figures of places, which are beginnings along it, by column; a missing one is nil or withheld.
    pub figures: BTreeMap<Vec<String>, BTreeMap<usize, u64>>,
    /// How many are withheld, of those to which somebody contributed.
    pub withheld: usize,
}

/// What may be told of some places.
struct Figure<'a> {
    dimension: usize,
    beginning: &'a [String],
    /// The numbers of all places that begin like this.
    places: Vec<usize>,
    /// Whether the column before told of these.
    is_told: bool,
}

/// What may be published of a table: along each dimension, so many columns as are asked for. The total of everything
/// belongs to the first dimension.
///
/// For each column about the gifts times the figures that each is in: a month of 300,000 gifts takes seconds.
pub fn suppress<const DIMENSIONS: usize>(
    table: &Table,
    columns: &[usize; DIMENSIONS],
    rule: Rule,
) -> [Told; DIMENSIONS] {
    suppress_beside(table, columns, rule, |_| false)
}

/// The same, where everybody knows from elsewhere what was given in all the places for which `is_known` holds, to the
/// first column. That has the first turn; where it would not be safe itself, nothing else is told.
pub fn suppress_beside<const DIMENSIONS: usize>(
    table: &Table,
    columns: &[usize; DIMENSIONS],
    rule: Rule,
    is_known: impl Fn(&Place) -> bool,
) -> [Told; DIMENSIONS] {
    let gifts: Vec<&[Gift]> = table.values().map(Vec::as_slice).collect();
    let mut figures = figures(table, DIMENSIONS);
    let known = table.keys().enumerate().filter(|(_, place)| is_known(place));
    let known: Vec<_> = known.map(|(number, _)| number).collect();
    let mut told = [(); DIMENSIONS].map(|()| Told::default());
    for column in 0..columns.iter().copied().max().unwrap_or_default() {
        let mut blocks = Blocks::new(column, &gifts, rule);
        if column == 0 && !known.is_empty() && !blocks.tell(&known) {
            for figure in &mut figures {
                figure.is_told = false;
            }
        }
        let wanted = figures.iter_mut().filter(|figure| column < columns[figure.dimension]);
        let mut turns: Vec<_> = wanted.map(|figure| (blocks.amount(&figure.places), figure)).collect();
        turns.sort_by_key(|(amount, figure)| (figure.dimension, figure.beginning.len(), Reverse(*amount)));
        for (amount, figure) in turns {
            figure.is_told = figure.is_told && blocks.tell(&figure.places);
            let of_dimension = &mut told[figure.dimension];
            if amount > 0 && figure.is_told {
                let row = of_dimension.figures.entry(figure.beginning.to_vec()).or_default();
                row.insert(column, amount);
            } else if amount > 0 {
                of_dimension.withheld += 1;
            }
        }
    }
    told
}

/// The figures along so many dimensions.
fn figures(table: &Table, dimensions: usize) -> Vec<Figure<'_>> {
    let mut figures: BTreeMap<(usize, &[String]), Vec<usize>> = BTreeMap::new();
    for (number, place) in table.keys().enumerate() {
        for (dimension, steps) in place.iter().take(dimensions).enumerate() {
            // Nothing but the first dimension has what begins like everything.
            for length in dimension.min(1)..=steps.len() {
                figures.entry((dimension, &steps[..length])).or_default().push(number);
            }
        }
    }
    let figure = |((dimension, beginning), places)| Figure { dimension, beginning, places, is_told: true };
    figures.into_iter().map(figure).collect()
}

#[cfg(test)]
mod tests;
