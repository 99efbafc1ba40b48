//! What an archiver counted since it was started, and how far it is.

use std::sync::{Mutex, PoisonError};

use ingest::counter::Counter;
use ingest::log::Offset;

use crate::progress::Reached;

/// What is counted.
#[derive(Debug, Default)]
pub struct Meters {
    /// Recent files that were created.
    pub files: Counter,
    /// Rows in them.
    pub rows: Counter,
    /// Bytes of them.
    pub bytes: Counter,
    /// Files that another archiver had created before.
    pub outrun: Counter,
    /// Records of the log that could not be read.
    pub skipped: Counter,
    /// Days that were written from their hours.
    pub days: Counter,
    /// Days that were blurred.
    pub blurred: Counter,
    /// Times that something failed, and was tried again later.
    pub failures: Counter,
    reached: Mutex<Option<Vec<Offset>>>,
}

impl Meters {
    /// The next record of each partition to archive; None until that is known.
    pub fn reached(&self) -> Option<Vec<Offset>> {
        self.reached.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn reach(&self, reached: &[Reached]) {
        let next = reached.iter().map(|reached| reached.next).collect();
        *self.reached.lock().unwrap_or_else(PoisonError::into_inner) = Some(next);
    }
}
