//! What takes long to find out, kept for a while.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ingest::clock::Millis;

use crate::error::Answer;

/// Figures as they were last read.
#[derive(Debug)]
pub(super) struct Kept<T> {
    stand: Duration,
    last: Mutex<Option<(Millis, Arc<T>)>>,
}

impl<T> Kept<T> {
    /// Figures that stand so long; there are none yet.
    pub(super) const fn new(stand: Duration) -> Self {
        Self { stand, last: Mutex::new(None) }
    }

    /// The figures: `read` anew where the last ones are old; those stand on where that fails, and for everybody else
    /// until it is done.
    pub(super) async fn read(&self, now: Millis, read: impl Future<Output = Answer<T>>) -> Answer<Arc<T>> {
        let last = match self.last(now) {
            Some((figures, false)) => return Ok(figures),
            last => last.map(|(figures, _)| figures),
        };
        match (read.await, last) {
            (Ok(figures), _) => {
                let figures = Arc::new(figures);
                *self.lock() = Some((now, figures.clone()));
                Ok(figures)
            }
            (Err(problem), Some(last)) => {
                tracing::warn!(?problem, "figures of the console stay as they were");
                Ok(last)
            }
            (Err(problem), None) => Err(problem),
        }
    }

    /// The last figures, unless they are old.
    pub(super) fn fresh(&self, now: Millis) -> Option<Arc<T>> {
        let last = self.lock();
        let (read_at, figures) = last.as_ref()?;
        (!self.is_old(*read_at, now)).then(|| figures.clone())
    }

    /// The last figures, and whether they are old; whoever hears so is alone to, for as long as figures stand.
    fn last(&self, now: Millis) -> Option<(Arc<T>, bool)> {
        let mut last = self.lock();
        let (read_at, figures) = last.as_mut()?;
        let is_old = self.is_old(*read_at, now);
        if is_old {
            *read_at = now;
        }
        Some((figures.clone(), is_old))
    }

    fn is_old(&self, read_at: Millis, now: Millis) -> bool {
        now.since(read_at) >= i64::try_from(self.stand.as_millis()).unwrap_or(i64::MAX)
    }

    fn lock(&self) -> MutexGuard<'_, Option<(Millis, Arc<T>)>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Problem;

    const START: Millis = Millis(1_790_000_000_000);

    fn kept() -> Kept<u32> {
        Kept::new(Duration::from_mins(10))
    }

    fn later(times: i64) -> Millis {
        START.plus(times * 600_000)
    }

    #[tokio::test]
    async fn the_last_figures_stand_where_no_others_are_read() {
        let kept = kept();
        let failing = || async { Err(Problem::internal()) };
        assert!(kept.read(START, failing()).await.is_err(), "there are none yet");
        assert!(kept.fresh(START).is_none());
        assert_eq!(*kept.read(START, async { Ok(1) }).await.unwrap(), 1);
        assert_eq!(*kept.read(later(1).plus(-1), async { Ok(2) }).await.unwrap(), 1);
        assert_eq!(kept.fresh(later(1).plus(-1)).as_deref(), Some(&1));
        assert_eq!(kept.fresh(later(1)), None);
        assert_eq!(*kept.read(later(1), failing()).await.unwrap(), 1);
        assert_eq!(*kept.read(later(2), async { Ok(3) }).await.unwrap(), 3);
    }

    #[tokio::test]
    async fn nobody_waits_for_whoever_reads_new_figures() {
        let kept = kept();
        kept.read(START, async { Ok(1) }).await.unwrap();
        let reading = async {
            // Within it, somebody else comes.
            let others = kept.read(later(1), std::future::pending()).await?;
            Ok(*others + 1)
        };
        assert_eq!(*kept.read(later(1), reading).await.unwrap(), 2);
    }
}
