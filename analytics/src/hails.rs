//! Hails as the archive has them: rows of the registry's, which come by whole days. See [`crate::schema`].
//!
//! A day is written as a day of a log is: parts, then the next manifest, created if absent. So two that write one do
//! each other no harm, and whoever writes it again, as rows came late, replaces it whole.

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::arrow::array::{
    Array as _, ArrayRef, AsArray as _, Float64Array, Int32Array, RecordBatch, StringArray,
    StringDictionaryBuilder, TimestampMillisecondArray, UInt32Array,
};
use datafusion::arrow::datatypes::{Float64Type, Int32Type, SchemaRef, TimestampMillisecondType, UInt32Type};
use datafusion::parquet::errors::ParquetError;
use engine::territory::Insee;
use ingest::clock::Millis;

use crate::compact::{CompactError, Outcome, Parts};
use crate::digest::Digest;
use crate::footer::BadFile;
use crate::layout::{Day, ManifestName, Stream};
use crate::manifest::{Manifest, manifests};
use crate::root::Root;
use crate::rows::{BadColumn, Rows, column, words};
use crate::schema::{self, STEPS};

/// A hail.
#[derive(Clone, Debug, PartialEq)]
pub struct Hail {
    /// Its id.
    pub id: String,
    /// When the customer hailed.
    pub added_at: Millis,
    /// How it ended.
    pub status: String,
    /// Number of the account whose taxi was hailed.
    pub operator: i32,
    /// Number of the account through which.
    pub app: i32,
    /// The registry's number of the taxi; None: it is not known any more.
    pub taxi: Option<u32>,
    /// The customer's town; None: outside every one.
    pub town: Option<Insee>,
    /// Metres between customer and taxi when it was hailed.
    pub distance_m: Option<f64>,
    /// When it came into each of [`STEPS`].
    pub steps: [Option<Millis>; STEPS.len()],
}

/// Hails, as rows of the archive.
#[derive(Debug)]
pub enum Hails {}

impl Rows for Hails {
    const STREAM: Stream = Stream::Hails;
    const ORDER: &'static [&'static str] = &["added_at", "id"];
    const BLURRED: &'static [&'static str] = &[];
    const BLURRED_ORDER: &'static [&'static str] = Self::ORDER;
    const DICTIONARIES: &'static [&'static str] = &["status", "operator", "app", "town"];
    const LOOKED_FOR: Option<&'static str> = Some("taxi");

    fn schema() -> SchemaRef {
        schema::of(Self::STREAM)
    }

    fn digest_of(batch: &RecordBatch) -> Result<Digest, BadColumn> {
        digest_of(batch)
    }
}

/// How many hails each day has that is in the archive. As if all were there counts a day that was deleted, which does
/// not come back by whatever setting, and one whose manifest is damaged. Reads all manifests.
pub async fn archived(root: &Root) -> Result<BTreeMap<Day, u64>, BadFile> {
    let mut days = BTreeMap::new();
    for (day, found) in manifests(root, Stream::Hails).await? {
        let hails = match Manifest::read(root, found.name).await {
            Err(error @ BadFile::Damaged { .. }) => {
                tracing::error!(%error, "a day of hails is as it is until it is mended");
                u64::MAX
            }
            manifest => manifest?
                .map_or(0, |manifest| if manifest.parts.is_empty() { u64::MAX } else { manifest.rows() }),
        };
        days.insert(day, hails);
    }
    Ok(days)
}

/// A day being written. Memory: one part.
pub struct HailsOfDay<'a> {
    root: &'a Root,
    name: ManifestName,
    parts: Parts<'a, Hails>,
}

impl<'a> HailsOfDay<'a> {
    /// Begins to write a day, in place of what the archive may have of it.
    pub async fn begin(root: &'a Root, day: Day) -> Result<Self, CompactError> {
        let number = manifests(root, Stream::Hails).await?.get(&day).map_or(0, |found| found.name.number) + 1;
        let name = ManifestName { stream: Stream::Hails, day, number };
        Ok(Self { root, name, parts: Parts::new(root, name)? })
    }

    /// Adds hails, which follow those that were added in the order of when they were made.
    pub async fn add(&mut self, hails: &[Hail]) -> Result<(), CompactError> {
        self.parts.add(encode(hails)?).await
    }

    /// Ends it: the day is what was added.
    pub async fn finish(self) -> Result<Outcome, CompactError> {
        let (_, parts) = self.parts.finish().await?;
        // No more than the customer's town is in it.
        let manifest =
            Manifest { name: self.name, parts, covers: Vec::new(), skipped: Vec::new(), is_exact: false };
        Ok(if manifest.create(self.root).await? { Outcome::Written(manifest) } else { Outcome::Outrun })
    }
}

fn encode(hails: &[Hail]) -> Result<RecordBatch, ParquetError> {
    let (mut statuses, mut towns) =
        (StringDictionaryBuilder::<Int32Type>::new(), StringDictionaryBuilder::<Int32Type>::new());
    for hail in hails {
        statuses.append_value(&hail.status);
        towns.append_option(hail.town.as_ref().map(Insee::as_str));
    }
    let mut columns: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from_iter_values(hails.iter().map(|hail| &hail.id))),
        instants(hails.iter().map(|hail| Some(hail.added_at))),
        Arc::new(statuses.finish()),
        Arc::new(Int32Array::from_iter_values(hails.iter().map(|hail| hail.operator))),
        Arc::new(Int32Array::from_iter_values(hails.iter().map(|hail| hail.app))),
        Arc::new(hails.iter().map(|hail| hail.taxi).collect::<UInt32Array>()),
        Arc::new(towns.finish()),
        Arc::new(hails.iter().map(|hail| hail.distance_m).collect::<Float64Array>()),
    ];
    columns.extend((0..STEPS.len()).map(|step| instants(hails.iter().map(|hail| hail.steps[step]))));
    Ok(RecordBatch::try_new(Hails::schema(), columns)?)
}

fn instants(values: impl Iterator<Item = Option<Millis>>) -> ArrayRef {
    let values: TimestampMillisecondArray = values.map(|at| at.map(|at| at.0)).collect();
    Arc::new(values.with_timezone("UTC"))
}

fn digest_of(batch: &RecordBatch) -> Result<Digest, BadColumn> {
    let id = batch.column_by_name("id").and_then(|id| id.as_string_opt::<i32>()).ok_or(BadColumn("id"))?;
    let added_at = column::<TimestampMillisecondType>(batch, "added_at")?;
    let (status, town) = (words(batch, "status")?, words(batch, "town")?);
    let operator = column::<Int32Type>(batch, "operator")?;
    let app = column::<Int32Type>(batch, "app")?;
    let taxi = column::<UInt32Type>(batch, "taxi")?;
    let distance_m = column::<Float64Type>(batch, "distance_m")?;
    let steps = STEPS.map(|step| {
        let column = batch.column_by_name(&format!("{step}_at"));
        column.and_then(|array| array.as_primitive_opt::<TimestampMillisecondType>()).ok_or(BadColumn(step))
    });
    let steps = steps.into_iter().collect::<Result<Vec<_>, _>>()?;
    let mut digest = Digest::default();
    for (n, (status, town)) in status.into_iter().zip(town).enumerate() {
        let mut row = Row::default();
        for text in [id.value(n), status.unwrap_or_default(), town.unwrap_or_default()] {
            row.text(text);
        }
        row.number(Some(added_at.value(n).cast_unsigned()));
        let accounts = [operator.value(n), app.value(n)].map(|account| u64::from(account.cast_unsigned()));
        row.number(Some(accounts[0] << 32 | accounts[1]));
        row.number(taxi.is_valid(n).then(|| taxi.value(n).into()));
        row.number(distance_m.is_valid(n).then(|| distance_m.value(n).to_bits()));
        for step in &steps {
            row.number(step.is_valid(n).then(|| step.value(n).cast_unsigned()));
        }
        digest.add(&row.0);
    }
    Ok(digest)
}

/// A row as words, from which it can be told.
#[derive(Default)]
struct Row(Vec<u64>);

impl Row {
    fn number(&mut self, value: Option<u64>) {
        self.0.extend([value.is_some().into(), value.unwrap_or_default()]);
    }

    fn text(&mut self, text: &str) {
        self.0.push(text.len() as u64);
        for bytes in text.as_bytes().chunks(8) {
            self.0.push(bytes.iter().fold(0, |word, byte| word << 8 | u64::from(*byte)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clean::clean;
    use crate::current::Current;
    use crate::expire;
    use crate::layout::Part;
    use crate::root::ArchiveUrl;
    use crate::verify::verify;

    const DAY: Day = Day(20_000);

    fn hail(n: u32) -> Hail {
        let added_at = DAY.begins().plus(i64::from(n) * 1_000);
        let mut steps = [None; STEPS.len()];
        for (step, at) in steps.iter_mut().zip(1..) {
            *step = (at % 3 != i64::from(n % 3)).then(|| added_at.plus(at * 700));
        }
        Hail {
            id: format!("H{n}"),
            added_at,
            status: if n.is_multiple_of(2) { "finished" } else { "declined_by_taxi" }.to_owned(),
            operator: 2,
            app: 4,
            taxi: (!n.is_multiple_of(5)).then_some(n % 7),
            town: (!n.is_multiple_of(4)).then(|| "75056".parse().unwrap()),
            distance_m: n.is_multiple_of(2).then_some(12.5),
            steps,
        }
    }

    async fn write(root: &Root, hails: &[Hail]) -> Outcome {
        let mut day = HailsOfDay::begin(root, DAY).await.unwrap();
        for some in hails.chunks(40) {
            day.add(some).await.unwrap();
        }
        day.finish().await.unwrap()
    }

    fn digest(hails: &[Hail]) -> Digest {
        digest_of(&encode(hails).unwrap()).unwrap()
    }

    #[tokio::test]
    async fn a_day_is_what_was_written_last() {
        let folder = tempfile::tempdir().unwrap();
        let root = Root::open(&ArchiveUrl::File(folder.path().to_owned())).unwrap();
        assert_eq!(archived(&root).await.unwrap(), BTreeMap::new());
        let hails: Vec<_> = (0..100).map(hail).collect();
        assert!(matches!(write(&root, &hails[..90]).await, Outcome::Written(_)));
        assert!(matches!(write(&root, &hails).await, Outcome::Written(_)));
        assert_eq!(archived(&root).await.unwrap(), [(DAY, 100)].into());
        let findings = verify::<Hails>(&root, &|_, _| ()).await.unwrap();
        assert_eq!((findings.rows, findings.files, findings.digest), (100, 1, digest(&hails)));
        assert_eq!(findings.problems, [""; 0]);
        assert_eq!(clean::<Hails>(&root, Millis(i64::MAX)).await.unwrap(), 2, "a part and a manifest");

        let current = Current::read(&root, Stream::Hails).await.unwrap();
        let content = root.get(&current.days[&DAY].parts[0].part).await.unwrap().unwrap();
        let read: Vec<_> = crate::file::read(content).unwrap().1.collect::<Result<_, _>>().unwrap();
        let read = datafusion::arrow::compute::concat_batches(&Hails::schema(), &read).unwrap();
        assert_eq!(read["id"].as_string::<i32>().value(7), "H7");
        let expected = hail(7);
        let step = read["received_by_operator_at"].as_primitive::<TimestampMillisecondType>();
        assert_eq!(step.is_valid(7).then(|| Millis(step.value(7))), expected.steps[2]);
    }

    #[tokio::test]
    async fn a_day_that_is_too_old_is_deleted_and_its_files_go() {
        let folder = tempfile::tempdir().unwrap();
        let root = Root::open(&ArchiveUrl::File(folder.path().to_owned())).unwrap();
        assert!(matches!(write(&root, &[hail(1), hail(2)]).await, Outcome::Written(_)));
        let ends = DAY.next().begins();
        let old = async |before| {
            let (plans, damaged) = expire::plan::<Hails>(&root, before).await.unwrap();
            assert!(damaged.is_empty(), "{damaged:?}");
            plans.into_iter().map(|plan| (plan.day, plan.rows)).collect::<Vec<_>>()
        };
        assert_eq!(old(ends.plus(-1)).await, []);
        assert_eq!(old(ends).await, [(DAY, 2)]);

        assert!(matches!(expire::delete::<Hails>(&root, DAY).await.unwrap(), Outcome::Written(_)));
        assert_eq!(old(ends).await, []);
        assert_eq!(expire::delete::<Hails>(&root, DAY).await.unwrap(), Outcome::Nothing);
        assert_eq!(archived(&root).await.unwrap(), [(DAY, u64::MAX)].into(), "it stays deleted");
        assert_eq!(clean::<Hails>(&root, Millis(i64::MAX)).await.unwrap(), 2, "the part and its manifest");
        assert_eq!(root.list::<Part>("hails").await.unwrap(), []);
        let findings = verify::<Hails>(&root, &|_, _| ()).await.unwrap();
        assert_eq!((findings.rows, findings.files, findings.problems.len()), (0, 0, 0));
    }

    #[tokio::test]
    async fn what_a_kill_left_of_a_first_manifest_goes() {
        let folder = tempfile::tempdir().unwrap();
        let root = Root::open(&ArchiveUrl::File(folder.path().to_owned())).unwrap();
        let hails: Vec<_> = (0..100).map(hail).collect();
        assert!(matches!(write(&root, &hails).await, Outcome::Written(_)));
        for day in [DAY, DAY.next()] {
            let left = Part { stream: Stream::Hails, day, manifest: 1, number: 0, hash: 1 };
            root.create(&left, vec![1].into()).await.unwrap();
        }
        assert_eq!(clean::<Hails>(&root, Millis(0)).await.unwrap(), 0, "it may have been written just now");
        assert_eq!(clean::<Hails>(&root, Millis(i64::MAX)).await.unwrap(), 1, "of the day that is written");
        let findings = verify::<Hails>(&root, &|_, _| ()).await.unwrap();
        assert_eq!((findings.rows, findings.digest), (100, digest(&hails)));
        assert_eq!(root.list::<Part>("hails").await.unwrap().len(), 2);
    }

    #[tokio::test]
    async fn of_two_that_write_a_day_one_wins() {
        let folder = tempfile::tempdir().unwrap();
        let root = Root::open(&ArchiveUrl::File(folder.path().to_owned())).unwrap();
        let hails: Vec<_> = (0..100).map(hail).collect();
        let mut one = HailsOfDay::begin(&root, DAY).await.unwrap();
        let mut other = HailsOfDay::begin(&root, DAY).await.unwrap();
        other.add(&hails).await.unwrap();
        one.add(&hails).await.unwrap();
        assert!(matches!(one.finish().await.unwrap(), Outcome::Written(_)));
        assert_eq!(other.finish().await.unwrap(), Outcome::Outrun);
        let findings = verify::<Hails>(&root, &|_, _| ()).await.unwrap();
        assert_eq!((findings.rows, findings.problems), (100, vec![]));
    }

    #[test]
    fn every_value_of_a_hail_is_part_of_its_digest() {
        let changes: [fn(&mut Hail); 10] = [
            |hail| hail.id.push('x'),
            |hail| hail.added_at.0 += 1,
            |hail| hail.status.push('x'),
            |hail| hail.operator += 1,
            |hail| hail.app += 1,
            |hail| hail.taxi = None,
            |hail| hail.town = None,
            |hail| hail.distance_m = Some(0.0),
            |hail| hail.steps[0] = None,
            |hail| hail.steps.swap(1, 2),
        ];
        let before = Hail { distance_m: None, ..hail(6) };
        for (number, change) in changes.into_iter().enumerate() {
            let mut changed = before.clone();
            change(&mut changed);
            assert_ne!(digest(std::slice::from_ref(&before)), digest(&[changed]), "change {number}");
        }
    }
}
