//! A way to a server that can be cut: connections refused and broken at once, or left without an answer.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// How the way is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// Everything passes.
    Open,
    /// What was connected is cut off, and what connects is refused.
    Refused,
    /// What was sent is neither lost nor delivered: a network that no longer carries anything.
    Silent,
}

/// The way to one server; it ends with its owner.
#[derive(Debug)]
pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    way: watch::Sender<Way>,
    _serving: JoinSet<()>,
}

impl Proxy {
    pub(crate) async fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (way, seen) = watch::channel(Way::Open);
        let mut serving = JoinSet::new();
        serving.spawn(accept(listener, server, seen));
        Self { address, way, _serving: serving }
    }

    pub(crate) fn set(&self, way: Way) {
        self.way.send_replace(way);
    }
}

async fn accept(listener: TcpListener, server: SocketAddr, way: watch::Receiver<Way>) {
    let mut connections = JoinSet::new();
    loop {
        let Ok((client, _)) = listener.accept().await else { return };
        let way = way.clone();
        connections.spawn(async move {
            let mut cut = way.clone();
            tokio::select! {
                _ = cut.wait_for(|way| *way == Way::Refused) => {}
                _ = carry(client, server, way) => {}
            }
        });
    }
}

/// Carries both directions until either side closes.
async fn carry(client: TcpStream, server: SocketAddr, mut way: watch::Receiver<Way>) -> std::io::Result<()> {
    let _ = way.wait_for(|way| *way == Way::Open).await;
    let server = TcpStream::connect(server).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
    tokio::select! {
        ended = carry_one_way(from_client, to_server, way.clone()) => ended,
        ended = carry_one_way(from_server, to_client, way) => ended,
    }
}

async fn carry_one_way(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut way: watch::Receiver<Way>,
) -> std::io::Result<()> {
    let mut buffer = vec![0; 1 << 16];
    loop {
        let _ = way.wait_for(|way| *way == Way::Open).await;
        let read = from.read(&mut buffer).await?;
        // What was read while the way closed arrives when it opens.
        let _ = way.wait_for(|way| *way == Way::Open).await;
        if read == 0 {
            return Ok(());
        }
        to.write_all(&buffer[..read]).await?;
    }
}
