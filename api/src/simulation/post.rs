//! Reports on their way to a server, in datagrams of either kind.

use std::io;
use std::net::SocketAddr;

use tokio::net::UdpSocket;

use super::{Result, Target};
use crate::fleet::compact::{Full, Gatherer};
use crate::fleet::datagram::{Report, Writer};
use crate::secrets;

/// Which datagrams are sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Protocol {
    /// JSON, one position each.
    #[default]
    Json,
    /// Compact, as many positions of an operator as are to be sent at a time.
    Compact,
}

impl Protocol {
    /// `1` or `2`, as it is given on the command line.
    pub fn parse(text: &str) -> std::result::Result<Self, String> {
        match text {
            "1" => Ok(Self::Json),
            "2" => Ok(Self::Compact),
            _ => Err("1 (JSON) or 2 (compact)".to_owned()),
        }
    }
}

/// A socket of our own whose datagrams go to the server.
#[derive(Debug)]
pub(crate) struct Post {
    socket: UdpSocket,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Json(Writer),
    Compact(Gatherer),
}

impl Post {
    pub(crate) async fn open(target: &Target, protocol: Protocol) -> Result<Self> {
        let any: SocketAddr =
            if target.udp.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0_u16; 8], 0).into() };
        let socket = UdpSocket::bind(any).await?;
        socket.connect(target.udp).await?;
        let kind = match protocol {
            Protocol::Json => Kind::Json(Writer::default()),
            Protocol::Compact => {
                let session = secrets::random().map_err(io::Error::other)?;
                Kind::Compact(Gatherer::new(u64::from_le_bytes(session)))
            }
        };
        Ok(Self { socket, kind })
    }

    /// Sends a report, or keeps it until its datagram is full or [`Post::flush`]. `told` hears how many positions the
    /// system took, or did not.
    pub(crate) async fn send(&mut self, report: &Report<'_>, told: &mut impl FnMut(u64, io::Result<()>)) {
        match &mut self.kind {
            Kind::Json(writer) => told(1, sent(self.socket.send(writer.write(report)).await)),
            Kind::Compact(gatherer) => match gatherer.add(report) {
                Ok(full) => hand_over(&self.socket, full, told).await,
                Err(no_room) => told(1, Err(io::Error::other(no_room))),
            },
        }
    }

    /// Sends what was kept.
    pub(crate) async fn flush(&mut self, told: &mut impl FnMut(u64, io::Result<()>)) {
        if let Kind::Compact(gatherer) = &mut self.kind {
            hand_over(&self.socket, gatherer.rest(), told).await;
        }
    }
}

async fn hand_over(
    socket: &UdpSocket,
    datagrams: impl IntoIterator<Item = Full>,
    told: &mut impl FnMut(u64, io::Result<()>),
) {
    for (datagram, positions) in datagrams {
        told(positions.into(), sent(socket.send(&datagram).await));
    }
}

fn sent(outcome: io::Result<usize>) -> io::Result<()> {
    outcome.map(drop)
}
