//! Searches that their log has forgotten come back from the archive when a process starts.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::thread::JoinHandle;
use std::time::Duration;

use analytics::footer::BadFile;
use analytics::layout::Day;
use analytics::past::{Logged, forgotten};
use analytics::root::Root;
use ingest::counter::Flag;
use tokio_util::sync::CancellationToken;

use super::kept::Kept;

/// How long it waits for an archive that does not answer.
const AGAIN: Duration = Duration::from_secs(10);

/// The thread that reads them. Dropping it stops it.
#[derive(Debug)]
pub struct Restoring {
    work: Arc<Work>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug)]
struct Work {
    archive: Root,
    logged: Logged,
    since: Day,
    kept: Arc<RwLock<Kept>>,
    is_done: Flag,
    stop: CancellationToken,
}

impl Restoring {
    /// Begins to put what the archive has of the days since `since`, and is not read from the log, into `kept`.
    pub fn start(
        archive: Root,
        logged: Logged,
        since: Day,
        kept: Arc<RwLock<Kept>>,
    ) -> std::io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (is_done, stop) = (Flag::default(), CancellationToken::new());
        let work = Arc::new(Work { archive, logged, since, kept, is_done, stop });
        let works = work.clone();
        let thread = std::thread::Builder::new().name("searches-archived".to_owned()).spawn(move || {
            works.work(&runtime);
            // A file or a name that is looked for is not waited for.
            runtime.shutdown_background();
        })?;
        Ok(Self { work, thread: Mutex::new(Some(thread)) })
    }

    /// Whether all are there.
    pub fn is_done(&self) -> bool {
        self.work.is_done.is_raised()
    }

    /// Ends it, whatever the archive does.
    pub fn stop(&self) {
        self.work.stop.cancel();
        if let Some(thread) = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take() {
            thread.thread().unpark();
            // One that panicked has ended, too.
            drop(thread.join());
        }
    }
}

impl Drop for Restoring {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Work {
    fn work(&self, runtime: &tokio::runtime::Runtime) {
        let mut done = BTreeSet::new();
        loop {
            match runtime.block_on(self.stop.run_until_cancelled(self.read(&mut done))) {
                None => return,
                Some(Ok(())) => return self.is_done.raise(),
                Some(Err(error)) => {
                    tracing::warn!(%error, "archived searches are not read; it is tried again");
                    std::thread::park_timeout(AGAIN);
                }
            }
        }
    }

    /// Reads the days that are not done.
    async fn read(&self, done: &mut BTreeSet<Day>) -> Result<(), BadFile> {
        for day in forgotten(&self.archive, &self.logged, self.since).await? {
            if !done.insert(day.day) {
                continue;
            }
            match day.read(&self.archive).await {
                Ok(searches) => {
                    self.kept.write().unwrap_or_else(PoisonError::into_inner).extend(searches);
                }
                Err(error @ BadFile::Damaged { .. }) => {
                    tracing::error!(%error, day = %day.day, "searches of a day are in no statistic");
                }
                Err(error) => {
                    done.remove(&day.day);
                    return Err(error);
                }
            }
        }
        Ok(())
    }
}
