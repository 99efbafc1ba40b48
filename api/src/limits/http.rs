//! Those limits that a server can be given.

use std::time::Duration;

use super::{
    ANSWER_READ_WITHIN, CONNECTIONS_MAX, HEARTBEAT, IDLE_WITHIN, LIVE_TAXIS_MAX, REQUEST_READ_WITHIN,
    REQUESTS_MAX, STREAMED_WITHIN, STREAMS_AN_ACCOUNT, STREAMS_MAX,
};

/// Those limits of the HTTP interface that a test needs to reach; in service they are the constants above.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Http {
    /// See [`CONNECTIONS_MAX`].
    pub connections: usize,
    /// See [`REQUESTS_MAX`].
    pub requests: usize,
    /// See [`STREAMS_MAX`].
    pub streams: usize,
    /// See [`STREAMS_AN_ACCOUNT`].
    pub streams_an_account: usize,
    /// See [`LIVE_TAXIS_MAX`].
    pub live_taxis: usize,
    /// See [`HEARTBEAT`].
    pub heartbeat: Duration,
    /// See [`REQUEST_READ_WITHIN`].
    pub request_read_within: Duration,
    /// See [`STREAMED_WITHIN`].
    pub streamed_within: Duration,
    /// See [`ANSWER_READ_WITHIN`].
    pub answer_read_within: Duration,
    /// See [`IDLE_WITHIN`].
    pub idle_within: Duration,
}

impl Default for Http {
    fn default() -> Self {
        Self {
            connections: CONNECTIONS_MAX,
            requests: REQUESTS_MAX,
            streams: STREAMS_MAX,
            streams_an_account: STREAMS_AN_ACCOUNT,
            live_taxis: LIVE_TAXIS_MAX,
            heartbeat: HEARTBEAT,
            request_read_within: REQUEST_READ_WITHIN,
            streamed_within: STREAMED_WITHIN,
            answer_read_within: ANSWER_READ_WITHIN,
            idle_within: IDLE_WITHIN,
        }
    }
}
