//! The processes of a cluster.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use analytics::cluster::register;
use analytics::root::Root;
use ballista_core::error::BallistaError;
use ballista_core::utils::default_session_builder;
use ballista_executor::executor_process::{ExecutorProcessConfig, start_executor_process};
use ballista_scheduler::cluster::BallistaCluster;
use ballista_scheduler::config::{SchedulerConfig, TaskDistributionPolicy};
use ballista_scheduler::scheduler_process::start_server;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use thiserror::Error;

use crate::MESSAGE_MAX_BYTES;
use crate::codec::Codec;

/// How long an executor waits for its scheduler to begin.
const SCHEDULER_WITHIN_S: u16 = 60;

/// A process of a cluster ended.
#[derive(Debug, Error)]
#[error(transparent)]
pub struct NodeError(#[from] BallistaError);

/// What an executor is told.
#[derive(Debug)]
pub struct Executor {
    /// Where the scheduler is.
    pub scheduler: (String, u16),
    /// The address on which others reach it.
    pub ip: IpAddr,
    /// The port from which results are read.
    pub results_port: u16,
    /// The port on which the scheduler tells it what to do.
    pub tasks_port: u16,
    /// Where stages keep what they hand on; there must be such a directory.
    pub folder: PathBuf,
    /// How many parts of stages it runs at a time.
    pub threads: usize,
    /// What they may hold together; None: seven tenths of the machine.
    pub memory_bytes: Option<u64>,
}

/// Is a scheduler, which reads nothing of the archive, until the process ends.
pub async fn schedule(listen: SocketAddr, root: Root) -> Result<(), NodeError> {
    let sessions = Arc::new(move |config| {
        let session = default_session_builder(config)?;
        register(&root, session.runtime_env())?;
        Ok(session)
    });
    let config = SchedulerConfig {
        bind_host: listen.ip().to_string(),
        bind_port: listen.port(),
        external_host: listen.ip().to_string(),
        task_distribution: TaskDistributionPolicy::RoundRobin,
        grpc_server_max_decoding_message_size: MESSAGE_MAX_BYTES,
        grpc_server_max_encoding_message_size: MESSAGE_MAX_BYTES,
        grpc_client_max_message_size: MESSAGE_MAX_BYTES,
        override_session_builder: Some(sessions),
        override_physical_codec: Some(Arc::new(Codec::default())),
        ..SchedulerConfig::default()
    };
    let cluster = BallistaCluster::new_from_config(&config).await?;
    Ok(start_server(cluster, listen, Arc::new(config)).await?)
}

/// Is an executor, until it is told to end.
pub async fn execute(executor: Executor, root: Root) -> Result<(), NodeError> {
    let Executor { scheduler, ip, results_port, tasks_port, folder, threads, memory_bytes } = executor;
    let spill = folder.clone();
    let runtimes = Arc::new(move |_: &_| {
        let runtime = RuntimeEnvBuilder::new().with_temp_file_path(&spill).build_arc()?;
        register(&root, &runtime)?;
        Ok(runtime)
    });
    let config = ExecutorProcessConfig {
        bind_host: ip.to_string(),
        external_host: Some(ip.to_string()),
        port: results_port,
        grpc_port: tasks_port,
        scheduler_host: scheduler.0,
        scheduler_port: scheduler.1,
        scheduler_connect_timeout_seconds: SCHEDULER_WITHIN_S,
        vcores: threads,
        work_dir: Some(folder.display().to_string()),
        memory_pool_size: memory_bytes,
        grpc_max_decoding_message_size: MESSAGE_MAX_BYTES,
        grpc_max_encoding_message_size: MESSAGE_MAX_BYTES,
        override_runtime_producer: Some(runtimes),
        override_physical_codec: Some(Arc::new(Codec::default())),
        ..ExecutorProcessConfig::default()
    };
    Ok(start_executor_process(Arc::new(config)).await?)
}
