//! The program's server, in this process, with taxis in the demonstration's towns.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context as _;
use api::config::{Config, Values};
use api::fleet::outlines;
use api::fleet::plan::{Operator, plan};
use api::import::{features, zones};
use api::registry::add_user;
use api::role::Role;
use api::serve::{Server, open_store};
use api::simulation::register::register;
use api::simulation::{Target, towns};
use ingest::clock::Clock;
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use tempfile::TempDir;

use crate::open_loop::Connection;

/// Positions of one request, as many as the interface takes.
const BATCH: usize = 50;

/// How far from a taxi its customer stands at most, in metres.
const APART_MAX_M: f64 = 600.0;

/// Where the taxis are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Crowding {
    /// Evenly over their town, and customers up to 600 m from a taxi.
    Spread,
    /// As the demonstration begins: of a hundred, sixty at a rank and a third of these at one, where their customers
    /// stand too. Denser than any town: the worst case.
    Ranks,
}

/// A server that answers searches.
pub struct TownServer {
    /// What runs.
    pub server: Server,
    /// A search app's key.
    pub app_key: String,
    /// Where customers stand, most where taxis are: latitude and longitude.
    pub customers: Vec<(f64, f64)>,
    /// Where each taxi stands: latitude and longitude.
    places: Vec<(f64, f64)>,
    operator: Operator,
    ids: Vec<String>,
    _folder: TempDir,
}

impl TownServer {
    /// Starts one on free ports in a directory of its own, or over an empty `database`, and registers `taxis` free
    /// taxis through its interface.
    pub async fn start(
        seed: u64,
        taxis: usize,
        crowding: Crowding,
        database: Option<&str>,
    ) -> anyhow::Result<Self> {
        let settings = database.map(|database| ("database", database.to_owned()));
        Self::start_with(seed, taxis, crowding, settings.into_iter().collect()).await
    }

    /// The same, with other settings than the defaults.
    pub async fn start_with(
        seed: u64,
        taxis: usize,
        crowding: Crowding,
        settings: BTreeMap<&'static str, String>,
    ) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let mut flags = BTreeMap::from([
            ("data_dir", folder.path().display().to_string()),
            ("http", "127.0.0.1:0".to_owned()),
            ("udp", "127.0.0.1:0".to_owned()),
            ("private_endpoints", "true".to_owned()),
        ]);
        flags.extend(settings);
        let config = Config::new(&Values::of_flags(&flags))?;
        let (operator_key, app_key) = seed_rows(&config).await?;
        let server = Server::start(&config, Clock::System).await?;
        let udp = server.udp.context("a server of every role takes datagrams")?;
        let target = Target::new(format!("http://{}", server.http).parse()?, udp)?;
        let operator = Operator { name: "operator".to_owned(), key: operator_key };
        let plans = plan(seed, taxis, std::slice::from_ref(&operator), &towns(&[])?);
        let progress = |done: usize| {
            if done.is_multiple_of(1_000) {
                eprintln!("{done} taxis registered");
            }
        };
        let ids = register(&target, std::slice::from_ref(&operator), &plans, progress).await?;
        let accounts = server.app.registry.accounts();
        let number = accounts.email(&operator.name).context("the operator's account")?.id;
        for id in &ids {
            server
                .app
                .registry
                .set_availability(
                    api::activity::Actor::account(number),
                    number,
                    id.clone(),
                    (Some("free"), None),
                )
                .await?;
        }
        let (mut rng, mut places, mut customers) = (StdRng::seed_from_u64(!seed), Vec::new(), Vec::new());
        for plan in &plans {
            let (taxi, customer) = match crowding {
                Crowding::Ranks => (plan.start, plan.start),
                Crowding::Spread => {
                    let taxi = plan.town.random_place(&mut rng);
                    (taxi, plan.town.random_place_near(taxi, APART_MAX_M, &mut rng))
                }
            };
            places.push((taxi.lat, taxi.lon));
            customers.push((customer.lat, customer.lon));
        }
        Ok(Self { server, app_key, customers, places, operator, ids, _folder: folder })
    }

    /// The taxis, as their operator knows them.
    pub fn ids(&self) -> &[String] {
        &self.ids
    }

    /// The operator's key.
    pub fn operator_key(&self) -> &str {
        &self.operator.key
    }

    /// The number of the operator's account.
    pub fn operator_number(&self) -> anyhow::Result<i32> {
        let accounts = self.server.app.registry.accounts();
        Ok(accounts.email(&self.operator.name).context("the operator's account")?.id)
    }

    /// Reports every taxi where it stands. Blocks; to be called again before two minutes have passed.
    pub fn report_positions(&self) -> anyhow::Result<()> {
        let mut connection = Connection::open(self.server.http, &self.operator.key)?;
        let taxis: Vec<_> = self.ids.iter().zip(&self.places).collect();
        for batch in taxis.chunks(BATCH) {
            let mut positions = Vec::with_capacity(batch.len());
            for (id, (lat, lon)) in batch {
                positions.push(serde_json::json!({"taxi_id": id, "lat": lat, "lon": lon}));
            }
            let body = serde_json::json!({"data": [{"positions": positions}]}).to_string();
            let status = connection.post("/geotaxi/", &body)?;
            anyhow::ensure!(status == 200, "positions were answered {status}");
        }
        Ok(())
    }
}

/// The settings of a server that keeps everything in a directory, but for its rows where there is a database for them.
pub fn on_free_ports(folder: &Path, database: Option<&str>) -> anyhow::Result<Config> {
    let sqlite = || format!("sqlite:{}", folder.join("maraude.db").display());
    let flags = BTreeMap::from([
        ("data_dir", folder.display().to_string()),
        ("http", "127.0.0.1:0".to_owned()),
        ("udp", "127.0.0.1:0".to_owned()),
        ("database", database.map_or_else(sqlite, str::to_owned)),
    ]);
    Ok(Config::new(&Values::of_flags(&flags))?)
}

/// Towns, their zones, an operator (the first account) and an app; gives the keys of these two.
pub async fn seed_rows(config: &Config) -> anyhow::Result<(String, String)> {
    let (store, secret) = open_store(config, Clock::System).await?;
    store.import_towns(&features::towns(outlines().towns)?.rows, |_| {}).await?;
    let no_files = |_: &str| Err("zones of the demonstration have no land of their own".to_owned());
    let zones = zones::zupc(outlines().zupc, &store.insee_codes().await?, no_files)?;
    store.import_zupc(&zones.rows, |_| {}).await?;
    let (_, operator) = add_user(&store, &secret, ("operator", "operator"), "", &[Role::Operateur]).await?;
    let (_, app) = add_user(&store, &secret, ("app", "app"), "", &[Role::Moteur]).await?;
    store.close().await;
    Ok((operator, app))
}
