//! What takes long to find out, kept for a while.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use ingest::clock::Millis;
use tokio::sync::{Mutex, OwnedMutexGuard};
use tokio::task::{JoinError, JoinHandle};

use crate::error::{Answer, Problem};

/// Figures as they were last read.
#[derive(Debug)]
pub(super) struct Kept<T> {
    fresh: Duration,
    stands: Duration,
    shared: Arc<Shared<T>>,
    /// Whoever reads has it.
    turn: Arc<Mutex<()>>,
}

#[derive(Debug)]
struct Shared<T>(std::sync::Mutex<State<T>>);

#[derive(Debug)]
struct State<T> {
    last: Option<(Millis, Arc<T>)>,
    /// When reading failed last, and how often it did.
    failed_at: Option<Millis>,
    failures: u64,
}

impl<T> Default for Shared<T> {
    fn default() -> Self {
        Self(std::sync::Mutex::new(State { last: None, failed_at: None, failures: 0 }))
    }
}

impl<T: Send + Sync + 'static> Kept<T> {
    /// Figures that are told for so long as they are, and for so long while others are read; there are none yet.
    pub(super) fn new((fresh, stands): (Duration, Duration)) -> Self {
        Self { fresh, stands, shared: Arc::default(), turn: Arc::default() }
    }

    /// The figures. Where they are no longer fresh they are read anew, for whoever asks next. Where they are older than
    /// they stand, whoever asks first waits for others; everybody else, and everybody where there are none to be had,
    /// is told them all the same.
    ///
    /// What is begun is read to its end, even if whoever asked hangs up.
    pub(super) async fn read(
        &self,
        now: Millis,
        read: impl Future<Output = Answer<T>> + Send + 'static,
    ) -> Answer<Arc<T>> {
        let (last, failed_at, failures) = {
            let state = self.shared.lock();
            (state.last.clone(), state.failed_at, state.failures)
        };
        let Some((read_at, figures)) = last else {
            let turn = self.turn.clone().lock_owned().await;
            // Of those who waited for somebody in vain none tries again.
            if self.shared.lock().failures > failures {
                return Err(Problem::unavailable("database"));
            }
            return ended(self.begin(turn, now, read).await);
        };
        let is_in_vain = failed_at.is_some_and(|at| is_within(self.fresh, at, now));
        if is_in_vain || is_within(self.fresh, read_at, now) {
            return Ok(figures);
        }
        let Ok(turn) = self.turn.clone().try_lock_owned() else { return Ok(figures) };
        let reading = self.begin(turn, now, read);
        if is_within(self.stands, read_at, now) {
            return Ok(figures);
        }
        Ok(ended(reading.await).unwrap_or(figures))
    }

    /// Reads what nobody read before it was one's turn.
    fn begin(
        &self,
        turn: OwnedMutexGuard<()>,
        now: Millis,
        read: impl Future<Output = Answer<T>> + Send + 'static,
    ) -> JoinHandle<Answer<Arc<T>>> {
        let (shared, fresh) = (self.shared.clone(), self.fresh);
        tokio::spawn(async move {
            let _turn = turn;
            let last = shared.lock().last.clone();
            if let Some((_, figures)) = last.filter(|(read_at, _)| is_within(fresh, *read_at, now)) {
                return Ok(figures);
            }
            match read.await {
                Ok(figures) => {
                    let figures = Arc::new(figures);
                    shared.lock().last = Some((now, figures.clone()));
                    Ok(figures)
                }
                Err(problem) => {
                    tracing::warn!(?problem, "figures of the console cannot be read");
                    let mut state = shared.lock();
                    (state.failed_at, state.failures) = (Some(now), state.failures + 1);
                    Err(problem)
                }
            }
        })
    }
}

impl<T> Shared<T> {
    fn lock(&self) -> std::sync::MutexGuard<'_, State<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn ended<T>(reading: Result<Answer<T>, JoinError>) -> Answer<T> {
    reading.unwrap_or_else(|error| Err(Problem::internal().because(&error)))
}

fn is_within(time: Duration, read_at: Millis, now: Millis) -> bool {
    now.since(read_at) < i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use super::*;

    const START: Millis = Millis(1_790_000_000_000);

    fn kept() -> Kept<u32> {
        Kept::new((Duration::from_mins(1), Duration::from_mins(10)))
    }

    fn after(minutes: i64) -> Millis {
        START.plus(minutes * 60_000)
    }

    fn failing() -> impl Future<Output = Answer<u32>> + Send + 'static {
        ready(Err(Problem::internal()))
    }

    #[tokio::test]
    async fn the_last_figures_stand_where_no_others_are_read() {
        let kept = kept();
        assert!(kept.read(START, failing()).await.is_err(), "there are none yet");
        assert_eq!(*kept.read(START, ready(Ok(1))).await.unwrap(), 1);
        assert_eq!(*kept.read(after(1).plus(-1), ready(Ok(2))).await.unwrap(), 1, "they are fresh");
        assert_eq!(*kept.read(after(10), failing()).await.unwrap(), 1, "others were waited for");
        assert_eq!(
            *kept.read(after(11).plus(-1), ready(Ok(2))).await.unwrap(),
            1,
            "that failed a moment ago"
        );
        assert_eq!(*kept.read(after(11), ready(Ok(3))).await.unwrap(), 3);
    }

    #[tokio::test]
    async fn who_waited_in_vain_does_not_try_again() {
        let kept = kept();
        let slow = async {
            tokio::task::yield_now().await;
            Err(Problem::internal())
        };
        let (one, other) = tokio::join!(kept.read(START, slow), kept.read(START, ready(Ok(2))));
        assert!(one.is_err() && other.is_err());
        assert_eq!(*kept.read(START, ready(Ok(3))).await.unwrap(), 3);
    }

    #[tokio::test]
    async fn nobody_waits_for_new_figures_while_the_last_stand() {
        let kept = kept();
        kept.read(START, ready(Ok(1))).await.unwrap();
        assert_eq!(*kept.read(after(1), ready(Ok(2))).await.unwrap(), 1);
        while *kept.read(after(1), pending()).await.unwrap() == 1 {
            tokio::task::yield_now().await;
        }
        assert_eq!(*kept.read(after(2).plus(-1), pending()).await.unwrap(), 2);
    }

    #[tokio::test]
    async fn of_two_who_wait_one_reads() {
        let kept = kept();
        let read = |figure| async move {
            tokio::task::yield_now().await;
            Ok(figure)
        };
        let (one, other) = tokio::join!(kept.read(START, read(1)), kept.read(START, read(2)));
        assert_eq!((*one.unwrap(), *other.unwrap()), (1, 1));
    }
}
