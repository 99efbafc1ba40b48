//! Asking the archive and the registry in SQL, with `DataFusion` in this process, or planned here and run on a
//! [`Cluster`].
//!
//! A query runs on threads of its own, so that it takes none from whoever serves requests, and sees the archive as it
//! was when it began. It reads and never writes: of statements there are `SELECT`, `EXPLAIN` and `SHOW`, and of tables
//! those of its [`View`]. It is bounded in time, memory, what it may spill, and rows, and ends when its [`Answer`] is
//! dropped. What it is asked of is made within these bounds, too. The bound on memory is of what sorting, grouping and
//! joining hold; a batch under way is beside it, and kept small by what analysts may use of functions.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::error::ArrowError;
use datafusion::common::ScalarValue;
use datafusion::error::DataFusionError;
use datafusion::execution::disk_manager::DiskManagerBuilder;
use datafusion::execution::memory_pool::FairSpillPool;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::execute_stream;
use datafusion::prelude::{DataFrame, SQLOptions, SessionConfig, SessionContext};
use futures_util::StreamExt as _;
use thiserror::Error;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use crate::cluster::{Cluster, reads_files, register};
use crate::dimensions::Dimensions;
use crate::land::Land;
use crate::limits::{ANALYST_BATCH_ROWS, ANSWER_ROW_BYTES, BATCHES_AHEAD, STACK_BYTES};
use crate::pieces::pieces;
use crate::rollups::table::RollupTable;
use crate::root::Root;
use crate::tables::ArchiveTable;
use crate::times::Times;
use crate::views::View;
use crate::{allowed, size};

/// How much a query may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// From its turn until its last row was taken.
    pub within: Duration,
    /// What it may hold.
    pub memory_bytes: usize,
    /// What all of them together may put aside into temporary files.
    pub spill_bytes: u64,
    /// Its rows.
    pub rows: u64,
    /// How many run at a time; one more is told [`QueryError::Busy`].
    pub at_once: usize,
    /// Threads that all of them share.
    pub threads: usize,
}

/// A query was not answered, or not to its end.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum QueryError {
    /// It is wrong, or not for whoever asks.
    #[error("{0}")]
    Refused(String),
    /// It took too long.
    #[error("the query took longer than {} s", .0.as_secs_f64())]
    TooLong(Duration),
    /// It needs too much memory.
    #[error("the query needs more than {0} bytes of memory: ask for fewer groups or less time")]
    TooLarge(usize),
    /// It has too many rows.
    #[error("the query has more than {0} rows: aggregate, or add a LIMIT")]
    TooMany(u64),
    /// Others are being answered.
    #[error("too many queries are under way")]
    Busy,
    /// The archive or this machine failed.
    #[error("the archive cannot be asked: {0}")]
    Unavailable(Arc<str>),
}

/// An archive that can be asked. Shared by reference.
pub struct Warehouse {
    sessions: Arc<Sessions>,
    turns: Arc<Semaphore>,
    threads: Arc<Threads>,
}

/// The right to ask once, now. Its time runs.
pub struct Turn<'a> {
    warehouse: &'a Warehouse,
    held: OwnedSemaphorePermit,
    ends_at: Instant,
}

/// The rows of a query as they come. Dropping it ends the query.
pub struct Answer {
    schema: SchemaRef,
    batches: mpsc::Receiver<Result<RecordBatch, QueryError>>,
    query: JoinSet<()>,
    _threads: Arc<Threads>,
}

impl Answer {
    /// Its columns.
    pub fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    /// The next rows, at least one; None at the end. After an error there is nothing more.
    pub async fn next(&mut self) -> Option<Result<RecordBatch, QueryError>> {
        if let Some(batch) = self.batches.recv().await {
            return Some(batch);
        }
        // A query that panicked, on a damaged file perhaps, closes the channel too: that is no end.
        let ended = self.query.join_next().await?;
        ended.err().map(|error| Err(QueryError::Unavailable(error.to_string().into())))
    }

    /// All of them.
    pub async fn collect(mut self) -> Result<Vec<RecordBatch>, QueryError> {
        let mut batches = Vec::new();
        while let Some(batch) = self.next().await {
            batches.push(batch?);
        }
        Ok(batches)
    }
}

impl Warehouse {
    /// Over an archive, asked in this process. Nothing of it is read yet.
    pub fn new(root: Root, limits: Limits) -> Result<Self, QueryError> {
        Self::on(root, limits, None)
    }

    /// The same, asked on a cluster if there is one.
    pub fn on(root: Root, limits: Limits, cluster: Option<Arc<dyn Cluster>>) -> Result<Self, QueryError> {
        let spill = DiskManagerBuilder::default().with_max_temp_directory_size(limits.spill_bytes);
        let shared = RuntimeEnvBuilder::new().with_disk_manager_builder(spill).build();
        let shared = shared.map_err(|error| unavailable(&error))?;
        let url = register(&root, &shared).map_err(|error| unavailable(&error))?;
        Ok(Self {
            sessions: Arc::new(Sessions {
                root,
                url,
                shared,
                limits,
                times: Arc::default(),
                land: Land::default(),
                cluster,
            }),
            turns: Arc::new(Semaphore::new(limits.at_once)),
            threads: Threads::new(limits.threads)
                .map(Arc::new)
                .map_err(|error| QueryError::Unavailable(error.to_string().into()))?,
        })
    }

    /// What a query may take.
    pub fn limits(&self) -> Limits {
        self.sessions.limits
    }

    /// Takes a turn, if there is one.
    pub fn turn(&self) -> Result<Turn<'_>, QueryError> {
        let held = self.turns.clone().try_acquire_owned().map_err(|_| QueryError::Busy)?;
        Ok(Turn { warehouse: self, held, ends_at: Instant::now() + self.limits().within })
    }

    /// Asks in a turn of its own: see [`Turn::query`].
    pub async fn query(
        &self,
        sql: &str,
        view: &View,
        dimensions: &Arc<Dimensions>,
    ) -> Result<Answer, QueryError> {
        self.turn()?.query(sql, *view, dimensions).await
    }
}

impl Turn<'_> {
    /// Asks. Returns once the query is understood and begins.
    pub async fn query(
        self,
        sql: &str,
        view: View,
        dimensions: &Arc<Dimensions>,
    ) -> Result<Answer, QueryError> {
        size::check(sql).map_err(QueryError::Refused)?;
        let (sessions, dimensions) = (self.warehouse.sessions.clone(), dimensions.clone());
        let sql = sql.to_owned();
        let query = async move {
            let query = plan(&sessions.begin(&view, &dimensions).await?, &sql, Vec::new()).await?;
            if matches!(view, View::Pseudonymous { .. }) {
                allowed::check(query.logical_plan())?;
            }
            Ok(query)
        };
        self.ask(query).await
    }

    /// What sessions are made of.
    pub(crate) fn sessions(&self) -> Arc<Sessions> {
        self.warehouse.sessions.clone()
    }

    /// Asks what is made within the turn.
    pub(crate) async fn ask(
        self,
        query: impl Future<Output = Result<DataFrame, DataFusionError>> + Send + 'static,
    ) -> Result<Answer, QueryError> {
        let Self { warehouse, held, ends_at } = self;
        let (sender, mut batches) = mpsc::channel(BATCHES_AHEAD);
        let (begun, begins) = oneshot::channel();
        let (limits, cluster) = (warehouse.limits(), warehouse.sessions.cluster.clone());
        let query = warehouse.threads.spawn(async move {
            let _held = held;
            let answered = timeout_at(ends_at, answer(query, cluster, limits, begun, &sender)).await;
            if let Err(error) = answered.unwrap_or(Err(QueryError::TooLong(limits.within))) {
                // Whoever asked may have gone.
                let _ = sender.send(Err(error)).await;
            }
        });
        if let Ok(schema) = begins.await {
            return Ok(Answer { schema, batches, query, _threads: warehouse.threads.clone() });
        }
        // It ended before it began, and says why.
        match batches.recv().await {
            Some(Err(error)) => Err(error),
            _ => Err(QueryError::Unavailable("a query ended without a word".into())),
        }
    }
}

/// What every session is made of.
pub(crate) struct Sessions {
    root: Root,
    url: ObjectStoreUrl,
    shared: RuntimeEnv,
    limits: Limits,
    times: Arc<Times>,
    land: Land,
    cluster: Option<Arc<dyn Cluster>>,
}

impl Sessions {
    /// The H3 cells of towns.
    pub(crate) fn land(&self) -> &Land {
        &self.land
    }

    /// A session that sees what `view` says.
    pub(crate) async fn begin(
        &self,
        view: &View,
        dimensions: &Dimensions,
    ) -> Result<SessionContext, DataFusionError> {
        let batch_rows = match view {
            View::Everything => SessionConfig::new().batch_size(),
            View::Pseudonymous { .. } => ANALYST_BATCH_ROWS,
        };
        let config = SessionConfig::new()
            .with_batch_size(batch_rows)
            .with_target_partitions(self.limits.threads)
            .with_default_catalog_and_schema("maraude", "public")
            .with_information_schema(true);
        let pool = FairSpillPool::new(self.limits.memory_bytes);
        let runtime = RuntimeEnvBuilder::from_runtime_env(&self.shared).with_memory_pool(Arc::new(pool));
        let mut context = SessionContext::new_with_config_rt(config, runtime.build_arc()?);
        if let Some(cluster) = &self.cluster {
            context = SessionContext::new_with_state(cluster.prepare(context.state()));
        }
        let Self { root, url, times, .. } = self;
        let archive = |stream| ArchiveTable::new(root.clone(), url.clone(), times.clone(), stream);
        let rollup = |rollup| RollupTable::new(root.clone(), url.clone(), rollup);
        view.register(&context, archive, rollup, dimensions).await?;
        Ok(context)
    }
}

/// What a query means, with values for parameters of these names, if it only reads.
pub(crate) async fn plan(
    context: &SessionContext,
    sql: &str,
    values: Vec<(&'static str, ScalarValue)>,
) -> Result<DataFrame, DataFusionError> {
    let read_only =
        SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false);
    let query = context.sql_with_options(sql, read_only).await?;
    if values.is_empty() { Ok(query) } else { query.with_param_values(values) }
}

async fn answer(
    query: impl Future<Output = Result<DataFrame, DataFusionError>>,
    cluster: Option<Arc<dyn Cluster>>,
    limits: Limits,
    begun: oneshot::Sender<SchemaRef>,
    sender: &mpsc::Sender<Result<RecordBatch, QueryError>>,
) -> Result<(), QueryError> {
    let told = |error: DataFusionError| told(&error, limits);
    let mut query = query.await.map_err(told)?;
    // A cluster has all rows before any comes back: it is to have no more of them than are told.
    let is_bounded = cluster.is_some() && limits.rows < u64::from(u32::MAX);
    if is_bounded && !matches!(query.logical_plan(), LogicalPlan::Explain(_) | LogicalPlan::Analyze(_)) {
        let most = usize::try_from(limits.rows + 1).unwrap_or(usize::MAX);
        query = query.limit(0, Some(most)).map_err(told)?;
    }
    let session = query.task_ctx();
    let plan = query.create_physical_plan().await.map_err(told)?;
    let stream = match cluster.filter(|_| reads_files(&plan)) {
        Some(cluster) => cluster.run(plan, session.session_config()).await,
        None => execute_stream(plan, Arc::new(session)),
    };
    let mut stream = stream.map_err(told)?;
    let mut begun = Some(begun);
    let mut rows = 0;
    let schema = stream.schema();
    while let Some(batch) = stream.next().await {
        let batch = batch.map_err(told)?;
        rows += batch.num_rows() as u64;
        if rows > limits.rows {
            return Err(QueryError::TooMany(limits.rows));
        }
        // What fails before its first rows fails as a whole.
        if let Some(begun) = begun.take() {
            let _ = begun.send(schema.clone());
        }
        let Some(pieces) = pieces(&batch) else {
            return Err(QueryError::Refused(format!("a row of the answer exceeds {ANSWER_ROW_BYTES} bytes")));
        };
        for piece in pieces {
            if sender.send(Ok(piece)).await.is_err() {
                return Ok(());
            }
        }
    }
    if let Some(begun) = begun {
        let _ = begun.send(schema);
    }
    Ok(())
}

/// What is said of a failure to whoever asked.
fn told(error: &DataFusionError, limits: Limits) -> QueryError {
    match error.find_root() {
        DataFusionError::ResourcesExhausted(_) => QueryError::TooLarge(limits.memory_bytes),
        // Nothing else is written by a query than what it puts aside, of which there may be so much.
        DataFusionError::ArrowError(error, _) if matches!(**error, ArrowError::IoError(_, _)) => {
            QueryError::TooLarge(limits.memory_bytes)
        }
        DataFusionError::ParquetError(_)
        | DataFusionError::ObjectStore(_)
        | DataFusionError::IoError(_)
        | DataFusionError::External(_)
        | DataFusionError::ExecutionJoin(_)
        | DataFusionError::Internal(_) => unavailable(error),
        _ => QueryError::Refused(error.strip_backtrace()),
    }
}

fn unavailable(error: &DataFusionError) -> QueryError {
    QueryError::Unavailable(error.strip_backtrace().into())
}

/// Where queries run.
struct Threads(Option<Runtime>);

impl Threads {
    fn new(threads: usize) -> std::io::Result<Self> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(threads)
            .thread_name("query")
            .thread_stack_size(STACK_BYTES)
            .enable_all()
            .build()?;
        Ok(Self(Some(runtime)))
    }

    /// Runs something until what is returned is dropped.
    fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) -> JoinSet<()> {
        let mut tasks = JoinSet::new();
        if let Some(runtime) = &self.0 {
            tasks.spawn_on(work, runtime.handle());
        }
        tasks
    }
}

impl Drop for Threads {
    /// A runtime that is dropped waits for its threads, which nobody may do on a thread of another one.
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

#[cfg(test)]
mod tests;
