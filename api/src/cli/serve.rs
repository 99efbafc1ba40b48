//! `maraude serve`: one role or all, until SIGTERM.

use std::collections::BTreeMap;

use ingest::clock::Clock;
use tokio::signal::unix::{SignalKind, signal};

use crate::app::Behaviour;
use crate::config::{Config, ROLE};
use crate::serve::Server;

/// What to serve.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// What the process does: all, or over Kafka and PostgreSQL ingest, api or archive.
    #[arg(long)]
    role: Option<String>,
}

impl Args {
    /// The flags of all commands and this one's.
    pub(super) fn with(self, mut flags: BTreeMap<&'static str, String>) -> BTreeMap<&'static str, String> {
        flags.extend(self.role.map(|role| (ROLE, role)));
        flags
    }
}

/// Serves until SIGTERM or Ctrl-C.
pub(super) async fn run(config: &Config, clock: Clock) -> anyhow::Result<()> {
    super::log_to_stderr(config)?;
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let server = Server::start(config, clock).await?;
    println!("{}", screen(config, &server));
    tokio::select! { _ = terminate.recv() => {} _ = interrupt.recv() => {} }
    tracing::info!("stopping: no more intake; draining to the log");
    server.stop().await;
    tracing::info!("stopped");
    Ok(())
}

/// What runs where, on one screen.
fn screen(config: &Config, server: &Server) -> String {
    let registry = &server.app.registry;
    let (accounts, territory) = (registry.accounts().all().len(), registry.territory());
    let log = &server.app.log;
    let sealed_by = match config.secret_key {
        Some(_) => "secret_key".to_owned(),
        None => config.data_dir.join("secret.key").display().to_string(),
    };
    let mut lines = vec![format!("maraude {}: {}", env!("CARGO_PKG_VERSION"), config.role.about())];
    let mut line = |name: &str, text: String| lines.push(format!("  {name:<10} {text}"));
    line("http", format!("http://{http}  (ready: http://{http}/health/ready)", http = server.http));
    if config.role.follows() {
        let public =
            config.behaviour.public_url.as_ref().map(|url| url.as_str().trim_end_matches('/').to_owned());
        line("console", format!("{}/console/", public.unwrap_or_else(|| format!("http://{}", server.http))));
    }
    if let Some(udp) = server.udp {
        line("udp", format!("{udp}, {} thread(s)", config.udp_threads));
    }
    line("metrics", server.metrics.map_or("off".to_owned(), |at| format!("http://{at}/metrics")));
    line("database", config.database.masked());
    let synced = format!("synced every {} ms at most", config.log_settings.commit_interval_ms);
    line("log", format!("{}, {} partition(s), {synced}", config.log, log.partitions()));
    if config.role.archives() {
        line(
            "archive",
            format!("{}, filed after {} s at most", config.archive, config.archive_after.as_secs()),
        );
    }
    let taxis = registry.directory().taxis().len();
    if config.role.follows() {
        line("map", format!("{} shard(s), {taxis} taxi(s) registered", config.shards));
        let places = format!(
            "{} town(s), {} ZUPC, {} exclusion zone(s)",
            territory.towns().len(),
            territory.zupcs().len(),
            territory.exclusions().len()
        );
        line("registry", format!("{accounts} account(s), {places}"));
    } else {
        line("registry", format!("{accounts} account(s), {taxis} taxi(s)"));
    }
    line("keys", format!("sealed by {sealed_by}"));
    if config.role.follows() {
        let Behaviour { fake_taxi_id, neutral_operator, private_endpoints, .. } = config.behaviour;
        let on_off = |on| if on { "on" } else { "off" };
        let (pseudonyms, neutral) = (on_off(fake_taxi_id), on_off(neutral_operator));
        let private = on_off(private_endpoints);
        let seen =
            format!("pseudonyms {pseudonyms}, neutral operator {neutral}, private hail endpoints {private}");
        line("apps see", seen);
    }
    lines.join("\n")
}
