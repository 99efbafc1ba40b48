//! Connections: accepted up to a number, each with a time for everything its client does, drained at the end.
//!
//! hyper speaks HTTP; what it leaves open is here. A client that sends or reads too slowly, or more than fits, is told
//! so in the contract's shape wherever an answer can still be sent, and then hung up on.

use std::future::{Future as _, poll_fn};
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use axum::http::StatusCode;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::socket::setsockopt;
use nix::sys::socket::sockopt::TcpUserTimeout;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use crate::error::Problem;
use crate::limits::{
    self, CALLS_MAX, DELIVERIES_MAX, FILES_BESIDE, HEAD_MAX_BYTES, LINGER, LINGER_MAX_BYTES, TURNED_AWAY_MAX,
};
use crate::router::HttpService;

mod pace;
mod service;
#[cfg(test)]
mod tests;

use pace::{Pace, Paced, Stage};
use service::PacedService;

pub(crate) use service::Endless;

/// How long no connection is accepted after the system refused one, for want of open files mostly.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Most bytes read at once, of a head that is not complete yet or of a body.
const BUFFER_BYTES: usize = 64 << 10;

const _: () = assert!(HEAD_MAX_BYTES <= BUFFER_BYTES, "a head is parsed from one buffer");

/// Serves until `stop`, then lets requests under way end. Aborting this aborts them.
pub(crate) async fn serve(
    listener: TcpListener,
    service: HttpService,
    limits: limits::Http,
    stop: CancellationToken,
) {
    let room = Arc::new(Semaphore::new(limits.connections));
    let doorstep = Arc::new(Semaphore::new(TURNED_AWAY_MAX));
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            Some(_) = connections.join_next() => continue,
            accepted = listener.accept() => accepted,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "a connection was not accepted");
                sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        if let Ok(permit) = room.clone().try_acquire_owned() {
            let (service, stop) = (service.clone(), stop.clone());
            connections.spawn(converse((stream, peer), permit, service, limits, stop));
        } else if let Ok(permit) = doorstep.clone().try_acquire_owned() {
            connections.spawn(async move {
                tell(stream, &Problem::overloaded("connections")).await;
                drop(permit);
            });
        }
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

/// The limits, with as many connections and streams as the system has open files for, after asking it for more where it
/// gives few.
pub(crate) fn within_files(limits: limits::Http) -> limits::Http {
    let wanted = limits.connections + limits.streams;
    let files = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
    let all = files(wanted + CALLS_MAX + DELIVERIES_MAX + FILES_BESIDE);
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else {
        return limits;
    };
    if soft >= all || setrlimit(Resource::RLIMIT_NOFILE, all.min(hard), hard).is_ok() && hard >= all {
        return limits;
    }
    let room = usize::try_from(soft.max(hard)).unwrap_or(usize::MAX).saturating_sub(FILES_BESIDE).max(1);
    tracing::warn!(room, wanted, "the system allows too few open files for every connection and stream");
    let connections = limits.connections.min(room);
    limits::Http { connections, streams: limits.streams.min(room - connections), ..limits }
}

/// How a conversation ended.
enum End {
    /// Either side has closed it, or hyper refused the head of a request and said so.
    Closed,
    /// The client took too long over this.
    Overdue(Stage),
}

/// One connection from its beginning to its end.
async fn converse(
    (stream, peer): (TcpStream, SocketAddr),
    room: OwnedSemaphorePermit,
    service: HttpService,
    limits: limits::Http,
    stop: CancellationToken,
) {
    let mut room = Some(room);
    // Answers are written whole; waiting for more to send with them would only delay the last packet.
    let _ = stream.set_nodelay(true);
    // Whoever is gone without a word is given up like one that does not read; the system would try for a quarter of an
    // hour.
    let within_ms = u32::try_from(limits.answer_read_within.as_millis()).unwrap_or(u32::MAX);
    let _ = setsockopt(&stream, TcpUserTimeout, &within_ms);
    let pace = Arc::new(Pace::new(limits));
    let mut builder = http1::Builder::new();
    // The head's time is kept by `pace`, which tells it from idleness and can answer.
    builder.header_read_timeout(None).max_header_size(HEAD_MAX_BYTES).max_buf_size(BUFFER_BYTES);
    let service = PacedService::new(service, pace.clone(), peer);
    let mut connection = builder.serve_connection(TokioIo::new(Paced::new(stream, pace.clone())), service);
    let mut stopping = false;
    let end = {
        let mut stop = pin!(stop.cancelled());
        let mut alarm = pin!(sleep_until(pace.deadline()));
        poll_fn(|cx| {
            if !stopping && stop.as_mut().poll(cx).is_ready() {
                stopping = true;
                if pace.stage() == Stage::New {
                    return Poll::Ready(End::Closed);
                }
                Pin::new(&mut connection).graceful_shutdown();
            }
            if Pin::new(&mut connection).poll(cx).is_ready() {
                return Poll::Ready(End::Closed);
            }
            if pace.stage() == Stage::Streaming {
                room = None;
            }
            // Whatever the poll has changed of the stage is known here: all of a connection is one task.
            let deadline = pace.deadline();
            if alarm.deadline() != deadline {
                alarm.as_mut().reset(deadline);
            }
            alarm.as_mut().poll(cx).map(|()| End::Overdue(pace.stage()))
        })
        .await
    };
    let (stream, refused) = connection.into_parts().io.into_inner().into_inner();
    match end {
        End::Overdue(Stage::Head) => tell(stream, &Problem::slow_request(limits.request_read_within)).await,
        // What is left of a refused request is taken, or the refusal would be lost to the reset.
        End::Closed if refused => linger(stream).await,
        End::Closed | End::Overdue(_) => {}
    }
}

/// Answers without HTTP's machinery, and closes.
async fn tell(mut stream: TcpStream, problem: &Problem) {
    let told = async {
        stream.write_all(&problem.whole_answer()).await?;
        stream.shutdown().await
    };
    if matches!(timeout(LINGER, told).await, Ok(Ok(()))) {
        linger(stream).await;
    }
}

/// Takes what a client still sends, for a while.
async fn linger(mut stream: TcpStream) {
    let until = Instant::now() + LINGER;
    let (mut dropped, mut buffer) = (0, vec![0; 8 << 10]);
    while dropped < LINGER_MAX_BYTES {
        match tokio::time::timeout_at(until, stream.read(&mut buffer)).await {
            Ok(Ok(read)) if read > 0 => dropped += read,
            _ => return,
        }
    }
}

/// What is said in place of an answer of hyper's own, which has no body.
fn in_shape(status: StatusCode) -> Problem {
    match status {
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => Problem::large_head(),
        StatusCode::URI_TOO_LONG => Problem::long_uri(),
        _ => Problem::whole(status, "The request is not valid HTTP."),
    }
}
