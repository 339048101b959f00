//! The commands, one file each.

mod data;
mod evaluate;
mod forecast;
pub mod generate;
mod predict;
mod summary;
mod train;

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
        Command::Data(arguments) => data::run(&arguments),
    }
}
