//! Datagrams from the network to the log: one thread a socket, many datagrams a system call, nothing awaited.
//!
//! What the log has no room for is dropped and counted; what the kernel's buffer has no room for, the kernel drops
//! and counts ([`Drops`]). A sender is never answered.

mod drops;
mod sockets;

use std::io;
use std::io::IoSliceMut;
use std::net::{IpAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrStorage, recvmmsg};

pub use self::drops::Drops;
pub use self::sockets::{Beside, listen};
use crate::clock::{Clock, Millis};
use crate::counter::Flag;
use crate::gate::{Gate, Scratch};
use crate::limits::{DATAGRAMS_PER_CALL, DRAIN_CALLS, MAX_DATAGRAM, STOP_LATENCY_MS};
use crate::log::Log;
use crate::position::{OperatorKey, Position, Transport};

/// Starts the thread that takes datagrams from a socket through the gate into the log. It ends soon after `stop` is
/// raised, once it has taken what the socket holds; what comes from then on is for the other sockets of its address.
///
/// An error means that the socket cannot be set up or the thread not started.
pub fn serve(
    socket: UdpSocket,
    gate: Arc<Gate>,
    log: Log,
    clock: Clock,
    stop: Arc<Flag>,
) -> io::Result<JoinHandle<()>> {
    socket.set_read_timeout(Some(Duration::from_millis(STOP_LATENCY_MS)))?;
    let name = format!("udp-{}", socket.local_addr()?.port());
    // Made on its thread: the kernel's headers hold pointers, which do not move between threads.
    let run = move || Receiver::new(socket, gate, log, clock).run(&stop);
    std::thread::Builder::new().name(name).spawn(run)
}

/// One byte more than a datagram may have, to tell those that have too many.
type Buffer = [u8; MAX_DATAGRAM + 1];

struct Receiver {
    socket: UdpSocket,
    gate: Arc<Gate>,
    log: Log,
    clock: Clock,
    scratch: Scratch,
    headers: MultiHeaders<SockaddrStorage>,
    buffers: Box<[Buffer; DATAGRAMS_PER_CALL]>,
    /// Empty, to be filled by the next call; without room once it was given to the log.
    batch: Vec<Position>,
    /// Whose positions are being appended, should the log have no room for them.
    operators: Vec<OperatorKey>,
}

impl Receiver {
    #[expect(clippy::large_stack_arrays, reason = "64 KiB, once, of the 2 MiB that its thread has")]
    fn new(socket: UdpSocket, gate: Arc<Gate>, log: Log, clock: Clock) -> Self {
        Self {
            socket,
            gate,
            log,
            clock,
            scratch: Scratch::default(),
            headers: MultiHeaders::preallocate(DATAGRAMS_PER_CALL, None),
            buffers: Box::new([[0; MAX_DATAGRAM + 1]; DATAGRAMS_PER_CALL]),
            batch: Vec::new(),
            operators: Vec::with_capacity(DATAGRAMS_PER_CALL),
        }
    }

    fn run(&mut self, stop: &Flag) {
        let mut failing = false;
        while !stop.is_raised() {
            match self.receive() {
                Ok(_) => failing = false,
                Err(error) => {
                    // A failure that lasts is said once, and does not keep a processor busy.
                    if !failing {
                        tracing::warn!(%error, "datagrams cannot be received; trying again");
                    }
                    failing = true;
                    std::thread::park_timeout(Duration::from_millis(STOP_LATENCY_MS));
                }
            }
        }
        if let Err(error) = sockets::retire(&self.socket) {
            tracing::warn!(%error, "datagrams that come during the stop may be lost");
        }
        for _ in 0..DRAIN_CALLS {
            if !matches!(self.receive(), Ok(1..)) {
                break;
            }
        }
    }

    /// Takes what has come, at most one call's worth, and gives how many datagrams that were: none if none came for
    /// a while. Once warm it allocates nothing, as long as the log gives back what it has written.
    fn receive(&mut self) -> io::Result<usize> {
        let mut slices = self.buffers.each_mut().map(|buffer| [IoSliceMut::new(buffer)]);
        let received = match recvmmsg(
            self.socket.as_raw_fd(),
            &mut self.headers,
            &mut slices,
            MsgFlags::MSG_WAITFORONE,
            None,
        ) {
            Ok(received) => received,
            Err(Errno::EAGAIN | Errno::EINTR) => return Ok(0),
            Err(error) => return Err(error.into()),
        };
        let span = tracing::debug_span!("receive", datagrams = tracing::field::Empty).entered();
        let now = self.clock.now();
        let mut count = 0;
        if self.batch.capacity() == 0 {
            self.batch = self.log.spare_batch();
        }
        let gate = tracing::debug_span!("gate", accepted = tracing::field::Empty).entered();
        for message in received {
            count += 1;
            // No slice: an empty datagram.
            let datagram = message.iovs().next().unwrap_or_default();
            let from = message.address.as_ref().and_then(address_of);
            self.batch.extend(self.gate.check(&mut self.scratch, datagram, from, now).ok());
        }
        gate.record("accepted", self.batch.len());
        drop(gate);
        span.record("datagrams", count);
        self.append(now);
        Ok(count)
    }

    fn append(&mut self, now: Millis) {
        if self.batch.is_empty() {
            return;
        }
        let _span = tracing::debug_span!("append", positions = self.batch.len()).entered();
        let positions = std::mem::take(&mut self.batch);
        self.operators.clear();
        self.operators.extend(positions.iter().map(|position| position.source.operator));
        if self.log.append(positions).is_err() {
            self.gate.refusals().count_overloaded(self.operators.iter().copied(), Transport::Udp, now);
        }
    }
}

/// Who sent a datagram, without the port.
fn address_of(sender: &SockaddrStorage) -> Option<IpAddr> {
    let v4 = || sender.as_sockaddr_in().map(|sender| IpAddr::from(sender.ip()));
    v4().or_else(|| sender.as_sockaddr_in6().map(|sender| IpAddr::from(sender.ip())))
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use sha1::{Digest as _, Sha1};

    use super::*;
    use crate::directory::{Directory, Operator, Taxi};
    use crate::gate::Refusals;
    use crate::log::{LogUrl, Settings};
    use crate::position::TaxiKey;

    #[test]
    fn a_warm_receiver_allocates_nothing_whatever_comes() {
        let folder = tempfile::tempdir().unwrap();
        let clock = Clock::manual(Millis(1_764_158_400_000));
        let settings = Settings { commit_interval_ms: 1, ..Settings::default() };
        let log = Log::open(&LogUrl::File(folder.path().to_owned()), &settings, clock.clone()).unwrap();
        let directory = Directory::default();
        let operator = OperatorKey(1);
        directory.operators().put("op".into(), 1, Operator::new(operator, "key"));
        directory.taxis().put("t".into(), 1, Taxi { key: TaxiKey(1), operators: [operator].into() });
        let gate = Arc::new(Gate::new(Arc::new(directory), Arc::new(Refusals::default())));
        let socket = listen("127.0.0.1:0".parse().unwrap(), 1, Beside::Nobody).unwrap().remove(0);
        socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let (sender, address) = (UdpSocket::bind("127.0.0.1:0").unwrap(), socket.local_addr().unwrap());
        let mut receiver = Receiver::new(socket, gate, log.clone(), clock);
        let (good, mut reader) = (datagram(), log.reader(&[]));
        let unsigned = good.replace("48.86", "48.87");
        for round in 0..40 {
            for datagram in [good.as_bytes(), b"{oops", unsigned.as_bytes()].iter().take(1 + round % 3) {
                sender.send_to(datagram, address).unwrap();
            }
            let mut received = 0;
            let allocations = allocation_counter::measure(|| {
                while received < 1 + round % 3 {
                    received += receiver.receive().unwrap();
                }
            });
            // The log gives a batch back before its record can be read.
            assert!(reader.poll(Duration::from_secs(10)).unwrap().is_some());
            while reader.poll(Duration::ZERO).unwrap().is_some() {}
            assert!(round < 20 || allocations.count_total == 0, "round {round}: {allocations:?}");
        }
    }

    /// A datagram of taxi `t` of operator `op`, signed with `key`.
    fn datagram() -> String {
        let hash = Sha1::digest("1764158400opt48.862.35phonefree2key");
        let hash = hash.iter().fold(String::new(), |mut text, byte| {
            write!(text, "{byte:02x}").unwrap();
            text
        });
        format!(
            r#"{{"timestamp":"1764158400","operator":"op","taxi":"t","lat":"48.86","lon":"2.35","device":"phone",
                "status":"free","version":"2","hash":"{hash}"}}"#
        )
    }
}
