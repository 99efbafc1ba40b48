//! Queries on a cluster of Ballista: a scheduler and two executors, as processes, answer as this process does.

#![expect(clippy::unwrap_used, clippy::panic, reason = "what fails here fails a test")]

use std::fs::{self, File};
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use analytics::pseudonym::Pseudonyms;
use analytics::report::{self, Period};
use analytics::views::View;
use analytics::{
    cells, digest, dimensions, footer, layout, manifest, places, positions, root, rows, schema, session,
};
use ingest::clock::Millis;
use ingest::position::ReportedStatus::{Free, Occupied};
use tempfile::TempDir;
use tokio::time::timeout;

use crate::harness::program::{Program, Running};
use crate::harness::wait::within;
use crate::sample::{GRENOBLE, Heard, LIMITS, LYON, Sample, at, table};
use crate::session::{QueryError, Warehouse};

#[path = "../harness/mod.rs"]
#[allow(dead_code, reason = "not every test needs all of it")]
mod harness;
#[path = "../../../analytics/src/sample.rs"]
#[allow(dead_code, reason = "not every test needs all of it")]
mod sample;

const ANALYST: View = View::Pseudonymous { by: Pseudonyms::new([7; 32]), now: Millis(1_773_828_000_000) };

/// How long a scheduler and an executor may take to be there.
const TOGETHER: Duration = Duration::from_mins(1);
/// After how long a query is given up meanwhile.
const AGAIN: Duration = Duration::from_secs(5);
/// What an executor logs of each part of a query it has run.
const WORKED: &str = "Finished task";

/// A scheduler and two executors.
struct Processes {
    at: u16,
    logs: [PathBuf; 2],
    _running: Vec<Running>,
    _folder: TempDir,
}

impl Processes {
    fn start(archive: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let program = Program::new(folder.path(), None);
        let [at, rest @ ..] = free_ports::<5>();
        let start = |name: &str, arguments: &[&str], logging| {
            let log = folder.path().join(name).with_extension("log");
            let shared = ["--archive", archive, "--logging", logging];
            let mut command = program.command(&[&["ballista"], arguments, &shared].concat());
            (Running::start(command.stderr(File::create(&log).unwrap())), log)
        };
        let (scheduler, _) =
            start("scheduler", &["scheduler", "--listen", &format!("127.0.0.1:{at}")], "warn");
        let query = format!("ballista://127.0.0.1:{at}");
        let executor = |name: &str, ports: &[u16]| {
            let [results, tasks] = [ports[0], ports[1]].map(|port| port.to_string());
            let kept = folder.path().join(name).display().to_string();
            let arguments = [
                "executor",
                "--query",
                &query,
                "--folder",
                &kept,
                "--threads",
                "1",
                "--results-port",
                &results,
                "--tasks-port",
                &tasks,
                "--memory-mb",
                "256",
            ];
            start(name, &arguments, "info")
        };
        let (first, of_first) = executor("first", &rest[..2]);
        let (second, of_second) = executor("second", &rest[2..]);
        Self { at, logs: [of_first, of_second], _running: vec![scheduler, first, second], _folder: folder }
    }

    /// Whether each executor has run a part of some query.
    fn both_worked(&self) -> bool {
        self.logs.iter().all(|log| fs::read_to_string(log).unwrap().contains(WORKED))
    }
}

/// Ports of loopback that nobody listens on.
fn free_ports<const N: usize>() -> [u16; N] {
    let listeners = [(); N].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    listeners.map(|listener| listener.local_addr().unwrap().port())
}

/// Three days, each with files of several hours, searches and hails.
async fn archive() -> Sample {
    let sample = Sample::new();
    let row = |time: &str, taxi, status, place, town| -> Heard<'static> {
        (at(time), taxi, if taxi == 2 { 3 } else { 2 }, status, place, town, "69123")
    };
    sample
        .day(
            2,
            &[
                row("2026-03-16T10:00:00", 1, Free, LYON, "69123"),
                row("2026-03-16T10:00:05", 3, Free, GRENOBLE, "38185"),
            ],
        )
        .await;
    for hour in 6..18_u32 {
        let rows: Vec<_> = (0..60)
            .map(|second| {
                let (taxi, place, town) =
                    if second % 3 == 0 { (3, GRENOBLE, "38185") } else { (1 + second % 2, LYON, "69123") };
                let status = if hour % 2 == 0 { Free } else { Occupied };
                row(&format!("2026-03-17T{hour:02}:00:{second:02}"), taxi, status, place, town)
            })
            .collect();
        sample.recent(u64::from(hour) * 100, &rows).await;
    }
    sample
        .searches(&[
            ("2026-03-17T10:00:59", 4, LYON, "69123", 2, 1, Some(149.0)),
            ("2026-03-17T11:00:59", 4, GRENOBLE, "38185", 0, 0, None),
        ])
        .await;
    let steps: &[(&str, i64)] = &[("received", 0), ("sent_to_operator", 1), ("accepted_by_taxi", 72)];
    sample.hails(&[("2026-03-17T10:01:30", "finished", 2, 1, "69123", steps)]).await;
    sample
}

async fn ask(warehouse: &Warehouse, sample: &Sample, view: View, sql: &str) -> Result<String, QueryError> {
    let answer = warehouse.query(sql, &view, &sample.dimensions).await?;
    Ok(table(&answer.collect().await?))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_answers_as_one_process_does() {
    let sample = archive().await;
    let url = sample.root.url().to_string();
    let cluster = Processes::start(&url);
    let here = sample.warehouse(LIMITS);
    let engine = Arc::new(::cluster::Ballista::new("127.0.0.1", cluster.at));
    let there = Warehouse::on(sample.root.clone(), LIMITS, Some(engine.clone())).unwrap();

    let count = "SELECT taxi, count(*) AS n FROM positions GROUP BY taxi ORDER BY taxi";
    within(TOGETHER, "an answer of the cluster", async || {
        // A plan that came before any executor is handed out when another comes: it is given up, and asked again.
        match timeout(AGAIN, ask(&there, &sample, View::Everything, count)).await.ok()? {
            Ok(_) => Some(()),
            Err(QueryError::Unavailable(_)) => None,
            Err(error) => panic!("{error}"),
        }
    })
    .await;

    for (view, sql) in [
        (View::Everything, count),
        (ANALYST, "SELECT taxi, status, town, ads, operator, count(*) AS n FROM positions GROUP BY ALL ORDER BY ALL"),
        (ANALYST, "SELECT * FROM searches ORDER BY ALL"),
        (ANALYST, "SELECT * FROM hails ORDER BY ALL"),
        (
            ANALYST,
            "SELECT w.name, h3_text(h3_parent(p.cell, 5)) AS cell, count(DISTINCT p.taxi) AS taxis
             FROM positions p JOIN taxis t ON t.taxi = p.taxi AND t.year = 2026 LEFT JOIN towns w ON w.insee = p.town
             WHERE p.taxi IN (SELECT taxi FROM taxis) GROUP BY 1, 2 ORDER BY 1, 2",
        ),
        (
            View::Everything,
            "SELECT t.public_id, w.name, status_name(p.status) AS status, round(max(metres(lat_e7, lon_e7,
                    457600000, 48300000))) AS m, min(received_at) AS first
             FROM positions p JOIN taxis t ON t.taxi = p.taxi LEFT JOIN towns w ON w.insee = p.town
             WHERE received_at > (SELECT min(at) - INTERVAL '1 day' FROM searches) GROUP BY 1, 2, 3 ORDER BY 1, 2, 3",
        ),
        (View::Everything, "SELECT * FROM positions WHERE date = '2026-03-16' ORDER BY taxi"),
        (View::Everything, "SELECT count(*) AS n FROM taxis"),
        (View::Everything, "SELECT table_name FROM information_schema.tables ORDER BY 1"),
        (View::Everything, "SELECT * FROM positions WHERE date = '2020-01-01'"),
        // What is refused is refused alike.
        (ANALYST, "SELECT lat_e7 FROM positions"),
        (ANALYST, "SELECT array_agg(town) FROM positions"),
        (ANALYST, "SELECT taxi || town FROM positions"),
        (View::Everything, "CREATE TABLE copy AS SELECT * FROM positions"),
        (View::Everything, "COPY positions TO '/tmp/positions.csv'"),
    ] {
        let expected = ask(&here, &sample, view, sql).await;
        assert_eq!(ask(&there, &sample, view, sql).await, expected, "{sql}");
    }
    // Each had a share, though what their stages wrote is gone when a query ends.
    within(TOGETHER, "work of both executors", async || cluster.both_worked().then_some(())).await;

    let few = session::Limits { rows: 10, ..LIMITS };
    let few = Warehouse::on(sample.root.clone(), few, Some(engine)).unwrap();
    let all = ask(&few, &sample, View::Everything, "SELECT * FROM positions").await;
    assert_eq!(all, Err(QueryError::TooMany(10)));
    let wrong = ask(&there, &sample, View::Everything, "SELECT 1 / (taxi - taxi) AS n FROM positions").await;
    assert!(matches!(&wrong, Err(QueryError::Refused(why)) if why.contains("ivide")), "{wrong:?}");

    let day = |text: &str| text.parse().unwrap();
    let period = Period::new(day("2026-03-16"), day("2026-03-19")).unwrap();
    for one in report::all() {
        let [here, there] = [&here, &there].map(|warehouse| async {
            let rows = warehouse.report(one, period, None, &sample.dimensions).await?;
            Ok::<_, QueryError>(table(&rows.collect().await?))
        });
        assert_eq!(there.await, here.await, "{}", one.name);
    }

    // From the command line, over a registry of nobody.
    let folder = tempfile::tempdir().unwrap();
    let program = Program::new(folder.path(), None);
    let query = format!("ballista://127.0.0.1:{}", cluster.at);
    let shared = ["sql", count, "--archive", &url];
    let expected = program.done(&shared).await;
    assert_eq!(program.done(&[&shared[..], &["--query", &query]].concat()).await, expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_that_is_away_is_told_as_such() {
    let sample = archive().await;
    let [nobody] = free_ports::<1>();
    let engine = Arc::new(::cluster::Ballista::new("127.0.0.1", nobody));
    let there = Warehouse::on(sample.root.clone(), LIMITS, Some(engine)).unwrap();
    let told = ask(&there, &sample, View::Everything, "SELECT count(*) FROM positions").await;
    assert!(matches!(told, Err(QueryError::Unavailable(_))), "{told:?}");
    assert!(ask(&there, &sample, View::Everything, "SELECT count(*) FROM taxis").await.is_ok());
}
