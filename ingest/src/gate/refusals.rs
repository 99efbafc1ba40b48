//! Why positions are refused, how often, and what is known of them.

use std::sync::{Mutex, MutexGuard, PoisonError};

use foldhash::fast::RandomState;
use papaya::HashMap;

use super::ages::{Age, Ages, Passed};
use super::tally::{Noted, Tally};
use crate::clock::Millis;
use crate::counter::Counter;
use crate::position::{NoMotion, OperatorKey, Transport};

/// Every reason for which a position never reaches the log. In the order in which JSON datagrams are checked; compact
/// ones have another, which `docs/protocol.md` tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Refusal {
    /// It has more bytes than [`crate::limits::MAX_DATAGRAM`]; over HTTP, it is one of too many in a request.
    TooLong,
    /// It is not UTF-8.
    NotUtf8,
    /// It begins as a compact datagram does, but its bytes are not what `docs/protocol.md` says.
    Malformed,
    /// It is not JSON, or nests too deep.
    NotJson,
    /// It is JSON, but not an object.
    NotAnObject,
    /// A field is missing.
    MissingField,
    /// A field is neither a string nor, where numbers are allowed, a number.
    WrongType,
    /// Over HTTP, where every field counts: a field that a position does not have.
    UnknownField,
    /// Latitude or longitude is a text that is no decimal number.
    NotANumber,
    /// The latitude is beyond [`crate::position::MAX_REPORTABLE_LAT`].
    LatOutOfRange,
    /// The longitude is beyond 180 degrees.
    LonOutOfRange,
    /// The speed is negative or beyond [`crate::position::MAX_SPEED_M_S`].
    SpeedOutOfRange,
    /// The heading is not within 0 and 360 degrees.
    HeadingOutOfRange,
    /// The accuracy is negative or beyond [`crate::position::MAX_ACCURACY_M`].
    AccuracyOutOfRange,
    /// No operator has this email.
    UnknownOperator,
    /// The hash is not the one that the operator's key makes, of whichever kind.
    BadHash,
    /// A compact datagram was sent more than [`crate::limits::MAX_CLOCK_SKEW_MS`] before now or after, by the sender's
    /// clock.
    SentAtOff,
    /// A compact datagram came before, or so late that this is not known any more.
    Replayed,
    /// The operator has more than [`crate::limits::MAX_SESSIONS`] sessions of compact datagrams.
    TooManySessions,
    /// No taxi has this id.
    UnknownTaxi,
    /// The taxi exists, but the operator does not describe its vehicle.
    NotTheirTaxi,
    /// It was accepted, but the log did not take it.
    Overloaded,
}

impl Refusal {
    /// Every refusal, in order.
    pub const ALL: [Self; 22] = [
        Self::TooLong,
        Self::NotUtf8,
        Self::Malformed,
        Self::NotJson,
        Self::NotAnObject,
        Self::MissingField,
        Self::WrongType,
        Self::UnknownField,
        Self::NotANumber,
        Self::LatOutOfRange,
        Self::LonOutOfRange,
        Self::SpeedOutOfRange,
        Self::HeadingOutOfRange,
        Self::AccuracyOutOfRange,
        Self::UnknownOperator,
        Self::BadHash,
        Self::SentAtOff,
        Self::Replayed,
        Self::TooManySessions,
        Self::UnknownTaxi,
        Self::NotTheirTaxi,
        Self::Overloaded,
    ];

    /// Its name in metrics, rows and answers: `snake_case`, never changed.
    pub fn name(self) -> &'static str {
        match self {
            Self::TooLong => "too_long",
            Self::NotUtf8 => "not_utf8",
            Self::Malformed => "malformed",
            Self::NotJson => "not_json",
            Self::NotAnObject => "not_an_object",
            Self::MissingField => "missing_field",
            Self::WrongType => "wrong_type",
            Self::UnknownField => "unknown_field",
            Self::NotANumber => "not_a_number",
            Self::LatOutOfRange => "lat_out_of_range",
            Self::LonOutOfRange => "lon_out_of_range",
            Self::SpeedOutOfRange => "speed_out_of_range",
            Self::HeadingOutOfRange => "heading_out_of_range",
            Self::AccuracyOutOfRange => "accuracy_out_of_range",
            Self::UnknownOperator => "unknown_operator",
            Self::BadHash => "bad_hash",
            Self::SentAtOff => "sent_at_off",
            Self::Replayed => "replayed",
            Self::TooManySessions => "too_many_sessions",
            Self::UnknownTaxi => "unknown_taxi",
            Self::NotTheirTaxi => "not_their_taxi",
            Self::Overloaded => "overloaded",
        }
    }

    /// The refusal of a name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|refusal| refusal.name() == name)
    }
}

impl From<NoMotion> for Refusal {
    fn from(no_motion: NoMotion) -> Self {
        match no_motion {
            NoMotion::Speed => Self::SpeedOutOfRange,
            NoMotion::Heading => Self::HeadingOutOfRange,
            NoMotion::Accuracy => Self::AccuracyOutOfRange,
        }
    }
}

/// What came of all datagrams so far, and what is known of the positions that were refused lately, over HTTP too.
/// Shared by the receiving threads; readers of the counts never wait.
///
/// What is accepted only moves a counter. What is refused of an operator takes the lock of that operator for about a
/// microsecond, and at most about 10 KB a reason, however much of it there is and whoever made it up.
#[derive(Debug, Default)]
pub struct Refusals {
    clocks_off: Counter,
    /// As many as there are operators that sent one.
    accepted_of: HashMap<OperatorKey, Accepted, RandomState>,
    /// Of senders we know. As many rows as there are operators: only the directory's make one.
    by_operator: HashMap<OperatorKey, OfOperator, RandomState>,
    /// Of everybody else.
    of_unknown: ByReason,
}

type ByReason = [Counter; Refusal::ALL.len()];

/// Positions of an operator that passed every check.
#[derive(Debug, Default)]
struct Accepted {
    /// In datagrams.
    datagrams: Ages,
    /// Of these, in compact ones.
    compact: Counter,
    /// Over HTTP, where a device's time can be told.
    http: Ages,
}

#[derive(Debug, Default)]
struct OfOperator {
    counts: ByReason,
    /// What was refused since it was taken last, by reason; made when the first is.
    tallies: Mutex<[Option<Box<Tally>>; Refusal::ALL.len()]>,
}

impl OfOperator {
    fn tallies(&self) -> MutexGuard<'_, [Option<Box<Tally>>; Refusal::ALL.len()]> {
        // A tally is whole between any two statements, so a thread that died leaves nothing broken.
        self.tallies.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Refusals {
    /// Counts one of nobody we know.
    pub fn count_unowned(&self, refusal: Refusal) {
        self.of_unknown[refusal as usize].add(1);
    }

    /// Keeps what is known of refused positions of an operator, and counts them if they came in a datagram.
    pub fn note(&self, operator: OperatorKey, refusal: Refusal, noted: &Noted<'_>) {
        self.of(operator, refusal, (noted.positions, noted.transport), |tally| tally.note(noted));
    }

    /// Counts positions of these operators that passed every check and then found the log full.
    pub fn count_overloaded(
        &self,
        operators: impl IntoIterator<Item = OperatorKey>,
        transport: Transport,
        at: Millis,
    ) {
        for operator in operators {
            self.of(operator, Refusal::Overloaded, (1, transport), |tally| tally.count(1, at));
        }
    }

    /// What was refused since the last call, of every operator and for every reason. The counts of all time stay.
    pub fn take(&self) -> Vec<(OperatorKey, Refusal, Tally)> {
        let mut taken = Vec::new();
        for (&operator, row) in &self.by_operator.pin() {
            for (refusal, tally) in Refusal::ALL.into_iter().zip(row.tallies().iter_mut()) {
                if let Some(tally) = tally.as_mut().filter(|tally| tally.count > 0) {
                    taken.push((operator, refusal, tally.take()));
                }
            }
        }
        taken
    }

    fn of(
        &self,
        operator: OperatorKey,
        refusal: Refusal,
        (positions, transport): (u64, Transport),
        note: impl FnOnce(&mut Tally),
    ) {
        let rows = self.by_operator.pin();
        let row = match rows.get(&operator) {
            Some(row) => row,
            None => rows.get_or_insert_with(operator, OfOperator::default),
        };
        row.counts[refusal as usize].add(if transport == Transport::Udp { positions } else { 0 });
        note(row.tallies()[refusal as usize].get_or_insert_default());
    }

    /// Positions in datagrams that passed every check, whether or not the log then had room.
    pub fn accepted(&self) -> u64 {
        self.accepted_of.pin().values().map(|accepted| accepted.datagrams.all()).sum()
    }

    /// Of an operator's positions in datagrams, those that passed every check, whether or not the log then had room.
    pub fn accepted_of(&self, operator: OperatorKey) -> u64 {
        self.accepted_of.pin().get(&operator).map_or(0, |accepted| accepted.datagrams.all())
    }

    /// Of these, those in compact datagrams: of them alone it is known that none came twice.
    pub fn compact_of(&self, operator: OperatorKey) -> u64 {
        self.accepted_of.pin().get(&operator).map_or(0, |accepted| accepted.compact.get())
    }

    /// Of an operator's positions that passed every check, in datagrams and over HTTP, those of an age.
    pub fn accepted_at(&self, operator: OperatorKey, age: Age) -> u64 {
        let both = |accepted: &Accepted| accepted.datagrams.of(age) + accepted.http.of(age);
        self.accepted_of.pin().get(&operator).map_or(0, both)
    }

    /// An operator's refusals by reason, those that are not zero, in order.
    pub fn refused_of(&self, operator: OperatorKey) -> Vec<(Refusal, u64)> {
        let rows = self.by_operator.pin();
        let Some(row) = rows.get(&operator) else { return Vec::new() };
        let counts = Refusal::ALL.into_iter().map(|refusal| (refusal, row.counts[refusal as usize].get()));
        counts.filter(|(_, count)| *count > 0).collect()
    }

    /// Accepted positions in datagrams whose device's clock is more than [`crate::limits::MAX_CLOCK_SKEW_MS`] off ours.
    pub fn clocks_off(&self) -> u64 {
        self.clocks_off.get()
    }

    /// All refusals for one reason.
    pub fn total(&self, refusal: Refusal) -> u64 {
        let known: u64 = self.by_operator.pin().values().map(|row| row.counts[refusal as usize].get()).sum();
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
            add(Some(*operator), &row.counts);
        }
        counts.sort_unstable();
        counts
    }

    /// Counts positions of an operator that passed every check.
    pub fn count_accepted(&self, operator: OperatorKey, transport: Transport, passed: &Passed) {
        let counts = self.accepted_of.pin();
        let accepted = match counts.get(&operator) {
            Some(accepted) => accepted,
            None => counts.get_or_insert_with(operator, Accepted::default),
        };
        match transport {
            Transport::Http => accepted.http.add(passed),
            Transport::Udp => {
                accepted.datagrams.add(passed);
                if passed.compact > 0 {
                    accepted.compact.add(passed.compact);
                }
                // Mostly none: a write that other threads' counting would wait for.
                if passed.clocks_off > 0 {
                    self.clocks_off.add(passed.clocks_off);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tally::Secrets;
    use super::*;
    use crate::position::{LatLon, Motion, Position, ReportedStatus, SourceKey, TaxiKey};

    #[test]
    fn every_refusal_has_its_own_place_and_name() {
        let mut names: Vec<_> = Refusal::ALL.iter().map(|refusal| refusal.name()).collect();
        for (place, refusal) in Refusal::ALL.into_iter().enumerate() {
            assert_eq!(refusal as usize, place);
            assert_eq!(Refusal::named(refusal.name()), Some(refusal));
        }
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Refusal::ALL.len());
    }

    #[test]
    fn counts_are_kept_by_operator_and_reason() {
        let refusals = Refusals::default();
        let noted = Noted {
            at: Millis(7),
            transport: Transport::Udp,
            positions: 1,
            from: None,
            taxi: Some("t"),
            fields: &[],
            secrets: Secrets::default(),
        };
        refusals.note(OperatorKey(2), Refusal::BadHash, &noted);
        refusals.note(OperatorKey(2), Refusal::BadHash, &noted);
        refusals.note(OperatorKey(1), Refusal::BadHash, &noted);
        refusals.count_overloaded([OperatorKey(1)], Transport::Udp, Millis(8));
        refusals.count_overloaded([OperatorKey(1); 4], Transport::Http, Millis(9));
        refusals.count_unowned(Refusal::NotJson);
        let expected = vec![
            (None, Refusal::NotJson, 1),
            (Some(OperatorKey(1)), Refusal::BadHash, 1),
            (Some(OperatorKey(1)), Refusal::Overloaded, 1),
            (Some(OperatorKey(2)), Refusal::BadHash, 2),
        ];
        assert_eq!(refusals.snapshot(), expected);
        assert_eq!(refusals.total(Refusal::BadHash), 3);
        let take = || {
            let taken = refusals.take().into_iter().map(|(operator, refusal, tally)| {
                (Some(operator), refusal, tally.count, tally.taxis.weights().len(), tally.last_at.0)
            });
            let mut taken: Vec<_> = taken.collect();
            taken.sort_unstable();
            taken
        };
        let [one, two] = [1, 2].map(|key| Some(OperatorKey(key)));
        let first = [
            (one, Refusal::BadHash, 1, 1, 7),
            (one, Refusal::Overloaded, 5, 0, 9),
            (two, Refusal::BadHash, 2, 1, 7),
        ];
        assert_eq!(take(), first);
        assert_eq!(take(), []);
        refusals.note(OperatorKey(1), Refusal::BadHash, &noted);
        assert_eq!(take(), [(one, Refusal::BadHash, 1, 1, 7)]);
        assert_eq!(refusals.total(Refusal::BadHash), 4, "of all time");
        refusals.note(OperatorKey(1), Refusal::BadHash, &Noted { transport: Transport::Http, ..noted });
        assert_eq!(take(), [(one, Refusal::BadHash, 1, 1, 7)]);
        assert_eq!(refusals.total(Refusal::BadHash), 4, "of datagrams");
        assert_eq!(refusals.refused_of(OperatorKey(2)), [(Refusal::BadHash, 2)]);
        assert_eq!(refusals.refused_of(OperatorKey(3)), []);
    }

    #[test]
    fn accepted_ones_are_counted_by_operator() {
        let refusals = Refusals::default();
        let passed = |device_at| {
            let mut passed = Passed::default();
            passed.add(&Position {
                source: SourceKey { taxi: TaxiKey(1), operator: OperatorKey(1) },
                at: LatLon::new(48.0, 2.0).unwrap(),
                received_at: Millis(1_000_000),
                device_at,
                status: ReportedStatus::Free,
                motion: Motion::default(),
                transport: Transport::Udp,
            });
            passed
        };
        let [now, long_ago] = [Millis(1_000_000), Millis(0)].map(|at| passed(Some(at)));
        refusals.count_accepted(OperatorKey(1), Transport::Udp, &now);
        refusals.count_accepted(OperatorKey(2), Transport::Udp, &long_ago);
        refusals.count_accepted(OperatorKey(2), Transport::Udp, &passed(None));
        refusals.count_accepted(OperatorKey(2), Transport::Http, &long_ago);
        assert_eq!((refusals.accepted(), refusals.clocks_off()), (3, 1), "of datagrams");
        assert_eq!([1, 2, 3].map(|operator| refusals.accepted_of(OperatorKey(operator))), [1, 2, 0]);
        let ages = [1, 2, 3].map(|operator| {
            [Age::UpTo5s, Age::Older].map(|age| refusals.accepted_at(OperatorKey(operator), age))
        });
        assert_eq!(ages, [[1, 0], [0, 2], [0, 0]]);
    }
}
