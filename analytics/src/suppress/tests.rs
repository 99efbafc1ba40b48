//! Whoever adds and subtracts what was published, within a release and across two, comes to nothing unsafe.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

/// An attacker who adds and subtracts what was published, in fractions.
#[derive(Default)]
struct Attacker {
    /// In reduced echelon form, each with the cell that leads it.
    rows: Vec<(usize, Vec<Fraction>)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Fraction(i128, i128);

impl Fraction {
    const ZERO: Self = Self(0, 1);
    const ONE: Self = Self(1, 1);

    fn new(over: i128, under: i128) -> Self {
        let divisor = divisor(over.abs(), under.abs()) * under.signum();
        Self(over / divisor, under / divisor)
    }

    fn minus_product(self, a: Self, b: Self) -> Self {
        let product = Self::new(a.0 * b.0, a.1 * b.1);
        Self::new(self.0 * product.1 - product.0 * self.1, self.1 * product.1)
    }

    fn over(self, other: Self) -> Self {
        Self::new(self.0 * other.1, self.1 * other.0)
    }
}

fn divisor(a: i128, b: i128) -> i128 {
    if b == 0 { a } else { divisor(b, a % b) }
}

impl Attacker {
    fn reduced(&self, mut vector: Vec<Fraction>) -> Vec<Fraction> {
        for (leader, row) in &self.rows {
            let times = vector[*leader];
            vector = vector.into_iter().zip(row).map(|(value, by)| value.minus_product(times, *by)).collect();
        }
        vector
    }

    fn hear(&mut self, vector: Vec<Fraction>) {
        let new = self.reduced(vector);
        let Some(leader) = new.iter().position(|value| *value != Fraction::ZERO) else { return };
        let scale = new[leader];
        let new: Vec<_> = new.into_iter().map(|value| value.over(scale)).collect();
        for (_, row) in &mut self.rows {
            let times = row[leader];
            *row = row.iter().zip(&new).map(|(value, by)| value.minus_product(times, *by)).collect();
        }
        self.rows.push((leader, new));
    }

    fn can_tell(&self, vector: Vec<Fraction>) -> bool {
        self.reduced(vector).iter().all(|value| *value == Fraction::ZERO)
    }
}

fn indicator(table: &Table, includes: impl Fn(usize, &Path) -> bool) -> Vec<Fraction> {
    let one = |(number, path)| if includes(number, path) { Fraction::ONE } else { Fraction::ZERO };
    table.keys().enumerate().map(one).collect()
}

fn is_within(cell: &Path, figure: &Path) -> bool {
    cell.iter().zip(figure).all(|(cell, figure)| cell.starts_with(figure))
}

fn sum_of(table: &Table, includes: impl Fn(usize, &Path) -> bool) -> Cell {
    let mut sum = Cell::default();
    let included = table.iter().enumerate().filter(|(number, (path, _))| includes(*number, path));
    for (_, (_, cell)) in included {
        sum.merge(cell);
    }
    sum
}

fn attacked<'a>(table: &Table, published: impl IntoIterator<Item = &'a Path>) -> Attacker {
    let mut attacker = Attacker::default();
    for figure in published {
        attacker.hear(indicator(table, |_, path| is_within(path, figure)));
    }
    attacker
}

/// What may be told, whatever it is, with `published` told before.
fn told_of(table: &Table, published: &BTreeSet<Path>, rule: Rule) -> BTreeMap<Path, u64> {
    suppress(table, published, rule, |_| true).figures
}

/// Every sum of some cells that the attacker can tell, and that is unsafe.
fn unsafe_sums(table: &Table, attacker: &Attacker, rule: Rule) -> Vec<u32> {
    let told = |set: &u32| {
        let includes = |number: usize, _: &Path| set >> number & 1 == 1;
        rule.forbids(&sum_of(table, includes)) && attacker.can_tell(indicator(table, includes))
    };
    (1..1_u32 << table.len()).filter(told).collect()
}

fn path(place: &[&str], column: &[&str]) -> Path {
    [place, column].map(|steps| steps.iter().map(ToString::to_string).collect()).into()
}

/// Cells of one contribution after the other, by the numbers of department, town, column and contributor.
fn table(given: &[(usize, usize, usize, u64, u64)], columns: usize) -> Table {
    let mut table = Table::new();
    for (department, town, column, contributor, amount) in given {
        let place = [format!("{department}"), format!("{department}-{town}")];
        let column = format!("{}", column % columns);
        let path = path(&[&place[0], &place[1]], &[&column]);
        table.entry(path).or_default().add([*contributor; SIDES], *amount);
    }
    table
}

prop_compose! {
    /// Up to two departments of two or three towns in one to three columns: at most 12 cells.
    fn tables()(
        columns in 1_usize..=3,
        given in vec((0_usize..2, 0_usize..3, 0_usize..3, 0_u64..9, prop_oneof![1_u64..4, 1_u64..40]), 1..120),
    ) -> Table {
        let towns = if columns == 3 { 2 } else { 3 };
        let given: Vec<_> = given.into_iter().map(|(d, town, column, c, a)| (d, town % towns, column, c, a)).collect();
        table(&given, columns)
    }
}

const RULE: Rule = Rule { least: 3, most_percent: 85 };

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn nothing_unsafe_can_be_told_of_a_release(table in tables()) {
        let published = told_of(&table, &BTreeSet::new(), RULE);
        for (figure, sum) in &published {
            let cell = sum_of(&table, |_, path| is_within(path, figure));
            prop_assert!(!RULE.forbids(&cell));
            prop_assert_eq!(cell.sum(), *sum);
        }
        let attacker = attacked(&table, published.keys());
        prop_assert_eq!(unsafe_sums(&table, &attacker, RULE), [0; 0], "{:?} {:?}", table, published);
    }

    #[test]
    fn nothing_unsafe_can_be_told_of_two(table in tables(), stricter in 3_usize..7) {
        let first = told_of(&table, &BTreeSet::new(), Rule { least: stricter, ..RULE });
        let first: BTreeSet<_> = first.into_keys().collect();
        let second = told_of(&table, &first, RULE);
        prop_assert!(second.keys().all(|figure| !first.contains(figure)));
        let attacker = attacked(&table, first.iter().chain(second.keys()));
        prop_assert_eq!(unsafe_sums(&table, &attacker, RULE), [0; 0], "{:?} {:?}", first, second);
    }
}

/// First a table of places, then one of the columns, of the same: neither gives away what the other withholds.
fn in_two_parts(table: &Table) -> [Told; 2] {
    let places = suppress(table, &BTreeSet::new(), RULE, |path| path[1].is_empty());
    let known = places.figures.keys().cloned().collect();
    let columns = suppress(table, &known, RULE, |path| path[0].is_empty());
    [places, columns]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(50))]

    #[test]
    fn nothing_unsafe_can_be_told_of_two_that_tell_of_the_same_in_different_ways(table in tables()) {
        let [places, columns] = in_two_parts(&table);
        prop_assert!(places.figures.keys().all(|path| path[1].is_empty()));
        prop_assert!(columns.figures.keys().all(|path| path[0].is_empty() && !path[1].is_empty()));
        let attacker = attacked(&table, places.figures.keys().chain(columns.figures.keys()));
        prop_assert_eq!(unsafe_sums(&table, &attacker, RULE), [0; 0], "{:?} {:?}", places, columns);
    }
}

/// A contributor each, so many of each town.
fn towns(counts: &[(&str, &str, u64)]) -> Table {
    let mut table = Table::new();
    for (department, town, count) in counts {
        let cell = table.entry(path(&[department, town], &[])).or_default();
        for contributor in 0..*count {
            cell.add([contributor + 1_000 * u64::from(town.as_bytes()[0]); SIDES], 1);
        }
    }
    table
}

fn told(table: &Table) -> Vec<(String, u64)> {
    let published = told_of(table, &BTreeSet::new(), Rule::default());
    published.into_iter().map(|(path, sum)| (path[0].last().cloned().unwrap_or_default(), sum)).collect()
}

#[test]
fn a_town_is_withheld_with_the_smallest_of_its_neighbours() {
    let table = towns(&[("1", "a", 9), ("1", "b", 3), ("1", "c", 7), ("2", "d", 5), ("2", "e", 6)]);
    let expected = [("", 30), ("1", 19), ("a", 9), ("2", 11), ("d", 5), ("e", 6)];
    assert_eq!(told(&table), expected.map(|(name, sum)| (name.to_owned(), sum)));
}

#[test]
fn a_department_is_withheld_with_another() {
    let table = towns(&[("1", "a", 4), ("2", "b", 6), ("3", "c", 8)]);
    let expected = [("", 18), ("3", 8), ("c", 8)];
    assert_eq!(told(&table), expected.map(|(name, sum)| (name.to_owned(), sum)));
}

#[test]
fn who_withholds_enough_together_needs_nobody_else() {
    let table = towns(&[("1", "a", 9), ("1", "b", 3), ("1", "c", 2)]);
    assert_eq!(told(&table), [(String::new(), 14), ("1".to_owned(), 14), ("a".to_owned(), 9)]);
}

#[test]
fn one_who_gave_most_is_not_told_of() {
    let mut cell = Cell::default();
    for contributor in 0..20 {
        cell.add([contributor; SIDES], 1);
    }
    cell.add([20; SIDES], 113);
    assert!(!Rule::default().forbids(&cell), "113 of 133 are 84.96 %");
    cell.add([20; SIDES], 1);
    assert!(Rule::default().forbids(&cell), "114 of 134 are 85.07 %");
}

#[test]
fn many_taxis_of_one_customer_are_not_told_of() {
    let hails = |customer: fn(u64) -> u64| {
        let mut cell = Cell::default();
        for taxi in 0..6 {
            cell.add([taxi, customer(taxi)], 1);
        }
        cell
    };
    assert!(!Rule::default().forbids(&hails(|taxi| taxi)));
    assert!(Rule::default().forbids(&hails(|_| 7)), "one household");
    assert!(Rule::default().forbids(&hails(|taxi| taxi / 2)), "three");
}
