//! The commands, one file each.

mod check_gradients;
mod compare;
mod data;
mod diagnose;
mod evaluate;
mod explain;
mod export;
mod forecast;
pub mod generate;
mod import;
mod lr_find;
mod predict;
mod replay;
mod run;
mod summary;
mod train;
mod tune;

use crate::args::Command;
use crate::error::Outcome;

/// Does what was asked.
///
/// # Errors
/// Whatever stands in the way, in words for the user.
pub fn run(command: Command) -> Outcome<()> {
    match command {
        Command::Train(arguments) => train::run(*arguments),
        Command::Evaluate(arguments) => evaluate::run(&arguments),
        Command::Predict(arguments) => predict::run(&arguments),
        Command::Forecast(arguments) => forecast::run(&arguments),
        Command::Generate(arguments) => generate::run(&arguments),
        Command::Summary(arguments) => summary::run(&arguments),
        Command::Explain(arguments) => explain::run(&arguments),
        Command::LrFind(arguments) => lr_find::run(*arguments),
        Command::Tune(arguments) => tune::run(*arguments),
        Command::Replay(arguments) => replay::run(&arguments),
        Command::Compare(arguments) => compare::run(&arguments),
        Command::Diagnose(arguments) => diagnose::run(*arguments),
        Command::CheckGradients(arguments) => check_gradients::run(&arguments),
        Command::Data(arguments) => data::run(&arguments),
        Command::Import(arguments) => import::run(&arguments),
        Command::Export(arguments) => export::run(&arguments),
        Command::Run(arguments) => run::run(&arguments),
    }
}
