//! `maraude demo`: one command from an empty directory to a living registry.

use std::collections::BTreeMap;
use std::io::{IsTerminal as _, Write as _};
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, bail};
use indicatif::ProgressBar;
use ingest::clock::Clock;
use ingest::gate::{Refusal, Refusals};
use tokio::time::{interval, sleep};
use tokio_util::sync::CancellationToken;

use crate::config::{Config, Values};
use crate::fleet::outlines;
use crate::fleet::plan::{Operator, plan};
use crate::import::{features, zones};
use crate::registry::add_user;
use crate::role::Role;
use crate::secrets::{hash_password, hex, random};
use crate::serve::{ProcessRole, Server, open_store};
use crate::simulation::drive::Fleet;
use crate::simulation::register::register;
use crate::simulation::{Target, towns};

/// Where the demonstration lives; never in a registry's own directory.
const DATA_DIR: &str = "./demo-data";
/// Marks a directory as a demonstration's, which the next one may empty.
const MARK: &str = "demo";
/// One account of each role, and three operators.
const ACCOUNTS: [(&str, Role); 11] = [
    ("admin", Role::Admin),
    ("app", Role::Moteur),
    ("operator-a", Role::Operateur),
    ("operator-b", Role::Operateur),
    ("operator-c", Role::Operateur),
    ("group", Role::Groupement),
    ("editor", Role::Editeur),
    ("department", Role::Departement),
    ("town-hall", Role::Mairie),
    ("prefecture", Role::Prefecture),
    ("analyst", Role::Analyste),
];
/// Plays the other side of acceptance runs; anybody may act for it, so it has no password.
const INTEGRATION: &str = "integration";
const SEED: u64 = 75;
/// Of the one password of its accounts, which is made anew each time.
const PASSWORD_BYTES: usize = 6;

/// How large, how lively, for how long.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// How many taxis.
    #[arg(long, default_value_t = 500)]
    taxis: usize,
    /// Datagrams a second of each taxi.
    #[arg(long, default_value_t = 0.5)]
    hz: f64,
    /// Searches a second of all customers.
    #[arg(long, default_value_t = 20.0)]
    searches: f64,
    /// Stop after so many seconds; without it, at Ctrl-C.
    #[arg(long)]
    seconds: Option<u64>,
}

/// The settings of a demonstration: flags and defaults alone, so that it never touches a real registry by accident.
pub(super) fn settings(mut flags: BTreeMap<&'static str, String>) -> Values {
    flags.entry("data_dir").or_insert_with(|| DATA_DIR.to_owned());
    flags.entry("logging").or_insert_with(|| "warn".to_owned());
    // Whoever tries a report does not want to wait ten minutes for the first positions in it.
    flags.entry("archive_after_s").or_insert_with(|| "30".to_owned());
    // Whoever tries an operator's server against it has that on this machine.
    flags.entry("private_endpoints").or_insert_with(|| "true".to_owned());
    // Whoever tries an acceptance run has nobody else for its other side.
    flags.insert("integration_account", INTEGRATION.to_owned());
    Values::of_flags(&flags)
}

/// Runs the demonstration.
pub(super) async fn run(args: &Args, values: Values, clock: Clock) -> anyhow::Result<()> {
    let config = Config::new(&values)?;
    if config.role != ProcessRole::All {
        bail!("a demonstration has every role in one process: role = {}", config.role);
    }
    super::log_to_stderr(&config)?;
    // Before anything is emptied: a demonstration that still runs holds these addresses.
    drop(
        std::net::TcpListener::bind(config.http)
            .with_context(|| format!("listening on http {}", config.http))?,
    );
    drop(std::net::UdpSocket::bind(config.udp).with_context(|| format!("listening on udp {}", config.udp))?);
    begin_afresh(&config.data_dir)?;
    println!("maraude {}: a demonstration in {}", env!("CARGO_PKG_VERSION"), config.data_dir.display());
    let password = hex(&random::<PASSWORD_BYTES>()?);
    let keys = seed(&config, clock.clone(), &password).await.context("seeding the registry")?;
    let server = Server::start(&config, clock.clone()).await?;
    let operators: Vec<_> =
        keys.iter().filter(|key| key.role == Role::Operateur).map(Key::operator).collect();
    let udp = server.udp.context("a server of every role takes datagrams")?;
    let target = Target::new(format!("http://{}", server.http).parse()?, udp)?;
    let plans = plan(SEED, args.taxis, &operators, &towns(&[])?);
    let bar = ProgressBar::new(u64::try_from(plans.len()).unwrap_or(u64::MAX));
    let progress = |done| bar.set_position(u64::try_from(done).unwrap_or(u64::MAX));
    let ids = register(&target, &operators, &plans, progress).await.context("registering taxis")?;
    bar.finish_and_clear();
    let first = ids.first().cloned().unwrap_or_default();
    let mut fleet = Fleet::new(target, &operators, &plans, ids, SEED, clock);
    fleet.begin().await?;
    println!("{}", screen((server.http, udp), &keys, &password, &first));
    let stop = CancellationToken::new();
    let app = keys.iter().find(|key| key.role == Role::Moteur).map(|key| (key.secret.clone(), args.searches));
    let driving = tokio::spawn(fleet.drive(args.hz, app, stop.clone()));
    live(&server, args.seconds).await?;
    stop.cancel();
    driving.await??;
    server.stop().await;
    Ok(())
}

/// An account's key.
struct Key {
    email: &'static str,
    role: Role,
    secret: String,
}

impl Key {
    fn operator(&self) -> Operator {
        Operator { name: self.email.to_owned(), key: self.secret.clone() }
    }
}

/// Empties the directory if an earlier demonstration made it; any other that holds something is left alone.
fn begin_afresh(data_dir: &Path) -> anyhow::Result<()> {
    let mark = data_dir.join(MARK);
    if mark.exists() {
        empty(data_dir).with_context(|| format!("emptying {}", data_dir.display()))?;
    } else if data_dir.read_dir().is_ok_and(|mut entries| entries.next().is_some()) {
        bail!("{} is not a demonstration's; give another with --data-dir", data_dir.display());
    }
    std::fs::create_dir_all(data_dir)?;
    std::fs::write(mark, "The next demonstration empties this directory.\n")?;
    Ok(())
}

/// Removes what is in a directory but the mark, which goes on telling whose it is if this fails half-way. The
/// directory stays: it may be a mount point, or where we are.
fn empty(directory: &Path) -> std::io::Result<()> {
    for entry in directory.read_dir()? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            std::fs::remove_dir_all(entry.path())?;
        } else if entry.file_name() != MARK {
            std::fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// Migrations, towns with their zones, accounts, all with this password.
async fn seed(config: &Config, clock: Clock, password: &str) -> anyhow::Result<Vec<Key>> {
    let (store, sealer) = open_store(config, clock).await?;
    store.import_towns(&features::towns(outlines().towns)?.rows, |_| {}).await?;
    let no_files = |_: &str| Err("zones of the demonstration have no land of their own".to_owned());
    let zones = zones::zupc(outlines().zupc, &store.insee_codes().await?, no_files)?;
    store.import_zupc(&zones.rows, |_| {}).await?;
    store.import_exclusions(&features::exclusions(outlines().exclusions)?.rows, |_| {}).await?;
    let (mut keys, password_hash) = (Vec::new(), hash_password(password)?);
    for (email, role) in ACCOUNTS {
        let (_, secret) = add_user(&store, &sealer, (email, email), &password_hash, &[role]).await?;
        keys.push(Key { email, role, secret });
    }
    let both = [Role::Moteur, Role::Operateur];
    add_user(&store, &sealer, (INTEGRATION, INTEGRATION), "", &both).await?;
    store.close().await;
    Ok(keys)
}

/// URLs, keys and four lines to paste, on one screen.
fn screen((http, udp): (SocketAddr, SocketAddr), keys: &[Key], password: &str, taxi: &str) -> String {
    let table: Vec<_> =
        keys.iter().map(|key| format!("  {:<12} {:<12} {}", key.email, key.role, key.secret)).collect();
    let key =
        |role| keys.iter().find(|key| key.role == role).map(|key| key.secret.as_str()).unwrap_or_default();
    let (app, operator, analyst) = (key(Role::Moteur), key(Role::Operateur), key(Role::Analyste));
    format!(
        "  http  http://{http}    udp  {udp}\n\
         \n  console  http://{http}/console/  (any account below, password {password})\n  \
         acceptance runs (« Recette »): the account {INTEGRATION} plays the other side\n\
         \n  account      role         API key\n{table}\n\n\
         Free taxis around a customer in Paris, as a search app sees them:\n\
         curl -s -H 'X-Api-Key: {app}' 'http://{http}/taxis?lon=2.3522&lat=48.8566'\n\
         An operator's own taxis:\n\
         curl -s -H 'X-Api-Key: {operator}' 'http://{http}/taxis/all'\n\
         A position over HTTP (200 once it is safe in the log):\n\
         curl -s -i -H 'X-Api-Key: {operator}' -H 'Content-Type: application/json' \
         -d '{{\"data\":[{{\"positions\":[{{\"taxi_id\":\"{taxi}\",\"lon\":2.3522,\"lat\":48.8566}}]}}]}}' \
         'http://{http}/geotaxi/'\n\
         Taxis by town, as an analyst asks the archive (half a minute behind):\n\
         curl -s -H 'X-Api-Key: {analyst}' -H 'Content-Type: application/json' -H 'Accept: text/csv' \
         -d '{{\"data\":[{{\"sql\":\"SELECT town, count(DISTINCT taxi) AS taxis FROM positions GROUP BY town\"}}]}}' \
         'http://{http}/analytics/query'\n",
        table = table.join("\n"),
    )
}

/// A line of figures each second, until the end.
async fn live(server: &Server, seconds: Option<u64>) -> anyhow::Result<()> {
    let end = async {
        match seconds {
            Some(seconds) => sleep(Duration::from_secs(seconds)).await,
            None => drop(tokio::signal::ctrl_c().await),
        }
    };
    tokio::pin!(end);
    let mut every = interval(Duration::from_secs(1));
    every.tick().await;
    let (mut positions, mut searches) = (server.app.refusals.accepted(), server.app.searches.count());
    let mut out = std::io::stdout();
    loop {
        tokio::select! {
            () = &mut end => {
                writeln!(out)?;
                return Ok(());
            }
            _ = every.tick() => {
                let (accepted, searched) = (server.app.refusals.accepted(), server.app.searches.count());
                let (engine, now) = (server.app.engine.clone(), server.app.clock.now());
                tokio::task::spawn_blocking(move || engine.sweep(now)).await?;
                let line = format!(
                    "positions/s {:>5}   refused {}   taxis online {:>5}   searches/s {:>4}   p99 {}",
                    accepted - positions,
                    refused(&server.app.refusals),
                    server.app.engine.online(),
                    searched - searches,
                    server.app.searches.take_p99_us().map_or("-".to_owned(), |us| format!("{us} us")),
                );
                (positions, searches) = (accepted, searched);
                // On a terminal the line stays in its place; in a file each second has its own.
                if out.is_terminal() { write!(out, "\r{line}   ")? } else { writeln!(out, "{line}")? }
                out.flush()?;
            }
        }
    }
}

/// How many datagrams were refused, by reason.
fn refused(refusals: &Refusals) -> String {
    let reasons: Vec<_> = Refusal::ALL
        .into_iter()
        .filter_map(|reason| match refusals.total(reason) {
            0 => None,
            count => Some(format!("{} {count}", reason.name())),
        })
        .collect();
    if reasons.is_empty() { "0".to_owned() } else { reasons.join(", ") }
}
