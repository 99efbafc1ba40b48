//! What may be published: the one suppression for everything public.
//!
//! A table is made of *cells*, each with what its contributors gave; a *figure* is the sum of some cells: those of a
//! town, of a department, of the country, in one column or in all. A figure is *unsafe* where fewer than
//! [`Rule::least`] contributed to it, or one of them more than [`Rule::most_percent`] of it: on either of [`SIDES`], as
//! a ride has a taxi and a customer. A figure to which nobody contributed is about nobody: it is not published, and no
//! secret.
//!
//! Unsafe figures are withheld, and with them what would give them away. What can be told from figures by adding and
//! subtracting is their span as vectors over the cells, which is kept in reduced form: in a hierarchy, a row of it
//! is what is left of a total when all that is published below is subtracted. A figure is published where then
//!
//! - no unsafe figure is in the span, and
//! - no row of the reduced form is the sum of some cells that would be an unsafe figure: neither two towns of two taxis
//!   each that are all a department withholds, nor what a town has in all withheld columns. Sums of several rows are
//!   looked at, too: of at most eight, each of at most 64 cells, which is all there are in small tables, as is tested.
//!   Where there are too many of these to look at, the figure is withheld. Larger sums are not looked at.
//!
//! Figures have their turn by importance: totals first, then the larger before the smaller, so that what is withheld
//! for the sake of others is the smallest. What an earlier release told of the same cells is in the span from the
//! start. Whoever knows more than what is published, a contributor what it gave itself, is kept at a distance by
//! `least` and `most_percent` alone; who only estimates is not kept from it.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use self::span::Span;

mod span;

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

/// On how many sides each amount has a contributor.
pub const SIDES: usize = 2;

/// What contributors gave, each by a number of its own: the same amounts on each side.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cell([BTreeMap<u64, u64>; SIDES]);

impl Cell {
    /// Adds what was given, by the contributor on each side; nothing is no contribution.
    pub fn add(&mut self, contributors: [u64; SIDES], amount: u64) {
        for (side, contributor) in self.0.iter_mut().zip(contributors) {
            add(side, contributor, amount);
        }
    }

    fn merge(&mut self, other: &Self) {
        for (side, others) in self.0.iter_mut().zip(&other.0) {
            for (contributor, amount) in others {
                add(side, *contributor, *amount);
            }
        }
    }

    /// Their sum.
    pub fn sum(&self) -> u64 {
        let [first, ..] = &self.0;
        first.values().fold(0, |sum, amount| sum.saturating_add(*amount))
    }
}

fn add(side: &mut BTreeMap<u64, u64>, contributor: u64, amount: u64) {
    if amount > 0 {
        let given = side.entry(contributor).or_default();
        *given = given.saturating_add(amount);
    }
}

impl Rule {
    /// Whether this is about some, and on any side about too few or mostly about one.
    pub fn forbids(self, cell: &Cell) -> bool {
        let sum = u128::from(cell.sum());
        cell.0.iter().any(|side| {
            let most = side.values().max().copied().unwrap_or_default();
            let few = !side.is_empty() && side.len() < self.least;
            few || u128::from(most) * 100 > sum * u128::from(self.most_percent)
        })
    }
}

/// Where a cell or a figure lies: along each dimension, from the coarsest to the finest. A figure's path is the
/// beginning of its cells': `[["76", "76540"], ["finished"]]` is a cell, `[["76"], []]` the total of a department.
pub type Path = Vec<Vec<String>>;

/// Cells by their paths, which have as many steps in each dimension as every other's.
pub type Table = BTreeMap<Path, Cell>;

/// What may be told of a table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// The figures that may be published, with their sums.
    pub figures: BTreeMap<Path, u64>,
    /// How many are withheld, of those to which somebody contributed.
    pub withheld: usize,
}

/// What may be published of a table, of the figures that are `wanted`. Those of `published`, which an earlier release
/// told of the same cells, are no longer a matter of choice: they are left out here, and count as known.
///
/// O(n m) for n figures of m cells at worst; in a hierarchy alone, about the contributions times its depth.
pub fn suppress(
    table: &Table,
    published: &BTreeSet<Path>,
    rule: Rule,
    wanted: impl Fn(&Path) -> bool,
) -> Told {
    let cells: Vec<&Cell> = table.values().collect();
    let mut figures: BTreeMap<Path, (Vec<usize>, Cell)> = BTreeMap::new();
    for (number, (path, cell)) in table.iter().enumerate() {
        for beginning in beginnings(path) {
            let (numbers, sum) = figures.entry(beginning).or_default();
            numbers.push(number);
            sum.merge(cell);
        }
    }
    let mut span = Span::new(&cells, rule);
    for (path, (numbers, sum)) in &figures {
        if rule.forbids(sum) && !published.contains(path) {
            span.keep_secret(numbers);
        }
    }
    for path in published {
        if let Some((numbers, _)) = figures.get(path) {
            span.tell(numbers);
        }
    }
    figures.retain(|path, (_, sum)| sum.sum() > 0 && wanted(path) && !published.contains(path));
    let mut turns: Vec<_> = figures.iter().filter(|(_, (_, sum))| !rule.forbids(sum)).collect();
    turns.sort_by_key(|(path, (_, sum))| (steps(path), Reverse(sum.sum())));
    turns.retain(|(_, (numbers, _))| span.tell_if_harmless(numbers));
    let told: BTreeMap<_, _> = turns.into_iter().map(|(path, (_, sum))| (path.clone(), sum.sum())).collect();
    Told { withheld: figures.len() - told.len(), figures: told }
}

fn steps(path: &Path) -> usize {
    path.iter().map(Vec::len).sum()
}

/// Every path that this one begins with, in any dimension, itself too.
fn beginnings(path: &Path) -> Vec<Path> {
    path.iter().fold(vec![Vec::new()], |paths, steps| {
        let longer = |path: Path| {
            (0..=steps.len()).map(move |length| [&path[..], &[steps[..length].to_vec()]].concat())
        };
        paths.into_iter().flat_map(longer).collect()
    })
}

#[cfg(test)]
mod tests;
