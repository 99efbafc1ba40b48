//! What can be told from figures by adding and subtracting: linear algebra over a finite field.
//!
//! Exact: of what follows in fractions nothing is missed, unless one of their denominators were a multiple of
//! [`PRIME`].

use std::collections::{BTreeMap, BTreeSet};

use super::{Cell, Rule};

/// A Mersenne prime: products fit into 128 bits.
const PRIME: u64 = (1 << 61) - 1;

/// Sums of so many rows are looked at,
const ROWS_MAX: usize = 8;
/// each of at most so many cells,
const CELLS_MAX: usize = 64;
/// and so many for each figure: one that would take more is taken to tell.
const LOOKS_MAX: usize = 1_000;

/// Coefficients other than zero, by the number of their cell.
type Vector = BTreeMap<usize, u64>;

/// The span of what was told, in reduced echelon form, and what is left of each secret beside it.
pub(super) struct Span<'a> {
    cells: &'a [&'a Cell],
    rule: Rule,
    rows: Vec<Row>,
    /// Which row leads a cell.
    leaders: BTreeMap<usize, usize>,
    /// Which rows have a cell.
    holders: Vec<BTreeSet<usize>>,
}

struct Row {
    vector: Vector,
    /// No part of what was told: nothing may be left of it no more.
    is_secret: bool,
}

impl<'a> Span<'a> {
    /// Nothing was told, and nothing is secret.
    pub(super) fn new(cells: &'a [&'a Cell], rule: Rule) -> Self {
        let holders = vec![BTreeSet::new(); cells.len()];
        Self { cells, rule, rows: Vec::new(), leaders: BTreeMap::new(), holders }
    }

    /// Keeps a figure secret. To be called before anything is told.
    pub(super) fn keep_secret(&mut self, figure: &[usize]) {
        self.push(Row { vector: vector_of(figure), is_secret: true });
    }

    /// Tells a figure, whatever follows from it.
    pub(super) fn tell(&mut self, figure: &[usize]) {
        let new = self.reduced(figure);
        if let Some(leader) = self.leader_of(&new) {
            self.admit(leader, new);
        }
    }

    /// Tells a figure unless a secret would follow. Whether it was told.
    pub(super) fn tell_if_harmless(&mut self, figure: &[usize]) -> bool {
        let new = self.reduced(figure);
        // What follows from others is told already.
        let Some(leader) = self.leader_of(&new) else { return true };
        let is_harmless = !self.harms(leader, &new);
        if is_harmless {
            self.admit(leader, new);
        }
        is_harmless
    }

    /// What is new in a figure: nothing of it is led by a row.
    fn reduced(&self, figure: &[usize]) -> Vector {
        let mut vector = vector_of(figure);
        for row in figure.iter().filter_map(|cell| self.leaders.get(cell)) {
            // A row has no cell that another one leads: each coefficient is still what it was.
            subtract(&mut vector, 1, &self.rows[*row].vector);
        }
        vector
    }

    /// The cell that the fewest rows have. None: the vector is empty.
    fn leader_of(&self, vector: &Vector) -> Option<usize> {
        vector.keys().copied().min_by_key(|cell| self.holders[*cell].len())
    }

    /// Makes the coefficient of the leader one.
    fn scaled(leader: usize, mut vector: Vector) -> Vector {
        let inverse = power(vector[&leader], PRIME - 2);
        for value in vector.values_mut() {
            *value = multiply(*value, inverse);
        }
        vector
    }

    /// Whether a secret would follow from this as well.
    fn harms(&self, leader: usize, new: &Vector) -> bool {
        let new = Self::scaled(leader, new.clone());
        let mut changed = BTreeMap::new();
        for number in &self.holders[leader] {
            let Row { vector, is_secret } = &self.rows[*number];
            let (mut vector, times) = (vector.clone(), vector[&leader]);
            subtract(&mut vector, times, &new);
            if !is_secret {
                changed.insert(*number, vector);
            } else if vector.is_empty() {
                return true;
            }
        }
        changed.insert(self.rows.len(), new);
        After { span: self, changed }.tells()
    }

    /// Whether this is the sum of some cells, and of contributors of whom it would tell.
    fn is_unsafe_sum(&self, vector: &Vector) -> bool {
        let mut sum = Cell::default();
        is_sum(vector) && {
            for cell in vector.keys() {
                sum.merge(self.cells[*cell]);
            }
            self.rule.forbids(&sum)
        }
    }

    /// Adds a vector that is reduced and has this leader.
    fn admit(&mut self, leader: usize, new: Vector) {
        let new = Self::scaled(leader, new);
        for row in std::mem::take(&mut self.holders[leader]) {
            let vector = &mut self.rows[row].vector;
            let times = vector[&leader];
            subtract(vector, times, &new);
            for cell in new.keys() {
                if vector.contains_key(cell) {
                    self.holders[*cell].insert(row);
                } else {
                    self.holders[*cell].remove(&row);
                }
            }
        }
        self.leaders.insert(leader, self.rows.len());
        self.push(Row { vector: new, is_secret: false });
    }

    fn push(&mut self, row: Row) {
        for cell in row.vector.keys() {
            self.holders[*cell].insert(self.rows.len());
        }
        self.rows.push(row);
    }
}

/// What the span would be.
struct After<'a> {
    span: &'a Span<'a>,
    /// The rows that would be others or new, by number.
    changed: BTreeMap<usize, Vector>,
}

impl After<'_> {
    /// Whether a changed row, or a sum of it and others, is the sum of some cells that is unsafe, or may be.
    fn tells(&self) -> bool {
        let mut looks = LOOKS_MAX;
        self.changed.iter().any(|(number, vector)| {
            self.span.is_unsafe_sum(vector)
                || vector.len() <= CELLS_MAX && self.tells_with(vector, &mut vec![*number], &mut looks)
        })
    }

    /// Goes on from a sum of rows: where it is not one of cells, another row has to make up for it; where it is, one
    /// that takes cells away makes another.
    fn tells_with(&self, sum: &Vector, rows: &mut Vec<usize>, looks: &mut usize) -> bool {
        let wrong = sum.iter().find(|(_, value)| **value != 1).map(|(cell, _)| *cell);
        let cells: Vec<usize> = wrong.map_or_else(|| sum.keys().copied().collect(), |cell| vec![cell]);
        for cell in cells {
            for (number, row) in self.holders(cell) {
                let takes_away = row[&cell] == PRIME - 1;
                if rows.contains(&number) || row.len() > CELLS_MAX || wrong.is_none() && !takes_away {
                    continue;
                }
                let Some(left) = looks.checked_sub(1) else { return true };
                *looks = left;
                let mut longer = sum.clone();
                subtract(&mut longer, PRIME - 1, row);
                rows.push(number);
                if self.span.is_unsafe_sum(&longer)
                    || rows.len() < ROWS_MAX && self.tells_with(&longer, rows, looks)
                {
                    return true;
                }
                rows.pop();
            }
        }
        false
    }

    /// The rows that would have a cell, but for secrets.
    fn holders(&self, cell: usize) -> impl Iterator<Item = (usize, &Vector)> {
        let told = self.span.holders[cell].iter().filter(|number| !self.changed.contains_key(number));
        let told = told.map(|number| (*number, &self.span.rows[*number])).filter(|(_, row)| !row.is_secret);
        let changed = self.changed.iter().filter(move |(_, vector)| vector.contains_key(&cell));
        told.map(|(number, row)| (number, &row.vector))
            .chain(changed.map(|(number, vector)| (*number, vector)))
    }
}

/// Whether a vector is the sum of some cells.
fn is_sum(vector: &Vector) -> bool {
    vector.values().all(|value| *value == 1)
}

fn vector_of(figure: &[usize]) -> Vector {
    figure.iter().map(|cell| (*cell, 1)).collect()
}

/// `vector - times * other`.
fn subtract(vector: &mut Vector, times: u64, other: &Vector) {
    for (cell, value) in other {
        let left = vector.get(cell).copied().unwrap_or_default() + PRIME - multiply(times, *value);
        match left % PRIME {
            0 => vector.remove(cell),
            left => vector.insert(*cell, left),
        };
    }
}

#[expect(clippy::cast_possible_truncation, reason = "a remainder is below PRIME")]
fn multiply(a: u64, b: u64) -> u64 {
    (u128::from(a) * u128::from(b) % u128::from(PRIME)) as u64
}

fn power(base: u64, exponent: u64) -> u64 {
    let square = |value| multiply(value, value);
    match exponent {
        0 => 1,
        odd if odd % 2 == 1 => multiply(base, power(base, odd - 1)),
        even => square(power(base, even / 2)),
    }
}
