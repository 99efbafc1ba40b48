//! Which compact datagrams came already, so that none counts twice.
//!
//! A sender numbers its datagrams within a session, a random number that it takes when it starts. Of each session a
//! window of the latest numbers is remembered, as `IPsec` does (RFC 4303, RFC 6479); of each operator at most so many
//! sessions, and only what was hashed with its key makes one. A session is forgotten once the clock refuses whatever
//! was taken of it. So nothing is taken twice by one process; another one, or this one after a restart, knows nothing
//! of it, and there the clock alone bounds for how long a datagram may be sent again.

use std::sync::{Mutex, PoisonError};

use papaya::HashMap;

use crate::clock::Millis;
use crate::counter::Register;
use crate::limits::{MAX_SESSIONS, REPLAY_WINDOW, SESSION_KEPT_MS, SESSIONS_SWEPT_EVERY_MS};
use crate::position::OperatorKey;

/// The sessions of all operators. Shared by the receiving threads; a session that is known takes no lock.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    /// As many as there are operators: only the directory's make one.
    of: HashMap<OperatorKey, OfOperator>,
}

/// Which datagram of which session, of an operator whose key it was hashed with, at a time that the clock lets pass.
#[derive(Clone, Copy, Debug)]
pub(super) struct Serial {
    pub(super) session: u64,
    pub(super) sequence: u32,
    pub(super) sent_at: Millis,
}

/// Why a datagram is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NotTaken {
    /// It was, or it is so late that this is not known any more.
    Replayed,
    /// Its session would be one too many.
    TooManySessions,
}

impl Sessions {
    /// Takes a datagram, once. O(1), but for a new session while there are too many.
    pub(super) fn take(&self, operator: OperatorKey, serial: Serial, now: Millis) -> Result<(), NotTaken> {
        let operators = self.of.pin();
        let operator = match operators.get(&operator) {
            Some(operator) => operator,
            None => operators.get_or_insert_with(operator, OfOperator::default),
        };
        operator.take(serial, now)
    }
}

#[derive(Debug, Default)]
struct OfOperator {
    sessions: HashMap<u64, Session>,
    /// Locked to make and to forget sessions. When they were last looked through.
    swept_at: Mutex<Option<Millis>>,
}

impl OfOperator {
    fn take(&self, serial: Serial, now: Millis) -> Result<(), NotTaken> {
        let sessions = self.sessions.pin();
        if let Some(session) = sessions.get(&serial.session).filter(|session| session.goes_on(serial.sent_at))
        {
            return session.window.take(serial.sequence);
        }
        // Nothing is half done between two statements, so a thread that died leaves nothing broken.
        let mut swept_at = self.swept_at.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(session) = sessions.get(&serial.session) {
            // Another thread made it meanwhile. It cannot be over: what is over is removed under the lock.
            session.goes_on(serial.sent_at);
            return session.window.take(serial.sequence);
        }
        let is_due = swept_at.is_none_or(|at| now.since(at) >= SESSIONS_SWEPT_EVERY_MS || now < at);
        if sessions.len() >= MAX_SESSIONS && is_due {
            *swept_at = Some(now);
            sessions.retain(|_, session| !session.ends(now));
        }
        if sessions.len() >= MAX_SESSIONS {
            return Err(NotTaken::TooManySessions);
        }
        let session = Session { latest: Register::new(as_number(serial.sent_at)), window: Window::default() };
        sessions.get_or_insert_with(serial.session, || session).window.take(serial.sequence)
    }
}

#[derive(Debug)]
struct Session {
    /// The latest sending time, or [`OVER`]: then this is forgotten, and another one is made.
    latest: Register,
    window: Window,
}

const OVER: u64 = u64::MAX;

impl Session {
    /// Notes another datagram's sending time, after which the session is not ended for that long. False: it is over.
    fn goes_on(&self, sent_at: Millis) -> bool {
        self.latest.change(|latest| (latest != OVER).then(|| latest.max(as_number(sent_at))))
    }

    /// Ends the session if its latest datagram was sent so long ago; says whether it did.
    fn ends(&self, now: Millis) -> bool {
        let is_old = |latest: u64| latest.saturating_add(SESSION_KEPT_MS) < as_number(now);
        self.latest.change(|latest| is_old(latest).then_some(OVER))
    }
}

/// A time after 1970, as what was let through by a right clock is.
fn as_number(at: Millis) -> u64 {
    u64::try_from(at.0).unwrap_or(0)
}

/// Which of the latest sequence numbers were taken.
///
/// A number belongs to a block of 32, and a block to one of 32 slots, which many blocks share. A slot holds the latest
/// block of which a number was taken (the upper half of the word), and which of its numbers were (the lower half). It
/// only ever moves to later blocks, and each move is one atomic step of one word: so a number is taken at most once,
/// whatever threads do at the same time, and no other memory needs to be ordered with it. What is refused though it
/// never came is older than the latest by at least 31 blocks.
#[derive(Debug, Default)]
struct Window {
    slots: [Register; SLOTS],
}

const SLOTS: usize = 32;
const BLOCK: u32 = 32;
const _: () = assert!(
    (SLOTS - 1) * BLOCK as usize == REPLAY_WINDOW as usize,
    "the limit is what the slots hold for certain"
);

impl Window {
    fn take(&self, sequence: u32) -> Result<(), NotTaken> {
        let (block, number) = (sequence / BLOCK, 1_u64 << (sequence % BLOCK));
        let slot = &self.slots[block as usize % SLOTS];
        let is_taken = slot.change(|word| {
            let (latest, taken) = (word >> 32, word & u64::from(u32::MAX));
            if u64::from(block) > latest {
                return Some(u64::from(block) << 32 | number);
            }
            (u64::from(block) == latest && taken & number == 0).then_some(word | number)
        });
        if is_taken { Ok(()) } else { Err(NotTaken::Replayed) }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::sync::Barrier;

    use proptest::prelude::*;

    use super::*;
    use crate::counter::Counter;
    use crate::limits::MAX_CLOCK_SKEW_MS;

    const NOW: Millis = Millis(1_795_600_000_000);
    const OPERATOR: OperatorKey = OperatorKey(1);

    fn serial(session: u64, sequence: u32, sent_at: Millis) -> Serial {
        Serial { session, sequence, sent_at }
    }

    proptest! {
        /// Against a memory of everything: nothing twice, and nothing refused that is new and not too late.
        #[test]
        fn a_window_is_a_memory_of_the_latest(
            start in prop_oneof![Just(0_u32), Just(u32::MAX - 3_000), any::<u32>().prop_map(|n| n / 2)],
            steps in proptest::collection::vec(
                prop_oneof![6 => 0_u32..4, 3 => 0_u32..1_200, 1 => 0_u32..3_000], 1..600),
        ) {
            let (window, mut taken, mut newest) = (Window::default(), HashSet::new(), 0);
            for (at, step) in (0_u32..).zip(steps) {
                let sequence = start.saturating_add(at).saturating_add(3_000 - step).saturating_sub(1_500);
                let is_taken = window.take(sequence).is_ok();
                let is_new = !taken.contains(&sequence);
                prop_assert!(!is_taken || is_new, "{sequence} twice");
                prop_assert!(is_taken || !is_new || newest - sequence >= REPLAY_WINDOW, "{sequence} refused");
                taken.insert(sequence);
                newest = newest.max(sequence);
            }
        }
    }

    #[test]
    fn what_is_late_by_less_than_the_window_is_taken() {
        let window = Window::default();
        assert_eq!(window.take(10_000), Ok(()));
        assert_eq!(window.take(10_000 - REPLAY_WINDOW), Ok(()));
        assert_eq!(window.take(10_000 - REPLAY_WINDOW), Err(NotTaken::Replayed));
        assert_eq!(window.take(10_000 - 1_024), Err(NotTaken::Replayed), "so late that nobody knows");
        assert_eq!(window.take(u32::MAX), Ok(()));
    }

    #[test]
    fn of_several_threads_one_takes_a_datagram() {
        let (sessions, taken, barrier) = (Sessions::default(), Counter::default(), Barrier::new(4));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for session in 0..50 {
                        barrier.wait();
                        for sequence in 0..REPLAY_WINDOW {
                            let take = sessions.take(OPERATOR, serial(session, sequence, NOW), NOW);
                            taken.add(u64::from(take.is_ok()));
                        }
                    }
                });
            }
        });
        assert_eq!(taken.get(), 50 * u64::from(REPLAY_WINDOW));
    }

    #[test]
    fn sessions_and_operators_know_nothing_of_each_other() {
        let sessions = Sessions::default();
        for (operator, session) in [(1, 1), (1, 2), (2, 1)] {
            let take = || sessions.take(OperatorKey(operator), serial(session, 5, NOW), NOW);
            assert_eq!((take(), take()), (Ok(()), Err(NotTaken::Replayed)));
        }
    }

    #[test]
    fn one_session_too_many_waits_until_another_is_old() {
        let sessions = Sessions::default();
        let take = |session, now: Millis| sessions.take(OPERATOR, serial(session, 0, now), now);
        for session in 0..MAX_SESSIONS as u64 {
            assert_eq!(take(session, NOW), Ok(()));
        }
        assert_eq!(take(u64::MAX, NOW), Err(NotTaken::TooManySessions));
        assert_eq!(take(0, NOW), Err(NotTaken::Replayed), "those that are known go on");
        assert_eq!(sessions.take(OPERATOR, serial(0, 1, NOW.plus(60_000)), NOW.plus(60_000)), Ok(()));
        assert_eq!(sessions.take(OperatorKey(2), serial(0, 0, NOW), NOW), Ok(()), "others have their own");
        let kept = i64::try_from(SESSION_KEPT_MS).unwrap();
        assert_eq!(take(u64::MAX, NOW.plus(kept)), Err(NotTaken::TooManySessions));
        assert_eq!(
            take(u64::MAX, NOW.plus(kept + 1)),
            Err(NotTaken::TooManySessions),
            "looked for a moment ago"
        );
        let later = NOW.plus(kept + SESSIONS_SWEPT_EVERY_MS);
        assert_eq!(take(u64::MAX, later), Ok(()));
        let still_known = Serial { sent_at: NOW.plus(60_000), ..serial(0, 1, NOW) };
        assert_eq!(sessions.take(OPERATOR, still_known, later), Err(NotTaken::Replayed), "session 0 went on");
        assert!(later.since(NOW) > i64::try_from(MAX_CLOCK_SKEW_MS).unwrap(), "the clock refuses the others");
    }

    #[test]
    fn a_session_that_is_over_is_not_gone_on_with() {
        let session = Session { latest: Register::new(as_number(NOW)), window: Window::default() };
        assert!(session.goes_on(NOW.plus(5)) && session.goes_on(NOW));
        let kept = i64::try_from(SESSION_KEPT_MS).unwrap();
        assert!(!session.ends(NOW.plus(5 + kept)));
        assert!(session.ends(NOW.plus(6 + kept)));
        assert!(!session.goes_on(NOW.plus(6 + kept)));
    }
}
