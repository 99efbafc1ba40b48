//! `SQLite`'s commits, made safe from a loss of power in groups.
//!
//! With `synchronous = FULL` each commit would sync the write-ahead log by itself, one after the other. It is `NORMAL`
//! instead, under which a commit only writes, and whoever committed waits here for a sync that began afterwards: one
//! serves all that wait. What a killed process had committed is there either way.

use std::fs::File;
use std::io::{Error, ErrorKind, Result};
use std::path::Path;
use std::sync::Arc;
use std::thread;

use ingest::counter::Flag;
use tokio::sync::{mpsc, oneshot};

/// Syncs a write-ahead log, in a thread of its own. Cheap to clone; the thread ends with the last clone.
#[derive(Clone, Debug)]
pub(super) struct Synced {
    asked: mpsc::UnboundedSender<oneshot::Sender<std::result::Result<(), ErrorKind>>>,
    /// A sync failed: what it was to write may be gone although a later one succeeds.
    is_lost: Arc<Flag>,
}

impl Synced {
    /// For the database at `path`, which is open: as long as it is, its write-ahead log is the same file.
    pub(super) fn start(path: &Path) -> Result<Self> {
        // It lies where the file is that a link leads to.
        let path = path.canonicalize()?;
        let mut log = path.as_os_str().to_owned();
        log.push("-wal");
        let log = File::open(log)?;
        // That it is there has to be safe, too.
        if let Some(folder) = path.parent() {
            File::open(folder)?.sync_all()?;
        }
        let is_lost = Arc::new(Flag::default());
        let lost = is_lost.clone();
        // One after the other commits on the one connection that writes, and then waits: they are few.
        let (asked, mut asks) = mpsc::unbounded_channel::<oneshot::Sender<_>>();
        thread::Builder::new().name("sqlite-sync".to_owned()).spawn(move || {
            let mut failed = None;
            let mut waiting = Vec::new();
            while let Some(first) = asks.blocking_recv() {
                waiting.push(first);
                while let Ok(next) = asks.try_recv() {
                    waiting.push(next);
                }
                failed = failed.or_else(|| log.sync_data().err().map(|error| error.kind()));
                if failed.is_some() {
                    lost.raise();
                }
                for one in waiting.drain(..) {
                    // It may have been given up.
                    let _ = one.send(failed.map_or(Ok(()), Err));
                }
            }
        })?;
        Ok(Self { asked, is_lost })
    }

    /// An error once nothing that is committed is safe any more: nothing is to be begun then.
    pub(super) fn check(&self) -> Result<()> {
        if self.is_lost.is_raised() {
            Err(Error::other("the disk lost a commit; start again"))
        } else {
            Ok(())
        }
    }

    /// Returns once everything that was committed before is safe.
    pub(super) async fn sync(&self) -> Result<()> {
        let (sender, done) = oneshot::channel();
        let ended = |_| Error::from(ErrorKind::BrokenPipe);
        self.asked.send(sender).map_err(|_| Error::from(ErrorKind::BrokenPipe))?;
        done.await.map_err(ended)?.map_err(Error::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn all_that_wait_are_served_and_nobody_waits_for_ever() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m.db");
        assert!(Synced::start(&path).is_err(), "there is nothing to sync");
        std::fs::write(&path, "").unwrap();
        std::fs::write(folder.path().join("m.db-wal"), "").unwrap();
        let synced = Synced::start(&path).unwrap();
        let asking = (0..100).map(|_| {
            let synced = synced.clone();
            tokio::spawn(async move { synced.sync().await })
        });
        for asked in asking.collect::<Vec<_>>() {
            asked.await.unwrap().unwrap();
        }
    }
}
