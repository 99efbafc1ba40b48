//! What a process does of all that the program can do.

use std::fmt;
use std::str::FromStr;

/// The role of a process. Over Kafka and PostgreSQL there may be several processes of each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ProcessRole {
    /// Everything, in one process.
    #[default]
    All,
    /// Takes positions, as datagrams and over HTTP, into the log.
    Ingest,
    /// Follows the log, answers searches, keeps the registry and its hails. Takes positions over HTTP, too, so that
    /// partners need one host.
    Api,
    /// Archives the log.
    Archive,
}

impl ProcessRole {
    /// Whether it listens for datagrams.
    pub fn takes_datagrams(self) -> bool {
        matches!(self, Self::All | Self::Ingest)
    }

    /// Whether it follows the log, and answers what is answered from the map and the registry.
    pub fn follows(self) -> bool {
        matches!(self, Self::All | Self::Api)
    }

    /// Whether it takes positions over HTTP.
    pub fn takes_positions(self) -> bool {
        self != Self::Archive
    }

    /// Whether it archives what the log takes.
    pub fn archives(self) -> bool {
        matches!(self, Self::All | Self::Archive)
    }

    /// What it does, in a few words.
    pub fn about(self) -> &'static str {
        match self {
            Self::All => "every role in one process",
            Self::Ingest => "role ingest: takes positions into the log",
            Self::Api => "role api: follows the log, searches, keeps the registry and its hails",
            Self::Archive => "role archive: archives the log",
        }
    }

    /// Its name in the settings.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Ingest => "ingest",
            Self::Api => "api",
            Self::Archive => "archive",
        }
    }
}

impl fmt::Display for ProcessRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for ProcessRole {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        [Self::All, Self::Ingest, Self::Api, Self::Archive]
            .into_iter()
            .find(|role| role.as_str() == text)
            .ok_or(())
    }
}
