//! What every kind of log promises, of whatever it has, as functions of a fresh log.

#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use ingest::clock::{Clock, Millis};
use ingest::log::{Entry, Full, Log, Offset, Partition, Record};
use ingest::position::{
    LatLon, Motion, OperatorKey, Position, ReportedStatus, SourceKey, TaxiKey, Transport,
};
use ingest::searches::Search;

/// Longer than any test waits for something that does come.
pub(crate) const LONG: Duration = Duration::from_secs(30);

pub(crate) fn position(n: u32) -> Position {
    Position {
        source: SourceKey { taxi: TaxiKey(n), operator: OperatorKey(1) },
        at: LatLon::new(48.8, f64::from(n % 100) / 100.0).unwrap(),
        received_at: Millis(i64::from(n)),
        device_at: None,
        status: ReportedStatus::Free,
        motion: Motion::default(),
        transport: Transport::Http,
    }
}

/// Entries that a test tells apart: those of one source keep their order, by round.
pub(crate) trait Sample: Entry {
    fn sample(source: u32, round: u32) -> Self;
    fn source(&self) -> u32;
    fn round(&self) -> u32;
}

impl Sample for Position {
    fn sample(source: u32, round: u32) -> Self {
        Self { received_at: Millis(round.into()), ..position(source) }
    }

    fn source(&self) -> u32 {
        self.source.taxi.0
    }

    fn round(&self) -> u32 {
        u32::try_from(self.received_at.0).unwrap()
    }
}

impl Sample for Search {
    fn sample(source: u32, round: u32) -> Self {
        let number = i32::try_from(source).unwrap();
        Self {
            at: Millis(round.into()),
            caller: number,
            customer: LatLon::from_e7(488_000_000 + number, 23_000_000).unwrap(),
            town: "2A004".parse().unwrap(),
            found: 3,
            seen: 2,
            closest_m: Some(73.3077),
        }
    }

    fn source(&self) -> u32 {
        self.caller.unsigned_abs()
    }

    fn round(&self) -> u32 {
        u32::try_from(self.at.0).unwrap()
    }
}

pub(crate) fn batch(range: Range<u32>) -> Vec<Position> {
    range.map(position).collect()
}

/// Appends and waits for the acknowledgement.
pub(crate) fn append<E: Entry>(log: &Log<E>, entries: Vec<E>) {
    let (sender, done) = mpsc::channel();
    log.append_acknowledged(entries, Box::new(move |outcome| sender.send(outcome).unwrap())).unwrap();
    assert_eq!(done.recv_timeout(LONG).unwrap(), Ok(()));
}

/// Every record from some offsets on to the end that the log says it has now.
pub(crate) fn drain<E: Entry>(log: &Log<E>, from: &[Offset]) -> Vec<Record<E>> {
    let partitions = (0..log.partitions()).map(Partition);
    let ends: Vec<_> = partitions.clone().map(|partition| log.end(partition)).collect();
    let from = partitions.map(|partition| {
        let from = from.get(usize::from(partition.0)).copied().unwrap_or_default();
        from.max(log.start(partition))
    });
    let mut reader = log.reader(&from.collect::<Vec<_>>());
    let mut records = Vec::new();
    while reader.offsets().iter().zip(&ends).any(|(next, end)| next < end) {
        records.push(reader.poll(LONG).unwrap().unwrap());
    }
    records
}

pub(crate) fn order_and_offsets<E: Sample>(log: &Log<E>) {
    for round in 0..20 {
        append(log, (0..50).map(|source| E::sample(source, round)).collect());
    }
    let mut offsets = BTreeMap::<Partition, u64>::new();
    let mut rounds = BTreeMap::<u32, u32>::new();
    for record in drain(log, &[]) {
        let next = offsets.entry(record.partition).or_default();
        assert_eq!(record.offset, Offset(*next), "offsets are consecutive");
        *next += 1;
        for entry in record.entries {
            assert_eq!(log.partition_of(&entry), record.partition);
            let round = rounds.entry(entry.source()).or_default();
            assert_eq!(entry, E::sample(entry.source(), *round), "a source's entries keep their order");
            *round += 1;
        }
    }
    assert!(offsets.len() > 1, "they are spread");
    assert!(rounds.len() == 50 && rounds.values().all(|rounds| *rounds == 20));
    for (partition, next) in offsets {
        assert_eq!((log.start(partition), log.end(partition)), (Offset(0), Offset(next)));
    }
}

pub(crate) fn tailing<E: Sample>(log: &Log<E>) {
    let mut reader = log.reader(&[]);
    assert_eq!(reader.poll(Duration::from_millis(5)), Ok(None));
    let (ready, is_ready) = mpsc::channel();
    let (sender, seen) = mpsc::channel();
    let tail = std::thread::spawn(move || {
        ready.send(()).unwrap();
        sender.send(reader.poll(LONG)).unwrap();
    });
    is_ready.recv().unwrap();
    log.append(vec![E::sample(1, 1)]).unwrap();
    let record = seen.recv_timeout(LONG / 2).unwrap().unwrap().unwrap();
    assert_eq!(record.entries, [E::sample(1, 1)]);
    tail.join().unwrap();
}

pub(crate) fn seeking<E: Sample>(log: &Log<E>) {
    for round in 0..5 {
        append(log, vec![E::sample(7, round)]);
    }
    let partition = log.partition_of(&E::sample(7, 0));
    let from = |offset| {
        let mut from = vec![Offset(0); usize::from(log.partitions())];
        from[usize::from(partition.0)] = Offset(offset);
        from
    };
    let rows = |offset| drain(log, &from(offset)).iter().map(|r| r.entries[0].round()).collect::<Vec<_>>();
    assert_eq!(rows(0), [0, 1, 2, 3, 4]);
    assert_eq!(rows(3), [3, 4], "an offset names the next record to read");
    assert_eq!(rows(5), [0_u32; 0]);

    let mut reader = log.reader(&from(4));
    assert!(reader.poll(LONG).unwrap().is_some());
    assert_eq!(reader.offsets(), from(5));
    reader.seek(partition, Offset(2));
    assert_eq!(reader.poll(LONG).unwrap().unwrap().offset, Offset(2));
    reader.seek(Partition(u16::MAX), Offset(2));
    assert_eq!(reader.offsets(), from(3));
}

/// An hour lies between two records where the log takes its time from the clock; on others whatever passes.
pub(crate) fn seeking_by_time<E: Sample>(log: &Log<E>, clock: &Clock) {
    const HOUR_MS: i64 = 3_600_000;
    let partition = log.partition_of(&E::sample(7, 0));
    assert_eq!(log.offset_at(partition, clock.now()), Offset(0), "an empty log's end");
    for _ in 0..30 {
        append(log, vec![E::sample(7, 0)]);
        clock.advance(HOUR_MS);
    }
    let times: Vec<_> = drain(log, &[]).iter().map(|record| record.appended_at).collect();
    assert!(times.len() == 30 && times.is_sorted() && times[0] < times[29], "{times:?}");
    for at in times.iter().flat_map(|at| [at.plus(-1), *at, at.plus(1)]) {
        let first = times.iter().take_while(|time| **time < at).count() as u64;
        assert_eq!(log.offset_at(partition, at), Offset(first), "{at:?} of {times:?}");
    }
    assert_eq!(log.offset_at(partition, Millis(i64::MIN)), Offset(0));
    assert_eq!(log.offset_at(partition, Millis(i64::MAX)), Offset(30));
}

pub(crate) fn acknowledged_is_readable<E: Sample>(log: &Log<E>) {
    let log_in_done = log.clone();
    let (sender, done) = mpsc::channel();
    let check = move |outcome| sender.send((outcome, drain(&log_in_done, &[]).len())).unwrap();
    log.append_acknowledged(vec![E::sample(1, 1)], Box::new(check)).unwrap();
    assert_eq!(done.recv_timeout(LONG).unwrap(), (Ok(()), 1));
    append(log, vec![]);
    assert_eq!(drain(log, &[]).len(), 1, "no entries make no record");
    let (sender, told) = mpsc::channel();
    log.append_and_tell(vec![E::sample(2, 1)], Box::new(move |outcome| sender.send(outcome).unwrap()))
        .unwrap();
    assert_eq!(told.recv_timeout(LONG).unwrap(), Ok(()));
    assert_eq!(drain(log, &[]).len(), 2);
}

pub(crate) fn closing<E: Sample>(log: &Log<E>) {
    let mut reader = log.reader(&[]);
    // Closing waits for acknowledgements, but not for long: a log on Kafka is not to look for its brokers first.
    append(log, vec![E::sample(0, 0)]);
    let (sender, done) = mpsc::channel();
    for n in 0..100 {
        let sender = sender.clone();
        log.append(vec![E::sample(n, 0)]).unwrap();
        let acknowledge = move |outcome: Result<(), _>| sender.send(outcome.is_ok()).unwrap();
        log.append_acknowledged(vec![E::sample(n, 0)], Box::new(acknowledge)).unwrap();
    }
    log.close();
    drop(sender);
    assert_eq!(done.iter().filter(|is_synced| *is_synced).count(), 100);
    assert_eq!(log.append(vec![E::sample(0, 0)]), Err(Full::Closed));
    let (sender, done) = mpsc::channel();
    let never = Box::new(move |outcome| sender.send(outcome).unwrap());
    assert_eq!(log.append_acknowledged(vec![E::sample(0, 0)], never), Err(Full::Closed));
    assert!(done.recv().is_err(), "a refused append is never acknowledged");
    let asked = Instant::now();
    let records = std::iter::from_fn(|| reader.poll(LONG).unwrap());
    assert_eq!(records.map(|record| record.entries.len()).sum::<usize>(), 201);
    assert!(asked.elapsed() < LONG / 2, "nothing more can come: there is nothing to wait for");
    log.close();
}
