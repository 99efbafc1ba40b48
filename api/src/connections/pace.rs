//! Where a connection stands, how long it may stay there, and the stream that tells.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use axum::http::StatusCode;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Instant;

use crate::limits::{self, REQUEST_WITHIN};

/// What a connection is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Nothing of the first request has come.
    New,
    /// Nothing of the next request has come.
    Idle,
    /// A head is coming in.
    Head,
    /// A request is served; its own time is bounded by the router.
    Serving,
    /// An answer is going out.
    Answering,
    /// An answer without an end is going out, a piece at a time.
    Streaming,
    /// The answer's last byte is with hyper, not yet with the system.
    Flushing,
}

/// The stage, and until when it may last.
#[derive(Debug)]
pub(super) struct Pace {
    limits: limits::Http,
    now: Mutex<(Stage, Instant)>,
}

impl Pace {
    pub(super) fn new(limits: limits::Http) -> Self {
        Self { limits, now: Mutex::new((Stage::New, Instant::now() + limits.request_read_within)) }
    }

    pub(super) fn stage(&self) -> Stage {
        self.now().0
    }

    pub(super) fn deadline(&self) -> Instant {
        self.now().1
    }

    /// Enters a stage, which may last as long as it may from now on.
    pub(super) fn enter(&self, stage: Stage) {
        let within = match stage {
            Stage::New | Stage::Head => self.limits.request_read_within,
            Stage::Idle => self.limits.idle_within,
            // Twice the router's time, its body's included: it has been answered by then.
            Stage::Serving => REQUEST_WITHIN * 2,
            // The flush goes on with what is left of the answer's time.
            Stage::Flushing if self.stage() == Stage::Answering => {
                self.now().0 = stage;
                return;
            }
            Stage::Answering | Stage::Flushing => self.limits.answer_read_within,
            // From one piece to the next, and then as long as for any other answer.
            Stage::Streaming => self.limits.heartbeat + self.limits.answer_read_within,
        };
        *self.now() = (stage, Instant::now() + within);
    }

    fn now(&self) -> MutexGuard<'_, (Stage, Instant)> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A stream that tells its pace what it sees, and says in the contract's shape what hyper refuses by itself.
#[derive(Debug)]
pub(super) struct Paced {
    stream: TcpStream,
    pace: Arc<Pace>,
    /// What is said in place of hyper's words, and how much of it is written.
    refusal: Option<(Vec<u8>, usize)>,
}

impl Paced {
    pub(super) fn new(stream: TcpStream, pace: Arc<Pace>) -> Self {
        Self { stream, pace, refusal: None }
    }

    /// The stream, and whether a request was refused on it.
    pub(super) fn into_inner(self) -> (TcpStream, bool) {
        (self.stream, self.refusal.is_some())
    }

    fn poll_refusal(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Some((text, written)) = &mut self.refusal {
            while let Some(rest) = text.get(*written..).filter(|rest| !rest.is_empty()) {
                match ready!(Pin::new(&mut self.stream).poll_write(cx, rest))? {
                    0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                    more => *written += more,
                }
            }
        }
        Poll::Ready(Ok(()))
    }

    /// A stream whose client reads goes on.
    fn note(&self, written: &Poll<io::Result<usize>>) {
        if matches!(written, Poll::Ready(Ok(_))) && self.pace.stage() == Stage::Streaming {
            self.pace.enter(Stage::Streaming);
        }
    }

    /// Before a request is served nobody but hyper writes: an answer of its own, of a head alone, after which it
    /// closes.
    fn refuses(&mut self, words: &[u8]) -> bool {
        if self.refusal.is_none() && matches!(self.pace.stage(), Stage::New | Stage::Idle | Stage::Head) {
            let status = words.get(9..12).and_then(|digits| StatusCode::from_bytes(digits).ok());
            let problem = super::in_shape(status.unwrap_or(StatusCode::BAD_REQUEST));
            self.refusal = Some((problem.whole_answer(), 0));
        }
        self.refusal.is_some()
    }
}

impl AsyncRead for Paced {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buffer);
        let came = buffer.filled().len() > before;
        if came && matches!(self.pace.stage(), Stage::New | Stage::Idle) {
            self.pace.enter(Stage::Head);
        }
        read
    }
}

impl AsyncWrite for Paced {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, words: &[u8]) -> Poll<io::Result<usize>> {
        if self.refuses(words) {
            ready!(self.poll_refusal(cx))?;
            return Poll::Ready(Ok(words.len()));
        }
        let written = Pin::new(&mut self.stream).poll_write(cx, words);
        self.note(&written);
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.refuses(parts.first().map_or(&[], |part| part)) {
            ready!(self.poll_refusal(cx))?;
            return Poll::Ready(Ok(parts.iter().map(|part| part.len()).sum()));
        }
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, parts);
        self.note(&written);
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
        if self.pace.stage() == Stage::Flushing {
            self.pace.enter(Stage::Idle);
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
