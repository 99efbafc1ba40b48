//! Datagrams from the network to the log: one thread a socket, many datagrams a system call, nothing awaited.
//!
//! What the log has no room for is dropped and counted; what the kernel's buffer has no room for, the kernel drops
//! and counts ([`dropped_by_kernel`]). A sender is never answered.

use std::io;
use std::io::IoSliceMut;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, MultiHeaders, recvmmsg};
use socket2::{Domain, Socket, Type};

use crate::clock::Clock;
use crate::counter::Flag;
use crate::gate::{Gate, Scratch};
use crate::limits::{
    DATAGRAMS_PER_CALL, DRAIN_CALLS, MAX_DATAGRAM, MAX_SOCKETS, SOCKET_BUFFER, STOP_LATENCY_MS,
};
use crate::log::Log;
use crate::position::Position;

/// Sockets that share an address, among which the kernel spreads the senders; 1 to 64. On port 0 all share the
/// one that the first is given. An IPv6 address takes IPv4 senders too where the system lets it.
pub fn listen(address: SocketAddr, sockets: usize) -> io::Result<Vec<UdpSocket>> {
    // Alone, a socket shares its address with nobody: a second process is told that it is taken.
    let is_shared = sockets > 1;
    let first = bind(address, is_shared)?;
    let address = first.local_addr()?;
    let others = (1..sockets.min(MAX_SOCKETS)).map(|_| bind(address, is_shared));
    std::iter::once(Ok(first)).chain(others).collect()
}

/// Starts the thread that takes datagrams from a socket through the gate into the log. It ends soon after `stop` is
/// raised, once it has taken what the socket held by then.
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

/// Datagrams that the kernel has dropped so far for want of room in the sockets that are now bound to a port, of
/// whatever process. Reads what the kernel tells of all its sockets: not for every request.
pub fn dropped_by_kernel(port: u16) -> io::Result<u64> {
    let ipv4 = dropped_of(&std::fs::read_to_string("/proc/net/udp")?, port);
    match std::fs::read_to_string("/proc/net/udp6") {
        Ok(sockets) => Ok(ipv4 + dropped_of(&sockets, port)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(ipv4),
        Err(error) => Err(error),
    }
}

/// Of the kernel's table of sockets: the second column is `address:port` in hexadecimal, the last one the drops.
fn dropped_of(table: &str, port: u16) -> u64 {
    let of_line = |line: &str| {
        let (_, bound_to) = line.split_whitespace().nth(1)?.rsplit_once(':')?;
        let is_ours = u16::from_str_radix(bound_to, 16) == Ok(port);
        line.split_whitespace().next_back().filter(|_| is_ours)?.parse::<u64>().ok()
    };
    table.lines().filter_map(of_line).sum()
}

fn bind(address: SocketAddr, is_shared: bool) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, None)?;
    socket.set_reuse_port(is_shared)?;
    socket.set_recv_buffer_size(SOCKET_BUFFER)?;
    socket.bind(&address.into())?;
    Ok(socket.into())
}

/// One byte more than a datagram may have, to tell those that have too many.
type Buffer = [u8; MAX_DATAGRAM + 1];

struct Receiver {
    socket: UdpSocket,
    gate: Arc<Gate>,
    log: Log,
    clock: Clock,
    scratch: Scratch,
    headers: MultiHeaders<()>,
    buffers: Box<[Buffer]>,
}

impl Receiver {
    fn new(socket: UdpSocket, gate: Arc<Gate>, log: Log, clock: Clock) -> Self {
        let headers = MultiHeaders::preallocate(DATAGRAMS_PER_CALL, None);
        let buffers = vec![[0; MAX_DATAGRAM + 1]; DATAGRAMS_PER_CALL].into_boxed_slice();
        Self { socket, gate, log, clock, scratch: Scratch::default(), headers, buffers }
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
        for _ in 0..DRAIN_CALLS {
            if !matches!(self.receive(), Ok(1..)) {
                break;
            }
        }
    }

    /// Takes what has come, at most one call's worth, and gives how many datagrams that were: none if none came for
    /// a while.
    fn receive(&mut self) -> io::Result<usize> {
        let mut slices: Vec<_> = self.buffers.iter_mut().map(|buffer| [IoSliceMut::new(buffer)]).collect();
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
        let now = self.clock.now();
        let mut count = 0;
        let mut positions = Vec::with_capacity(DATAGRAMS_PER_CALL);
        for message in received {
            count += 1;
            // No slice: an empty datagram.
            let datagram = message.iovs().next().unwrap_or_default();
            positions.extend(self.gate.check(&mut self.scratch, datagram, now).ok());
        }
        self.append(positions);
        Ok(count)
    }

    fn append(&self, positions: Vec<Position>) {
        if positions.is_empty() {
            return;
        }
        let operators: Vec<_> = positions.iter().map(|position| position.source.operator).collect();
        if self.log.append(positions).is_err() {
            self.gate.refusals().count_overloaded(operators);
        }
    }
}
