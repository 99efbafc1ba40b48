//! The publisher: gives transitions their numbers, and tells whoever listens in this process.
//!
//! Every process has one. They take turns at numbering, in the database; each tells its own streams whatever has a
//! number, so that all streams are told the same in the same order.

use std::collections::HashMap;

use axum::body::Bytes;
use ingest::clock::Millis;
use tokio::time::{MissedTickBehavior, interval, sleep};
use tokio_util::sync::CancellationToken;

use super::streams::{Line, Message, Streams};
use super::tracks::last_seen;
use crate::app::App;
use crate::limits::{EVENTS_AT_ONCE, EVENTS_EVERY, EVENTS_PAUSE, FOLLOWED_MAX, POSITIONS_EVERY};
use crate::routes::hails::answer::Eyes;
use crate::routes::hails::event::{HailEvent, HailPosition, event_text, push_position};
use crate::store::Result;
use crate::store::hails::events::{EventRow, EventsOf, InProgress};

/// Numbers and tells, until `stop`.
pub(crate) async fn keep(app: App, stop: CancellationToken) {
    let ticker = |period| {
        let mut ticker = interval(period);
        ticker.set_missed_tick_behavior(MissedTickBehavior::Delay);
        ticker
    };
    let (mut look, mut positions) = (ticker(EVENTS_EVERY), ticker(POSITIONS_EVERY));
    let mut publisher = Publisher::default();
    let mut is_failing = false;
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = app.registry.hails_moved().notified() => {}
            _ = look.tick() => {}
            _ = positions.tick() => {
                publisher.tell_positions(&app);
                continue;
            }
        }
        match publisher.publish(&app).await {
            Ok(()) => is_failing = false,
            Err(error) if !is_failing => {
                is_failing = true;
                tracing::warn!(%error, "events of hails are not told; trying again");
            }
            Err(_) => {}
        }
        // What happens meanwhile shares a transaction.
        sleep(EVENTS_PAUSE).await;
    }
}

/// What a process knows of events.
#[derive(Default)]
struct Publisher {
    /// The number of the last event that was told here. None: nothing was looked at yet.
    told: Option<i64>,
    /// Hails in progress; None while nobody listens.
    followed: Option<HashMap<String, Followed>>,
}

/// A hail in progress, and when its taxi was heard last.
struct Followed {
    hail: InProgress,
    heard_at: Option<Millis>,
}

impl Publisher {
    /// Numbers what is committed, and tells what has a number.
    async fn publish(&mut self, app: &App) -> Result<()> {
        let store = app.registry.upkeep();
        let mut numbering = store.numbering().await?;
        while numbering.is_behind {
            match store.number_events(EVENTS_AT_ONCE).await? {
                Some(numbered) => {
                    numbering = numbered;
                    app.registry.deliveries_due().notify_one();
                }
                None => break,
            }
        }
        let last = numbering.last;
        let mut told = *self.told.get_or_insert(last);
        // The number is read before it is asked who listens: whoever comes later reads up to it from the rows.
        if app.streams.count() == 0 {
            (self.told, self.followed) = (Some(last), None);
            return Ok(());
        }
        self.follow(app).await?;
        while told < last {
            let events = store.events_after(EventsOf::All, told, EVENTS_AT_ONCE).await?;
            for event in &events {
                self.tell(app, event);
            }
            // Where there is none, what had these numbers was removed.
            told = events.last().map_or(last, |event| event.event_id);
            self.told = Some(told);
        }
        Ok(())
    }

    /// Reads which hails are in progress, where that is not known.
    async fn follow(&mut self, app: &App) -> Result<()> {
        if self.followed.is_none() {
            let hails = app
                .registry
                .upkeep()
                .hails_in_progress(i64::try_from(FOLLOWED_MAX).unwrap_or(i64::MAX))
                .await?;
            let follow = |hail: InProgress| (hail.id.clone(), Followed::new(app, hail));
            self.followed = Some(hails.into_iter().map(follow).collect());
        }
        Ok(())
    }

    fn tell(&mut self, app: &App, event: &EventRow) {
        let hail = &event.hail;
        for (eyes, lines) in listened(&app.streams, &hail.id, (hail.app_id, hail.operator_id)) {
            let text = event_text(event.event_id, &HailEvent::new(app, event, eyes));
            let message = Message::Event { id: event.event_id, is_end: event.is_end(), text };
            for line in &lines {
                app.streams.tell(line, message.clone());
            }
        }
        let Some(followed) = &mut self.followed else { return };
        match event.in_progress() {
            None => drop(followed.remove(&hail.id)),
            Some(hail) if followed.len() < FOLLOWED_MAX => {
                followed.entry(hail.id.clone()).or_insert_with(|| Followed::new(app, hail));
            }
            Some(_) => {}
        }
    }

    /// Tells where taxis of hails in progress were heard again.
    fn tell_positions(&mut self, app: &App) {
        let mut texts: HashMap<Line, (u64, String)> = HashMap::new();
        for followed in self.followed.iter_mut().flat_map(HashMap::values_mut) {
            let hail = &followed.hail;
            let Some(seen) = last_seen(app, hail.taxi_id, hail.operator_id) else { continue };
            if followed.heard_at.replace(seen.received_at) == Some(seen.received_at) {
                continue;
            }
            for (eyes, lines) in listened(&app.streams, &hail.id, (hail.app_id, hail.operator_id)) {
                let position = HailPosition::new(hail, eyes, seen);
                for line in lines {
                    let (count, text) = texts.entry(line).or_default();
                    *count += 1;
                    push_position(text, &position);
                }
            }
        }
        for (line, (count, text)) in texts {
            app.streams.tell(&line, Message::Positions { count, text: Bytes::from(text) });
        }
    }
}

impl Followed {
    fn new(app: &App, hail: InProgress) -> Self {
        let seen = last_seen(app, hail.taxi_id, hail.operator_id);
        Self { hail, heard_at: seen.map(|seen| seen.received_at) }
    }
}

/// The lines of a hail that somebody listens to, by the eyes with which they see it. Whoever is on both of its sides
/// sees it as its operator.
fn listened(streams: &Streams, hail: &str, (app, operator): (i32, i32)) -> Vec<(Eyes, Vec<Line>)> {
    let made = (app != operator).then_some(Line::Account(app));
    let views =
        [(Eyes::Admin, Some(Line::All)), (Eyes::Operator, Some(Line::Account(operator))), (Eyes::App, made)];
    let listened = views.into_iter().map(|(eyes, line)| {
        let lines = line.into_iter().chain([Line::Hail(hail.to_owned(), eyes)]);
        (eyes, lines.filter(|line| streams.has(line)).collect::<Vec<_>>())
    });
    listened.filter(|(_, lines)| !lines.is_empty()).collect()
}
