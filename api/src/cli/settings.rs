//! `maraude config`: each effective value and where it came from.

use serde_json::json;

use super::json;
use crate::config::{Config, Values};

/// What is shown.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// As JSON.
    #[arg(long)]
    json: bool,
}

/// Shows the settings, secrets masked; an error tells which one is wrong.
pub(super) fn run(args: &Args, values: &Values) -> anyhow::Result<()> {
    let shown = values.shown();
    if args.json {
        let rows: Vec<_> = shown
            .iter()
            .map(|(setting, value, source)| {
                json!({"key": setting.key, "value": value, "source": source.to_string(), "meaning": setting.meaning})
            })
            .collect();
        json::print(&rows)?;
    } else {
        for (setting, value, source) in &shown {
            println!("{:<20} {:<32} {:<24} {}", setting.key, value, source.to_string(), setting.meaning);
        }
    }
    Config::new(values)?;
    Ok(())
}
