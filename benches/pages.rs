//! The console's pages over a large registry: how long the server takes for each, as an administrator, an operator and
//! a search app see them. One client after the other, so that a latency is the work of one page.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use api::config::Config;
use api::registry::add_user;
use api::role::Role;
use api::secrets::hash_password;
use api::serve::{Server, open_store};
use api::statistics::calendar::{DAY_MS, date};
use benches::open_loop::{Connection, wait_until};
use benches::rows::{self, Row};
use benches::town_server::{on_free_ports, seed_rows};
use benches::{cpu, hail_rows};
use clap::Parser;
use ingest::clock::{Clock, Millis};

const PASSWORD: &str = "correct-horse";
/// Who sees the most.
const ADMIN: &str = "admin";
/// What is asked in SQL, as a form has it.
const QUESTION: &str = "SELECT+status,+count(*)+AS+hails+FROM+hails+GROUP+BY+status";
/// What is done at night is done at once where nights were missed: it is over when so little of a core is used, for so
/// long.
const RESTS_BELOW: f64 = 0.03;
const RESTS_FOR: Duration = Duration::from_secs(5);
const RESTS_WITHIN: Duration = Duration::from_mins(15);

/// How large, where, how often.
#[derive(Debug, Parser)]
struct Args {
    /// How many taxis, all of one operator.
    #[arg(long, default_value_t = 60_000)]
    taxis: usize,
    /// Hails a day, for a year.
    #[arg(long, default_value_t = 500)]
    hails: usize,
    /// An empty database; without one, `SQLite` in a directory of its own, removed at the end.
    #[arg(long)]
    database: Option<String>,
    /// How often each page is asked for.
    #[arg(long, default_value_t = 50)]
    calls: usize,
    /// Where the directory is made.
    #[arg(long, default_value = ".")]
    folder: PathBuf,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let folder = tempfile::tempdir_in(&args.folder)?;
    let config = on_free_ports(folder.path(), args.database.as_deref())?;
    let rows = rows::rows(1, args.taxis)?;
    let began = Instant::now();
    let hails = runtime.block_on(seed(&config, &rows, args.hails))?;
    println!("{} taxis and {hails} hails written in {:.0} s", rows.len(), began.elapsed().as_secs_f64());
    let server = runtime.block_on(Server::start(&config, Clock::System))?;
    rest()?;
    println!("the server rests after {:.0} s", began.elapsed().as_secs_f64());
    for (who, pages) in pages(&rows, hails) {
        println!("\n{who:<50}  p50 ms    p90 ms    max ms     bytes");
        let mut browser = Connection::log_in(server.http, who, PASSWORD)?;
        for page in pages {
            measure(&mut browser, &page, args.calls, |browser| browser.get(&page))?;
        }
        if who == ADMIN {
            ask(&mut browser, args.calls)?;
        }
    }
    runtime.block_on(server.stop());
    Ok(())
}

/// Towns, accounts that can log in, taxis and a year of hails.
async fn seed(config: &Config, rows: &[Row], hails_a_day: usize) -> anyhow::Result<usize> {
    seed_rows(config).await?;
    let (store, secret) = open_store(config, Clock::System).await?;
    let hash = hash_password(PASSWORD)?;
    add_user(&store, &secret, (ADMIN, "admin"), &hash, &[Role::Admin]).await?;
    store.close().await;
    // The first two accounts.
    let (operator, app) = (1, 2);
    rows::set_passwords(&config.database, &hash).await?;
    rows::write(&config.database, operator, rows).await?;
    hail_rows::write(&config.database, (operator, app), rows, (hails_a_day, Clock::System.now().0)).await
}

/// Waits until nothing is left to be done that nobody asked for.
fn rest() -> anyhow::Result<()> {
    let began = Instant::now();
    loop {
        let (used, since) = (cpu::used()?, Instant::now());
        wait_until(since + RESTS_FOR);
        if (cpu::used()?.saturating_sub(used)).as_secs_f64() < RESTS_BELOW * RESTS_FOR.as_secs_f64() {
            return Ok(());
        }
        ensure!(began.elapsed() < RESTS_WITHIN, "the server does not come to rest");
    }
}

/// Who asks for which pages.
fn pages(rows: &[Row], hails: usize) -> [(&'static str, Vec<String>); 3] {
    let (taxi, hail) = (&rows[rows.len() / 3], format!("h{:07}", hails - 1));
    let (id, plate, half) = (&taxi.id, &taxi.plate, rows.len() / 60);
    let address = |path: &&str| match *path {
        guide @ "/doc/guide" => guide.to_owned(),
        path => format!("/console{path}"),
    };
    let of = |paths: &[&str]| paths.iter().map(address).collect::<Vec<_>>();
    let hail = format!("/hails/{hail}");
    let (card, by_plate, by_id) =
        (format!("/taxis/{id}"), format!("/taxis?licence_plate={plate}"), format!("/taxis?id={id}"));
    let day = |ago: i64| date(Millis(Clock::System.now().0 - ago * DAY_MS));
    let (report, sessions) = (
        format!("/reports/response?from={}&to={}", day(30), day(0)),
        format!("/sessions?customer_id=ann&date={}", day(1)),
    );
    let (middle, vehicles, drivers) =
        (format!("/taxis?p={half}"), format!("/vehicles?p={half}"), "/drivers?last_name=mar");
    [
        (
            ADMIN,
            of(&[
                "",
                "/account",
                "/act-as",
                "/map",
                "/hails",
                "/hails?p=100",
                &hail,
                "/drivers",
                drivers,
                "/vehicles",
                &vehicles,
                "/vehicles?model=zo",
                "/ads",
                "/ads?insee=75056",
                "/sessions",
                "/sessions?p=100",
                &sessions,
                "/support",
                "/activity",
                "/users",
                "/users/1",
                "/refusals",
                "/statistics",
                "/statistics/taxis",
                "/statistics/taxis?departements=75",
                "/statistics/hails",
                "/statistics/hails?departements=75",
                "/statistics/searches",
                "/statistics/groupements",
                "/statistics/adsmap",
                "/statistics/heatmaps",
                "/statistics/letaxi",
                "/imports",
                "/opendata",
                "/doc/guide",
                "/reports",
                &report,
                "/sql",
            ]),
        ),
        (
            "operator",
            of(&[
                "",
                "/account",
                "/taxis",
                &middle,
                &by_plate,
                &by_id,
                &card,
                "/hails",
                "/hails?status=finished",
                "/hails?p=100",
                &hail,
                "/drivers",
                drivers,
                "/vehicles",
                "/ads",
                "/refusals",
                "/map",
                "/recette",
                "/simulator/operator",
            ]),
        ),
        (
            "app",
            of(&[
                "",
                "/account",
                "/hails",
                "/hails?p=100",
                &hail,
                "/sessions",
                "/sessions?p=100",
                "/recette",
                "/simulator/app",
            ]),
        ),
    ]
}

/// The answer to a question, of which the form has a token.
fn ask(browser: &mut Connection, calls: usize) -> anyhow::Result<()> {
    const PAGE: &str = "/console/sql";
    browser.get(PAGE)?;
    let page = String::from_utf8_lossy(&browser.body);
    let (_, rest) = page.split_once("name=\"form_token\" value=\"").context("the page of SQL has no form")?;
    let token = rest.split('"').next().unwrap_or_default();
    let form = format!("form_token={token}&sql={QUESTION}");
    measure(browser, "/console/sql, answered", calls, |browser| browser.post_form(PAGE, &form))
}

/// Asks so often for a page, and prints how long it took.
fn measure(
    browser: &mut Connection,
    page: &str,
    calls: usize,
    get: impl Fn(&mut Connection) -> anyhow::Result<u16>,
) -> anyhow::Result<()> {
    let mut took = Vec::with_capacity(calls);
    for _ in 0..calls {
        let began = Instant::now();
        let status = get(browser)?;
        took.push(began.elapsed());
        ensure!(status == 200, "{page} is answered {status}");
    }
    took.sort_unstable();
    let at = |percent: usize| {
        let index = (took.len() * percent / 100).min(took.len().saturating_sub(1));
        took.get(index).map_or(0.0, |took| took.as_secs_f64() * 1e3)
    };
    println!("{page:<48} {:>9.2} {:>9.2} {:>9.2} {:>9}", at(50), at(90), at(100), browser.body.len());
    Ok(())
}
