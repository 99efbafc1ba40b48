//! Why datagrams are refused, and how often.

use papaya::HashMap;

use crate::counter::Counter;
use crate::position::OperatorKey;

/// Every reason for which a datagram leaves no trace but a count. In the order of the checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Refusal {
    /// It has more bytes than [`crate::limits::MAX_DATAGRAM`].
    TooLong,
    /// It is not UTF-8.
    NotUtf8,
    /// It is not JSON, or nests too deep.
    NotJson,
    /// It is JSON, but not an object.
    NotAnObject,
    /// A field is missing.
    MissingField,
    /// A field is neither a string nor, where numbers are allowed, a number.
    WrongType,
    /// Latitude or longitude is a text that is no decimal number.
    NotANumber,
    /// The latitude is beyond [`crate::position::MAX_REPORTABLE_LAT`].
    LatOutOfRange,
    /// The longitude is beyond 180 degrees.
    LonOutOfRange,
    /// No operator has this email.
    UnknownOperator,
    /// The hash is not the one that the operator's key makes.
    BadHash,
    /// No taxi has this id.
    UnknownTaxi,
    /// The taxi exists, but the operator does not describe its vehicle.
    NotTheirTaxi,
    /// It was accepted, but the log did not take it.
    Overloaded,
}

impl Refusal {
    /// Every refusal, in order.
    pub const ALL: [Self; 14] = [
        Self::TooLong,
        Self::NotUtf8,
        Self::NotJson,
        Self::NotAnObject,
        Self::MissingField,
        Self::WrongType,
        Self::NotANumber,
        Self::LatOutOfRange,
        Self::LonOutOfRange,
        Self::UnknownOperator,
        Self::BadHash,
        Self::UnknownTaxi,
        Self::NotTheirTaxi,
        Self::Overloaded,
    ];

    /// Its name in metrics: `snake_case`, never changed.
    pub fn name(self) -> &'static str {
        match self {
            Self::TooLong => "too_long",
            Self::NotUtf8 => "not_utf8",
            Self::NotJson => "not_json",
            Self::NotAnObject => "not_an_object",
            Self::MissingField => "missing_field",
            Self::WrongType => "wrong_type",
            Self::NotANumber => "not_a_number",
            Self::LatOutOfRange => "lat_out_of_range",
            Self::LonOutOfRange => "lon_out_of_range",
            Self::UnknownOperator => "unknown_operator",
            Self::BadHash => "bad_hash",
            Self::UnknownTaxi => "unknown_taxi",
            Self::NotTheirTaxi => "not_their_taxi",
            Self::Overloaded => "overloaded",
        }
    }
}

/// What came of all datagrams so far. Shared by the receiving threads; readers never wait.
#[derive(Debug, Default)]
pub struct Refusals {
    accepted: Counter,
    clocks_off: Counter,
    /// As many as there are operators that sent one.
    accepted_of: HashMap<OperatorKey, Counter>,
    /// Of senders we know. As many rows as there are operators: only the directory's make one.
    by_operator: HashMap<OperatorKey, ByReason>,
    /// Of everybody else.
    of_unknown: ByReason,
}

type ByReason = [Counter; Refusal::ALL.len()];

impl Refusals {
    /// Counts one refusal, of an operator if its email was one we know.
    pub fn count(&self, operator: Option<OperatorKey>, refusal: Refusal) {
        let Some(operator) = operator else {
            return self.of_unknown[refusal as usize].add(1);
        };
        let rows = self.by_operator.pin();
        let row = match rows.get(&operator) {
            Some(row) => row,
            None => rows.get_or_insert_with(operator, ByReason::default),
        };
        row[refusal as usize].add(1);
    }

    /// Counts positions of these operators that passed every check and then found the log full.
    pub fn count_overloaded(&self, operators: impl IntoIterator<Item = OperatorKey>) {
        for operator in operators {
            self.count(Some(operator), Refusal::Overloaded);
        }
    }

    /// Datagrams that passed every check, whether or not the log then had room.
    pub fn accepted(&self) -> u64 {
        self.accepted.get()
    }

    /// Of an operator's datagrams, those that passed every check, whether or not the log then had room.
    pub fn accepted_of(&self, operator: OperatorKey) -> u64 {
        self.accepted_of.pin().get(&operator).map_or(0, Counter::get)
    }

    /// An operator's refusals by reason, those that are not zero, in order.
    pub fn refused_of(&self, operator: OperatorKey) -> Vec<(Refusal, u64)> {
        let rows = self.by_operator.pin();
        let Some(row) = rows.get(&operator) else { return Vec::new() };
        let counts = Refusal::ALL.into_iter().map(|refusal| (refusal, row[refusal as usize].get()));
        counts.filter(|(_, count)| *count > 0).collect()
    }

    /// Accepted datagrams whose device's clock is more than [`crate::limits::MAX_CLOCK_SKEW_MS`] off ours.
    pub fn clocks_off(&self) -> u64 {
        self.clocks_off.get()
    }

    /// All refusals for one reason.
    pub fn total(&self, refusal: Refusal) -> u64 {
        let known: u64 = self.by_operator.pin().values().map(|row| row[refusal as usize].get()).sum();
        known + self.of_unknown[refusal as usize].get()
    }

    /// Every count that is not zero, by operator (None: not known) and reason, sorted.
    pub fn snapshot(&self) -> Vec<(Option<OperatorKey>, Refusal, u64)> {
        let mut counts = Vec::new();
        let mut add = |operator, row: &ByReason| {
            let refusals =
                Refusal::ALL.into_iter().map(|refusal| (operator, refusal, row[refusal as usize].get()));
            counts.extend(refusals.filter(|(_, _, count)| *count > 0));
        };
        add(None, &self.of_unknown);
        for (operator, row) in &self.by_operator.pin() {
            add(Some(*operator), row);
        }
        counts.sort_unstable();
        counts
    }

    pub(super) fn count_accepted(&self, operator: OperatorKey, clock_off: bool) {
        self.accepted.add(1);
        let counts = self.accepted_of.pin();
        match counts.get(&operator) {
            Some(count) => count.add(1),
            None => counts.get_or_insert_with(operator, Counter::default).add(1),
        }
        self.clocks_off.add(u64::from(clock_off));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_has_its_own_place_and_name() {
        let mut names: Vec<_> = Refusal::ALL.iter().map(|refusal| refusal.name()).collect();
        for (place, refusal) in Refusal::ALL.into_iter().enumerate() {
            assert_eq!(refusal as usize, place);
        }
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Refusal::ALL.len());
    }

    #[test]
    fn counts_are_kept_by_operator_and_reason() {
        let refusals = Refusals::default();
        refusals.count(Some(OperatorKey(2)), Refusal::BadHash);
        refusals.count(Some(OperatorKey(2)), Refusal::BadHash);
        refusals.count(Some(OperatorKey(1)), Refusal::BadHash);
        refusals.count(None, Refusal::NotJson);
        let expected = vec![
            (None, Refusal::NotJson, 1),
            (Some(OperatorKey(1)), Refusal::BadHash, 1),
            (Some(OperatorKey(2)), Refusal::BadHash, 2),
        ];
        assert_eq!(refusals.snapshot(), expected);
        assert_eq!(refusals.total(Refusal::BadHash), 3);
        assert_eq!(refusals.refused_of(OperatorKey(2)), [(Refusal::BadHash, 2)]);
        assert_eq!(refusals.refused_of(OperatorKey(3)), []);
    }
    #[test]
    fn accepted_ones_are_counted_by_operator() {
        let refusals = Refusals::default();
        refusals.count_accepted(OperatorKey(1), false);
        refusals.count_accepted(OperatorKey(2), true);
        refusals.count_accepted(OperatorKey(2), false);
        assert_eq!((refusals.accepted(), refusals.clocks_off()), (3, 1));
        assert_eq!([1, 2, 3].map(|operator| refusals.accepted_of(OperatorKey(operator))), [1, 2, 0]);
    }
}
