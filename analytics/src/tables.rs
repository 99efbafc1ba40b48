//! The archive's streams as tables: which files a query reads, and which of them it need not.
//!
//! A table stands for its stream as it was when the query first looked: the parts that manifests list, and the recent
//! files that these do not cover. What a name says of a day is compared with the query's condition before a manifest is
//! read; what a file's footer says of its row groups and pages, before these are.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::pruning::PrunableStatistics;
use datafusion::common::stats::Precision;
use datafusion::common::{ColumnStatistics, DFSchema, DataFusionError, Result, ScalarValue, Statistics};
use datafusion::datasource::TableType;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::parquet::CachedParquetFileReaderFactory;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::datasource::table_schema::TableSchema;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown};
use datafusion::physical_optimizer::pruning::PruningPredicateBuilder;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use ingest::clock::Millis;
use tokio::sync::OnceCell;

use crate::current::is_late;
use crate::footer::BadFile;
use crate::layout::{Day, ManifestName, Recent, Stream};
use crate::manifest::{Manifest, manifests};
use crate::root::{Found, Root};
use crate::schema;

/// The column that a file's name tells: the day, in UTC.
pub const DAY: &str = "date";

/// How far the time of a row may lie outside the day of its file: a day is one of when the log took a row, which is
/// later than when it was received, and by the log's clock.
const BESIDE_DAY_MS: i64 = 24 * 3_600_000;

/// A stream of the archive, for one query.
#[derive(Debug)]
pub(crate) struct ArchiveTable {
    root: Root,
    url: ObjectStoreUrl,
    stream: Stream,
    schema: TableSchema,
    names: OnceCell<Names>,
}

/// What a stream's files are called.
#[derive(Debug)]
struct Names {
    manifests: BTreeMap<Day, Found<ManifestName>>,
    recent: Vec<Found<Recent>>,
}

impl ArchiveTable {
    /// `url` is what the archive's objects are registered under.
    pub(crate) fn new(root: Root, url: ObjectStoreUrl, stream: Stream) -> Self {
        let day = Arc::new(Field::new(DAY, DataType::Date32, false));
        let schema =
            TableSchema::builder(asked(&schema::of(stream))).with_table_partition_cols(vec![day]).build();
        Self { root, url, stream, schema, names: OnceCell::new() }
    }

    async fn names(&self) -> Result<&Names> {
        let read = async {
            // Manifests first: hours that come to be covered meanwhile are there for a while yet.
            let manifests = manifests(&self.root, self.stream).await?;
            let recent = self.root.list(&self.stream.recent_folder()).await?;
            Ok(Names { manifests, recent })
        };
        self.names.get_or_try_init(|| read).await.map_err(|error: BadFile| external(error))
    }

    /// The files that may hold a row for which `filters` hold.
    async fn files(&self, state: &dyn Session, filters: &[Expr]) -> Result<Vec<PartitionedFile>> {
        let names = self.names().await?;
        let mut days: Vec<Day> = names.manifests.keys().copied().collect();
        days.extend(names.recent.iter().map(|found| found.name.hour.day()));
        days.sort_unstable();
        days.dedup();
        let may_hold = self.days_of(state, filters, &days)?;
        let mut files = Vec::new();
        for day in days.into_iter().zip(may_hold).filter_map(|(day, may_hold)| may_hold.then_some(day)) {
            let manifest = match names.manifests.get(&day) {
                Some(found) => Manifest::read(&self.root, found.name).await.map_err(external)?,
                None => None,
            };
            let parts = manifest.iter().flat_map(|manifest| &manifest.parts);
            files.extend(parts.map(|listed| file(&listed.part, listed.bytes, day)));
            let recent = names.recent.iter().filter(|found| found.name.hour.day() == day);
            let recent = recent.filter(|found| is_late(found, manifest.as_ref()));
            files.extend(recent.map(|found| file(&found.name, found.bytes, day)));
        }
        Ok(files)
    }

    /// Of each day, whether `filters` may hold in it.
    fn days_of(&self, state: &dyn Session, filters: &[Expr], days: &[Day]) -> Result<Vec<bool>> {
        let Some(filter) = conjunction(filters.to_vec()) else { return Ok(vec![true; days.len()]) };
        let schema = self.schema();
        let filter = state.create_physical_expr(filter, &DFSchema::try_from(schema.as_ref().clone())?)?;
        let predicate = PruningPredicateBuilder::new().with_file_schema(schema.clone()).try_build(filter)?;
        let known = days.iter().map(|day| Arc::new(self.known_of(*day))).collect();
        predicate.prune(&PrunableStatistics::new(known, schema))
    }

    /// What a day's name tells of its rows.
    fn known_of(&self, day: Day) -> Statistics {
        let mut known = Statistics::new_unknown(&self.schema());
        let time = schema::time_of(self.stream);
        for (field, column) in self.schema().fields().iter().zip(&mut known.column_statistics) {
            let (least, most) = if field.name() == DAY {
                let date = ScalarValue::Date32(Some(day.0));
                (date.clone(), date)
            } else if field.name() == time {
                let instant = |at: Millis| ScalarValue::TimestampMillisecond(Some(at.0), Some("UTC".into()));
                (
                    instant(day.begins().plus(-BESIDE_DAY_MS)),
                    instant(day.next().begins().plus(BESIDE_DAY_MS - 1)),
                )
            } else {
                continue;
            };
            *column = ColumnStatistics {
                min_value: Precision::Exact(least),
                max_value: Precision::Exact(most),
                ..ColumnStatistics::new_unknown()
            };
        }
        known
    }
}

#[async_trait]
impl TableProvider for ArchiveTable {
    fn schema(&self) -> SchemaRef {
        self.schema.table_schema().clone()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let files = self.files(state, filters).await?;
        if files.is_empty() {
            let columns = projection.map_or_else(|| (0..self.schema().fields().len()).collect(), Vec::clone);
            return Ok(Arc::new(EmptyExec::new(Arc::new(self.schema().project(&columns)?))));
        }
        let (store, cache) = (self.root.store(), state.runtime_env().cache_manager.get_file_metadata_cache());
        let reader = CachedParquetFileReaderFactory::new(store.clone(), cache);
        let source = ParquetSource::new(self.schema.clone())
            .with_table_parquet_options(state.table_options().parquet.clone())
            .with_parquet_file_reader_factory(Arc::new(reader));
        let config = FileScanConfigBuilder::new(self.url.clone(), Arc::new(source))
            .with_file_groups(FileGroup::new(files).split_files(state.config().target_partitions()))
            .with_projection_indices(projection.cloned())?
            .with_limit(limit)
            .build();
        Ok(DataSourceExec::from_data_source(config))
    }
}

/// The columns as they are asked for: words as texts, which are compared and grouped faster than what files keep of
/// them.
fn asked(archived: &Schema) -> SchemaRef {
    let asked = |field: &Field| match field.data_type() {
        DataType::Dictionary(_, _) | DataType::Utf8 => field.clone().with_data_type(DataType::Utf8View),
        _ => field.clone(),
    };
    Arc::new(Schema::new(archived.fields().iter().map(|field| asked(field)).collect::<Vec<_>>()))
}

fn file(name: &impl Display, bytes: u64, day: Day) -> PartitionedFile {
    PartitionedFile::new(name.to_string(), bytes)
        .with_partition_values(vec![ScalarValue::Date32(Some(day.0))])
}

fn external(error: impl std::error::Error + Send + Sync + 'static) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}
