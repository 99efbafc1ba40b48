//! The one way to wait: for a condition, never for a time.

use std::time::Duration;

use tokio::time::{Instant, sleep};

/// How long what comes soon may take on a busy machine.
pub(crate) const SOON: Duration = Duration::from_secs(20);

const PAUSE: Duration = Duration::from_millis(5);

/// What `look` finds, asked again and again; panics where it finds nothing within `limit`.
pub(crate) async fn within<T>(limit: Duration, what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(Instant::now() < deadline, "not within {limit:?}: {what}");
        sleep(PAUSE).await;
    }
}
