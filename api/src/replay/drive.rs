//! Sending a trace: each position when it is due, with the time of the device now.

use std::collections::BTreeMap;
use std::io;

use ingest::clock::Clock;
use ingest::position::Motion;
use tokio::time::{Duration, sleep};
use tokio_util::sync::CancellationToken;

use super::pace::Pace;
use super::trace::Trace;
use crate::fleet::datagram::Report;
use crate::fleet::plan::Operator;
use crate::fleet::taxi::Status;
use crate::fleet::town::Place;
use crate::simulation::post::Post;

/// The longest time between two looks at the clock, which may be set meanwhile.
const NAP_MAX_MS: u64 = 1000;

/// What became of a trace's positions on our side.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    /// Positions handed to the system.
    pub sent: u64,
    /// Positions that the system refused, by what it said.
    pub failed: BTreeMap<String, u64>,
    /// Positions that were not due yet when the run was stopped.
    pub not_due: u64,
    /// How much later than its time the latest one went out, in milliseconds.
    pub late_ms_max: u64,
}

/// Who reports, and what of every taxi.
#[derive(Clone, Copy, Debug)]
pub struct Fleet<'a> {
    /// Signs.
    pub operator: &'a Operator,
    /// The taxis' public ids, in the order of [`Trace::taxis`].
    pub ids: &'a [String],
    /// What each of them is doing.
    pub status: Status,
}

/// Sends every position in its time, until `stop`. `progress` is told how many went out.
pub(crate) async fn drive(
    post: &mut Post,
    trace: &Trace,
    fleet: Fleet<'_>,
    (pace, clock): (&mut Pace, &Clock),
    stop: &CancellationToken,
    progress: impl Fn(u64),
) -> Sent {
    let mut done = Sent::default();
    for (i, fix) in trace.fixes.iter().enumerate() {
        if !is_due(fix.at_s, pace, clock, stop, async || post.flush(&mut |n, sent| done.count(n, sent)).await)
            .await
        {
            done.not_due = (trace.fixes.len() - i) as u64;
            break;
        }
        let now = clock.now();
        done.late_ms_max = done.late_ms_max.max(pace.late_ms(fix.at_s, now));
        let report = Report {
            at: now,
            operator: &fleet.operator.name,
            key: &fleet.operator.key,
            taxi: fleet.ids.get(fix.taxi as usize).map_or("", String::as_str),
            place: Place { lat: fix.at.lat(), lon: fix.at.lon() },
            status: fleet.status,
            motion: Motion::default(),
        };
        post.send(&report, &mut |positions, outcome| done.count(positions, outcome)).await;
        progress(i as u64 + 1);
    }
    post.flush(&mut |positions, outcome| done.count(positions, outcome)).await;
    done
}

impl Sent {
    fn count(&mut self, positions: u64, outcome: io::Result<()>) {
        match outcome {
            Ok(()) => self.sent += positions,
            Err(error) => *self.failed.entry(error.kind().to_string()).or_default() += positions,
        }
    }
}

/// Waits until the position of `at_s` may go out, and sends what was kept before it waits; false: the run was stopped.
async fn is_due(
    at_s: i64,
    pace: &mut Pace,
    clock: &Clock,
    stop: &CancellationToken,
    mut flush: impl AsyncFnMut(),
) -> bool {
    loop {
        let wait_ms = pace.wait_ms(at_s, clock.now()).min(NAP_MAX_MS);
        if stop.is_cancelled() {
            return false;
        }
        if wait_ms == 0 {
            return true;
        }
        flush().await;
        tokio::select! {
            () = stop.cancelled() => return false,
            () = sleep(Duration::from_millis(wait_ms)) => {}
        }
    }
}
