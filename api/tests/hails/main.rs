//! Random sequences of requests by all roles, deadlines and answers of an operator's server agree with a model of
//! hails; see [`sequences`]. Time is moved by hand.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "what fails here fails a test")]

use crate::database::Backend;
use crate::world::World;

mod calls;
mod contract;
#[path = "../it/database.rs"]
mod database;
#[path = "../harness/expected.rs"]
mod expected;
#[allow(dead_code, reason = "what the other tests need")]
#[path = "../harness/mod.rs"]
mod harness;
mod model;
#[path = "../harness/sequences.rs"]
mod sequences;
#[allow(dead_code, unused_macros, reason = "what the other tests need")]
#[path = "../it/world.rs"]
mod served;
mod world;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hails_agree_with_the_model_over_sqlite() {
    sequences::agree::<World>(Backend::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hails_agree_with_the_model_over_postgres() {
    sequences::agree::<World>(Backend::Postgres).await;
}
