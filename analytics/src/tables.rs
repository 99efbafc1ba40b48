//! The archive's streams as tables: which files a query reads, and which of them it need not.
//!
//! A table stands for its stream as it was when the query first looked: the parts that manifests list, and the recent
//! files that these do not cover. What a name says of a day is compared with the query's condition before a manifest is
//! read; what a file's footer says of its row groups and pages, before these are. A day is one of when the log took its
//! rows, by the log's clock: which of them are of a time is told by that only where it lies near, and elsewhere by what
//! the file's footer says of its rows.
//!
//! What is damaged ends a query that may need it: an answer without a part of what was asked is none. Of a day far from
//! what is asked it does not: but for a clock that was wrong, nothing there is asked.

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
use futures_util::{StreamExt as _, stream};
use ingest::clock::Millis;
use tokio::sync::OnceCell;

use crate::current::is_late;
use crate::footer::BadFile;
use crate::layout::{Day, ManifestName, Recent, Stream};
use crate::limits::FOOTERS_AT_ONCE;
use crate::manifest::{Manifest, manifests};
use crate::root::{Found, Root};
use crate::scan::{Files, external, file};
use crate::schema;
use crate::times::{Span, Times};

/// So near to the day of a file its rows are looked for without asking its footer.
const BESIDE_DAY_MS: i64 = 24 * 3_600_000;

/// A stream of the archive, for one query.
#[derive(Debug)]
pub(crate) struct ArchiveTable {
    stream: Stream,
    files: Files,
    times: Arc<Times>,
    names: OnceCell<Names>,
}

/// A file that a query may read.
struct Candidate {
    name: String,
    bytes: u64,
    day: Day,
}

/// What a stream's files are called.
#[derive(Debug)]
struct Names {
    manifests: BTreeMap<Day, Found<ManifestName>>,
    recent: Vec<Found<Recent>>,
}

impl ArchiveTable {
    /// `url` is what the archive's objects are registered under.
    pub(crate) fn new(root: Root, url: ObjectStoreUrl, times: Arc<Times>, stream: Stream) -> Self {
        Self { stream, files: Files::new(root, url, &schema::of(stream)), times, names: OnceCell::new() }
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
        let time = schema::time_of(self.stream);
        let may_hold = |known: &[(Day, Span)]| self.files.may_hold(state, filters, time, known);
        let named = may_hold(&days.iter().map(|day| (*day, None)).collect::<Vec<_>>())?;
        days = days.into_iter().zip(named).filter_map(|(day, may_hold)| may_hold.then_some(day)).collect();
        let near = may_hold(&days.iter().map(|day| (*day, Some(beside(*day)))).collect::<Vec<_>>())?;
        let (mut files, mut far) = (Vec::new(), Vec::new());
        for (day, is_near) in days.into_iter().zip(near) {
            match self.files_of(names, day).await {
                Ok(found) if is_near => files.extend(found),
                Ok(found) => far.extend(found),
                Err(BadFile::Damaged { .. }) if !is_near => {}
                Err(error) => return Err(external(error)),
            }
        }
        let root = self.files.root();
        let spans = far.iter().map(|file| self.times.of(root, self.stream, &file.name, file.bytes));
        let spans = stream::iter(spans.collect::<Vec<_>>()).buffered(FOOTERS_AT_ONCE);
        let spans: Vec<std::result::Result<Span, BadFile>> = spans.collect().await;
        let (mut sound, mut known) = (Vec::new(), Vec::new());
        for (file, span) in far.into_iter().zip(spans) {
            match span {
                Ok(span) => {
                    known.push((file.day, span));
                    sound.push(file);
                }
                Err(BadFile::Damaged { .. }) => {}
                Err(error) => return Err(external(error)),
            }
        }
        let may_hold = sound.into_iter().zip(may_hold(&known)?);
        files.extend(may_hold.filter_map(|(file, may_hold)| may_hold.then_some(file)));
        Ok(files.iter().map(|found| file(&found.name, found.bytes, found.day)).collect())
    }

    /// The files of a day.
    async fn files_of(&self, names: &Names, day: Day) -> std::result::Result<Vec<Candidate>, BadFile> {
        let manifest = match names.manifests.get(&day) {
            Some(found) => Manifest::read(self.files.root(), found.name).await?,
            None => None,
        };
        let parts = manifest.iter().flat_map(|manifest| &manifest.parts);
        let parts = parts.map(|listed| (listed.part.to_string(), listed.bytes));
        let recent = names.recent.iter().filter(|found| found.name.hour.day() == day);
        let recent = recent.filter(|found| is_late(found, manifest.as_ref()));
        let recent = recent.map(|found| (found.name.to_string(), found.bytes));
        Ok(parts.chain(recent).map(|(name, bytes)| Candidate { name, bytes, day }).collect())
    }
}

/// When the rows of a day are, if the log's clock was right.
fn beside(day: Day) -> (Millis, Millis) {
    (day.begins().plus(-BESIDE_DAY_MS), day.next().begins().plus(BESIDE_DAY_MS - 1))
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
