//! What is done once a day, at its time in UTC, by one process of all that there are.
//!
//! Whoever finds one undone whose time has come does it: at its time, or as soon as there is a process. A run is as of
//! when it was due, and what ended in the middle goes on where it ended.

use std::time::Duration;

use ingest::clock::Millis;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::limits::{DAILY_AGAIN, DAILY_EVERY};
use crate::publication::publish;
use crate::retention::{Keeping, Step};
use crate::statistics::calendar::{DAY_MS, day};
use crate::statistics::copies::copy_hails;
use crate::store::Result;
use crate::store::daily::{Run, Stands};

/// Something that is done once a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Job {
    CopyHails,
    Publish,
    Retain(Step),
}

impl Job {
    /// Each of them, in the order in which they are done where several are due: what is to be copied is copied before
    /// it is blurred, and before it is published.
    const ALL: [Self; 7] = [
        Self::CopyHails,
        Self::Publish,
        Self::Retain(Step::BlurPositions),
        Self::Retain(Step::BlurHails),
        Self::Retain(Step::DeleteHails),
        Self::Retain(Step::DeleteTaxis),
        Self::Retain(Step::DeleteOrphans),
    ];

    fn name(self) -> &'static str {
        match self {
            Self::CopyHails => "copy_hails",
            Self::Publish => "publish",
            Self::Retain(step) => step.name(),
        }
    }

    /// Its time of day.
    fn after_midnight(self) -> Duration {
        let after_four = match self {
            Self::Retain(Step::BlurPositions) => 0,
            Self::Retain(Step::BlurHails) => 2,
            Self::Retain(Step::DeleteHails) => 4,
            Self::Retain(Step::DeleteTaxis) => 6,
            Self::Retain(Step::DeleteOrphans) => 8,
            Self::CopyHails => 10,
            Self::Publish => 12,
        };
        Duration::from_mins(4 * 60 + after_four)
    }

    /// When it was due last.
    fn due_at(self, now: Millis) -> Millis {
        let after_midnight_ms = i64::try_from(self.after_midnight().as_millis()).unwrap_or(i64::MAX);
        let today = day(now).plus(after_midnight_ms);
        if today <= now { today } else { today.plus(-DAY_MS) }
    }

    /// Does it. What it did not get to is left where it was to stop.
    async fn work(self, app: &App, run: &Run, stop: &CancellationToken) -> Result<()> {
        let step = match self {
            Self::CopyHails => return copy_hails(app, run, stop).await,
            Self::Publish => return publish(app, run, stop).await,
            Self::Retain(step) => step,
        };
        let (store, territory) = (app.registry.upkeep(), app.registry.territory());
        let keeping = Keeping { store, territory: &territory, retention: app.retention };
        step.work(&keeping, run, stop).await?;
        if step == Step::DeleteTaxis {
            // Nobody says which are gone.
            app.registry.read_all().await?;
        }
        Ok(())
    }

    /// Does it, unless it was done or another process does it. True: it was done, here or elsewhere.
    async fn run(self, app: &App, run: &Run, stop: &CancellationToken) -> Result<bool> {
        let store = app.registry.upkeep();
        match store.take_run(run).await? {
            Stands::Ended => return Ok(true),
            Stands::Elsewhere => return Ok(false),
            Stands::Held => {}
        }
        self.work(app, run, stop).await?;
        if stop.is_cancelled() {
            return Ok(false);
        }
        let ended = store.end_run(run).await?;
        if let Some(rows) = ended {
            tracing::info!(name = self.name(), rows, "what is done daily was done");
        }
        Ok(ended.is_some())
    }
}

/// Does everything at its time, until `stop`.
pub(crate) async fn keep(app: App, stop: CancellationToken) {
    let holder = uuid::Uuid::new_v4().to_string();
    let mut ticker = interval(DAILY_EVERY);
    ticker.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // When each was due that is known to be done, and before when it is not tried again.
    let mut jobs = Job::ALL.map(|job| (job, None, Instant::now()));
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticker.tick() => {}
        }
        // One instant for all, so that what follows another does so however long that takes.
        let now = app.clock.now();
        for (job, done, again_at) in &mut jobs {
            let due_at = job.due_at(now);
            if *done == Some(due_at) || Instant::now() < *again_at {
                continue;
            }
            let run = Run { name: job.name(), due_at, holder: holder.clone() };
            match job.run(&app, &run, &stop).await {
                Ok(true) => *done = Some(due_at),
                Ok(false) => {}
                Err(error) => {
                    tracing::warn!(name = job.name(), %error, "what is done daily was not; trying again");
                    *again_at = Instant::now() + DAILY_AGAIN;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::form::instant::instant;

    #[test]
    fn it_is_due_at_its_time_of_each_day() {
        let due = |now: &str| Job::CopyHails.due_at(instant(now).unwrap());
        let at = |text: &str| instant(text).unwrap();
        assert_eq!(due("2026-03-18T04:09:59.999"), at("2026-03-17T04:10:00"));
        assert_eq!(due("2026-03-18T04:10:00"), at("2026-03-18T04:10:00"));
        assert_eq!(due("2026-03-18T23:59:59"), at("2026-03-18T04:10:00"));
    }
}
