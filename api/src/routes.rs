//! One file a resource: its requests, its answers, its handlers. Nothing else knows JSON.

pub mod activity_logs;
pub mod ads;
pub mod analytics;
pub mod customers;
pub mod drivers;
mod endpoint;
pub mod geotaxi;
pub mod grid;
pub mod hails;
pub mod health;
pub mod intake;
pub mod live;
pub mod login;
mod noted;
pub mod opendata;
pub mod operators;
pub mod places;
pub mod positions;
pub mod reference;
pub(crate) mod registered;
pub mod search;
pub mod sessions;
pub mod stations;
pub mod stats;
pub mod taxi_answer;
pub mod taxis;
pub mod user_answer;
pub mod users;
pub mod vehicles;
pub mod visibility;
pub mod webhooks;

use chrono::DateTime;

/// A time as the contract writes it: ISO 8601 in UTC, without an offset, microseconds only where there are some.
pub(crate) fn naive_timestamp(ms: i64) -> String {
    let at = DateTime::from_timestamp_millis(ms).unwrap_or_default();
    let format = if ms.rem_euclid(1000) == 0 { "%Y-%m-%dT%H:%M:%S" } else { "%Y-%m-%dT%H:%M:%S%.6f" };
    at.format(format).to_string()
}

#[cfg(test)]
mod tests {
    #[test]
    fn timestamps_are_naive() {
        assert_eq!(super::naive_timestamp(0), "1970-01-01T00:00:00");
        assert_eq!(super::naive_timestamp(1_790_000_000_250), "2026-09-21T14:13:20.250000");
    }
}
