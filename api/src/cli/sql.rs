//! `maraude sql` and `maraude report`: the archive, asked by whoever runs the machine.

use std::io::{IsTerminal as _, Write};
use std::path::PathBuf;
use std::sync::Arc;

use analytics::dimensions::Dimensions;
use analytics::encode::{Encoder, Format, table};
use analytics::report::{self, Words};
use analytics::session::{Answer, Warehouse};
use analytics::views::View;
use anyhow::{Context as _, bail};
use chrono::NaiveDate;
use clap::ValueEnum;
use indicatif::{ProgressBar, ProgressStyle};
use ingest::clock::Clock;

use super::json;
use crate::config::Config;
use crate::registry::geometry::territory;
use crate::routes::analytics::reports::{ReportAnswer, period};
use crate::serve::open_store;
use crate::warehouse::{dimensions, own_limits, warehouse};

/// A query.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// One statement: SELECT, EXPLAIN or SHOW. `SHOW TABLES` tells what there is to ask.
    #[arg(value_name = "QUERY")]
    sql: String,
    #[command(flatten)]
    output: Output,
}

/// A report; without a name, what reports there are.
#[derive(Debug, clap::Args)]
pub(super) struct ReportArgs {
    /// Which one.
    name: Option<String>,
    /// The first day, YYYY-MM-DD, in UTC.
    #[arg(long, requires = "name")]
    from: Option<NaiveDate>,
    /// The day after the last one.
    #[arg(long, requires = "name")]
    to: Option<NaiveDate>,
    /// INSEE code of a town, number of a departement or id of a ZUPC; without it, all.
    #[arg(long, requires = "name")]
    territory: Option<String>,
    #[command(flatten)]
    output: Output,
}

/// How rows are told.
#[derive(Debug, clap::Args)]
struct Output {
    /// In which form.
    #[arg(long, value_enum, default_value_t = Form::Table)]
    format: Form,
    /// Into which file; without one, to the standard output.
    #[arg(long, short)]
    output: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Form {
    Table,
    Csv,
    Json,
    Parquet,
}

/// Answers a query.
pub(super) async fn run(args: &Args, config: &Config, clock: Clock) -> anyhow::Result<()> {
    let (warehouse, dimensions) = open(config, clock).await?;
    let rows = warehouse.query(&args.sql, &View::Everything, &dimensions).await?;
    args.output.write(rows).await
}

/// Makes a report, or lists them.
pub(super) async fn run_report(args: &ReportArgs, config: &Config, clock: Clock) -> anyhow::Result<()> {
    let Some(name) = &args.name else { return list(args.output.format) };
    let names = || report::all().iter().map(|report| report.name).collect::<Vec<_>>().join(", ");
    let report =
        report::named(name).with_context(|| format!("there is no report {name}; there are {}", names()))?;
    let (Some(from), Some(to)) = (args.from, args.to) else { bail!("a report needs --from and --to") };
    let period = period(from, to).context("--to must be later than --from, by a year at most")?;
    let (warehouse, dimensions) = open(config, clock).await?;
    let towns = args.territory.as_ref().map(|name| dimensions.towns_of(name));
    if towns.as_ref().is_some_and(std::collections::BTreeSet::is_empty) {
        bail!("no town, departement or ZUPC is called so");
    }
    let rows = warehouse.report(report, period, towns, &dimensions).await?;
    args.output.write(rows).await
}

fn list(form: Form) -> anyhow::Result<()> {
    if form == Form::Json {
        return json::print(&report::all().iter().map(ReportAnswer::new).collect::<Vec<_>>());
    }
    for report in report::all() {
        let Words { title, definition, unit, source, columns } = &report.words;
        println!("{}\n  {title}\n  {definition}\n  Unit: {unit}. Source: {source}.", report.name);
        for (name, meaning) in columns {
            println!("    {name}: {meaning}");
        }
        println!();
    }
    Ok(())
}

async fn open(config: &Config, clock: Clock) -> anyhow::Result<(Warehouse, Arc<Dimensions>)> {
    let (store, _) = open_store(config, clock).await?;
    let read = async { anyhow::Ok(dimensions(&store, Arc::new(territory(store.places().await?)?)).await?) };
    let read = read.await;
    store.close().await;
    Ok((warehouse(config, own_limits())?, Arc::new(read?)))
}

impl Output {
    async fn write(&self, rows: Answer) -> anyhow::Result<()> {
        let mut sink: Box<dyn Write> = match &self.output {
            Some(file) => {
                let made = std::fs::File::create(file).with_context(|| format!("making {}", file.display()));
                Box::new(std::io::BufWriter::new(made?))
            }
            None if self.format == Form::Parquet && std::io::stdout().is_terminal() => {
                bail!("a terminal shows no Parquet: name a file with --output")
            }
            None => Box::new(std::io::stdout()),
        };
        let progress = progress();
        let written = self.write_to(&mut sink, rows, &progress).await;
        progress.finish_and_clear();
        written?;
        Ok(sink.flush()?)
    }

    async fn write_to(
        &self,
        sink: &mut dyn Write,
        mut rows: Answer,
        progress: &ProgressBar,
    ) -> anyhow::Result<()> {
        let format = match self.format {
            Form::Table => None,
            Form::Csv => Some(Format::Csv),
            Form::Json => Some(Format::Json),
            Form::Parquet => Some(Format::Parquet),
        };
        let mut encoder = format.map(|format| Encoder::new(format, rows.schema())).transpose()?;
        // The widths of a table's columns are known at its end.
        let mut shown = Vec::new();
        while let Some(batch) = rows.next().await {
            let batch = batch?;
            progress.inc(batch.num_rows() as u64);
            match &mut encoder {
                Some(encoder) => sink.write_all(&encoder.rows(&batch)?)?,
                None => shown.push(batch),
            }
        }
        match encoder {
            Some(encoder) => sink.write_all(&encoder.finish()?)?,
            None => writeln!(sink, "{}", table(&rows.schema(), &shown)?)?,
        }
        Ok(())
    }
}

/// Rows so far, on the standard error where that is a terminal.
fn progress() -> ProgressBar {
    let bar = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template("{spinner} {human_pos} rows, {elapsed}") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(std::time::Duration::from_millis(200));
    bar
}
