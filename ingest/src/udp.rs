//! Datagrams from the network to the log: one thread a socket, many datagrams a system call, nothing awaited.
//!
//! What the log has no room for is dropped and counted; what the kernel's buffer has no room for, the kernel drops
//! and counts ([`Drops`]). A sender is answered where it asks for that with its operator's key, once its positions are
//! synced.

mod answers;
mod batch;
mod drops;
mod sockets;

use std::io;
use std::io::IoSliceMut;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrStorage, recvmmsg};

use self::answers::Answers;
use self::batch::Batch;
pub use self::drops::Drops;
pub use self::sockets::{Beside, listen};
use crate::clock::Clock;
use crate::counter::Flag;
use crate::gate::{Gate, Scratch};
use crate::limits::{DATAGRAMS_PER_CALL, DRAIN_CALLS, MAX_DATAGRAM, STOP_LATENCY_MS};
use crate::log::Log;
use crate::wire::positions_at_most;

/// The threads of a socket.
#[derive(Debug)]
pub struct Threads {
    /// Takes datagrams through the gate into the log. It ends soon after it was told to stop, once it has taken what
    /// the socket holds; what comes from then on is for the other sockets of its address.
    pub receiving: JoinHandle<()>,
    /// Sends acknowledgements. It ends after the other one, once the log has told what became of each position, as it
    /// has when it is closed.
    pub answering: JoinHandle<()>,
}

/// Starts the threads of a socket; raising `stop` ends them.
///
/// An error means that the socket cannot be set up or a thread not started.
pub fn serve(
    socket: UdpSocket,
    gate: Arc<Gate>,
    log: Log,
    clock: Clock,
    stop: Arc<Flag>,
) -> io::Result<Threads> {
    socket.set_read_timeout(Some(Duration::from_millis(STOP_LATENCY_MS)))?;
    let name = format!("udp-{}", socket.local_addr()?.port());
    let (answers, answering) = Answers::start(&socket)?;
    let batch = Batch::new(log, answers);
    // Made on its thread: the kernel's headers hold pointers, which do not move between threads.
    let run = move || Receiver::new(socket, gate, batch, clock).run(&stop);
    let receiving = std::thread::Builder::new().name(name).spawn(run)?;
    Ok(Threads { receiving, answering })
}

/// One byte more than a datagram may have, to tell those that have too many.
type Buffer = [u8; MAX_DATAGRAM + 1];

struct Receiver {
    socket: UdpSocket,
    gate: Arc<Gate>,
    clock: Clock,
    scratch: Scratch,
    headers: MultiHeaders<SockaddrStorage>,
    buffers: Box<[Buffer; DATAGRAMS_PER_CALL]>,
    /// Empty between two calls.
    batch: Batch,
}

impl Receiver {
    #[expect(clippy::large_stack_arrays, reason = "64 KiB, once, of the 2 MiB that its thread has")]
    fn new(socket: UdpSocket, gate: Arc<Gate>, batch: Batch, clock: Clock) -> Self {
        Self {
            socket,
            gate,
            clock,
            scratch: Scratch::default(),
            headers: MultiHeaders::preallocate(DATAGRAMS_PER_CALL, None),
            buffers: Box::new([[0; MAX_DATAGRAM + 1]; DATAGRAMS_PER_CALL]),
            batch,
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
        let (mut count, mut accepted) = (0, 0);
        let gate = tracing::debug_span!("gate", accepted = tracing::field::Empty).entered();
        for message in received {
            count += 1;
            // No slice: an empty datagram.
            let datagram = message.iovs().next().unwrap_or_default();
            let from = message.address.as_ref().and_then(address_of);
            let batch = &mut self.batch;
            batch.make_room(positions_at_most(datagram), self.gate.refusals(), now);
            let before = batch.positions.len();
            let (scratch, address) = (&mut self.scratch, from.map(|from| from.ip()));
            let answer = self.gate.admit(scratch, datagram, address, now, &mut batch.positions);
            accepted += batch.positions.len() - before;
            batch.waiting.extend(from.zip(answer));
        }
        gate.record("accepted", accepted);
        drop(gate);
        span.record("datagrams", count);
        self.batch.append(self.gate.refusals(), now);
        Ok(count)
    }
}

/// Who sent a datagram.
fn address_of(sender: &SockaddrStorage) -> Option<SocketAddr> {
    let v4 = || sender.as_sockaddr_in().map(|sender| SocketAddr::V4((*sender).into()));
    v4().or_else(|| sender.as_sockaddr_in6().map(|sender| SocketAddr::V6((*sender).into())))
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use sha1::{Digest as _, Sha1};

    use super::*;
    use crate::clock::Millis;
    use crate::directory::{Directory, Operator, Taxi};
    use crate::gate::Refusals;
    use crate::log::{LogUrl, Settings};
    use crate::position::{OperatorKey, TaxiKey};
    use crate::wire::binary::{Claim, Head, MacKey, Writer};

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
        let batch = Batch::new(log.clone(), Answers::start(&socket).unwrap().0);
        let mut receiver = Receiver::new(socket, gate, batch, clock);
        let (good, mut reader) = (datagram(), log.reader(&[]));
        let unsigned = good.replace("48.86", "48.87");
        for round in 0..40 {
            let compact = compact(round);
            let datagrams = [good.as_bytes(), &compact, b"{oops", unsigned.as_bytes()];
            let count = 1 + round as usize % datagrams.len();
            for datagram in datagrams.iter().take(count) {
                sender.send_to(datagram, address).unwrap();
            }
            let mut received = 0;
            let allocations = allocation_counter::measure(|| {
                while received < count {
                    received += receiver.receive().unwrap();
                }
            });
            // The log gives a batch back before its record can be read.
            assert!(reader.poll(Duration::from_secs(10)).unwrap().is_some());
            while reader.poll(Duration::ZERO).unwrap().is_some() {}
            assert!(round < 20 || allocations.count_total == 0, "round {round}: {allocations:?}");
        }
    }

    /// One of a session, of the same taxi a few times.
    fn compact(sequence: u32) -> Vec<u8> {
        let sent_at = Millis(1_764_158_400_000);
        let head = Head { wants_acknowledgement: false, sequence, session: 7, sent_at, operator: "op" };
        let mut claim = Claim {
            taxi: b"t",
            status: 1,
            lat_e7: 488_600_000,
            lon_e7: 23_500_000,
            device_after_ms: None,
            speed_cm_s: Some(830),
            heading_cdeg: None,
            accuracy_dm: None,
        };
        let mut writer = Writer::default();
        writer.begin(&head).unwrap();
        for _ in 0..10 {
            writer.push(&claim).unwrap();
            claim.lon_e7 += 100;
        }
        writer.seal(&MacKey::of_api_key("key")).to_vec()
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
