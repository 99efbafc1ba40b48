//! Whether what the archive adds up to is what was written: every file that counts is read again, as its bytes were
//! sealed.

use bytes::Bytes;
use datafusion::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use ingest::clock::Millis;

use super::{Rollup, RollupName, presence};
use crate::file;
use crate::footer::SEAL;
use crate::layout::{Day, Stream};
use crate::manifest::manifests;
use crate::root::{Found, Root, Unavailable};
use crate::seal;

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// Files that were read.
    pub files: u64,
    /// Their rows.
    pub rows: u64,
    /// Their bytes.
    pub bytes: u64,
    /// How many of them are of a version of before, which did not seal them: they can be read.
    pub unsealed: u64,
    /// What is wrong, a sentence each.
    pub problems: Vec<String>,
}

type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Reads what counts, and looks for what is finer than a town of days that are not exact any more. `told` hears of how
/// many bytes are read, and how many there are.
pub async fn verify(
    root: &Root,
    exact_since: Millis,
    told: &dyn Fn(u64, u64),
) -> Result<Findings, Unavailable> {
    let (mut findings, mut files) = (Findings::default(), Vec::new());
    let old = presence::old(root, exact_since).await?.into_iter();
    findings.problems.extend(old.map(|name| format!("{name} has cells that are too old")));
    for stream in Stream::ALL {
        let made = Rollup::last_of(stream).files(root).await?;
        let written = manifests(root, stream).await?;
        let number_of = |day: Day| written.get(&day).map_or(0, |found| found.name.number);
        // One whose rows were written since, as when it is blurred, will be added up again.
        let is_settled = |day: Day, number| number_of(day) + number_of(day.next()) <= number;
        for &rollup in Rollup::of(stream) {
            let found = rollup.files(root).await?;
            for (&day, last) in made.iter().filter(|(day, _)| rollup.is_made_of(**day, exact_since)) {
                let number = last.name.number;
                let is_missing = found.get(&day).is_none_or(|found| found.name.number < number);
                if is_missing && is_settled(day, number) {
                    findings.problems.push(format!("{} is not there", RollupName { rollup, day, number }));
                }
            }
            files.extend(found.into_values());
        }
    }
    files.extend(Rollup::ConnectedWeek.files(root).await?.into_values());
    let all = files.iter().map(|file| file.bytes).sum();
    for file in files {
        findings.read(root, &file).await?;
        told(findings.bytes, all);
    }
    Ok(findings)
}

impl Findings {
    async fn read(&mut self, root: &Root, file: &Found<RollupName>) -> Result<(), Unavailable> {
        // One of a higher number may have replaced it just now.
        let Some(content) = root.get(&file.name).await? else { return Ok(()) };
        self.files += 1;
        self.bytes += content.len() as u64;
        let is_sealed = seal::is_marked(&content, SEAL);
        // What no seal vouches for may make the libraries that read it panic.
        let count = move || if is_sealed { rows(file::open(content)?) } else { rows_of_before(content) };
        let counted = tokio::task::spawn_blocking(count).await;
        match counted.map_err(Cause::from).flatten() {
            Ok(rows) => {
                self.rows += rows;
                self.unsealed += u64::from(!is_sealed);
            }
            Err(error) => self.problems.push(format!("{} cannot be read: {error}", file.name)),
        }
        Ok(())
    }
}

fn rows_of_before(content: Bytes) -> Result<u64, Cause> {
    rows(ParquetRecordBatchReaderBuilder::try_new(content)?)
}

/// How many rows there are, if they are as many as the footer says.
fn rows(file: ParquetRecordBatchReaderBuilder<Bytes>) -> Result<u64, Cause> {
    let said = file.metadata().file_metadata().num_rows();
    let mut rows = 0;
    for batch in file.build()? {
        rows += batch?.num_rows() as u64;
    }
    if u64::try_from(said) == Ok(rows) {
        Ok(rows)
    } else {
        Err(format!("it has {rows} rows of {said}").into())
    }
}
