//! Making rollups: SQL over a day in bounded memory, a file each.

use std::io::Write as _;
use std::path::Path as FilePath;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, RecordBatch, StringViewArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::arrow::error::ArrowError;
use datafusion::common::ScalarValue;
use datafusion::datasource::file_format::options::ParquetReadOptions;
use datafusion::error::DataFusionError;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::prelude::{DataFrame, SessionContext, col};
use engine::territory::Territory;
use futures_util::TryStreamExt as _;
use ingest::clock::Millis;
use tempfile::NamedTempFile;
use thiserror::Error;

use super::{Due, Rollup, RollupName, Since};
use crate::bounded;
use crate::encode::{EncodeError, Encoder, Format};
use crate::footer::SEAL;
use crate::layout::{Day, Stream};
use crate::limits::FEWEST_SHOWN;
use crate::root::{Root, Unavailable};
use crate::schema::{instant, word};
use crate::seal;
use crate::tables::ArchiveTable;
use crate::views::register_batch;

const PRESENT: &str = include_str!("present.sql");
const PRESENCE: &str = include_str!("presence.sql");
const HEARD: &str = include_str!("heard.sql");
const CONNECTED: &str = include_str!("connected.sql");
const SEARCHES: &str = include_str!("searches.sql");
const HAILS: &str = include_str!("hails.sql");

/// A rollup could not be made. What there was of it is there.
#[derive(Debug, Error)]
pub enum RollupError {
    /// An object of the archive.
    #[error(transparent)]
    Archive(#[from] Unavailable),
    /// Adding up.
    #[error("adding up: {0}")]
    Query(#[from] DataFusionError),
    /// Columns that are not those of the rollup.
    #[error("a rollup cannot be written: {0}")]
    Encode(#[from] EncodeError),
    /// A file that could not be told from a damaged one.
    #[error("the footer of {0} has no room for a seal")]
    Unsealed(RollupName),
    /// What does not fit in memory.
    #[error("putting aside: {0}")]
    Aside(#[from] std::io::Error),
}

impl From<ArrowError> for RollupError {
    fn from(error: ArrowError) -> Self {
        Self::Encode(error.into())
    }
}

/// Makes what is due. `aside` is a directory for what does not fit in memory.
pub async fn make(
    root: &Root,
    territory: &Territory,
    aside: &FilePath,
    (due, since): (Due, Since),
) -> Result<(), RollupError> {
    let making = Making::new(root, territory, aside)?;
    match due {
        Due::Day(Stream::Positions, day, number) => making.connected(day, number, since.exact).await,
        Due::Day(Stream::Searches, day, number) => {
            let rows = making.of(&sql_of(Rollup::SearchesHour), day).await?;
            making.create(RollupName { rollup: Rollup::SearchesHour, day, number }, rows).await
        }
        Due::Day(Stream::Hails, day, number) => {
            let rows = making.of(&sql_of(Rollup::HailsDay), day).await?;
            making.create(RollupName { rollup: Rollup::HailsDay, day, number }, rows).await
        }
        Due::Week(monday, number) => making.week(monday, number).await,
    }
}

/// The columns of a rollup's files.
pub(crate) fn schema_of(rollup: Rollup) -> Schema {
    let at = Field::new("at", instant(), false);
    let town = Field::new("insee", word(), true);
    let columns = |names: &[(&str, DataType)], nullable| -> Vec<Field> {
        names.iter().map(|(name, kind)| Field::new(*name, kind.clone(), nullable)).collect()
    };
    let (number, text) = (DataType::UInt32, word());
    match rollup {
        Rollup::ConnectedMinute | Rollup::ConnectedHour | Rollup::ConnectedDay | Rollup::ConnectedWeek => {
            Schema::new(
                [
                    columns(&[("by", text.clone())], false),
                    vec![town],
                    columns(&[("zupc", text), ("operator", number.clone())], true),
                    vec![at],
                    columns(&[("taxis", number)], false),
                ]
                .concat(),
            )
        }
        Rollup::Presence => {
            let columns =
                columns(&[("cell", DataType::UInt64), ("taxi", number.clone()), ("minutes", number)], false);
            Schema::new(columns)
        }
        Rollup::Heard => Schema::new(
            [vec![at], columns(&[("taxi", number.clone()), ("operator", number)], false), vec![town]]
                .concat(),
        ),
        Rollup::SearchesHour => Schema::new(
            [
                vec![at, town],
                columns(
                    &[
                        ("caller", DataType::Int32),
                        ("searches", number.clone()),
                        ("found", number.clone()),
                        ("answered", number),
                    ],
                    false,
                ),
            ]
            .concat(),
        ),
        Rollup::HailsDay => {
            let delays = ["received", "accepted", "on_board"].iter().flat_map(|step| {
                ["p50", "p90"]
                    .map(|share| Field::new(format!("{step}_after_{share}_s"), DataType::Float64, true))
            });
            Schema::new(
                [
                    vec![at, town],
                    columns(
                        &[
                            ("operator", DataType::Int32),
                            ("app", DataType::Int32),
                            ("status", text),
                            ("hails", number),
                        ],
                        false,
                    ),
                    // Files of before do not have it: their rows are shown to no analyst.
                    columns(&[("taxis", DataType::UInt32)], true),
                    delays.collect(),
                ]
                .concat(),
            )
        }
    }
}

/// A session that sees the archive, and where its answers go.
struct Making<'a> {
    root: &'a Root,
    aside: &'a FilePath,
    context: SessionContext,
    url: ObjectStoreUrl,
}

impl<'a> Making<'a> {
    fn new(root: &'a Root, territory: &Territory, aside: &'a FilePath) -> Result<Self, RollupError> {
        let (context, url) = bounded::session(root, aside)?;
        for stream in Stream::ALL {
            let table = ArchiveTable::new(root.clone(), url.clone(), Arc::default(), stream);
            context.register_table(stream.as_str(), Arc::new(table))?;
        }
        register_batch(&context, "zupc", zones(territory)?)?;
        Ok(Self { root, aside, context, url })
    }

    /// What SQL says of the rows of a day. Its files alone do not have them all: the log's clock is another's.
    async fn of(&self, sql: &str, day: Day) -> Result<DataFrame, RollupError> {
        let moment = |day: Day| ScalarValue::TimestampMillisecond(Some(day.begins().0), Some("UTC".into()));
        let fewest = ScalarValue::Int64(Some(FEWEST_SHOWN.into()));
        let values = vec![("begins", moment(day)), ("ends", moment(day.next())), ("fewest", fewest)];
        Ok(self.context.sql(sql).await?.with_param_values(values)?)
    }

    /// What positions of a day add up to, but for what is there already, as where a version of the program added one.
    /// They are read once: the rest is made of who was there in which minute.
    async fn connected(&self, day: Day, number: u32, exact_since: Millis) -> Result<(), RollupError> {
        let missing = missing(self.root, Stream::Positions, (day, number), exact_since).await?;
        if missing.is_empty() {
            return Ok(());
        }
        // It goes when it was used. Where it stays, the next start sweeps it away.
        let _present = self.find_present(day).await?;
        for rollup in missing {
            let rows = self.context.sql(&sql_of(rollup)).await?;
            self.create(RollupName { rollup, day, number }, rows).await?;
        }
        Ok(())
    }

    /// Puts aside who was there in which minute, and calls that `present`.
    async fn find_present(&self, day: Day) -> Result<NamedTempFile, RollupError> {
        let mut present =
            tempfile::Builder::new().prefix("present-").suffix(".parquet").tempfile_in(self.aside)?;
        let mut rows = self.of(PRESENT, day).await?.execute_stream().await?;
        let mut writer = Encoder::new(Format::Parquet, rows.schema())?;
        while let Some(batch) = rows.try_next().await? {
            present.write_all(&writer.rows(&batch)?)?;
        }
        present.write_all(&writer.finish()?)?;
        let in_order = ParquetReadOptions::default().file_sort_order(vec![vec![col("at").sort(true, false)]]);
        self.present(vec![present.path().display().to_string()], in_order).await?;
        Ok(present)
    }

    async fn week(&self, monday: Day, number: u32) -> Result<(), RollupError> {
        let days = Rollup::Heard.files(self.root).await?;
        let of_it = days.values().filter(|found| found.name.day.monday() == monday);
        let of_it = of_it.map(|found| format!("{}{}", self.url.as_str(), found.name));
        self.present(of_it.collect(), ParquetReadOptions::default()).await?;
        let rows = self.context.sql(&sql_of(Rollup::ConnectedWeek)).await?;
        self.create(RollupName { rollup: Rollup::ConnectedWeek, day: monday, number }, rows).await
    }

    /// Calls files `present`.
    async fn present(&self, files: Vec<String>, options: ParquetReadOptions<'_>) -> Result<(), RollupError> {
        let table = self.context.read_parquet(files, options).await?;
        self.context.register_table("present", table.into_view())?;
        Ok(())
    }

    /// Writes rows, unless somebody else has made the file meanwhile.
    async fn create(&self, name: RollupName, rows: DataFrame) -> Result<(), RollupError> {
        let schema = schema_of(name.rollup);
        // In the footer of the file there is room for its seal.
        let sealed = schema.clone().with_metadata([(SEAL.to_owned(), seal::unsealed())].into());
        let schema: SchemaRef = Arc::new(schema);
        let mut writer = Encoder::new(Format::Parquet, Arc::new(sealed))?;
        let mut content = Vec::new();
        let mut rows = rows.execute_stream().await?;
        while let Some(batch) = rows.try_next().await? {
            content.extend(writer.rows(&fitted(&batch, &schema)?)?);
        }
        content.extend(writer.finish()?);
        if !seal::seal(&mut content) {
            return Err(RollupError::Unsealed(name));
        }
        self.root.create(&name, content.into()).await?;
        Ok(())
    }
}

/// What is to be made of a day under this number: a file that is there is what was made of the same, and stays.
pub(super) async fn missing(
    root: &Root,
    stream: Stream,
    (day, number): (Day, u32),
    exact_since: Millis,
) -> Result<Vec<Rollup>, Unavailable> {
    let mut missing = Vec::new();
    for &rollup in Rollup::of(stream).iter().filter(|rollup| rollup.is_made_of(day, exact_since)) {
        let made = root.list::<RollupName>(&format!("{}/date={day}", rollup.folder())).await?;
        if made.iter().all(|found| found.name.number < number) {
            missing.push(rollup);
        }
    }
    Ok(missing)
}

/// The SQL that says what is added up: of who was there in which minute, but for searches and hails.
fn sql_of(rollup: Rollup) -> String {
    let grain = match rollup {
        Rollup::ConnectedMinute => "minute",
        Rollup::ConnectedHour => "hour",
        Rollup::ConnectedDay => "day",
        Rollup::ConnectedWeek => "week",
        Rollup::Presence => return PRESENCE.to_owned(),
        Rollup::Heard => return HEARD.to_owned(),
        Rollup::SearchesHour => return SEARCHES.to_owned(),
        Rollup::HailsDay => return HAILS.to_owned(),
    };
    CONNECTED.replace("$grain", grain)
}

/// Rows under the columns of a file.
fn fitted(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, ArrowError> {
    let columns =
        batch.columns().iter().zip(schema.fields()).map(|(column, field)| cast(column, field.data_type()));
    RecordBatch::try_new(schema.clone(), columns.collect::<Result<_, _>>()?)
}

/// Which towns' taxis may pick up in which ZUPC.
fn zones(territory: &Territory) -> Result<RecordBatch, ArrowError> {
    let rows = || territory.zupcs().iter().flat_map(|zone| zone.allowed.iter().map(move |town| (zone, town)));
    let zones = StringViewArray::from_iter_values(rows().map(|(zone, _)| zone.id.as_str()));
    let towns = StringViewArray::from_iter_values(rows().map(|(_, town)| town.as_str()));
    RecordBatch::try_from_iter([
        ("zupc", Arc::new(zones) as ArrayRef),
        ("insee", Arc::new(towns) as ArrayRef),
    ])
}

#[cfg(test)]
mod tests {
    use datafusion::physical_plan::displayable;

    use super::*;
    use crate::root::ArchiveUrl;

    /// The operators that rows go through, the last first.
    async fn planned(rows: DataFrame) -> Vec<String> {
        let plan = rows.create_physical_plan().await.unwrap();
        displayable(plan.as_ref())
            .indent(false)
            .to_string()
            .lines()
            .map(|line| line.trim().to_owned())
            .collect()
    }

    fn adding(plan: &[String]) -> Vec<&String> {
        plan.iter().filter(|line| line.starts_with("AggregateExec")).collect()
    }

    #[tokio::test]
    async fn of_a_day_no_more_is_held_than_an_hour() {
        let folder = tempfile::tempdir().unwrap();
        let root = Root::open(&ArchiveUrl::File(folder.path().join("archive"))).unwrap();
        let territory = Territory::new(Vec::new(), Vec::new(), Vec::new());
        let making = Making::new(&root, &territory, folder.path()).unwrap();
        let _present = making.find_present(Day(20_000)).await.unwrap();
        for rollup in [Rollup::ConnectedMinute, Rollup::ConnectedHour] {
            let plan = planned(making.context.sql(&sql_of(rollup)).await.unwrap()).await;
            assert!(adding(&plan).len() >= 6, "{plan:#?}");
            // Groups of which no more can come are let go.
            assert!(adding(&plan).iter().all(|line| line.contains("ordering_mode=")), "{plan:#?}");
        }

        // Of where taxis were a minute is held; what each was in each cell goes to disk where it is too much.
        let presence = planned(making.context.sql(&sql_of(Rollup::Presence)).await.unwrap()).await;
        let [by_cell, by_minute] = adding(&presence)[..] else { panic!("{presence:#?}") };
        assert!(by_minute.contains("gby=[at@0 as at, cell@1 as cell, taxi@2 as taxi]"), "{presence:#?}");
        assert!(by_minute.contains("ordering_mode=PartiallySorted([0])"), "{presence:#?}");
        assert!(by_cell.contains("gby=[cell@0 as cell, taxi@1 as taxi]"), "{presence:#?}");
        assert!(presence[1].starts_with("SortExec: expr=[cell@0 ASC NULLS LAST, taxi@1 ASC NULLS LAST]"));

        // All of these rely on the order of minutes, which positions do not have.
        let present = planned(making.of(PRESENT, Day(20_000)).await.unwrap()).await;
        assert!(present[0].starts_with("SortExec: expr=[at@0 ASC NULLS LAST]"), "{present:#?}");
        assert_eq!(adding(&present).len(), 1, "{present:#?}");
        // What holds rows can put them aside, as a join of hashes or a window could not.
        let known =
            ["SortExec", "AggregateExec", "ProjectionExec", "FilterExec", "DataSourceExec", "EmptyExec"];
        for line in presence.iter().chain(&present) {
            assert!(known.iter().any(|name| line.starts_with(name)), "{line}");
        }
    }

    #[tokio::test]
    async fn what_is_there_is_not_made_again() {
        let folder = tempfile::tempdir().unwrap();
        let root = Root::open(&ArchiveUrl::File(folder.path().join("archive"))).unwrap();
        let (day, other) = (Day(20_000), Day(20_001));
        let exact = Since::EVER.exact;
        let missing =
            async |day, number, since| missing(&root, Stream::Positions, (day, number), since).await.unwrap();
        assert_eq!(missing(day, 2, exact).await, Rollup::of(Stream::Positions));
        for rollup in [Rollup::ConnectedMinute, Rollup::ConnectedHour, Rollup::ConnectedDay, Rollup::Heard] {
            root.create(&RollupName { rollup, day, number: 2 }, "made before".into()).await.unwrap();
        }
        // As after the version that adds up who was where.
        assert_eq!(missing(day, 2, exact).await, [Rollup::Presence]);
        assert_eq!(missing(day, 2, other.begins()).await, [], "it is not made of a day that is old");
        assert_eq!(missing(day, 3, exact).await.len(), 5, "of another manifest all is made");
        assert_eq!(missing(other, 1, exact).await.len(), 5);
    }
}
