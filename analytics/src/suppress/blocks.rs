//! How a column divides the places.

use std::collections::BTreeMap;

use super::{Gift, Rule, Sum};

/// The blocks of a column.
pub(super) struct Blocks<'a> {
    column: usize,
    rule: Rule,
    /// By place.
    gifts: &'a [&'a [Gift]],
    /// Which block each place is in.
    numbers: Vec<usize>,
    all: Vec<Block>,
}

/// What was given in some places.
#[derive(Default)]
struct Block {
    /// How many they are.
    places: usize,
    /// To the column.
    counted: Sum,
    /// To the parts after it.
    left: Sum,
}

impl<'a> Blocks<'a> {
    /// All places are one.
    pub(super) fn new(column: usize, gifts: &'a [&'a [Gift]], rule: Rule) -> Self {
        let mut blocks = Self { column, rule, gifts, numbers: vec![0; gifts.len()], all: Vec::new() };
        let all = blocks.block_of(&(0..gifts.len()).collect::<Vec<_>>());
        blocks.all.push(all);
        blocks
    }

    /// What was given to the column in these places.
    pub(super) fn amount(&self, places: &[usize]) -> u64 {
        let gifts = places.iter().flat_map(|place| self.gifts[*place]);
        let counted = gifts.filter(|gift| counts(self.column, gift));
        counted.fold(0, |amount, gift| amount.saturating_add(gift.amount))
    }

    /// Divides blocks so that these places are whole ones, unless one would be unsafe. Whether it was done.
    pub(super) fn tell(&mut self, places: &[usize]) -> bool {
        if self.is_unsafe(0) && self.all.len() == 1 {
            return false;
        }
        let mut within: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for place in places {
            within.entry(self.numbers[*place]).or_default().push(*place);
        }
        within.retain(|number, places| places.len() < self.all[*number].places);
        let parts: Vec<Block> = within.values().map(|places| self.block_of(places)).collect();
        if parts.iter().any(|part| part.is_unsafe(self.rule)) {
            return false;
        }
        for (number, places) in &within {
            self.change(*number, places, Sum::remove);
        }
        if within.keys().any(|number| self.is_unsafe(*number)) {
            for (number, places) in &within {
                self.change(*number, places, Sum::add);
            }
            return false;
        }
        for ((number, places), part) in within.into_iter().zip(parts) {
            self.all[number].places -= places.len();
            for place in places {
                self.numbers[place] = self.all.len();
            }
            self.all.push(part);
        }
        true
    }

    fn block_of(&self, places: &[usize]) -> Block {
        let mut block = Block { places: places.len(), ..Block::default() };
        block.change(self.column, places.iter().flat_map(|place| self.gifts[*place]), Sum::add);
        block
    }

    fn change(&mut self, number: usize, places: &[usize], change: fn(&mut Sum, &Gift)) {
        let gifts = places.iter().flat_map(|place| self.gifts[*place]);
        self.all[number].change(self.column, gifts, change);
    }

    fn is_unsafe(&self, number: usize) -> bool {
        self.all[number].is_unsafe(self.rule)
    }
}

impl Block {
    fn change<'g>(
        &mut self,
        column: usize,
        gifts: impl Iterator<Item = &'g Gift>,
        change: fn(&mut Sum, &Gift),
    ) {
        for gift in gifts {
            if counts(column, gift) {
                change(&mut self.counted, gift);
            } else if column < gift.part {
                change(&mut self.left, gift);
            }
        }
    }

    fn is_unsafe(&self, rule: Rule) -> bool {
        rule.forbids(&self.counted) || rule.forbids(&self.left)
    }
}

/// Whether a column counts a gift.
fn counts(column: usize, gift: &Gift) -> bool {
    column == 0 || gift.part == column
}
