//! maraude: the national registry of taxis, in one program.

use clap::{Arg, CommandFactory as _, FromArgMatches as _};

use api::cli::{self, Cli};
use api::config::global_settings;

fn main() -> anyhow::Result<()> {
    let command = global_settings().fold(Cli::command(), |command, setting| {
        let flag = Arg::new(setting.key).long(setting.key.replace('_', "-")).value_name("VALUE").global(true);
        command.arg(flag.help(setting.meaning).help_heading("Settings"))
    });
    let matches = command.get_matches();
    let cli = Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    let flags = global_settings()
        .filter_map(|setting| Some((setting.key, matches.get_one::<String>(setting.key)?.clone())));
    let flags = flags.collect();
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(cli::run(cli, flags))
}
