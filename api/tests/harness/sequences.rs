//! Random sequences of steps, played in a registry and in a model of it: two hundred over each database.
//! `MARAUDE_SEQUENCES` names another number, `MARAUDE_TEST_SEED` the first seed.
//!
//! Where the two differ, the test tells the shortest sequence it finds that still differs.

use std::collections::BTreeMap;
use std::fmt::{Debug, Write as _};
use std::io::Write as _;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use crate::database::Backend;

const SEQUENCES: u64 = 200;
const FIRST_SEED: u64 = 1;
/// After so many a world has grown enough, and its clock gone far enough.
const SEQUENCES_A_WORLD: usize = 200;
const LANES: usize = 4;
/// How long a shorter sequence is looked for.
const SHORTENING: Duration = Duration::from_mins(4);

/// A sequence, whole: it repeats from nothing else.
#[derive(Clone, Debug)]
pub(crate) struct Sequence<G, S> {
    /// What holds from the start.
    pub(crate) given: Vec<G>,
    pub(crate) steps: Vec<S>,
}

/// What makes sequences: the same of the same seed.
pub(crate) struct Random(pub(crate) StdRng);

impl Random {
    pub(crate) fn of(seed: u64) -> Self {
        Self(StdRng::seed_from_u64(seed))
    }

    pub(crate) fn one_in(&mut self, n: u32) -> bool {
        self.0.random_range(0..n) == 0
    }

    pub(crate) fn pick<T: Copy>(&mut self, pool: &[T]) -> T {
        pool[self.0.random_range(0..pool.len())]
    }

    pub(crate) fn maybe<T: Copy>(&mut self, pool: &[T]) -> Option<T> {
        (!self.one_in(3)).then(|| self.pick(pool))
    }
}

/// Where they differ: at which step, and how.
pub(crate) type Difference = (usize, String);

/// What was met, and how often.
pub(crate) type Met = BTreeMap<String, usize>;

/// A registry in which sequences are played, one after the other.
pub(crate) trait Stage: Sized {
    type Given: Clone + Debug;
    type Step: Clone + Debug;

    /// The name of the test, for whoever wants to repeat it.
    const NAME: &str;

    /// What two hundred sequences meet, or they would prove little.
    fn all() -> Vec<String>;

    /// The sequence of a seed.
    fn random(seed: u64) -> Sequence<Self::Given, Self::Step>;

    /// None where there is no such database to test on.
    async fn begin(backend: Backend) -> Option<Self>;

    /// Plays a sequence from the same beginning as every other one, until registry and model differ.
    async fn play(
        &mut self,
        sequence: &Sequence<Self::Given, Self::Step>,
        met: &mut Met,
    ) -> Result<(), Difference>;

    async fn stop(self);
}

/// Fails where a sequence shows a difference. Several worlds are played in side by side: mostly they wait.
pub(crate) async fn agree<S: Stage>(backend: Backend) {
    let first = setting("MARAUDE_TEST_SEED").unwrap_or(FIRST_SEED);
    let seeds = first..first + setting("MARAUDE_SEQUENCES").unwrap_or(SEQUENCES);
    let begun = Instant::now();
    let lane = |from| Box::pin(lane::<S>(backend, seeds.clone().skip(from).step_by(LANES)));
    let lanes: [_; LANES] = tokio::join!(lane(0), lane(1), lane(2), lane(3)).into();
    // There is no such database.
    let Some(lanes) = lanes.into_iter().collect::<Option<Vec<_>>>() else { return };
    let (mut steps, mut met) = (0, Met::new());
    for (count, all) in lanes {
        steps += count;
        for (one, count) in all {
            *met.entry(one).or_default() += count;
        }
    }
    if seeds.end - seeds.start >= SEQUENCES {
        let missing: Vec<_> = S::all().into_iter().filter(|one| !met.contains_key(one)).collect();
        assert!(missing.is_empty(), "not met: {missing:#?}, but {met:#?}");
    }
    // Not by a macro: what those print is shown only where a test fails.
    let told = format!(
        "{backend:?}: sequences of the seeds {seeds:?} agree, {steps} steps, {:.0?}",
        begun.elapsed()
    );
    let _ = writeln!(std::io::stderr(), "{told}");
}

/// Plays the sequences of these seeds; gives the number of steps, and what was met. None: there is no such database.
async fn lane<S: Stage>(backend: Backend, seeds: impl Iterator<Item = u64>) -> Option<(usize, Met)> {
    let (mut steps, mut met) = (0, Met::new());
    let mut world: Option<S> = None;
    for (played, seed) in seeds.enumerate() {
        if played.is_multiple_of(SEQUENCES_A_WORLD) {
            if let Some(world) = world.take() {
                world.stop().await;
            }
            world = S::begin(backend).await;
        }
        let world = world.as_mut()?;
        let sequence = S::random(seed);
        steps += sequence.steps.len();
        if let Err((_, difference)) = world.play(&sequence, &mut met).await {
            // Told before it is repeated: it may be another one then, or none.
            eprintln!("over {backend:?}, seed {seed}: {difference}");
            panic!("{}", shortest(world, sequence, seed, backend).await);
        }
    }
    if let Some(world) = world {
        world.stop().await;
    }
    Some((steps, met))
}

fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().expect("a whole number"))
}

/// Leaves out whatever is not needed for a difference, and tells what is left.
async fn shortest<S: Stage>(
    world: &mut S,
    mut sequence: Sequence<S::Given, S::Step>,
    seed: u64,
    backend: Backend,
) -> String {
    let (begun, mut met) = (Instant::now(), Met::new());
    let mut difference = "it does not differ when it is repeated".to_owned();
    if let Err((at, found)) = world.play(&sequence, &mut met).await {
        sequence.steps.truncate(at + 1);
        difference = found;
    }
    // From the end, so that steps that others need go after those others.
    let places = (0..sequence.steps.len()).rev().map(|at| (true, at));
    for (is_step, at) in places.chain((0..sequence.given.len()).rev().map(|at| (false, at))) {
        let mut shorter = sequence.clone();
        if is_step {
            shorter.steps.remove(at.min(sequence.steps.len() - 1));
        } else {
            shorter.given.remove(at);
        }
        if begun.elapsed() < SHORTENING
            && let Err((at, found)) = world.play(&shorter, &mut met).await
        {
            shorter.steps.truncate(at + 1);
            (sequence, difference) = (shorter, found);
        }
    }
    let mut told = format!("over {backend:?}, the registry and the model differ:\n");
    for given in &sequence.given {
        let _ = writeln!(told, "  given {given:?}");
    }
    for step in &sequence.steps {
        let _ = writeln!(told, "  {step:?}");
    }
    let (test, name) = (S::NAME, format!("{backend:?}").to_lowercase());
    let _ = writeln!(told, "{difference}\nto repeat:");
    let _ =
        write!(told, "  MARAUDE_TEST_SEED={seed} MARAUDE_SEQUENCES=1 cargo test -p api --test {test} {name}");
    told
}
