//! Acknowledgements on their way back, on a thread of their own: neither the log's nor a receiving one waits for the
//! network.

use std::io;
use std::io::IoSlice;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::thread::JoinHandle;

use crossbeam::channel::{Sender, bounded};
use nix::libc::{in_addr, in_pktinfo, in6_addr, in6_pktinfo};
use nix::sys::socket::{ControlMessage, MsgFlags, SockaddrStorage, sendmsg};

use crate::limits::ANSWERS_WAITING;
use crate::wire::binary::ACKNOWLEDGEMENT;

/// What is sent to whom.
pub(super) type Answer = (SocketAddr, [u8; ACKNOWLEDGEMENT]);

/// Where answers are handed over.
#[derive(Clone, Debug)]
pub(super) struct Answers(Sender<Vec<Answer>>);

impl Answers {
    /// Starts the thread that answers from a socket, which its receiving thread goes on using. It ends with the last
    /// clone, once it has sent all that was handed over.
    pub(super) fn start(socket: &UdpSocket) -> io::Result<(Self, JoinHandle<()>)> {
        let (sender, waiting) = bounded::<Vec<Answer>>(ANSWERS_WAITING);
        let bound = socket.local_addr()?;
        let name = format!("udp-ack-{}", bound.port());
        let origin = Origin { socket: socket.try_clone()?, bound: bound.ip() };
        let run = move || {
            for (to, bytes) in waiting.into_iter().flatten() {
                // Who hears nothing sends its positions again.
                let _ = origin.send(&bytes, to);
            }
        };
        Ok((Self(sender), std::thread::Builder::new().name(name).spawn(run)?))
    }

    /// Has them sent, or drops them while too many wait. Never waits.
    pub(super) fn send(&self, answers: Vec<Answer>) {
        drop(self.0.try_send(answers));
    }
}

/// Where answers leave from: the address that a socket was bound to, or the one that routes say where that is any. Also
/// once the socket is retired, and has an address that nobody sent to.
struct Origin {
    socket: UdpSocket,
    bound: IpAddr,
}

impl Origin {
    fn send(&self, bytes: &[u8], to: SocketAddr) -> io::Result<usize> {
        match to {
            SocketAddr::V4(_) if self.bound.is_unspecified() => {
                self.send_as(&ControlMessage::Ipv4PacketInfo(&AS_ROUTED), bytes, to)
            }
            // Any IPv6 address stands for the socket's own, so it has to be told which one. One answer may leave while
            // the socket is being retired, and is lost.
            SocketAddr::V6(_) if self.bound.is_unspecified() && self.is_retired()? => {
                let ipi6_addr = in6_addr { s6_addr: source_towards(to)?.octets() };
                let source = in6_pktinfo { ipi6_addr, ipi6_ifindex: 0 };
                self.send_as(&ControlMessage::Ipv6PacketInfo(&source), bytes, to)
            }
            _ => self.socket.send_to(bytes, to),
        }
    }

    fn send_as(&self, source: &ControlMessage<'_>, bytes: &[u8], to: SocketAddr) -> io::Result<usize> {
        let (socket, to) = (self.socket.as_raw_fd(), SockaddrStorage::from(to));
        Ok(sendmsg(socket, &[IoSlice::new(bytes)], &[*source], MsgFlags::empty(), Some(&to))?)
    }

    fn is_retired(&self) -> io::Result<bool> {
        Ok(self.socket.local_addr()?.ip() != self.bound)
    }
}

const AS_ROUTED: in_pktinfo =
    in_pktinfo { ipi_ifindex: 0, ipi_spec_dst: in_addr { s_addr: 0 }, ipi_addr: in_addr { s_addr: 0 } };

/// The address that what is sent to an IPv6 address leaves from. Sends nothing.
fn source_towards(to: SocketAddr) -> io::Result<Ipv6Addr> {
    let probe = UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0))?;
    probe.connect(to)?;
    match probe.local_addr()?.ip() {
        IpAddr::V6(source) => Ok(source),
        IpAddr::V4(source) => Ok(source.to_ipv6_mapped()),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::time::Duration;

    use nix::ifaddrs::getifaddrs;

    use super::*;
    use crate::udp::sockets::{Beside, listen, retire};

    #[test]
    fn answers_leave_from_where_was_sent_to_before_a_socket_is_retired_and_after() {
        let mut tried = 0;
        for ip in addresses() {
            let any = if ip.is_ipv4() { ["0.0.0.0", "::"].as_slice() } else { &["::"] };
            for bound in any.iter().map(|any| any.parse().unwrap()).chain([ip]) {
                let socket = listen(SocketAddr::new(bound, 0), 1, Beside::Nobody).unwrap().remove(0);
                let (answers, thread) = Answers::start(&socket).unwrap();
                let sender = UdpSocket::bind((ip, 0)).unwrap();
                sender.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
                // It hears of nobody else.
                sender.connect((ip, socket.local_addr().unwrap().port())).unwrap();
                for number in 0..4 {
                    if number == 2 {
                        retire(&socket).unwrap();
                    }
                    let to = sender.local_addr().unwrap();
                    let is_mapped = ip.is_ipv4() && bound.is_ipv6();
                    let to = if is_mapped { SocketAddr::new(mapped(ip), to.port()) } else { to };
                    answers.send(vec![(to, [number; ACKNOWLEDGEMENT])]);
                    let mut bytes = [0; 64];
                    let length = sender.recv(&mut bytes).map_err(|error| (error, number, bound, ip)).unwrap();
                    assert_eq!(bytes[..length], [number; ACKNOWLEDGEMENT]);
                }
                drop(answers);
                thread.join().unwrap();
            }
            tried += u32::from(!ip.is_loopback());
        }
        if tried == 0 {
            // Not by a macro: what those print is shown only where a test fails.
            let _ =
                writeln!(std::io::stderr(), "SKIPPED, answers beyond loopback: this machine has no address");
        }
    }

    /// Those of this machine, but for link-local ones.
    fn addresses() -> Vec<IpAddr> {
        let storages = getifaddrs().unwrap().filter_map(|interface| interface.address);
        let addresses = storages.filter_map(|address| crate::udp::address_of(&address));
        addresses.map(|address| address.ip()).filter(|ip| !is_link_local(*ip)).collect()
    }

    fn is_link_local(ip: IpAddr) -> bool {
        match ip {
            IpAddr::V4(ip) => ip.is_link_local(),
            IpAddr::V6(ip) => ip.is_unicast_link_local(),
        }
    }

    fn mapped(ip: IpAddr) -> IpAddr {
        match ip {
            IpAddr::V4(ip) => ip.to_ipv6_mapped().into(),
            IpAddr::V6(_) => ip,
        }
    }
}
