//! Why a call came to nothing, in words for the partner who is called.

use std::error::Error;
use std::{io, iter};

use crate::limits::{CONNECT_WITHIN, REPLY_MAX_BYTES};

/// Why there is no answer. Its words name no address, no header and no key: partners read them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// No URL over HTTP.
    #[error("the address is none of http or https")]
    BadAddress,
    /// The partner's header cannot be sent.
    #[error("the header that was to be sent along has a name or a value that cannot be sent")]
    BadHeader,
    /// All its addresses are of our own network.
    #[error("the address is not on the public Internet")]
    NotPublic,
    /// The host's name has no address, or name servers do not tell.
    #[error("the name of the host was not found")]
    UnknownName,
    /// Refused, or no way there.
    #[error("no connection could be made")]
    Unreachable,
    /// Nobody answered to a connection.
    #[error("no connection was made within {} s", CONNECT_WITHIN.as_secs())]
    ConnectTimedOut,
    /// A certificate that does not hold, or no TLS at all.
    #[error("the connection could not be secured: no TLS, or a certificate that does not hold")]
    Insecure,
    /// The time of the whole call was over.
    #[error("no complete answer came in time")]
    TimedOut,
    /// Its body is beyond the limit.
    #[error("the answer was larger than {} KiB", REPLY_MAX_BYTES >> 10)]
    TooLarge,
    /// The connection ended within a message, or what came is no HTTP.
    #[error("the connection broke, or the answer was not HTTP")]
    Broken,
}

impl CallError {
    /// Each of them.
    pub const ALL: [Self; 10] = [
        Self::BadAddress,
        Self::BadHeader,
        Self::NotPublic,
        Self::UnknownName,
        Self::Unreachable,
        Self::ConnectTimedOut,
        Self::Insecure,
        Self::TimedOut,
        Self::TooLarge,
        Self::Broken,
    ];

    pub(super) fn of(error: &reqwest::Error) -> Self {
        let mut causes = iter::successors(error.source(), |&cause| cause.source());
        // What the lookup of the name said.
        if let Some(said) = causes.find_map(|cause| cause.downcast_ref::<Self>()) {
            return *said;
        }
        match (error.is_connect(), error.is_timeout()) {
            (true, true) => Self::ConnectTimedOut,
            (true, false) if is_tls(error) => Self::Insecure,
            (true, false) => Self::Unreachable,
            (false, true) => Self::TimedOut,
            (false, false) if error.is_builder() => Self::BadAddress,
            (false, false) => Self::Broken,
        }
    }
}

/// Whether TLS is the cause. An I/O error hides what it was made of from [`Error::source`].
fn is_tls(error: &(dyn Error + 'static)) -> bool {
    let inside = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
    error.is::<rustls::Error>()
        || inside.is_some_and(|inside| is_tls(inside))
        || error.source().is_some_and(is_tls)
}
