//! `maraude serve`: every role until SIGTERM.

use ingest::clock::Clock;
use tokio::signal::unix::{SignalKind, signal};

use crate::config::Config;
use crate::serve::Server;

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
    let on_off = |on| if on { "on" } else { "off" };
    format!(
        "maraude {version}: every role in one process\n\
         \x20 http       http://{http}  (ready: http://{http}/health/ready)\n\
         \x20 udp        {udp}, {threads} thread(s)\n\
         \x20 metrics    {metrics}\n\
         \x20 database   {database}\n\
         \x20 log        {log_url}, {partitions} partition(s), synced every {commit} ms at most\n\
         \x20 map        {shards} shard(s), {taxis} taxi(s) registered\n\
         \x20 registry   {accounts} account(s), {towns} town(s), {zupc} ZUPC, {exclusions} exclusion zone(s)\n\
         \x20 keys       sealed by {sealed_by}\n\
         \x20 apps see   pseudonyms {fake}, neutral operator {neutral}, private hail endpoints {private}",
        version = env!("CARGO_PKG_VERSION"),
        http = server.http,
        udp = server.udp,
        threads = config.udp_threads,
        metrics = server.metrics.map_or("off".to_owned(), |at| format!("http://{at}/metrics")),
        database = config.database.masked(),
        log_url = config.log,
        partitions = log.partitions(),
        commit = config.log_settings.commit_interval_ms,
        shards = config.shards,
        taxis = registry.directory().taxis().len(),
        towns = territory.towns().len(),
        zupc = territory.zupcs().len(),
        exclusions = territory.exclusions().len(),
        fake = on_off(config.behaviour.fake_taxi_id),
        neutral = on_off(config.behaviour.neutral_operator),
        private = on_off(config.behaviour.private_endpoints),
    )
}
