//! The `pellucid` program.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches};
use pellucid_cli::args::Cli;
use pellucid_cli::commands;

fn main() -> ExitCode {
    let mut command = Cli::command();
    // `data` takes the settings of `train`, of which only those about data mean something to it.
    command = command.mut_subcommand("data", |data| {
        data.mut_args(|argument| {
            let foreign = matches!(argument.get_help_heading(), Some("Network" | "Training" | "Run"));
            argument.hide(foreign)
        })
    });
    let cli = match Cli::from_arg_matches(&command.get_matches()) {
        Ok(cli) => cli,
        Err(error) => error.exit(),
    };
    match commands::run(cli.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("{}", failure.shown());
            ExitCode::from(failure.code())
        }
    }
}
