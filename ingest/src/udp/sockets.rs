//! The sockets of one address: who shares it, and how much the kernel holds for each.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use socket2::{Domain, SockRef, Socket, Type};

use crate::limits::{MAX_SOCKETS, SOCKET_BUFFER};

/// Who else may take datagrams at an address. The kernel gives each sender to one of all sockets there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Beside {
    /// Nobody. What a second process took would be missing in the first one's log, and nothing would tell.
    Nobody,
    /// Other processes of the same user that fill the same log: the next one is started before this one is stopped,
    /// and a restart loses no datagram.
    Processes,
}

/// Sockets that share an address, among which the kernel spreads the senders; 1 to 64. On port 0 all share the
/// one that the first is given. An IPv6 address takes IPv4 senders too where the system lets it.
pub fn listen(address: SocketAddr, sockets: usize, beside: Beside) -> io::Result<Vec<UdpSocket>> {
    // On port 0 a socket that shares would now and then be given a port that others of ours share already.
    let first = bind(address, beside == Beside::Processes && address.port() != 0)?;
    let address = first.local_addr()?;
    if sockets > 1 {
        // Only now: whoever bound it alone knows that nobody was there.
        SockRef::from(&first).set_reuse_port(true)?;
    }
    tell_buffer(granted(&first)?);
    let others = (1..sockets.min(MAX_SOCKETS)).map(|_| bind(address, true));
    std::iter::once(Ok(first)).chain(others).collect()
}

fn bind(address: SocketAddr, is_shared: bool) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, None)?;
    socket.set_reuse_port(is_shared)?;
    socket.set_recv_buffer_size(SOCKET_BUFFER)?;
    socket.bind(&address.into())?;
    Ok(socket.into())
}

/// Bytes that the kernel holds for a socket: as many as it was asked for, or as it allows.
fn granted(socket: &UdpSocket) -> io::Result<usize> {
    // Linux takes twice what is asked for, to account for what it keeps beside each datagram, and tells that.
    Ok(SockRef::from(socket).recv_buffer_size()? / 2)
}

fn tell_buffer(granted_bytes: usize) {
    if granted_bytes < SOCKET_BUFFER {
        tracing::warn!(
            granted_bytes,
            asked_bytes = SOCKET_BUFFER,
            "the kernel holds fewer datagrams than asked while a thread is busy, and drops the others; to let it: \
             sysctl -w net.core.rmem_max={SOCKET_BUFFER}"
        );
    }
}

/// Has the kernel send a socket nothing more: what it holds can then be taken to the end, while the other sockets of
/// its address take over. It is closed for its senders, if there is no other. One that was bound to any address is then
/// at a loopback's, from which answers reach nobody: [`super::answers`] names them another.
pub(super) fn retire(socket: &UdpSocket) -> io::Result<()> {
    // Connected, it takes from its peer alone; its peer is itself.
    let mut peer = socket.local_addr()?;
    match peer.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => peer.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => peer.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    socket.connect(peer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_grants_is_in_the_unit_it_is_asked_in() {
        let socket = bind("127.0.0.1:0".parse().unwrap(), false).unwrap();
        SockRef::from(&socket).set_recv_buffer_size(16_384).unwrap();
        assert_eq!(granted(&socket).unwrap(), 16_384);
    }

    #[test]
    fn a_retired_socket_keeps_what_it_holds_and_is_sent_nothing_more() {
        for (address, sender) in
            [("0.0.0.0:0", "127.0.0.1:0"), ("[::]:0", "[::1]:0"), ("127.0.0.1:0", "127.0.0.1:0")]
        {
            let socket = bind(address.parse().unwrap(), false).unwrap();
            let sender = UdpSocket::bind(sender).unwrap();
            let to = SocketAddr::new(sender.local_addr().unwrap().ip(), socket.local_addr().unwrap().port());
            sender.send_to(b"before", to).unwrap();
            retire(&socket).unwrap();
            sender.send_to(b"after", to).unwrap();
            socket.set_nonblocking(true).unwrap();
            let mut buffer = [0; 8];
            assert_eq!(socket.recv(&mut buffer).unwrap(), 6, "{address}");
            let nothing = socket.recv(&mut buffer).map_err(|error| error.kind());
            assert_eq!(nothing, Err(io::ErrorKind::WouldBlock), "{address}");
        }
    }
}
