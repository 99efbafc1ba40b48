//! Random sequences of registry calls by all roles agree with a small model of rows and rights: over `SQLite` and
//! `PostgreSQL`, two hundred each; `MARAUDE_SEQUENCES` names another number, `MARAUDE_TEST_SEED` the first seed.
//!
//! Where they differ, the test tells the shortest sequence it finds that still differs.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "what fails here fails a test")]

use std::fmt::Write as _;
use std::io::Write as _;
use std::time::Instant;

use crate::calls::Sequence;
use crate::database::Backend;
use crate::world::World;

mod calls;
#[path = "../it/database.rs"]
mod database;
#[path = "../harness/mod.rs"]
#[expect(dead_code, reason = "other tests use the rest")]
mod harness;
mod model;
mod world;

const SEQUENCES: u64 = 200;
const FIRST_SEED: u64 = 1;
/// What that many sequences meet, or they would prove little: kinds of calls, and the statuses of their answers.
const EVERY: [(&str, &[u16]); 12] = [
    ("add a driver", &[200, 201, 400, 401, 403, 404]),
    ("add a vehicle", &[200, 201, 400, 401, 403]),
    ("add an ADS", &[200, 201, 400, 401, 403, 404]),
    ("add a taxi", &[200, 201, 400, 401, 403, 404]),
    ("read a taxi", &[200, 401, 403, 404]),
    ("change a taxi", &[200, 400, 401, 403, 404]),
    ("list taxis", &[200, 401, 403]),
    ("read an account", &[200, 401, 403, 404]),
    ("change an account", &[200, 400, 401, 403, 404]),
    ("list accounts", &[200, 401, 403]),
    ("log in", &[200, 400, 401]),
    ("read the log", &[200, 401, 403]),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sequences_agree_with_the_model_over_sqlite() {
    agree(Backend::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sequences_agree_with_the_model_over_postgres() {
    agree(Backend::Postgres).await;
}

async fn agree(backend: Backend) {
    let Some(mut world) = World::begin(backend).await else {
        return;
    };
    let first = setting("MARAUDE_TEST_SEED").unwrap_or(FIRST_SEED);
    let seeds = first..first + setting("MARAUDE_SEQUENCES").unwrap_or(SEQUENCES);
    let (begun, mut calls) = (Instant::now(), 0);
    for seed in seeds.clone() {
        let sequence = Sequence::random(seed);
        calls += sequence.calls.len();
        let agrees = world.play(&sequence).await.is_ok();
        assert!(agrees, "{}", shortest(&mut world, sequence, seed, backend).await);
    }
    let answered = std::mem::take(&mut world.answered);
    world.stop().await;
    if seeds.end - seeds.start >= SEQUENCES {
        for (act, statuses) in EVERY {
            let met = statuses.iter().all(|status| answered.contains_key(&(act, *status)));
            assert!(met, "to {act}, not each of {statuses:?} was met: {answered:?}");
        }
    }
    // Not by a macro: what those print is shown only where a test fails.
    let told = format!(
        "{backend:?}: sequences of the seeds {seeds:?} agree, {calls} calls, {:.0?}",
        begun.elapsed()
    );
    let _ = writeln!(std::io::stderr(), "{told}");
}

fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().expect("a whole number"))
}

/// Leaves out whatever is not needed for a difference, and tells what is left.
async fn shortest(world: &mut World, mut sequence: Sequence, seed: u64, backend: Backend) -> String {
    let mut difference = "it does not differ when it is repeated".to_owned();
    if let Err((at, found)) = world.play(&sequence).await {
        sequence.calls.truncate(at + 1);
        difference = found;
    }
    // From the end, so that calls that others need go after those others.
    for at in (0..sequence.calls.len()).rev() {
        let mut shorter = sequence.clone();
        shorter.calls.remove(at.min(sequence.calls.len() - 1));
        differs(world, shorter, &mut sequence, &mut difference).await;
    }
    for at in (0..sequence.managers.len()).rev() {
        let mut shorter = sequence.clone();
        shorter.managers.remove(at);
        differs(world, shorter, &mut sequence, &mut difference).await;
    }
    let mut told = format!("over {backend:?}, the registry and the model differ:\n");
    for (managed, manager) in &sequence.managers {
        let _ = writeln!(told, "  {managed:?} is managed by {manager:?}");
    }
    for call in &sequence.calls {
        let _ = writeln!(told, "  {call:?}");
    }
    let name = format!("{backend:?}").to_lowercase();
    let _ = writeln!(told, "{difference}\nto repeat:");
    let _ =
        write!(told, "  MARAUDE_TEST_SEED={seed} MARAUDE_SEQUENCES=1 cargo test -p api --test model {name}");
    told
}

/// Takes a shorter sequence in place of the one before if it differs, too.
async fn differs(world: &mut World, mut shorter: Sequence, sequence: &mut Sequence, difference: &mut String) {
    if let Err((at, found)) = world.play(&shorter).await {
        shorter.calls.truncate(at + 1);
        (*sequence, *difference) = (shorter, found);
    }
}
