//! The archive's streams as tables: which files a query reads, and which of them it need not.
//!
//! A table stands for its stream as it was when the query first looked: the parts that manifests list, and the recent
//! files that these do not cover. What a name says of a day is compared with the query's condition before a manifest is
//! read; what a file's footer says of its row groups and pages, before these are.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::Result;
use datafusion::datasource::TableType;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown};
use datafusion::physical_plan::ExecutionPlan;
use tokio::sync::OnceCell;

use crate::current::is_late;
use crate::footer::BadFile;
use crate::layout::{Day, ManifestName, Recent, Stream};
use crate::manifest::{Manifest, manifests};
use crate::root::{Found, Root};
use crate::scan::{Files, external, file};
use crate::schema;

/// How far the time of a row may lie outside the day of its file: a day is one of when the log took a row, which is
/// later than when it was received, and by the log's clock.
const BESIDE_DAY_MS: i64 = 24 * 3_600_000;

/// A stream of the archive, for one query.
#[derive(Debug)]
pub(crate) struct ArchiveTable {
    stream: Stream,
    files: Files,
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
        Self { stream, files: Files::new(root, url, &schema::of(stream)), names: OnceCell::new() }
    }

    async fn names(&self) -> Result<&Names> {
        let read = async {
            // Manifests first: hours that come to be covered meanwhile are there for a while yet.
            let manifests = manifests(self.files.root(), self.stream).await?;
            let recent = self.files.root().list(&self.stream.recent_folder()).await?;
            Ok(Names { manifests, recent })
        };
        self.names.get_or_try_init(|| read).await.map_err(|error: BadFile| external(error))
    }

    /// The files that may hold a row for which `filters` hold.
    async fn needed(&self, state: &dyn Session, filters: &[Expr]) -> Result<Vec<PartitionedFile>> {
        let names = self.names().await?;
        let mut days: Vec<Day> = names.manifests.keys().copied().collect();
        days.extend(names.recent.iter().map(|found| found.name.hour.day()));
        days.sort_unstable();
        days.dedup();
        let time = (schema::time_of(self.stream), BESIDE_DAY_MS);
        let may_hold = self.files.may_hold(state, filters, &days, time)?;
        let mut files = Vec::new();
        for day in days.into_iter().zip(may_hold).filter_map(|(day, may_hold)| may_hold.then_some(day)) {
            let manifest = match names.manifests.get(&day) {
                Some(found) => Manifest::read(self.files.root(), found.name).await.map_err(external)?,
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
}

#[async_trait]
impl TableProvider for ArchiveTable {
    fn schema(&self) -> SchemaRef {
        self.files.schema()
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
        let files = self.needed(state, filters).await?;
        self.files.scan(state, projection, files, limit)
    }
}
