//! What takes long to find out, kept for a while.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use ingest::clock::Millis;
use tokio::sync::{Mutex, MutexGuard};

use crate::error::{Answer, Problem};

/// Figures as they were last read.
#[derive(Debug)]
pub(super) struct Kept<T> {
    fresh: Duration,
    stands: Duration,
    shared: Arc<Shared<T>>,
}

#[derive(Debug)]
struct Shared<T> {
    last: std::sync::Mutex<Option<(Millis, Arc<T>)>>,
    /// Whoever reads has it.
    turn: Mutex<()>,
}

impl<T> Default for Shared<T> {
    fn default() -> Self {
        Self { last: std::sync::Mutex::new(None), turn: Mutex::default() }
    }
}

impl<T: Send + Sync + 'static> Kept<T> {
    /// Figures that are told for so long as they are, and for so long while others are read; there are none yet.
    pub(super) fn new((fresh, stands): (Duration, Duration)) -> Self {
        Self { fresh, stands, shared: Arc::new(Shared::default()) }
    }

    /// The figures. Where they are no longer fresh they are read anew, for whoever asks next; where they are older than
    /// they stand, whoever asks waits for others, and is told them all the same if there are none.
    ///
    /// What is begun is read to its end, even if whoever asked hangs up.
    pub(super) async fn read(
        &self,
        now: Millis,
        read: impl Future<Output = Answer<T>> + Send + 'static,
    ) -> Answer<Arc<T>> {
        let last = self.shared.last();
        match last {
            Some((read_at, figures)) if is_within(self.fresh, read_at, now) => Ok(figures),
            Some((read_at, figures)) if is_within(self.stands, read_at, now) => {
                self.read_behind(now, read);
                Ok(figures)
            }
            last => {
                let (shared, fresh) = (self.shared.clone(), self.fresh);
                let reading = tokio::spawn(async move {
                    let turn = shared.turn.lock().await;
                    shared.read_in_turn(&turn, (now, fresh), read).await
                });
                let read = reading.await.unwrap_or_else(|error| Err(Problem::internal().because(&error)));
                match (read, last) {
                    (Err(problem), Some((_, figures))) => {
                        stay(&problem);
                        Ok(figures)
                    }
                    (read, _) => read,
                }
            }
        }
    }

    /// Reads anew, unless somebody does.
    fn read_behind(&self, now: Millis, read: impl Future<Output = Answer<T>> + Send + 'static) {
        let (shared, fresh) = (self.shared.clone(), self.fresh);
        tokio::spawn(async move {
            let Ok(turn) = shared.turn.try_lock() else { return };
            if let Err(problem) = shared.read_in_turn(&turn, (now, fresh), read).await {
                stay(&problem);
            }
        });
    }
}

impl<T> Shared<T> {
    /// Reads what nobody read before it was one's turn.
    async fn read_in_turn(
        &self,
        _turn: &MutexGuard<'_, ()>,
        (now, fresh): (Millis, Duration),
        read: impl Future<Output = Answer<T>>,
    ) -> Answer<Arc<T>> {
        if let Some((read_at, figures)) = self.last()
            && is_within(fresh, read_at, now)
        {
            return Ok(figures);
        }
        let figures = Arc::new(read.await?);
        *self.lock() = Some((now, figures.clone()));
        Ok(figures)
    }

    fn last(&self) -> Option<(Millis, Arc<T>)> {
        self.lock().clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<(Millis, Arc<T>)>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_within(time: Duration, read_at: Millis, now: Millis) -> bool {
    now.since(read_at) < i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

fn stay(problem: &Problem) {
    tracing::warn!(?problem, "figures of the console stay as they were");
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
        assert_eq!(*kept.read(after(1), failing()).await.unwrap(), 1, "others are read behind");
        assert_eq!(*kept.read(after(10), failing()).await.unwrap(), 1, "others were waited for");
        assert_eq!(*kept.read(after(10), ready(Ok(3))).await.unwrap(), 3);
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
