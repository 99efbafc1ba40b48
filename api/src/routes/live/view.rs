//! What one caller sees of a window of the map, and what of it is news.

use std::cmp::{Ordering, Reverse};
use std::collections::BTreeMap;
use std::sync::Arc;

use engine::engine::{FRESH_MS, Seen};
use engine::profile::Status;
use engine::window::Window;
use ingest::position::{OperatorKey, SourceKey};
use serde_json::json;
use tokio::time::Instant;

use super::frames::{Frame, Shown, Tile};
use super::{GoneTaxi, LiveTaxi, event};
use crate::app::App;
use crate::registry::card::Card;
use crate::routes::hails::stream::RETRY_MS;

/// What a caller sees of the map.
pub(super) struct View {
    pub(super) app: App,
    window: Window,
    tiles: Vec<Tile>,
    /// Whose taxis alone.
    operator: Option<OperatorKey>,
}

/// What a caller was told.
pub(super) struct Told {
    /// By tile.
    frames: Vec<Arc<Frame>>,
    /// Who left a tile and is on none yet, as each is looked at by itself.
    between: BTreeMap<SourceKey, Arc<Card>>,
}

impl View {
    pub(super) fn new(app: App, window: Window, operator: Option<OperatorKey>) -> Self {
        Self { app, tiles: Tile::all(&window), window, operator }
    }

    /// Whether there are not too many taxis to be told. From then on the map is as it is now, or newer.
    pub(super) fn may_be_told(&self) -> bool {
        self.look(false).is_some()
    }

    /// What is to be told to whom `before` was told, if anything is, and what it says: everything to whom nothing was
    /// told yet, or who left out some beats. None where there are too many taxis. Some milliseconds.
    pub(super) fn tell(&self, before: Option<Told>, left_out: u32) -> Option<(Told, Option<String>)> {
        let frames = self.look(true)?;
        let begin = match before {
            None => format!("retry: {RETRY_MS}\n\n"),
            Some(_) if left_out > 0 => event("skipped", &json!({ "beats": left_out })),
            Some(before) => {
                let (between, text) = self.changes(before, &frames);
                return Some((Told { frames, between }, text));
            }
        };
        let text = begin + &snapshot(self.shown(&frames));
        Some((Told { frames, between: BTreeMap::new() }, Some(text)))
    }

    /// The frames of the window; None where too many taxis are in it.
    fn look(&self, may_stand: bool) -> Option<Vec<Arc<Frame>>> {
        let (streams, most) = (&self.app.streams, self.app.streams.limits.live_taxis);
        let now = Instant::now();
        let look = |tile: &Tile| {
            let of = (self.operator, *tile);
            streams.frames.of(of, (now, may_stand), |last| self.look_at(*tile, last, most))
        };
        let frames: Vec<_> = self.tiles.iter().map(look).collect();
        streams.frames.forget(now);
        let total: usize = frames.iter().map(|frame| (**frame).as_ref().map(Vec::len)).sum::<Option<_>>()?;
        // Those beside the window, and doubles, are counted out where that decides.
        (total <= most || self.shown(&frames).len() <= most).then_some(frames)
    }

    /// Who is on a tile; what is as it was in the last frame is taken from there.
    fn look_at(&self, tile: Tile, last: Option<&Frame>, most: usize) -> Frame {
        let engine = &self.app.engine;
        let is_wanted = |source: SourceKey| self.operator.is_none_or(|own| own == source.operator);
        let found = engine.within(&tile.window()?, self.app.clock.now(), most, is_wanted)?;
        let last: &[Shown] = last.and_then(Option::as_deref).unwrap_or_default();
        let shown = found.into_iter().filter_map(|(source, seen)| {
            let status = self.status(source)?;
            let card = self.app.registry.shown_card(source)?;
            let same = last.binary_search_by_key(&source, |one| one.source).ok().map(|place| &last[place]);
            match same.filter(|same| (same.seen, same.status) == (seen, status)) {
                Some(same) => Some(same.clone()),
                None => Some(Shown {
                    source,
                    seen,
                    status,
                    text: self.render(source, seen, status, &card)?,
                    card,
                }),
            }
        });
        Some(shown.collect())
    }

    fn status(&self, source: SourceKey) -> Option<Status> {
        self.app.engine.profiles().with(&source.taxi, |profile| {
            profile.descriptions.iter().find(|one| one.operator == source.operator).map(|one| one.status)
        })?
    }

    fn render(&self, source: SourceKey, seen: Seen, status: Status, card: &Card) -> Option<Arc<str>> {
        let told = LiveTaxi {
            taxi: &card.public_id,
            operator: self.app.registry.email(source.operator),
            status: status.as_str(),
            lat: seen.at.lat(),
            lon: seen.at.lon(),
            last_update: seen.received_at.0.div_euclid(1000),
        };
        serde_json::to_string(&told).ok().map(Arc::from)
    }

    /// Those of these frames who are in the window, each once.
    fn shown<'a>(&self, frames: &'a [Arc<Frame>]) -> Vec<&'a Shown> {
        let all = frames.iter().flat_map(|frame| frame.iter().flatten());
        once_each(all.filter(|one| self.window.holds(one.seen.at)).collect())
    }

    /// What differs, if anything does, and who is between tiles.
    fn changes(&self, before: Told, now: &[Arc<Frame>]) -> (BTreeMap<SourceKey, Arc<Card>>, Option<String>) {
        let (mut moved, mut left) = (Vec::new(), before.between);
        for (old, new) in before.frames.iter().zip(now) {
            if !Arc::ptr_eq(old, new) {
                let (old, new) = (old.as_deref().unwrap_or_default(), new.as_deref().unwrap_or_default());
                self.compare(old, new, &mut moved, &mut left);
            }
        }
        let moved = once_each(moved);
        let (mut gone, mut between) = (Vec::new(), BTreeMap::new());
        for (source, card) in left {
            if moved.binary_search_by_key(&source, |one| one.source).is_ok() {
                continue;
            }
            match self.whereabouts(source, now) {
                Whereabouts::Told => {}
                Whereabouts::Between => drop(between.insert(source, card)),
                Whereabouts::Gone => {
                    let operator = self.app.registry.email(source.operator);
                    let told = GoneTaxi { taxi: &card.public_id, operator };
                    gone.extend(serde_json::to_string(&told));
                }
            }
        }
        let is_news = !moved.is_empty() || !gone.is_empty();
        let text = is_news.then(|| {
            let moved: Vec<_> = moved.iter().map(|one| &*one.text).collect();
            format!(
                "event: changes\ndata: {{\"moved\":[{}],\"gone\":[{}]}}\n\n",
                moved.join(","),
                gone.join(",")
            )
        });
        (between, text)
    }

    /// Two frames of a tile, both by their keys: who came into the window or changed in it, and who left it.
    fn compare<'a>(
        &self,
        old: &[Shown],
        new: &'a [Shown],
        moved: &mut Vec<&'a Shown>,
        left: &mut BTreeMap<SourceKey, Arc<Card>>,
    ) {
        let is_seen = |one: &&Shown| self.window.holds(one.seen.at);
        let (mut old, mut new) =
            (old.iter().filter(is_seen).peekable(), new.iter().filter(is_seen).peekable());
        loop {
            let order = match (old.peek(), new.peek()) {
                (None, None) => return,
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some(old), Some(new)) => old.source.cmp(&new.source),
            };
            let before = if order.is_le() { old.next() } else { None };
            let after = if order.is_ge() { new.next() } else { None };
            match (before, after) {
                (Some(before), None) => drop(left.insert(before.source, before.card.clone())),
                (Some(before), Some(after)) if (before.seen, before.status) == (after.seen, after.status) => {
                }
                (_, Some(after)) => moved.push(after),
                (None, None) => {}
            }
        }
    }

    /// Where somebody is who left a tile.
    fn whereabouts(&self, source: SourceKey, now: &[Arc<Frame>]) -> Whereabouts {
        let is_fresh = |seen: &Seen| self.app.clock.now().since(seen.received_at) < FRESH_MS;
        let seen = self.app.engine.get(source).filter(is_fresh).filter(|seen| self.window.holds(seen.at));
        let Some(seen) = seen.filter(|_| self.status(source).is_some()) else { return Whereabouts::Gone };
        let frame = self.tiles.binary_search(&Tile::at(seen.at)).ok().and_then(|place| now[place].as_deref());
        let frame = frame.unwrap_or_default();
        let found = frame.binary_search_by_key(&source, |one| one.source).ok().map(|place| &frame[place]);
        // It may have been there before, out of the window.
        let is_told = found.is_some_and(|one| self.window.holds(one.seen.at));
        if is_told { Whereabouts::Told } else { Whereabouts::Between }
    }
}

/// Where somebody is who left a tile.
enum Whereabouts {
    /// On another one, in the window.
    Told,
    /// Likewise, but that was looked at before.
    Between,
    /// Nowhere in the window.
    Gone,
}

/// Each source once, as it was heard last; by their keys.
fn once_each(mut shown: Vec<&Shown>) -> Vec<&Shown> {
    shown.sort_unstable_by_key(|one| (one.source, Reverse(one.seen.received_at)));
    shown.dedup_by_key(|one| one.source);
    shown
}

fn snapshot(shown: Vec<&Shown>) -> String {
    let texts: Vec<_> = shown.into_iter().map(|one| &*one.text).collect();
    format!("event: snapshot\ndata: {{\"taxis\":[{}]}}\n\n", texts.join(","))
}
