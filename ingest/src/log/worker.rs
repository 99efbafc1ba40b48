//! A thread of a log's.

use std::sync::{Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};

/// A thread that ends by itself and is waited for.
pub(super) struct Worker(Mutex<Option<JoinHandle<()>>>);

impl Worker {
    pub(super) fn start(name: &str, run: impl FnOnce() + Send + 'static) -> std::io::Result<Self> {
        let thread = Builder::new().name(name.to_owned()).spawn(run)?;
        Ok(Self(Mutex::new(Some(thread))))
    }

    /// Waits for its end, unless somebody did.
    pub(super) fn join(&self) {
        let thread = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        // An acknowledgement may hold the last clone of a log: then this is the thread, which cannot wait for itself.
        if let Some(thread) = thread.filter(|thread| thread.thread().id() != std::thread::current().id()) {
            let name = thread.thread().name().unwrap_or_default().to_owned();
            if thread.join().is_err() {
                tracing::error!(thread = name, "a thread of the log panicked");
            }
        }
    }
}
