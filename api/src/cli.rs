//! The command line: one file per command.

use std::collections::BTreeMap;
use std::io::IsTerminal as _;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use ingest::clock::Clock;

use crate::config::{Config, Values};

mod archive;
#[cfg(feature = "ballista")]
mod ballista;
mod certify;
mod demo;
mod export;
mod file;
mod health;
mod import;
mod json;
mod replay;
mod retain;
mod serve;
mod settings;
mod simulate;
mod sql;
mod user;

/// France's registry of available taxis.
///
/// Every setting can be given as a flag, as a variable (`MARAUDE_HTTP`, ...) or in maraude.toml; `maraude config` shows
/// what counts.
#[derive(Debug, Parser)]
#[command(name = "maraude", version, max_term_width = 110)]
pub struct Cli {
    /// A file of settings, in place of ./maraude.toml.
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run every role, or with --role one, until SIGTERM.
    Serve(serve::Args),
    /// Tell whether the server of the same settings is ready; fails if it is not.
    Health,
    /// A living registry from nothing: towns, accounts, keys, and taxis that move.
    Demo(demo::Args),
    /// Drive a fleet of made-up taxis against any server.
    Simulate(simulate::Args),
    /// Send recorded traces to any server, and account for every position.
    Replay(replay::Args),
    /// Judge a partner's integration against a running server, and write a report.
    #[command(subcommand)]
    Certify(certify::Command),
    /// Blur and delete now what is too old, or list what would be.
    Retain(retain::Args),
    /// Show each setting's value and where it came from.
    Config(settings::Args),
    /// The archive of positions and searches.
    #[command(subcommand)]
    Archive(archive::Command),
    /// Accounts.
    #[command(subcommand)]
    User(user::Command),
    /// Read towns, ZUPC, exclusion zones, stations or departements from a file.
    #[command(subcommand)]
    Import(import::Command),
    /// Ask the archive and the registry in SQL.
    Sql(sql::Args),
    /// Make one of the ministry's reports, or list them.
    Report(sql::ReportArgs),
    /// Be a process of a cluster that answers queries.
    #[cfg(feature = "ballista")]
    #[command(subcommand)]
    Ballista(ballista::Command),
    /// Write places as files that others can read.
    #[command(subcommand)]
    Export(export::Command),
}

/// Runs a command; `flags` are the settings given as flags.
pub async fn run(cli: Cli, flags: BTreeMap<&'static str, String>) -> anyhow::Result<()> {
    let values = |flags: &BTreeMap<_, _>| {
        Values::gather(flags, |name| std::env::var(name).ok(), cli.config.as_deref())
    };
    let clock = Clock::System;
    match cli.command {
        Command::Serve(args) => serve::run(&Config::new(&values(&args.with(flags))?)?, clock).await,
        Command::Health => health::run(&Config::new(&values(&flags)?)?).await,
        Command::Demo(args) => demo::run(&args, demo::settings(flags), clock).await,
        Command::Simulate(args) => {
            log_to_stderr(&Config::new(&values(&flags)?)?)?;
            simulate::run(&args, clock).await
        }
        Command::Replay(args) => {
            log_to_stderr(&Config::new(&values(&flags)?)?)?;
            replay::run(&args, clock).await
        }
        Command::Certify(command) => certify::run(&command, &Config::new(&values(&flags)?)?, clock).await,
        Command::Retain(args) => retain::run(&args, &Config::new(&values(&flags)?)?, clock).await,
        Command::Config(args) => settings::run(&args, &values(&flags)?),
        Command::Archive(command) => archive::run(&command, &Config::new(&values(&flags)?)?, clock).await,
        Command::User(command) => user::run(&command, &Config::new(&values(&flags)?)?, clock).await,
        Command::Sql(args) => sql::run(&args, &Config::new(&values(&flags)?)?, clock).await,
        Command::Report(args) => sql::run_report(&args, &Config::new(&values(&flags)?)?, clock).await,
        #[cfg(feature = "ballista")]
        Command::Ballista(command) => ballista::run(command, &Config::new(&values(&flags)?)?).await,
        Command::Export(command) => export::run(&command, &Config::new(&values(&flags)?)?, clock).await,
        Command::Import(command) => import::run(&command, &Config::new(&values(&flags)?)?, clock).await,
    }
}

/// What of libraries is no warning, unless somebody asks for it: of columns whose least values a file does not tell,
/// which is how most are, `DataFusion` says that it cannot use them.
const UNWORRIED: &str = "datafusion_common::pruning=error";

/// Sends what is logged to the standard error.
fn log_to_stderr(config: &Config) -> anyhow::Result<()> {
    let filter = tracing_subscriber::EnvFilter::try_new(format!("{UNWORRIED},{}", config.logging))?;
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .try_init()
        .map_err(|error| anyhow::anyhow!(error))
        .context("setting up logging")
}
