//! What another process wrote: `PostgreSQL` says which row, `SQLite` only that something changed.

use std::str::FromStr;

use sqlx::postgres::PgListener;
use tokio::time::timeout;

use super::batch::{Batch, Run};
use super::writer::Writer;
use super::{Pool, Result, Store, StoreError};
use crate::limits::CONNECTION_WITHIN;

/// The channel of notifications.
pub(super) const CHANNEL: &str = "maraude_changes";

/// A row that changed, or rows that belong together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// An account.
    User(i32),
    /// A vehicle, or one of its descriptions.
    Vehicle(i32),
    /// A taxi.
    Taxi(i32),
    /// Towns, ZUPC or exclusion zones.
    Places,
}

impl std::fmt::Display for Change {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::User(id) => write!(f, "user {id}"),
            Self::Vehicle(id) => write!(f, "vehicle {id}"),
            Self::Taxi(id) => write!(f, "taxi {id}"),
            Self::Places => f.write_str("places"),
        }
    }
}

impl FromStr for Change {
    type Err = ();

    fn from_str(text: &str) -> std::result::Result<Self, ()> {
        let (what, id) = text.split_once(' ').unwrap_or((text, ""));
        let id = || id.parse().map_err(|_| ());
        match what {
            "user" => Ok(Self::User(id()?)),
            "vehicle" => Ok(Self::Vehicle(id()?)),
            "taxi" => Ok(Self::Taxi(id()?)),
            "places" => Ok(Self::Places),
            _ => Err(()),
        }
    }
}

/// Tells the other processes of a change when the transaction commits. `SQLite`'s tell by themselves.
pub(super) trait Announce {
    /// Announces `change`.
    async fn announce(&mut self, change: Change) -> Result<()>;
}

impl<C: Run> Announce for C {
    async fn announce(&mut self, change: Change) -> Result<()> {
        let mut batch = Batch::default();
        batch.announce(change);
        self.run(batch).await
    }
}

/// How to hear of other processes' writes.
pub enum Changes {
    /// Ask again and again whether anything changed; see [`Polled::moved`].
    Polled(Polled),
    /// Wait to be told; see [`Notified::next`].
    Notified(Notified),
}

/// `SQLite`: `PRAGMA data_version` on the one writing connection moves with each commit of any other connection.
pub struct Polled {
    writer: Writer,
    /// The version, and of which connection of the writer's.
    seen: (i64, u64),
}

/// `PostgreSQL`: LISTEN.
pub struct Notified {
    listener: PgListener,
}

/// What a listener heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// This row changed.
    Change(Change),
    /// Something changed, whatever it is.
    Something,
}

impl Store {
    /// Begins to follow other processes' writes: what they commit from here on is heard.
    pub async fn changes(&self) -> Result<Changes> {
        match &self.pool {
            Pool::Sqlite { writer, .. } => {
                let mut polled = Polled { writer: writer.clone(), seen: (0, 0) };
                polled.moved().await?;
                Ok(Changes::Polled(polled))
            }
            Pool::Postgres(pool) => {
                let pool = self.health.aside().unwrap_or(pool);
                let begin = async {
                    let mut listener = PgListener::connect_with(pool).await?;
                    // A lost connection is told, and whoever hears of it begins again.
                    listener.eager_reconnect(false);
                    listener.listen(CHANNEL).await?;
                    Ok::<_, sqlx::Error>(listener)
                };
                let silent = |_| sqlx::Error::Io(std::io::ErrorKind::TimedOut.into());
                let listener = timeout(CONNECTION_WITHIN, begin).await.map_err(silent)??;
                Ok(Changes::Notified(Notified { listener }))
            }
        }
    }
}

impl Polled {
    /// Whether another connection committed since the last call.
    pub async fn moved(&mut self) -> Result<bool> {
        let mut held = match self.writer.hold().await {
            // Our own writes were before it. Whether they get on is the probe's to say.
            Err(sqlx::Error::PoolTimedOut) => return Ok(false),
            held => held?,
        };
        let (version,): (i64,) = sqlx::query_as("PRAGMA data_version").fetch_one(&mut *held).await?;
        drop(held);
        let seen = (version, self.writer.replaced());
        Ok(std::mem::replace(&mut self.seen, seen) != seen)
    }
}

impl Notified {
    /// The next change; waits for it. An error ends the listening.
    pub async fn next(&mut self) -> Result<Heard> {
        loop {
            match self.listener.try_recv().await.map_err(StoreError::from)? {
                None => return Err(sqlx::Error::Io(std::io::ErrorKind::ConnectionAborted.into()).into()),
                Some(notification) => {
                    if let Ok(change) = notification.payload().parse() {
                        return Ok(Heard::Change(change));
                    }
                    tracing::warn!(payload = notification.payload(), "a notification was not understood");
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_announced_is_understood() {
        for change in [Change::User(7), Change::Vehicle(1), Change::Taxi(i32::MAX), Change::Places] {
            assert_eq!(change.to_string().parse(), Ok(change));
        }
        assert_eq!("user x".parse::<Change>(), Err(()));
        assert_eq!("hail 3".parse::<Change>(), Err(()));
    }
}
