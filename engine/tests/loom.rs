//! Every interleaving of small models on the real entries and blocks, memory orderings included.
//!
//! `RUSTFLAGS="--cfg loom" cargo test -p engine --test loom --release`. Crossbeam's epoch and papaya are not
//! aware of loom: a counter of searches under way stands for the first, a lock around a cell's block for the
//! second. What the models check is ours: what an entry publishes, and the order append, wait, die.
//!
//! The search is always the thread that is spawned and the writer the one that spawns it: the other way
//! round, loom was seen not to find what it should.

#![cfg(loom)]
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

use engine::block::{Block, Entry, Mark, Members, Sighting, Signal, Slot, Word};
use ingest::clock::Millis;
use ingest::position::LatLon;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::sync::{Arc, Mutex};
use loom::thread;

/// A time of the era in which receipt times are stored.
const START_MS: i64 = 1_764_000_000_000;

/// The taxi that moves; others have smaller numbers.
const TAXI: usize = 7;

/// The `time`-th fix of a taxi, at a place where no other fix is.
fn fix(taxi: usize, time: i32) -> Sighting {
    let place = i32::try_from(taxi).unwrap() * 1_000 + time;
    Sighting {
        slot: Slot::new(taxi).unwrap(),
        at: LatLon::from_e7(place, -place).unwrap(),
        received_at: Millis(START_MS + i64::from(time)),
    }
}

/// Checks that a sighting is one that was stored, or mixes two of one taxi, its place being the later.
fn check(seen: Sighting) {
    let (place, received) = (seen.at.lat_e7(), i32::try_from(seen.received_at.0 - START_MS).unwrap());
    assert_eq!(seen.at.lon_e7(), -place, "half of one place and half of another");
    let taxi = usize::try_from(place).unwrap() / 1_000;
    assert_eq!(taxi, seen.slot.index(), "the receipt of one taxi with the place of another");
    assert!(place % 1_000 >= received, "a receipt with an older place");
}

/// How often a taxi is in a block, each sighting checked.
fn times(block: &Block, taxi: usize) -> usize {
    block.sightings().inspect(|seen| check(*seen)).filter(|seen| seen.slot.index() == taxi).count()
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

    /// Whether every search that was under way has ended. A read-modify-write: a search that begins later
    /// sees what the writer did before, as after the epoch's fences.
    fn have_ended(&self) -> bool {
        self.0.fetch_add(0, Ordering::SeqCst) == 0
    }
}

#[test]
fn a_receipt_never_comes_with_an_older_place() {
    loom::model(|| {
        let entry = Arc::new(Entry::default());
        let reader = {
            let entry = entry.clone();
            thread::spawn(move || [entry.load(), entry.load()].into_iter().flatten().for_each(check))
        };
        for time in 0..3 {
            entry.store(fix(TAXI, time));
        }
        reader.join().unwrap();
    });
}

#[test]
fn nobody_is_seen_at_the_place_of_another() {
    loom::model(|| {
        let mut members = Members::with_capacity(1);
        let leaving = members.append(fix(1, 0)).unwrap();
        let block = members.block().clone();
        let reader = thread::spawn(move || block.sightings().for_each(check));
        members.kill(leaving);
        let coming = members.append(fix(2, 0)).unwrap();
        members.store(coming, fix(2, 1));
        reader.join().unwrap();
    });
}

#[test]
fn whoever_sees_the_death_sees_the_entry_that_it_follows() {
    loom::model(|| {
        let (mut old, mut new) = (Members::with_capacity(1), Members::with_capacity(1));
        let index = old.append(fix(TAXI, 0)).unwrap();
        let (old_block, new_block) = (old.block().clone(), new.block().clone());
        // In this order even a search for which nobody waits.
        let search = thread::spawn(move || times(&old_block, TAXI) + times(&new_block, TAXI));
        new.append(fix(TAXI, 1)).unwrap();
        old.kill(index);
        assert!(search.join().unwrap() >= 1, "missed");
    });
}

/// Two searches, in the worst order, while somebody moves from one cell to another, and dies there if
/// `may_die`.
fn move_between_two_cells(may_die: fn(&Searches) -> bool) {
    loom::model(move || {
        let (mut old, mut new) = (Members::with_capacity(1), Members::with_capacity(1));
        let index = old.append(fix(TAXI, 0)).unwrap();
        let (old_block, new_block) = (old.block().clone(), new.block().clone());
        let searches = Arc::new(Searches::default());
        let search = {
            let searches = searches.clone();
            thread::spawn(move || {
                for _ in 0..2 {
                    searches.under(|| {
                        let found = times(&new_block, TAXI) + times(&old_block, TAXI);
                        assert!((1..=2).contains(&found), "found {found} times");
                    });
                }
            })
        };
        old.store(index, fix(TAXI, 1));
        new.append(fix(TAXI, 1)).unwrap();
        if may_die(&searches) {
            old.kill(index);
        }
        search.join().unwrap();
    });
}

#[test]
fn whoever_moves_between_two_cells_is_in_every_search() {
    move_between_two_cells(Searches::have_ended);
}

#[test]
#[should_panic(expected = "found 0 times")]
fn whoever_dies_without_waiting_is_missed() {
    // The model must be able to find what the wait is for.
    move_between_two_cells(|_| true);
}

#[test]
fn whoever_comes_back_is_never_missed() {
    loom::model(|| {
        let (mut home, mut away) = (Members::with_capacity(1), Members::with_capacity(1));
        let at_home = home.append(fix(TAXI, 0)).unwrap();
        let (home_block, away_block) = (home.block().clone(), away.block().clone());
        let searches = Arc::new(Searches::default());
        let search = {
            let searches = searches.clone();
            thread::spawn(move || {
                searches
                    .under(|| assert!(times(&away_block, TAXI) + times(&home_block, TAXI) >= 1, "missed"));
            })
        };
        home.store(at_home, fix(TAXI, 1));
        let passing = away.append(fix(TAXI, 1)).unwrap();
        // Back before the entry at home could die: it is revived, and the other one waits.
        home.store(at_home, fix(TAXI, 2));
        away.store(passing, fix(TAXI, 2));
        if searches.have_ended() {
            away.kill(passing);
        }
        search.join().unwrap();
    });
}

#[test]
fn whoever_moves_into_a_block_just_replaced_is_never_missed() {
    loom::model(|| {
        let (mut old, mut full) = (Members::with_capacity(1), Members::with_capacity(4));
        let index = old.append(fix(TAXI, 0)).unwrap();
        for taxi in 0..4 {
            full.append(fix(taxi, 0)).unwrap();
        }
        for dead in 0..3 {
            full.kill(dead);
        }
        let (cell, old_block) = (Arc::new(Mutex::new(full.block().clone())), old.block().clone());
        let searches = Arc::new(Searches::default());
        let search = {
            let (cell, searches) = (cell.clone(), searches.clone());
            thread::spawn(move || {
                searches.under(|| {
                    let block = cell.lock().unwrap().clone();
                    assert_eq!(times(&block, 3), 1, "who stayed");
                    assert!(times(&block, TAXI) + times(&old_block, TAXI) >= 1, "missed");
                });
            })
        };
        assert_eq!(full.append(fix(TAXI, 1)), None);
        let mut larger = full.replacement();
        *cell.lock().unwrap() = larger.block().clone();
        larger.append(fix(TAXI, 1)).unwrap();
        if searches.have_ended() {
            old.kill(index);
        }
        search.join().unwrap();
    });
}

#[test]
fn what_searches_did_lies_before_the_word_that_they_have_ended() {
    loom::model(|| {
        let (looked, ended) = (Arc::new(AtomicUsize::new(0)), Arc::new(Signal::default()));
        let search = {
            let (looked, ended) = (looked.clone(), ended.clone());
            thread::spawn(move || {
                looked.store(1, Ordering::Relaxed);
                ended.raise();
            })
        };
        if ended.is_raised() {
            assert_eq!(looked.load(Ordering::Relaxed), 1);
        }
        search.join().unwrap();
    });
}

#[test]
fn whoever_is_led_to_a_record_finds_it_whole() {
    loom::model(|| {
        let record = Arc::new((Mark::default(), Word::default(), Entry::default()));
        let reader = {
            let record = record.clone();
            thread::spawn(move || {
                if record.0.read() != 0 {
                    assert_eq!(record.1.get(), 7);
                    check(record.2.load().unwrap());
                }
            })
        };
        record.1.set(7);
        record.2.store(fix(TAXI, 0));
        record.0.lead_to(1);
        record.2.store(fix(TAXI, 1));
        reader.join().unwrap();
    });
}

/// One who moves between two cells and says meanwhile that it may be found twice, if `too_early` and `too_late` allow.
fn move_and_say_so(too_late: bool, too_early: bool) {
    loom::model(move || {
        let (mut old, mut new) = (Members::with_capacity(1), Members::with_capacity(1));
        let index = old.append(fix(TAXI, 0)).unwrap();
        let (old_block, new_block) = (old.block().clone(), new.block().clone());
        let (waits, searches) = (Arc::new(Word::default()), Arc::new(Searches::default()));
        let search = {
            let (waits, searches) = (waits.clone(), searches.clone());
            thread::spawn(move || {
                searches.under(|| {
                    let found = times(&old_block, TAXI) + times(&new_block, TAXI);
                    // Asked after both were seen.
                    assert!(found < 2 || waits.get() == 1, "twice, unsaid");
                });
            })
        };
        if !too_late {
            waits.set(1);
        }
        new.append(fix(TAXI, 1)).unwrap();
        waits.set(1);
        if searches.have_ended() {
            old.kill(index);
            if too_early || searches.have_ended() {
                waits.set(0);
            }
        }
        search.join().unwrap();
    });
}

#[test]
fn whoever_is_found_twice_is_known_to_wait() {
    move_and_say_so(false, false);
}

#[test]
#[should_panic(expected = "twice, unsaid")]
fn whoever_says_so_too_late_is_found_twice() {
    move_and_say_so(true, false);
}

#[test]
#[should_panic(expected = "twice, unsaid")]
fn whoever_takes_it_back_too_early_is_found_twice() {
    move_and_say_so(false, true);
}
