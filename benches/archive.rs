//! The archive of a France at work: how fast the log becomes Parquet, what a position takes of it by column, how fast
//! a day is written from its hours, and each report beside `DuckDB`'s time for the same SQL over the same files.
//!
//! Drives 20 thousand taxis for seven hours, 100 million positions, unless it is told otherwise. Each hour is logged
//! first, and then archived: of that alone the time is told. Reports run by turns with `DuckDB`'s, which is a process
//! of Python's with as many threads, and must tell the same. It has no H3: the cells of towns, and which lie around
//! which, are handed to it as tables.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use analytics::archive::Filing;
use analytics::compact::{Outcome, compact};
use analytics::current::Current;
use analytics::dimensions::Dimensions;
use analytics::encode::{Encoder, Format};
use analytics::layout::{Day, Stream};
use analytics::meters::Meters;
use analytics::positions::Positions;
use analytics::report::{self, Period};
use analytics::rollups::{self, RollupName, Since};
use analytics::root::{ArchiveUrl, Root};
use analytics::session::{Answer, Warehouse};
use analytics::verify::verify;
use analytics::views::View;
use anyhow::{Context as _, bail, ensure};
use api::warehouse::own_limits;
use arrow_array::RecordBatch;
use benches::cpu::{Used, measured};
use benches::demand::{self, Demand};
use benches::france::{BEGIN, EVERY_MS, France};
use benches::rivals::cells;
use benches::rivals::duckdb::DuckDb;
use clap::Parser;
use ingest::clock::{Clock, Millis};
use ingest::log::{Log, LogUrl, Settings};
use ingest::position::Position;
use serde_json::json;
use tokio::runtime::Runtime;

const HOUR_MS: i64 = 3_600_000;
/// Where the open data lies, and the reports' SQL.
const DATA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data");
const REPORTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../analytics/src/reports");
/// Registry's tables that reports read, beside the archive's streams.
const TABLES: [&str; 4] = ["accounts", "taxis", "ads", "towns"];

/// What a figure on a page asks of what days add up to.
const QUESTIONS: [&str; 4] = [
    "SELECT at, taxis FROM connected_minute WHERE \"by\" = 'all' ORDER BY at",
    "SELECT at, taxis FROM connected_minute WHERE \"by\" = 'town' AND insee = '75056' ORDER BY at",
    "SELECT at, operator, taxis FROM connected_hour WHERE \"by\" = 'operator' ORDER BY at, operator",
    "SELECT insee, taxis FROM connected_day WHERE \"by\" = 'town' ORDER BY taxis DESC LIMIT 20",
];

/// How much, and beside whom.
#[derive(Debug, Parser)]
struct Args {
    /// Positions, about: whole hours' worth of all taxis, the last hour cut short.
    #[arg(long, default_value_t = 100_000_000)]
    positions: u64,
    /// Taxis, each of which reports every five seconds.
    #[arg(long, default_value_t = 20_000)]
    taxis: usize,
    /// Positions that are logged together; over the wire some 40 are, every 10 ms.
    #[arg(long, default_value_t = 4_000)]
    together: usize,
    /// How often each report is made by either; the shortest counts.
    #[arg(long, default_value_t = 3)]
    rounds: u32,
    /// A Python that has duckdb and pyarrow; scripts/test makes one. Without it, reports are ours alone.
    #[arg(long)]
    python: Option<PathBuf>,
    /// Where log and archive are made, and stay; without it, in a directory that goes.
    #[arg(long)]
    folder: Option<PathBuf>,
    /// Decides where taxis drive.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let aside = tempfile::tempdir()?;
    let folder = args.folder.clone().unwrap_or_else(|| aside.path().to_owned());
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let mut france = France::new(args.seed, args.taxis, Path::new(DATA))?;
    let dimensions = Arc::new(france.dimensions()?);
    let root = Root::open(&ArchiveUrl::File(folder.join("archive")))?;
    let mut rival = args.python.as_deref().map(DuckDb::start).transpose()?;

    let rows = archive(&args, &mut france, &folder, &root, &runtime)?;
    let (searches, hails) = (u32::try_from(rows / 100)?, u32::try_from(rows / 500)?);
    let demand = Demand { searches, hails, within_ms: france.driven_ms() };
    demand::archive(args.seed, demand, &france, &root, &folder, &runtime)?;
    println!("beside them: {searches} searches and {hails} hails");
    drop(france);
    tell_files("as filed", rows, &root, &runtime, rival.as_mut())?;

    let day = Day::of(BEGIN);
    let aside = folder.join("sorting");
    let (outcome, used) =
        measured(|| runtime.block_on(compact::<Positions>(&root, day, &aside, &|_, _| ())))?;
    let Outcome::Written(manifest) = outcome? else { bail!("the day was not written") };
    ensure!(manifest.rows() == rows, "{} rows of {rows} are in the day", manifest.rows());
    println!("day written: {}", rate(used, rows));
    tell_files("as a day", rows, &root, &runtime, rival.as_mut())?;

    let (findings, used) = measured(|| runtime.block_on(verify::<Positions>(&root, &|_, _| ())))?;
    let findings = findings?;
    ensure!(findings.rows == rows && findings.problems.is_empty(), "{:?}", findings.problems);
    println!("verified: {}", rate(used, rows));
    add_up(&args, &root, rows, &dimensions, &aside, &runtime)?;
    reports(&args, root, &dimensions, &folder, &runtime, rival)
}

/// Logs hour after hour, and archives each; gives how many positions there are.
fn archive(
    args: &Args,
    france: &mut France,
    folder: &Path,
    root: &Root,
    runtime: &Runtime,
) -> anyhow::Result<u64> {
    let clock = Clock::manual(BEGIN);
    let settings = Settings { commit_interval_ms: 0, ..Settings::default() };
    let log = Log::open(&LogUrl::File(folder.join("log")), &settings, clock.clone())?;
    let (registry, meters) = (france.registry(), Meters::default());
    let mut filing = runtime.block_on(Filing::<Positions>::begin(&log, root, &registry, &clock, &meters))?;
    let (mut logged, mut logging, mut archiving) = (0, Duration::ZERO, Used::default());
    while logged < args.positions {
        let began = Instant::now();
        for _ in 0..HOUR_MS / EVERY_MS {
            let positions = france.beat()?;
            for some in positions.chunks(args.together) {
                append(&log, &clock, some)?;
            }
            logged += positions.len() as u64;
            if logged >= args.positions {
                break;
            }
        }
        logging += began.elapsed();
        let ends = logged >= args.positions;
        let work = async {
            while filing.take(Duration::ZERO).await? {}
            filing.file_since(if ends { Millis(i64::MAX) } else { Millis(i64::MIN) }).await
        };
        let (done, used) = measured(|| runtime.block_on(work))?;
        done?;
        archiving += used;
        eprintln!("{logged} positions logged and archived; {}", rate(archiving, meters.rows.get().max(1)));
    }
    ensure!(meters.rows.get() == logged, "{} positions of {logged} were archived", meters.rows.get());
    println!(
        "{} taxis, {logged} positions logged in {:.0} s, seed {}",
        args.taxis,
        logging.as_secs_f64(),
        args.seed
    );
    println!("archived: {}, {} files", rate(archiving, logged), meters.files.get());
    log.close();
    Ok(logged)
}

/// Logs what came together, at the time of the last of it.
fn append(log: &Log, clock: &Clock, positions: &[Position]) -> anyhow::Result<()> {
    let last = positions.last().context("positions")?.received_at;
    clock.advance(last.since(clock.now()).max(0));
    let (done, synced) = mpsc::channel();
    let acknowledge = Box::new(move |outcome| drop(done.send(outcome)));
    log.append_acknowledged(positions.to_vec(), acknowledge)?;
    Ok(synced.recv().context("the log has ended")??)
}

/// What the files that count take, and by column where there is somebody to ask.
fn tell_files(
    what: &str,
    rows: u64,
    root: &Root,
    runtime: &Runtime,
    rival: Option<&mut DuckDb>,
) -> anyhow::Result<()> {
    let current = runtime.block_on(Current::read(root, Stream::Positions))?;
    println!("{what}: {} files, {:.2} bytes a position", current.names().count(), per(current.bytes(), rows));
    let Some(rival) = rival else { return Ok(()) };
    let names: Vec<_> = current.names().map(|name| root.place_of(&name)).collect();
    let told = rival.ask(&json!({"columns": names}))?;
    let columns = told["columns"].as_array().context("columns")?;
    let (mut all, mut place) = (0, 0);
    for column in columns {
        let (name, bytes) = (column["name"].as_str().unwrap_or_default(), column["bytes"].as_u64());
        let bytes = bytes.context("bytes of a column")?;
        all += bytes;
        if ["partition", "offset", "row"].contains(&name) {
            place += bytes;
        }
        println!(
            "  {name:<14} {:>6.3}  {}",
            per(bytes, rows),
            column["encodings"].as_str().unwrap_or_default()
        );
    }
    println!("  {:<14} {:>6.3}", "beside columns", per(current.bytes().saturating_sub(all), rows));
    println!("  {:<14} {:>6.3}", "without place", per(current.bytes() - place, rows));
    Ok(())
}

/// What the day adds up to, and how long questions of it take.
fn add_up(
    args: &Args,
    root: &Root,
    rows: u64,
    dimensions: &Arc<Dimensions>,
    aside: &Path,
    runtime: &Runtime,
) -> anyhow::Result<()> {
    let territory = dimensions.territory.as_ref().context("the country's towns")?;
    let (mut made, mut took) = (0, Used::default());
    // Weeks are made of days.
    for _ in ["days", "weeks"] {
        for due in runtime.block_on(rollups::due(root, Since::EVER))? {
            let (outcome, used) =
                measured(|| runtime.block_on(rollups::make(root, territory, aside, (due, Since::EVER))))?;
            outcome?;
            took += used;
            made += 1;
        }
    }
    let files = runtime.block_on(root.list::<RollupName>("rollups"))?;
    let bytes: u64 = files.iter().map(|file| file.bytes).sum();
    println!("added up, {made} times, {:.2} bytes a position: {}", per(bytes, rows), rate(took, rows));
    let warehouse = Warehouse::new(root.clone(), own_limits())?;
    println!("questions of that, in ms: the first, and the shortest of {} more", args.rounds);
    for sql in QUESTIONS {
        let ask = || -> anyhow::Result<_> {
            let asked = async { warehouse.query(sql, &View::Everything, dimensions).await?.collect().await };
            let (rows, used) = measured(|| runtime.block_on(asked))?;
            Ok((rows?.iter().fold(0, |sum, batch| sum + batch.num_rows()), used.wall))
        };
        let (rows, first) = ask()?;
        ensure!(rows > 0, "{sql}: nothing");
        let mut shortest = Duration::MAX;
        for _ in 0..args.rounds {
            shortest = shortest.min(ask()?.1);
        }
        let ms = |time: Duration| time.as_secs_f64() * 1e3;
        println!("  {:>6.1}{:>8.1}  {rows} rows  {sql}", ms(first), ms(shortest));
    }
    Ok(())
}

/// Each report, ours and `DuckDB`'s by turns.
fn reports(
    args: &Args,
    root: Root,
    dimensions: &Arc<Dimensions>,
    folder: &Path,
    runtime: &Runtime,
    mut rival: Option<DuckDb>,
) -> anyhow::Result<()> {
    let day = Day::of(BEGIN);
    let current = runtime.block_on(Current::read(&root, Stream::Positions))?;
    let names: Vec<_> = current.names().map(|name| root.place_of(&name)).collect();
    let warehouse = Warehouse::new(root, own_limits())?;
    let period = Period::new(day, day.next()).context("a day")?;
    let empty = Period::new(Day(day.0 - 30), Day(day.0 - 29)).context("a day")?;
    if let Some(rival) = &mut rival {
        let mut tables = serde_json::Map::new();
        let streams = [Stream::Searches, Stream::Hails].map(Stream::as_str);
        for table in TABLES.into_iter().chain(streams) {
            let query = format!("SELECT * FROM {table}");
            let answer = runtime.block_on(warehouse.query(&query, &View::Everything, dimensions))?;
            tables.insert(table.to_owned(), write(runtime, answer, folder, table)?.into());
        }
        let territory = dimensions.territory.as_ref().context("the country's towns")?;
        let towns = put(&[cells::of_towns(territory)?], folder, "cells")?;
        tables.insert("cells".to_owned(), towns.into());
        let heard = "SELECT DISTINCT cell FROM positions WHERE cell IS NOT NULL";
        let heard = runtime.block_on(warehouse.query(heard, &View::Everything, dimensions))?;
        tables.insert(
            "rings".to_owned(),
            put(&[cells::rings(&runtime.block_on(heard.collect())?)?], folder, "rings")?.into(),
        );
        let (begins, ends) = (day.begins().0, day.next().begins().0);
        let threads = own_limits().threads;
        rival.ask(
            &json!({"files": names, "tables": tables, "begins": begins, "ends": ends, "threads": threads}),
        )?;
    }
    println!("reports by {} threads, in s: the shortest of {}", own_limits().threads, args.rounds);
    println!(
        "  {:<14}{:>9}{:>9}{:>9}{:>9}{:>9}{:>9}",
        "", "ours", "of CPU", "fixed", "DuckDB", "of CPU", "ratio"
    );
    let mut peak_mb = 0;
    for report in report::all() {
        let make = |period| {
            let made = async { warehouse.report(report, period, None, dimensions).await?.collect().await };
            measured(|| runtime.block_on(made))
        };
        let (nothing, fixed) = make(empty)?;
        nothing?;
        let (mut ours, mut theirs) = (Used::MAX, Used::MAX);
        for round in 0..args.rounds {
            let (rows, used) = make(period)?;
            let rows = rows?;
            peak_mb = peak_mb.max(used.peak_mb);
            ours = ours.least(used);
            let Some(rival) = &mut rival else { continue };
            let sql = format!("{REPORTS}/{}.sql", report.name);
            let same = (round == 0).then(|| {
                let answer = warehouse.report(report, period, None, dimensions);
                write(runtime, runtime.block_on(answer)?, folder, report.name)
            });
            let before = rival.cpu()?;
            let told = rival.ask(&json!({"sql": sql, "ours": same.transpose()?}))?;
            if let Some(failed) = told["failed"].as_str() {
                println!("  {} is not for DuckDB: {failed}", report.name);
                break;
            }
            let told_rows = rows.iter().fold(0, |sum, batch| sum + batch.num_rows());
            ensure!(told["rows"] == told_rows, "{}: {told_rows} rows, not {}", report.name, told["rows"]);
            ensure!(told["differs"].is_null(), "{}: {}", report.name, told["differs"]);
            let wall = Duration::from_secs_f64(told["seconds"].as_f64().context("seconds")?);
            // What comparing takes is not DuckDB's: it is done in the first round, whose CPU time is left out.
            let cpu = if round == 0 { Duration::MAX } else { rival.cpu()?.saturating_sub(before) };
            theirs = theirs.least(Used { wall, cpu, peak_mb: 0 });
        }
        let seconds = |time: Duration| match time {
            Duration::MAX => "-".to_owned(),
            time => format!("{:.2}", time.as_secs_f64()),
        };
        let ratio = match theirs.wall {
            Duration::MAX => "-".to_owned(),
            theirs => format!("{:.2}", ours.wall.as_secs_f64() / theirs.as_secs_f64()),
        };
        println!(
            "  {:<14}{:>9}{:>9}{:>9}{:>9}{:>9}{ratio:>9}",
            report.name,
            seconds(ours.wall),
            seconds(ours.cpu),
            seconds(fixed.wall),
            seconds(theirs.wall),
            seconds(theirs.cpu)
        );
    }
    println!("peak memory, with the country's towns: {peak_mb} MB");
    if let Some(rival) = &rival {
        println!("DuckDB's: {} MB", rival.peak_mb()?);
    }
    Ok(())
}

/// Writes an answer as Parquet; gives its path.
fn write(runtime: &Runtime, answer: Answer, folder: &Path, name: &str) -> anyhow::Result<String> {
    let schema = answer.schema();
    let mut batches = runtime.block_on(answer.collect())?;
    if batches.is_empty() {
        batches.push(RecordBatch::new_empty(schema));
    }
    put(&batches, folder, name)
}

/// Writes rows as Parquet; gives its path.
fn put(batches: &[RecordBatch], folder: &Path, name: &str) -> anyhow::Result<String> {
    let mut encoder = Encoder::new(Format::Parquet, batches.first().context("rows")?.schema())?;
    let mut content = Vec::new();
    for batch in batches {
        content.extend(encoder.rows(batch)?);
    }
    content.extend(encoder.finish()?);
    let path = folder.join(format!("{name}.parquet"));
    fs::write(&path, content)?;
    Ok(path.display().to_string())
}

/// What something took, and of how many rows that was.
fn rate(used: Used, rows: u64) -> String {
    format!(
        "{:.1} s, {:.1} s of CPU, {:.0} k positions/s of CPU, {} MB at most",
        used.wall.as_secs_f64(),
        used.cpu.as_secs_f64(),
        per(rows, 1_000) / used.cpu.as_secs_f64(),
        used.peak_mb
    )
}

#[expect(clippy::cast_precision_loss, reason = "shown with three digits")]
fn per(some: u64, each: u64) -> f64 {
    some as f64 / each as f64
}
