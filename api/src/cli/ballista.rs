//! `maraude ballista`: the processes of a cluster that answers queries.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use analytics::root::Root;
use anyhow::Context as _;
use cluster::Executor;

use crate::config::{Config, QueryUrl};

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Cut queries into stages, and hand these to executors.
    Scheduler(SchedulerArgs),
    /// Run stages of queries; `--query` says where the scheduler is.
    Executor(ExecutorArgs),
}

/// Nobody but the registry's processes may reach what it listens on: it answers whoever calls.
#[derive(Debug, clap::Args)]
pub(super) struct SchedulerArgs {
    /// Where it listens.
    #[arg(long, default_value_t = SocketAddr::from((Ipv4Addr::LOCALHOST, cluster::SCHEDULER_PORT)))]
    listen: SocketAddr,
}

/// Nobody but the registry's processes may reach what it listens on: it answers whoever calls.
#[derive(Debug, clap::Args)]
pub(super) struct ExecutorArgs {
    /// The address that it listens on, and on which others reach it.
    #[arg(long, default_value_t = IpAddr::from(Ipv4Addr::LOCALHOST))]
    ip: IpAddr,
    /// The port from which results are read.
    #[arg(long, default_value_t = 50_051)]
    results_port: u16,
    /// The port on which the scheduler tells it what to do.
    #[arg(long, default_value_t = 50_052)]
    tasks_port: u16,
    /// Where stages keep what they hand on; it should be empty, and nobody else's to read.
    #[arg(long)]
    folder: PathBuf,
    /// How many parts of stages it runs at a time; without it, as many as the machine has cores.
    #[arg(long)]
    threads: Option<usize>,
    /// What these may hold together, in megabytes; without it, seven tenths of the machine's memory.
    #[arg(long)]
    memory_mb: Option<u64>,
}

/// Is one of them until it is told to end.
pub(super) async fn run(command: Command, config: &Config) -> anyhow::Result<()> {
    super::log_to_stderr(config)?;
    let root = Root::open(&config.archive)?;
    match command {
        Command::Scheduler(args) => Ok(cluster::schedule(args.listen, root).await?),
        Command::Executor(args) => {
            let QueryUrl { host, port } = config.query.clone().context("--query names the scheduler")?;
            std::fs::create_dir_all(&args.folder).with_context(|| args.folder.display().to_string())?;
            let cores = || std::thread::available_parallelism().map_or(1, usize::from);
            let executor = Executor {
                scheduler: (host, port),
                ip: args.ip,
                results_port: args.results_port,
                tasks_port: args.tasks_port,
                folder: args.folder,
                threads: args.threads.unwrap_or_else(cores),
                memory_bytes: args.memory_mb.map(|mb| mb * 1_000_000),
            };
            Ok(cluster::execute(executor, root).await?)
        }
    }
}
