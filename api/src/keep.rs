//! What is done again and again: the map is swept, last positions are saved, the logs are kept short.

use std::sync::Arc;
use std::time::Duration;

use analytics::archiver::Archiver;
use analytics::rows::Logged;
use engine::follow::Follower;
use ingest::clock::Millis;
use ingest::gate::Refusal;
use ingest::limits::DELIVERED_WITHIN;
use ingest::log::{Log, LogError};
use ingest::position::OperatorKey;
use tokio::sync::Mutex;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::statistics::calendar::hour;
use crate::store::{Result, Store, StoreError};

/// How often the map forgets who went silent.
const SWEEP: Duration = Duration::from_secs(5);
/// How often last positions are saved: what a restart has to replay of the log is at most this much.
const SAVE: Duration = Duration::from_mins(1);
/// How often it is said what was refused.
const TELL: Duration = Duration::from_mins(1);
/// How often old days of the log, old entries of the activity log and full buckets are looked for.
const RETAIN: Duration = Duration::from_hours(1);
/// How often the map is asked, at the start and at the end, whether it has caught up.
const LOOK: Duration = Duration::from_millis(5);
/// How long the map may take to catch up with what the log took last before the server ends without.
const CATCH_UP: Duration = Duration::from_secs(1);
/// Positions are in the log this soon after their receipt, with much to spare: brokers that were away may take them
/// late.
const RECEIPT_TO_LOG: Duration = Duration::from_secs(DELIVERED_WITHIN.as_secs() + 60);

/// Saves last positions. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Keeper {
    app: App,
    follower: Arc<Follower>,
    /// The lock keeps savings apart.
    saved: Arc<Mutex<Saved>>,
}

/// How far savings have come.
#[derive(Clone, Copy)]
struct Saved {
    /// From when on sources that were heard have to be saved.
    sources_until: Millis,
    /// Hours that began before are counted.
    hours_until: Millis,
}

impl Keeper {
    /// Nothing is saved yet: the first saving covers every source.
    pub(crate) fn new(app: App, follower: Arc<Follower>) -> Self {
        let never = Millis(i64::MIN);
        let saved = Saved { sources_until: never, hours_until: never };
        Self { app, follower, saved: Arc::new(Mutex::new(saved)) }
    }

    /// Saves the last position of every source heard since the last saving, who was heard in which hour, and how far in
    /// the log that reaches; counts the hours that are over.
    pub(crate) async fn save(&self) -> Result<()> {
        let mut saved = self.saved.lock().await;
        // Of a log that is away nobody knows the end.
        let caught_up = self.follower.caught_up() && self.app.log.is_writable();
        let began = self.app.clock.now();
        // The offsets first: what the map holds a moment later covers them.
        let offsets = self.follower.offsets();
        let (engine, since) = (self.app.engine.clone(), saved.sources_until);
        let dumped = tokio::task::spawn_blocking(move || engine.dump(since)).await;
        // What a dead writer held is not in the dump: its positions are still to be replayed from the log.
        let mut fixes = dumped.ok().filter(|_| self.app.engine.is_alive()).ok_or_else(map_is_dead)?;
        // What is to be blurred was saved long ago, and is no longer exact there.
        let exact_since = self.app.retention.exact_since(began);
        fixes.retain(|fix| fix.order.received_at > exact_since);
        let store = self.app.registry.upkeep();
        self.save_heard(store).await?;
        store.save_last_positions(&fixes, self.app.log.epoch(), &offsets).await?;
        // Whoever was behind may yet hear of older positions; who was not hears of those received from about now on.
        if caught_up {
            saved.sources_until = began.plus(-i64::try_from(RECEIPT_TO_LOG.as_millis()).unwrap_or(i64::MAX));
            let over = hour(saved.sources_until);
            if over > saved.hours_until {
                store.count_hours(over).await?;
                saved.hours_until = over;
            }
        }
        Ok(())
    }

    /// Saves who was heard since the last saving.
    async fn save_heard(&self, store: &Store) -> Result<()> {
        let heard = self.app.engine.heard().take();
        store.save_first_positions(heard.taxis()).await?;
        store.save_heard_hours(heard.taxis()).await?;
        heard.keep();
        Ok(())
    }

    /// After the log was closed: lets the map read its end, and saves.
    pub(crate) async fn finish(&self) {
        let until = Instant::now() + CATCH_UP;
        while !self.follower.caught_up() && Instant::now() < until {
            sleep_until(Instant::now() + LOOK).await;
        }
        self.follower.stop();
        if let Err(error) = self.save().await {
            tracing::warn!(%error, "last positions were not saved; the next start replays more of the log");
        }
    }
}

/// One line for each operator and reason whose count has moved since the last time.
fn tell_refusals(app: &App, told: &mut Vec<(Option<OperatorKey>, Refusal, u64)>) {
    let counts = app.refusals.snapshot();
    let accounts = app.registry.accounts();
    for (operator, reason, count) in &counts {
        let before =
            told.iter().find(|(o, r, _)| (o, r) == (operator, reason)).map_or(0, |(_, _, count)| *count);
        if *count > before {
            let account = operator.and_then(|key| accounts.id(i32::try_from(key.0).ok()?));
            let operator = account.map_or("unknown", |account| account.email.as_str());
            tracing::warn!(
                operator,
                reason = reason.name(),
                refused = count - before,
                "datagrams were refused"
            );
        }
    }
    *told = counts;
}

fn map_is_dead() -> StoreError {
    StoreError::Damaged {
        table: "last_positions",
        key: String::new(),
        reason: "a writer of the map has ended".to_owned(),
    }
}

/// Keeps the map swept and its last positions saved, until `stop`; says once that it has caught up, and if it no longer
/// follows.
pub(crate) async fn keep_map(keeper: Keeper, stop: CancellationToken) {
    let (mut sweep, mut save, mut look) = (ticker(SWEEP), ticker(SAVE), ticker(LOOK));
    save.tick().await;
    let mut is_ready = false;
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = look.tick(), if !is_ready => {
                if keeper.follower.caught_up() {
                    let engine = keeper.app.engine.clone();
                    let _ = tokio::task::spawn_blocking(move || engine.settle()).await;
                    keeper.app.readiness.caught_up.raise();
                    is_ready = true;
                }
            }
            _ = sweep.tick() => {
                if !keeper.follower.is_alive() {
                    keeper.app.readiness.lost.raise();
                }
                let (engine, now) = (keeper.app.engine.clone(), keeper.app.clock.now());
                let _ = tokio::task::spawn_blocking(move || engine.sweep(now)).await;
            }
            _ = save.tick() => {
                if let Err(error) = keeper.save().await {
                    tracing::warn!(%error, "last positions were not saved; trying again in a minute");
                }
            }
        }
    }
}

/// Tells what was refused and keeps short what would grow, until `stop`.
pub(crate) async fn keep_short(app: App, stop: CancellationToken) {
    let (mut tell, mut retain, mut told) = (ticker(TELL), ticker(RETAIN), Vec::new());
    tell.tick().await;
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = tell.tick() => tell_refusals(&app, &mut told),
            _ = retain.tick() => {
                app.buckets.forget_full();
                let short = app.clone();
                let retained = move || {
                    if let Some(history) = &short.history {
                        drop(history.kept(short.clock.now(), &short.registry.territory()));
                    }
                    let archivers = short.archivers.as_deref();
                    let searches = short.searches_log.as_ref();
                    let searches =
                        searches.map_or(Ok(0), |log| remove_old(log, archivers.map(|both| &both.searches)));
                    remove_old(&short.log, archivers.map(|both| &both.positions)).and(searches)
                };
                if let Ok(Err(error)) = tokio::task::spawn_blocking(retained).await {
                    tracing::warn!(%error, "old days of the logs were not removed");
                }
                if let Err(error) = app.registry.upkeep().prune_activity().await {
                    tracing::warn!(%error, "old entries of the activity log were not removed");
                }
                if let Err(error) = app.registry.upkeep().prune_console_sessions().await {
                    tracing::warn!(%error, "sessions of the console that are over were not removed");
                }
                if let Err(error) = app.registry.upkeep().prune_remembered().await {
                    tracing::warn!(%error, "answers that are remembered no longer were not removed");
                }
            }
        }
    }
}

/// Removes old days of a log. What is not archived yet stays: as long as nothing is known of that, everything.
fn remove_old<L: Logged>(
    log: &Log<L::Entry>,
    archiver: Option<&Archiver<L>>,
) -> std::result::Result<usize, LogError> {
    match archiver {
        Some(archiver) => log.retain_unless_needed(&archiver.reached().unwrap_or_default()),
        None => log.retain(),
    }
}

fn ticker(period: Duration) -> Interval {
    let mut ticker = interval(period);
    ticker.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticker
}
