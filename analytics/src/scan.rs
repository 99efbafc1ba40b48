//! Reading some Parquet files of the archive as part of a plan, and which of them need not be read.

use std::fmt::Display;
use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::catalog::Session;
use datafusion::common::pruning::PrunableStatistics;
use datafusion::common::stats::Precision;
use datafusion::common::{ColumnStatistics, DFSchema, DataFusionError, Result, ScalarValue, Statistics};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::parquet::CachedParquetFileReaderFactory;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::datasource::table_schema::TableSchema;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::logical_expr::Expr;
use datafusion::logical_expr::utils::conjunction;
use datafusion::physical_optimizer::pruning::PruningPredicateBuilder;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use ingest::clock::Millis;

use crate::layout::Day;
use crate::root::Root;
use crate::times::Span;

/// The column that a file's name tells: the day, in UTC.
pub(crate) const DAY: &str = "date";

/// Where files of these columns, each of a day, are read from.
#[derive(Debug)]
pub(crate) struct Files {
    root: Root,
    url: ObjectStoreUrl,
    schema: TableSchema,
}

impl Files {
    /// `url` is what the archive's objects are registered under; `archived` the columns that files have.
    pub(crate) fn new(root: Root, url: ObjectStoreUrl, archived: &Schema) -> Self {
        let day = Arc::new(Field::new(DAY, DataType::Date32, false));
        let schema = TableSchema::builder(asked(archived)).with_table_partition_cols(vec![day]).build();
        Self { root, url, schema }
    }

    /// Where they lie.
    pub(crate) fn root(&self) -> &Root {
        &self.root
    }

    /// Their columns as they are asked for, the day among them.
    pub(crate) fn schema(&self) -> SchemaRef {
        self.schema.table_schema().clone()
    }

    /// Of some rows whether `filters` may hold in one of them, of which the file's day is known and perhaps between
    /// which moments the column `time` is.
    pub(crate) fn may_hold(
        &self,
        state: &dyn Session,
        filters: &[Expr],
        time: &str,
        known: &[(Day, Span)],
    ) -> Result<Vec<bool>> {
        may_hold(&self.schema(), state, filters, time, known)
    }

    /// The plan that reads files.
    pub(crate) fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        files: Vec<PartitionedFile>,
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
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

fn may_hold(
    schema: &SchemaRef,
    state: &dyn Session,
    filters: &[Expr],
    time: &str,
    known: &[(Day, Span)],
) -> Result<Vec<bool>> {
    let Some(filter) = conjunction(filters.to_vec()) else { return Ok(vec![true; known.len()]) };
    let filter = state.create_physical_expr(filter, &DFSchema::try_from(schema.as_ref().clone())?)?;
    let predicate = PruningPredicateBuilder::new().with_file_schema(schema.clone()).try_build(filter)?;
    let known = known.iter().map(|(day, span)| Arc::new(known_of(schema, *day, time, *span))).collect();
    predicate.prune(&PrunableStatistics::new(known, schema.clone()))
}

/// A file of a day.
pub(crate) fn file(name: &impl Display, bytes: u64, day: Day) -> PartitionedFile {
    PartitionedFile::new(name.to_string(), bytes)
        .with_partition_values(vec![ScalarValue::Date32(Some(day.0))])
}

/// An error of ours among those of the library.
pub(crate) fn external(error: impl std::error::Error + Send + Sync + 'static) -> DataFusionError {
    DataFusionError::External(Box::new(error))
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

/// What is known of rows as the library has it.
fn known_of(schema: &SchemaRef, day: Day, time: &str, span: Span) -> Statistics {
    let mut known = Statistics::new_unknown(schema);
    for (field, column) in schema.fields().iter().zip(&mut known.column_statistics) {
        let (least, most) = if field.name() == DAY {
            let date = ScalarValue::Date32(Some(day.0));
            (date.clone(), date)
        } else if field.name() == time {
            // What nobody knows is null of the same kind: the library makes one array of all, or takes none for known.
            let instant =
                |at: Option<Millis>| ScalarValue::TimestampMillisecond(at.map(|at| at.0), Some("UTC".into()));
            let (first, last) = span.unzip();
            (instant(first), instant(last))
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

#[cfg(test)]
mod tests {
    use datafusion::arrow::datatypes::TimeUnit;
    use datafusion::prelude::{SessionContext, col, lit};

    use super::*;

    #[test]
    fn what_may_hold_is_told_from_what_may_not_beside_what_nobody_knows() {
        let instant = DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()));
        let schema = Arc::new(asked(&Schema::new(vec![Field::new("at", instant, false)])));
        let known = |span| (Day(20_000), span);
        let spans = [known(Some((Millis(1), Millis(2)))), known(None), known(Some((Millis(3), Millis(9))))];
        let from = |at| {
            let at = lit(ScalarValue::TimestampMillisecond(Some(at), Some("UTC".into())));
            may_hold(&schema, &SessionContext::new().state(), &[col("at").gt_eq(at)], "at", &spans).unwrap()
        };
        assert_eq!(from(2), [true, true, true]);
        assert_eq!(from(3), [false, true, true]);
        assert_eq!(from(10), [false, true, false]);
    }
}
