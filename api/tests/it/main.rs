//! The program from end to end: a server in this process or the real binary beside it, over `SQLite` and `PostgreSQL`.
//!
//! `PostgreSQL`'s half runs where `MARAUDE_TEST_POSTGRES` names a server on which databases may be made, which
//! `scripts/test` sees to; without it, it is skipped aloud, and fails with `CI=true`. So is what needs Kafka, without
//! `MARAUDE_TEST_KAFKA`.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "what fails here fails a test")]

#[path = "../../../ingest/tests/broker/mod.rs"]
mod broker;
#[path = "../harness/mod.rs"]
mod harness;
#[path = "../../../engine/tests/records/mod.rs"]
mod records;
#[macro_use]
mod world;

mod accounts;
mod analytics;
mod archive;
mod certify;
mod command_line;
mod console;
mod database;
mod edge;
mod events;
mod hail_lists;
mod hails;
mod kafka;
mod limits;
mod live;
mod living;
mod metrics;
mod opendata;
mod other_process;
mod outage;
mod places;
mod positions;
mod proxy;
mod rates;
mod reference;
mod refusals;
mod registry;
mod replay;
mod reports;
mod restart;
mod retention;
mod roles;
mod schema;
mod search;
mod statistics;
mod streamed;
mod visibility;
mod webhooks;
