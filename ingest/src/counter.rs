//! Counters and flags that order nothing: every access is relaxed, by design, and only here.
//!
//! A reader may see a count a moment late; no decision depends on two of them agreeing. What does need an
//! order between threads lives in `engine::block`, or goes through a channel.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds `n`.
    pub fn add(&self, n: u64) {
        self.0.fetch_add(n, Relaxed);
    }

    /// The count so far.
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// A number that goes up and down.
#[derive(Debug, Default)]
pub struct Gauge(AtomicU64);

impl Gauge {
    /// Sets it.
    pub fn set(&self, n: u64) {
        self.0.store(n, Relaxed);
    }

    /// The value set last.
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// A number that moves by a rule. Of threads that move it at the same time each starts where another one left it; what
/// they read or write besides is ordered by nothing.
#[derive(Debug, Default)]
pub struct Register(AtomicU64);

impl Register {
    /// One that begins with `n`.
    pub fn new(n: u64) -> Self {
        Self(AtomicU64::new(n))
    }

    /// Moves it to where `rule` says, or leaves it where that says None; says whether it was moved. The rule may be
    /// asked several times, last about what it really was.
    pub fn change(&self, rule: impl FnMut(u64) -> Option<u64>) -> bool {
        self.0.fetch_update(Relaxed, Relaxed, rule).is_ok()
    }
}

/// Room of which parts are taken and given back.
#[derive(Debug)]
pub struct Room {
    free: AtomicU64,
}

impl Room {
    /// Room for `n`.
    pub fn new(n: u64) -> Self {
        Self { free: AtomicU64::new(n) }
    }

    /// Takes `n` if so many are free; says whether it did.
    pub fn take(&self, n: u64) -> bool {
        self.free.fetch_update(Relaxed, Relaxed, |free| free.checked_sub(n)).is_ok()
    }

    /// How much is free.
    pub fn free(&self) -> u64 {
        self.free.load(Relaxed)
    }

    /// Gives back `n` that were taken.
    pub fn give(&self, n: u64) {
        self.free.fetch_add(n, Relaxed);
    }
}

/// A request to stop, raised once and seen soon.
#[derive(Debug, Default)]
pub struct Flag(AtomicBool);

impl Flag {
    /// Raises it for good.
    pub fn raise(&self) {
        self.0.store(true, Relaxed);
    }

    /// Whether it was raised.
    pub fn is_raised(&self) -> bool {
        self.0.load(Relaxed)
    }
}

/// A number that tells earlier from later rounds of one activity.
#[derive(Debug, Default)]
pub struct Generation(AtomicU64);

impl Generation {
    /// Begins the next round and gives its number.
    pub fn next(&self) -> u64 {
        self.0.fetch_add(1, Relaxed) + 1
    }

    /// The round that began last.
    pub fn now(&self) -> u64 {
        self.0.load(Relaxed)
    }
}
