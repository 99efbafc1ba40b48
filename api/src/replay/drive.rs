//! Sending a trace: each position when it is due, with the time of the device now.

use std::collections::BTreeMap;

use ingest::clock::Clock;
use tokio::net::UdpSocket;
use tokio::time::{Duration, sleep};
use tokio_util::sync::CancellationToken;

use super::pace::Pace;
use super::trace::Trace;
use crate::fleet::datagram::{Report, Writer};
use crate::fleet::plan::Operator;
use crate::fleet::taxi::Status;
use crate::fleet::town::Place;

/// The longest time between two looks at the clock, which may be set meanwhile.
const NAP_MAX_MS: u64 = 1000;

/// What became of a trace's positions on our side.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    /// Datagrams handed to the system.
    pub sent: u64,
    /// Datagrams that the system refused, by what it said.
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
pub async fn drive(
    socket: &UdpSocket,
    trace: &Trace,
    fleet: Fleet<'_>,
    (pace, clock): (&mut Pace, &Clock),
    stop: &CancellationToken,
    progress: impl Fn(u64),
) -> Sent {
    let (mut writer, mut done) = (Writer::default(), Sent::default());
    for (i, fix) in trace.fixes.iter().enumerate() {
        if !is_due(fix.at_s, pace, clock, stop).await {
            done.not_due = (trace.fixes.len() - i) as u64;
            return done;
        }
        let now = clock.now();
        done.late_ms_max = done.late_ms_max.max(pace.late_ms(fix.at_s, now));
        let report = Report {
            timestamp_s: now.seconds(),
            operator: &fleet.operator.name,
            key: &fleet.operator.key,
            taxi: fleet.ids.get(fix.taxi as usize).map_or("", String::as_str),
            place: Place { lat: fix.at.lat(), lon: fix.at.lon() },
            status: fleet.status,
        };
        match socket.send(writer.write(&report)).await {
            Ok(_) => done.sent += 1,
            Err(error) => *done.failed.entry(error.kind().to_string()).or_default() += 1,
        }
        progress(i as u64 + 1);
    }
    done
}

/// Waits until the position of `at_s` may go out; false: the run was stopped before.
async fn is_due(at_s: i64, pace: &mut Pace, clock: &Clock, stop: &CancellationToken) -> bool {
    loop {
        let wait_ms = pace.wait_ms(at_s, clock.now()).min(NAP_MAX_MS);
        if stop.is_cancelled() {
            return false;
        }
        if wait_ms == 0 {
            return true;
        }
        tokio::select! {
            () = stop.cancelled() => return false,
            () = sleep(Duration::from_millis(wait_ms)) => {}
        }
    }
}
