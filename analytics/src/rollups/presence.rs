//! Which taxi was in which cell: the one rollup that is finer than a town, and goes with exact places.
//!
//! It is no table, and nobody is shown it. Of a month it is read once, as soon as all of its days are there, for what
//! is published by cell; once a day is as old as places are exact, its file goes, and none is made of it any more.

use std::ops::Range;

use ingest::clock::Millis;

use super::{Rollup, RollupName};
use crate::blur::is_old;
use crate::current::Current;
use crate::footer::BadFile;
use crate::layout::{Day, Stream};
use crate::manifest::{Manifest, manifests};
use crate::root::{Found, Root, Unavailable};

/// The first and the last day of positions that is written.
pub async fn written(root: &Root) -> Result<Option<(Day, Day)>, Unavailable> {
    let days = manifests(root, Stream::Positions).await?;
    let first = days.first_key_value().map(|(day, _)| *day);
    Ok(first.zip(days.last_key_value().map(|(day, _)| *day)))
}

/// The files of some days. None: there is none, or of one of them it is not known, not yet or not any more, where all
/// taxis were.
pub async fn of_days(
    root: &Root,
    days: Range<Day>,
    exact_since: Millis,
) -> Result<Option<Vec<Found<RollupName>>>, BadFile> {
    let (written, damaged) = Current::read_sound(root, Stream::Positions).await?;
    let mut made = Rollup::Presence.files(root).await?;
    let number_of = |day: Day| written.days.get(&day).map_or(0, |manifest| manifest.name.number);
    // What came before midnight may have been archived after it.
    let is_waited_for = |day: Day| {
        let may_have_some = [day, day.next()];
        may_have_some.iter().any(|day| damaged.contains_key(day))
            || written.recent.iter().any(|file| may_have_some.contains(&file.name.hour.day()))
    };
    let mut files = Vec::new();
    for day in days.start.0..days.end.0 {
        let day = Day(day);
        if is_waited_for(day) {
            return Ok(None);
        }
        // On a day that is not written, and waits for nothing, nobody gave a position.
        let Some(manifest) = written.days.get(&day) else { continue };
        let file =
            made.remove(&day).filter(|file| file.name.number >= number_of(day) + number_of(day.next()));
        match file {
            Some(file) if manifest.is_exact && !is_old(day, exact_since) => files.push(file),
            _ => return Ok(None),
        }
    }
    Ok((!files.is_empty()).then_some(files))
}

/// The files that are too old, replaced ones among them.
pub async fn old(root: &Root, exact_since: Millis) -> Result<Vec<RollupName>, Unavailable> {
    let files = root.list::<RollupName>(&Rollup::Presence.folder()).await?;
    Ok(files.into_iter().map(|file| file.name).filter(|name| is_old(name.day, exact_since)).collect())
}

/// The files of a day that is blurred, replaced ones among them; none, while its places are exact.
pub async fn of_blurred_day(root: &Root, day: Day) -> Result<Vec<RollupName>, BadFile> {
    let found = manifests(root, Stream::Positions).await?.remove(&day);
    let manifest = match found {
        Some(found) => Manifest::read(root, found.name).await?,
        None => None,
    };
    if manifest.is_none_or(|manifest| manifest.is_exact) {
        return Ok(Vec::new());
    }
    Ok(of_day(root, day).await?)
}

async fn of_day(root: &Root, day: Day) -> Result<Vec<RollupName>, Unavailable> {
    let files = root.list::<RollupName>(&Rollup::Presence.folder()).await?;
    Ok(files.into_iter().map(|file| file.name).filter(|name| name.day == day).collect())
}

/// Removes what there is of days that are too old; gives how many files.
pub async fn forget(root: &Root, exact_since: Millis) -> Result<usize, Unavailable> {
    let old = old(root, exact_since).await?;
    let count = old.len();
    root.remove(old).await?;
    Ok(count)
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use datafusion::arrow::datatypes::{UInt32Type, UInt64Type};
    use h3o::Resolution;
    use ingest::position::{LatLon, ReportedStatus};
    use proptest::prelude::*;
    use proptest::strategy::ValueTree as _;
    use proptest::test_runner::TestRunner;

    use super::super::tests::{make_all, make_all_since};
    use super::super::verify::verify;
    use super::super::{Due, Since, due};
    use super::*;
    use crate::functions::cell_at;
    use crate::rows::column;
    use crate::sample::{GRENOBLE, Heard, LYON, Sample, at};

    const EVER: Millis = Since::EVER.exact;

    fn heard(received: Millis, taxi: u32, operator: u32, place: (f64, f64)) -> Heard<'static> {
        (received, taxi, operator, ReportedStatus::Off, place, "69123", "69123")
    }

    fn day(text: &str) -> Day {
        text.parse().unwrap()
    }

    /// What files say: cell and taxi, and in how many minutes.
    async fn told(sample: &Sample, files: &[Found<RollupName>]) -> BTreeMap<(Day, u64, u32), u32> {
        let mut told = BTreeMap::new();
        for Found { name, .. } in files {
            let content = sample.root.get(name).await.unwrap().unwrap();
            for batch in crate::file::open(content).unwrap().build().unwrap() {
                let batch = batch.unwrap();
                let cells = column::<UInt64Type>(&batch, "cell").unwrap().values();
                let taxis = column::<UInt32Type>(&batch, "taxi").unwrap().values();
                let minutes = column::<UInt32Type>(&batch, "minutes").unwrap().values();
                for ((cell, taxi), minutes) in cells.iter().zip(taxis).zip(minutes) {
                    assert_eq!(told.insert((name.day, *cell, *taxi), *minutes), None, "a row each");
                }
            }
        }
        told
    }

    #[tokio::test]
    async fn minutes_are_those_of_sets_counted_one_by_one() {
        const MINUTE: i64 = 60_000;
        let moments = (0..2_i64, 0..3_i64, 0..6_i64, 0..MINUTE, 0..5_u32, 2..4_u32, any::<bool>());
        let picked = prop::collection::vec(moments, 600).new_tree(&mut TestRunner::deterministic()).unwrap();
        let row = |(day, hour, minute, ms, taxi, operator, is_in_lyon)| {
            let received = at("2026-03-18T00:00:00").plus((day * 1_440 + hour * 60 + minute) * MINUTE + ms);
            heard(received, taxi, operator, if is_in_lyon { LYON } else { GRENOBLE })
        };
        let mut rows: Vec<_> = picked.current().into_iter().map(row).collect();
        rows.sort_by_key(|row| row.0);
        let sample = Sample::new();
        let mut minutes = BTreeMap::<_, BTreeSet<i64>>::new();
        for of_day in rows.chunk_by(|a, b| Day::of(a.0) == Day::of(b.0)) {
            sample.day(0, of_day).await;
            for (received, taxi, _, _, (lat, lon), ..) in of_day {
                let cell = cell_at(LatLon::new(*lat, *lon).unwrap(), Resolution::Eight).unwrap();
                minutes.entry((Day::of(*received), cell, *taxi)).or_default().insert(received.0 / MINUTE);
            }
        }
        make_all(&sample).await;
        let days = day("2026-03-18")..day("2026-03-20");
        let files = of_days(&sample.root, days, EVER).await.unwrap().unwrap();
        let counted = minutes.into_iter().map(|(key, minutes)| (key, u32::try_from(minutes.len()).unwrap()));
        assert_eq!(told(&sample, &files).await, counted.collect());
    }

    #[tokio::test]
    async fn days_are_whole_while_all_of_them_are_exact() {
        let sample = Sample::new();
        let (first, second) = (day("2026-03-18"), day("2026-03-19"));
        let files = async |days, exact_since| {
            let files = of_days(&sample.root, days, exact_since).await.unwrap();
            files.map(|files| files.len())
        };
        assert_eq!((written(&sample.root).await.unwrap(), files(first..second, EVER).await), (None, None));
        sample.day(10, &[heard(at("2026-03-18T10:00:00"), 1, 2, LYON)]).await;
        assert_eq!(files(first..second, EVER).await, None, "not added up yet");
        make_all(&sample).await;
        assert_eq!(files(first..second, EVER).await, Some(1));
        sample.day(20, &[heard(at("2026-03-19T10:00:00"), 1, 2, LYON)]).await;
        assert_eq!(files(first..second, EVER).await, None, "the next day may have more of it");
        make_all(&sample).await;
        assert_eq!(files(first..second.next(), EVER).await, Some(2));
        assert_eq!(written(&sample.root).await.unwrap(), Some((first, second)));
        assert_eq!(files(first..second.next(), second.begins()).await, None);
        assert_eq!(files(second..second.next(), second.begins()).await, Some(1));

        // A day that was blurred before its time.
        let mut manifest = manifests(&sample.root, Stream::Positions).await.unwrap();
        let name = manifest.remove(&second).unwrap().name;
        let mut blurred = Manifest::read(&sample.root, name).await.unwrap().unwrap();
        (blurred.name.number, blurred.is_exact) = (2, false);
        assert!(blurred.create(&sample.root).await.unwrap());
        make_all(&sample).await;
        assert_eq!(files(second..second.next(), EVER).await, None);
        assert_eq!(files(first..second, EVER).await, Some(1));
        assert_eq!(of_blurred_day(&sample.root, first).await.unwrap(), []);
        assert_ne!(of_blurred_day(&sample.root, second).await.unwrap(), []);
    }

    #[tokio::test]
    async fn a_day_that_is_not_written_yet_is_waited_for_and_one_of_nobody_is_not() {
        let sample = Sample::new();
        let (first, third) = (day("2026-03-18"), day("2026-03-20"));
        sample.day(10, &[heard(at("2026-03-18T10:00:00"), 1, 2, LYON)]).await;
        sample.day(20, &[heard(at("2026-03-20T10:00:00"), 1, 2, LYON)]).await;
        make_all(&sample).await;
        let files = async || of_days(&sample.root, first..third.next(), EVER).await.unwrap();
        assert_eq!(files().await.map(|files| files.len()), Some(2));
        sample.recent(30, &[heard(at("2026-03-19T10:00:00"), 1, 2, LYON)]).await;
        assert_eq!(files().await, None);
    }

    #[tokio::test]
    async fn what_is_too_old_is_named_and_goes_and_is_not_made_again() {
        let sample = Sample::new();
        sample.day(10, &[heard(at("2026-03-18T10:00:00"), 1, 2, LYON)]).await;
        make_all(&sample).await;
        sample.day(20, &[heard(at("2026-03-19T10:00:00"), 1, 2, LYON)]).await;
        make_all(&sample).await;
        let exact = day("2026-03-19").begins();
        let since = Since { exact, ..Since::EVER };
        let problems = async || verify(&sample.root, exact, &|_, _| ()).await.unwrap().problems;
        let old =
            [1, 2].map(|number| RollupName { rollup: Rollup::Presence, day: day("2026-03-18"), number });
        assert_eq!(problems().await, old.map(|name| format!("{name} has cells that are too old")));
        assert_eq!(super::old(&sample.root, exact).await.unwrap(), old);
        assert_eq!(of_day(&sample.root, day("2026-03-18")).await.unwrap(), old);
        assert_eq!(forget(&sample.root, exact.plus(-1)).await.unwrap(), 0);
        assert_eq!(forget(&sample.root, exact).await.unwrap(), 2);
        assert_eq!(problems().await, [""; 0]);
        assert_eq!(due(&sample.root, since).await.unwrap(), []);
        assert_eq!(due(&sample.root, Since::EVER).await.unwrap().len(), 1, "if it were not old");

        // The day is written anew, as when it is blurred.
        let name = manifests(&sample.root, Stream::Positions).await.unwrap()[&day("2026-03-18")].name;
        let mut again = Manifest::read(&sample.root, name).await.unwrap().unwrap();
        again.name.number = 2;
        assert!(again.create(&sample.root).await.unwrap());
        let made = make_all_since(&sample, since).await;
        assert!(made.contains(&Due::Day(Stream::Positions, day("2026-03-18"), 3)), "{made:?}");
        assert_eq!(of_day(&sample.root, day("2026-03-18")).await.unwrap(), []);
        assert_eq!(problems().await, [""; 0]);
    }
}
