//! The log, read whole, and the archive held against it.

use std::collections::HashMap;

use analytics::digest::Digest;
use analytics::layout::Stream;
use analytics::positions::{Positions, digest_of_log};
use analytics::progress::progress;
use analytics::root::Root;
use analytics::rows::placed;
use analytics::verify::verify;
use ingest::clock::Clock;
use ingest::log::{Log, Offset, Partition, Settings};
use tokio::task::spawn_blocking;

use crate::compose::Beside;
use crate::harness::wait::{SOON, within};

/// A position by where it is.
pub(crate) type Place = (i32, i32);

/// What the log holds, from its start to its end.
pub(crate) struct Logged {
    /// How often each place is in it.
    pub(crate) places: HashMap<Place, u32>,
    pub(crate) ends: Vec<Offset>,
    pub(crate) epoch: u64,
    rows: u64,
    digest: Digest,
}

impl Logged {
    /// Reads what there is at the moment, all that was acknowledged among it.
    pub(crate) async fn read(beside: &Beside) -> Self {
        let url = beside.log.parse().unwrap();
        let read = move || {
            let log: Log = Log::open(&url, &Settings::default(), Clock::System).unwrap();
            let ends = (0..log.partitions()).map(|partition| log.end(Partition(partition))).collect();
            let (epoch, digest) = (log.epoch(), Digest::default());
            let mut logged = Self { places: HashMap::new(), ends, epoch, rows: 0, digest };
            let mut reader = log.reader(&[]);
            // Others may append meanwhile.
            while reader.offsets().iter().zip(&logged.ends).any(|(next, end)| next < end) {
                let record = reader.poll(SOON).unwrap().expect("the log's end");
                if record.offset >= logged.ends[usize::from(record.partition.0)] {
                    continue;
                }
                let partition = record.partition;
                let entries: Vec<_> = placed(record).collect();
                logged.rows += entries.len() as u64;
                logged.digest += digest_of_log(partition, &entries);
                for placed in entries {
                    let at = placed.entry.at;
                    let place = (at.lat_e7(), at.lon_e7());
                    *logged.places.entry(place).or_insert(0) += 1;
                }
            }
            logged
        };
        spawn_blocking(read).await.unwrap()
    }

    /// Waits until the archive has come to where the log ended when it was read.
    pub(crate) async fn is_archived(&self, beside: &Beside) {
        let (root, partitions) = (open(beside), u16::try_from(self.ends.len()).unwrap());
        let archived = async || {
            let reached = progress(&root, Stream::Positions, self.epoch, partitions).await.unwrap();
            reached.iter().zip(&self.ends).all(|(reached, end)| reached.next >= *end).then_some(())
        };
        within(SOON, "the archive of all that was logged", archived).await;
    }

    /// Holds the archive against the log, where nothing was appended since it was read: each row of each record, once.
    pub(crate) async fn is_the_archive(&self, beside: &Beside) {
        let findings = verify::<Positions>(&open(beside), &|_, _| ()).await.unwrap();
        assert_eq!(findings.problems, [""; 0]);
        assert_eq!((findings.rows, findings.digest), (self.rows, self.digest), "{} files", findings.files);
        println!("archived: {} positions in {} files", findings.rows, findings.files);
    }
}

fn open(beside: &Beside) -> Root {
    Root::open(&beside.archive.parse().unwrap()).unwrap()
}
