//! `maraude retain`: what is too old, listed, or blurred and deleted now rather than tonight.

use std::collections::BTreeSet;

use analytics::hails::Hails;
use analytics::layout::Stream;
use analytics::positions::Positions;
use analytics::rollups::presence::old;
use analytics::root::Root;
use analytics::searches::Searches;
use analytics::{blur, expire};
use clap::Args as Arguments;
use ingest::clock::Clock;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::json;
use crate::config::Config;
use crate::registry::geometry::territory;
use crate::retention::{Keeping, Step};
use crate::serve::open_store;
use crate::store::daily::{Run, Stands};

/// How it is done.
#[derive(Debug, Arguments)]
pub(super) struct Args {
    /// Change nothing; list what would be blurred and deleted.
    #[arg(long)]
    dry_run: bool,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

/// Does each step of it, one after the other, as a server does each night.
pub(super) async fn run(args: &Args, config: &Config, clock: Clock) -> anyhow::Result<()> {
    let (store, _) = open_store(config, clock.clone()).await?;
    let territory = territory(store.places().await?)?;
    let keeping = Keeping { store: &store, territory: &territory, retention: config.retention };
    let (mut told, mut problems) = (Vec::new(), BTreeSet::new());
    for step in Step::ALL {
        if args.dry_run {
            for plan in step.plan(&keeping, clock.now()).await? {
                let rows = plan.rows.len();
                if !args.json {
                    println!("{rows} of {} would be {}: {}", plan.table, plan.what, plan.rows.join(", "));
                }
                told.push(json!({"table": plan.table, "what": plan.what, "rows": plan.rows}));
            }
        } else {
            let holder = uuid::Uuid::new_v4().to_string();
            let run = Run { name: step.name(), due_at: clock.now(), holder };
            anyhow::ensure!(store.take_run(&run).await? == Stands::Held, "another process does it now");
            step.work(&keeping, &run, &CancellationToken::new()).await?;
            let rows = store.end_run(&run).await?;
            if !args.json {
                println!("{}: {} rows", step.name(), rows.unwrap_or_default());
            }
            told.push(json!({"name": step.name(), "rows": rows}));
        }
    }
    if args.dry_run {
        // What archives blurs the archive, and deletes of it.
        let (root, retention, now) = (Root::open(&config.archive)?, config.retention, clock.now());
        let (exact_since, kept_since) = (retention.exact_since(now), retention.hails_since(now));
        for (stream, what, (plans, damaged)) in [
            (Stream::Positions, "blurred", blur::plan::<Positions>(&root, exact_since).await?),
            (Stream::Searches, "blurred", blur::plan::<Searches>(&root, exact_since).await?),
            (Stream::Searches, "deleted", expire::plan::<Searches>(&root, kept_since).await?),
            (Stream::Hails, "deleted", expire::plan::<Hails>(&root, kept_since).await?),
        ] {
            let files: Vec<_> = plans.into_iter().flat_map(|plan| plan.files).collect();
            if !args.json {
                println!(
                    "{} file(s) of archived {stream} would be {what}: {}",
                    files.len(),
                    files.join(", ")
                );
            }
            told.push(json!({"table": format!("archive/{stream}"), "what": what, "rows": files}));
            problems.extend(damaged.iter().map(ToString::to_string));
        }
        let files: Vec<_> = old(&root, exact_since).await?.iter().map(ToString::to_string).collect();
        if !args.json {
            println!("{} file(s) of cells of taxis would be deleted: {}", files.len(), files.join(", "));
        }
        told.push(json!({"table": "archive/rollups/presence", "what": "deleted", "rows": files}));
    }
    store.close().await;
    if args.json {
        json::print(&told)?;
    }
    anyhow::ensure!(problems.is_empty(), "{}", problems.into_iter().collect::<Vec<_>>().join("\n"));
    Ok(())
}
