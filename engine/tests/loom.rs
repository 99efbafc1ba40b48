//! Every interleaving of small models on the real entries and blocks, memory orderings included.
//!
//! `RUSTFLAGS="--cfg loom" cargo test -p engine --test loom`. Crossbeam's epoch and papaya are not aware of loom: a
//! counter of searches under way stands for the first, a lock around a cell's block for the second. What the models
//! check is ours: what an entry publishes, and the order append, wait, die.

#![cfg(loom)]
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

use engine::block::{Block, Entry, Members, Sighting, Signal, Slot};
use ingest::clock::Millis;
use ingest::position::LatLon;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::sync::{Arc, Mutex};
use loom::thread;

/// A day of the era in which receipt times are stored.
const DAY_MS: i64 = 1_790_000_000_000;

fn sighting(source: usize, place: i32, received: i64) -> Sighting {
    Sighting {
        slot: Slot::new(source).unwrap(),
        at: LatLon::from_e7(place, -place).unwrap(),
        received_at: Millis(DAY_MS + received),
    }
}

/// Searches under way, as the epoch knows them.
#[derive(Default)]
struct Searches(AtomicUsize);

impl Searches {
    fn under(&self, look: impl FnOnce()) {
        self.0.fetch_add(1, Ordering::SeqCst);
        look();
        self.0.fetch_sub(1, Ordering::SeqCst);
    }

    /// Whether every search that was under way has ended. A read-modify-write: a search that begins later sees what
    /// the writer did before, as after the epoch's fences.
    fn have_ended(&self) -> bool {
        self.0.fetch_add(0, Ordering::SeqCst) == 0
    }
}

/// How often a source is in a block.
fn times(block: &Block, source: usize) -> usize {
    block.sightings().filter(|sighting| sighting.slot.index() == source).count()
}

#[test]
fn a_receipt_never_comes_with_an_older_place() {
    loom::model(|| {
        let entry = Arc::new(Entry::default());
        let writer = {
            let entry = entry.clone();
            thread::spawn(move || {
                entry.store(sighting(0, 1, 1));
                entry.store(sighting(0, 2, 2));
            })
        };
        if let Some(seen) = entry.load() {
            let (received, place) = (seen.received_at.0 - DAY_MS, seen.at.lat_e7());
            assert!(
                i64::from(place) >= received,
                "the receipt of fix {received} with the place of fix {place}"
            );
            assert_eq!(seen.at.lon_e7(), -place, "a word is whole");
        }
        writer.join().unwrap();
    });
}

#[test]
fn nobody_is_seen_at_the_place_of_another() {
    loom::model(|| {
        let mut members = Members::with_capacity(2);
        let block = members.block().clone();
        let writer = thread::spawn(move || {
            let first = members.append(sighting(0, 10, 1)).unwrap();
            members.kill(first);
            members.append(sighting(1, 11, 1)).unwrap();
        });
        for seen in block.sightings() {
            let source = i32::try_from(seen.slot.index()).unwrap();
            assert_eq!(seen.at.lat_e7(), 10 + source);
        }
        writer.join().unwrap();
    });
}

/// Two searches, in the worst order, while somebody moves from one cell to another, and dies there if `may_die`.
fn moves_between_two_cells(may_die: fn(&Searches) -> bool) {
    loom::model(move || {
        let (mut old, mut new) = (Members::with_capacity(1), Members::with_capacity(1));
        let index = old.append(sighting(0, 1, 1)).unwrap();
        let cells = (old.block().clone(), new.block().clone());
        let searches = Arc::new(Searches::default());
        let writer = {
            let searches = searches.clone();
            thread::spawn(move || {
                new.append(sighting(0, 2, 2)).unwrap();
                if may_die(&searches) {
                    old.kill(index);
                }
            })
        };
        for _ in 0..2 {
            // It looks into the new cell first.
            searches.under(|| {
                let found = times(&cells.1, 0) + times(&cells.0, 0);
                assert!((1..=2).contains(&found), "found {found} times");
            });
        }
        writer.join().unwrap();
    });
}

#[test]
fn whoever_moves_between_two_cells_is_in_every_search() {
    moves_between_two_cells(Searches::have_ended);
}

#[test]
#[should_panic(expected = "found 0 times")]
fn whoever_dies_without_waiting_is_missed() {
    // The model must be able to find what the wait is for.
    moves_between_two_cells(|_| true);
}

#[test]
fn the_word_that_searches_have_ended_lets_the_old_entry_die() {
    loom::model(|| {
        let (mut old, mut new) = (Members::with_capacity(1), Members::with_capacity(1));
        let index = old.append(sighting(0, 1, 1)).unwrap();
        let cells = (old.block().clone(), new.block().clone());
        let ended = Arc::new(Signal::default());
        let writer = {
            let ended = ended.clone();
            thread::spawn(move || {
                new.append(sighting(0, 2, 2)).unwrap();
                if ended.is_raised() {
                    old.kill(index);
                }
            })
        };
        let found = times(&cells.1, 0) + times(&cells.0, 0);
        assert!((1..=2).contains(&found), "found {found} times");
        ended.raise();
        writer.join().unwrap();
    });
}

#[test]
fn whoever_comes_back_is_never_missed() {
    loom::model(|| {
        let (mut home, mut away) = (Members::with_capacity(1), Members::with_capacity(1));
        let at_home = home.append(sighting(0, 1, 1)).unwrap();
        let cells = (home.block().clone(), away.block().clone());
        let searches = Arc::new(Searches::default());
        let writer = {
            let searches = searches.clone();
            thread::spawn(move || {
                let passing = away.append(sighting(0, 2, 2)).unwrap();
                // Back before the entry at home could die: it is revived, and the other one waits.
                home.store(at_home, sighting(0, 3, 3));
                away.store(passing, sighting(0, 3, 3));
                if searches.have_ended() {
                    away.kill(passing);
                }
            })
        };
        searches.under(|| assert!(times(&cells.1, 0) + times(&cells.0, 0) >= 1));
        writer.join().unwrap();
    });
}

#[test]
fn a_block_is_replaced_without_losing_anybody() {
    loom::model(|| {
        let mut members = Members::with_capacity(4);
        for source in 0..4 {
            members.append(sighting(source, 1, 1)).unwrap();
        }
        let cell = Arc::new(Mutex::new(members.block().clone()));
        let writer = {
            let cell = cell.clone();
            thread::spawn(move || {
                let mut larger = members.replacement();
                *cell.lock().unwrap() = larger.block().clone();
                larger.append(sighting(4, 1, 1)).unwrap();
            })
        };
        let block = cell.lock().unwrap().clone();
        assert_eq!(times(&block, 0), 1);
        assert_eq!(times(&block, 3), 1);
        writer.join().unwrap();
    });
}

#[test]
fn whoever_moves_into_a_block_just_replaced_is_in_every_search() {
    loom::model(|| {
        let (mut old, mut full) = (Members::with_capacity(1), Members::with_capacity(4));
        let index = old.append(sighting(9, 1, 1)).unwrap();
        for source in 0..4 {
            full.append(sighting(source, 1, 1)).unwrap();
        }
        for dead in [0, 1, 2] {
            full.kill(dead);
        }
        let (cell, left) = (Arc::new(Mutex::new(full.block().clone())), old.block().clone());
        let searches = Arc::new(Searches::default());
        let writer = {
            let (cell, searches) = (cell.clone(), searches.clone());
            thread::spawn(move || {
                let mut larger = full.replacement();
                *cell.lock().unwrap() = larger.block().clone();
                larger.append(sighting(9, 2, 2)).unwrap();
                if searches.have_ended() {
                    old.kill(index);
                }
            })
        };
        searches.under(|| {
            let block = cell.lock().unwrap().clone();
            assert_eq!(times(&block, 3), 1);
            assert!(times(&block, 9) + times(&left, 9) >= 1, "missed");
        });
        writer.join().unwrap();
    });
}
