//! What the kernel dropped of datagrams before anybody could receive them.

use std::fs::{File, read_to_string};
use std::io;
use std::net::UdpSocket;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt as _;
use std::sync::Arc;

/// Counts what the kernel drops of some sockets' datagrams. Cheap to clone.
///
/// It reads the kernel's table of sockets, where each is found by its inode. The kernel would also tell with each
/// datagram (`SO_RXQ_OVFL`): only once another one has got through, at the price of a message beside every one, and
/// not to headers that are used again, as `nix` restores no room for it.
#[derive(Clone, Debug, Default)]
pub struct Drops {
    inodes: Arc<[u64]>,
}

impl Drops {
    /// Of these sockets, whoever holds them later on.
    pub fn of(sockets: &[UdpSocket]) -> io::Result<Self> {
        Ok(Self { inodes: sockets.iter().map(inode).collect::<io::Result<_>>()? })
    }

    /// How many datagrams were dropped since the sockets were bound, most of them as there was no room, some as they
    /// were damaged; of a socket that was closed, none. O(UDP sockets of the machine): not for every request.
    pub fn count(&self) -> io::Result<u64> {
        let ipv4 = self.count_in(&read_to_string("/proc/net/udp")?);
        match read_to_string("/proc/net/udp6") {
            Ok(table) => Ok(ipv4 + self.count_in(&table)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(ipv4),
            Err(error) => Err(error),
        }
    }

    /// Of a table: the tenth column is the inode, the last one the drops.
    fn count_in(&self, table: &str) -> u64 {
        let of_line = |line: &str| {
            let mut columns = line.split_whitespace();
            let inode = columns.nth(9)?.parse().ok()?;
            let drops = columns.next_back()?.parse::<u64>().ok()?;
            self.inodes.contains(&inode).then_some(drops)
        };
        table.lines().filter_map(of_line).sum()
    }
}

fn inode(socket: &UdpSocket) -> io::Result<u64> {
    Ok(File::from(OwnedFd::from(socket.try_clone()?)).metadata()?.ino())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drops_are_those_of_the_sockets_by_inode() {
        let table = "   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout \
                     inode ref pointer drops\n\
                     \x20 12: 0100007F:1F9A 00000000:0000 07 00000000:00000300 00:00000000 00000000     0        0 \
                     77 2 0000000000000000 5\n\
                     \x20 12: 0100007F:1F9A 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 \
                     78 2 0000000000000000 7\n\
                     \x20 19: 0100007F:1F9B 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 \
                     79 2 0000000000000000 11\n";
        let of = |inodes: &[u64]| Drops { inodes: inodes.into() }.count_in(table);
        assert_eq!((of(&[77]), of(&[77, 79]), of(&[5]), of(&[])), (5, 16, 0, 0));
    }
}
