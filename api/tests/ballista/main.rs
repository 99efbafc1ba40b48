//! Queries on a cluster of Ballista: a scheduler and two executors, as processes, answer as this process does.

#![expect(clippy::unwrap_used, clippy::panic, reason = "what fails here fails a test")]

use std::net::TcpListener;
use std::path::{Path, PathBuf};
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

/// How long two executors may take to be there.
const TOGETHER: Duration = Duration::from_mins(1);

/// A scheduler and two executors.
struct Processes {
    at: u16,
    folders: [PathBuf; 2],
    _running: Vec<Running>,
    _folder: TempDir,
}

impl Processes {
    fn start(archive: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let program = Program::new(folder.path(), None);
        let [at, rest @ ..] = free_ports::<5>();
        let start = |arguments: &[&str]| {
            let shared = ["--archive", archive, "--logging", "warn"];
            Running::start(&mut program.command(&[&["ballista"], arguments, &shared].concat()))
        };
        let mut running = vec![start(&["scheduler", "--listen", &format!("127.0.0.1:{at}")])];
        let folders = ["first", "second"].map(|name| folder.path().join(name));
        for (kept, ports) in folders.iter().zip(rest.chunks(2)) {
            let [results, tasks] = [ports[0], ports[1]].map(|port| port.to_string());
            let query = format!("ballista://127.0.0.1:{at}");
            let (kept, threads) = (kept.display().to_string(), "1");
            running.push(start(&[
                "executor",
                "--query",
                &query,
                "--folder",
                &kept,
                "--threads",
                threads,
                "--results-port",
                &results,
                "--tasks-port",
                &tasks,
                "--memory-mb",
                "256",
            ]));
        }
        Self { at, folders, _running: running, _folder: folder }
    }

    /// Whether each executor has run a part of some query.
    fn both_worked(&self) -> bool {
        self.folders.iter().all(|folder| holds_a_file(folder))
    }
}

fn holds_a_file(folder: &Path) -> bool {
    let Ok(entries) = folder.read_dir() else { return false };
    entries.flatten().any(|entry| entry.path().is_file() || holds_a_file(&entry.path()))
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
    within(TOGETHER, "work of both executors", async || {
        match ask(&there, &sample, View::Everything, count).await {
            Ok(told) => {
                assert_eq!(Ok(told), ask(&here, &sample, View::Everything, count).await);
                cluster.both_worked().then_some(())
            }
            Err(QueryError::Unavailable(_)) => None,
            Err(error) => panic!("{error}"),
        }
    })
    .await;

    for (view, sql) in [
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
