//! Random sequences of registry calls by all roles agree with a small model of rows and rights; see [`sequences`].

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "what fails here fails a test")]

use crate::database::Backend;
use crate::world::World;

mod calls;
#[path = "../it/database.rs"]
mod database;
#[path = "../harness/expected.rs"]
mod expected;
#[path = "../harness/mod.rs"]
#[expect(dead_code, reason = "other tests use the rest")]
mod harness;
mod model;
#[path = "../harness/sequences.rs"]
mod sequences;
mod world;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sequences_agree_with_the_model_over_sqlite() {
    sequences::agree::<World>(Backend::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sequences_agree_with_the_model_over_postgres() {
    sequences::agree::<World>(Backend::Postgres).await;
}
