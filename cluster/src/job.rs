//! A plan that the scheduler was given. Dropping it before it ended gives it up there, too.

use std::time::Duration;

use ballista_core::BALLISTA_VERSION;
use ballista_core::client::BallistaClient;
use ballista_core::error::BallistaError;
use ballista_core::serde::protobuf::execute_query_params::Query;
use ballista_core::serde::protobuf::execute_query_result::Result as Taken;
use ballista_core::serde::protobuf::job_status::Status;
use ballista_core::serde::protobuf::scheduler_grpc_client::SchedulerGrpcClient;
use ballista_core::serde::protobuf::{
    CancelJobParams, ExecuteQueryParams, GetJobStatusParams, KeyValuePair, PartitionLocation,
};
use ballista_core::utils::{GrpcClientConfig, create_grpc_client_endpoint};
use ballista_core::version::insert_version_header;
use datafusion::error::DataFusionError;
use datafusion::physical_plan::SendableRecordBatchStream;
use datafusion::prelude::SessionConfig;
use thiserror::Error;
use tokio::runtime::Handle;
use tokio::time::sleep;
use tonic::Request;
use tonic::transport::Channel;
use tracing::debug;
use uuid::Uuid;

use crate::MESSAGE_MAX_BYTES;

/// Between two questions whether it ended.
const ASKED_EVERY: Duration = Duration::from_millis(20);

/// How often reading a result is tried again, and after how long.
const TRIES: u8 = 3;
const TRIED_AGAIN_MS: u64 = 500;

/// The cluster did not do it.
#[derive(Debug, Error)]
pub(crate) enum Failed {
    /// It cannot be reached.
    #[error("the cluster is not there: {0}")]
    Away(#[from] tonic::transport::Error),
    /// It answered with an error.
    #[error("the cluster: {}", .0.message())]
    Answer(Box<tonic::Status>),
    /// A part of its results cannot be read.
    #[error("the cluster: {0}")]
    Results(#[from] BallistaError),
    /// It refused a plan, or failed at it.
    #[error("the cluster: {0}")]
    Job(String),
}

/// A plan under way.
pub(crate) struct Job {
    scheduler: SchedulerGrpcClient<Channel>,
    id: String,
    has_ended: bool,
}

impl Job {
    /// Hands a plan over, as bytes.
    pub(crate) async fn begin(
        scheduler: &str,
        plan: Vec<u8>,
        session_id: String,
        session: &SessionConfig,
        config: &GrpcClientConfig,
    ) -> Result<Self, Failed> {
        let channel = create_grpc_client_endpoint(scheduler.to_owned(), Some(config))?.connect().await?;
        let mut scheduler = SchedulerGrpcClient::new(channel)
            .max_encoding_message_size(MESSAGE_MAX_BYTES as usize)
            .max_decoding_message_size(MESSAGE_MAX_BYTES as usize);
        let settings = session.options().entries().into_iter();
        let settings = settings.map(|entry| KeyValuePair { key: entry.key, value: entry.value });
        let mut request = Request::new(ExecuteQueryParams {
            session_id,
            settings: settings.collect(),
            operation_id: Uuid::new_v4().to_string(),
            query: Some(Query::PhysicalPlan(plan)),
        });
        insert_version_header(request.metadata_mut());
        match scheduler.execute_query(request).await?.into_inner().result {
            Some(Taken::Success(taken)) => Ok(Self { scheduler, id: taken.job_id, has_ended: false }),
            Some(Taken::Failure(failure)) => Err(Failed::Job(format!("{failure:?}"))),
            None => Err(Failed::Job(format!("no answer that Ballista {BALLISTA_VERSION} understands"))),
        }
    }

    /// Waits for its end; gives where its results are, in their order.
    pub(crate) async fn end(mut self) -> Result<Vec<PartitionLocation>, Failed> {
        loop {
            let job_id = self.id.clone();
            let answer = self.scheduler.get_job_status(GetJobStatusParams { job_id }).await?;
            match answer.into_inner().status.and_then(|status| status.status) {
                Some(Status::Successful(done)) => {
                    self.has_ended = true;
                    return Ok(done.partition_location);
                }
                Some(Status::Failed(failed)) => {
                    self.has_ended = true;
                    return Err(Failed::Job(failed.error));
                }
                None | Some(Status::Queued(_) | Status::Running(_)) => sleep(ASKED_EVERY).await,
            }
        }
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        let runtime = Handle::try_current().ok().filter(|_| !self.has_ended);
        let Some(runtime) = runtime else { return };
        let (mut scheduler, job_id) = (self.scheduler.clone(), self.id.clone());
        runtime.spawn(async move {
            if let Err(error) = scheduler.cancel_job(CancelJobParams { job_id }).await {
                debug!(%error, "a query that nobody waits for may run on");
            }
        });
    }
}

impl From<tonic::Status> for Failed {
    fn from(status: tonic::Status) -> Self {
        Self::Answer(Box::new(status))
    }
}

/// Reads a part of the results from the executor that has it.
pub(crate) async fn read(part: PartitionLocation) -> Result<SendableRecordBatchStream, Failed> {
    let layout = part.layout();
    let (Some(executor), Some(id)) = (part.executor_meta, part.partition_id) else {
        return Err(Failed::Job("a part of the results is nowhere".to_owned()));
    };
    let port = u16::try_from(executor.port).map_err(|_| Failed::Job("a port beyond 65,535".to_owned()))?;
    let longest = MESSAGE_MAX_BYTES as usize;
    let mut reader =
        BallistaClient::try_new(&executor.host, port, longest, false, None, TRIES, TRIED_AGAIN_MS, 0, 0)
            .await?;
    Ok(reader.fetch_partition(&executor.id, &id.into(), part.file_id, layout, true).await?)
}

impl From<Failed> for DataFusionError {
    /// An error of a query is told as in process, as far as its text says which it is; all else is the cluster's.
    fn from(failed: Failed) -> Self {
        // Errors come as text, of which the names are those of the library's variants.
        let says = |text: &str, names: &[&str]| names.iter().any(|name| text.contains(name));
        match failed {
            Failed::Job(text) if says(&text, &["ResourcesExhausted(", "Resources exhausted"]) => {
                Self::ResourcesExhausted(text)
            }
            Failed::Job(text)
                if says(&text, &["ArrowError("])
                    && !says(&text, &["IoError(", "ObjectStore(", "ParquetError("]) =>
            {
                Self::Execution(text)
            }
            other => Self::External(Box::new(other)),
        }
    }
}
