//! The parts of the `pellucid` program: what it prints, draws and writes. The program itself is a thin `main` over them,
//! so that tests and examples reach every part.
#![forbid(unsafe_code)]

pub mod args;
pub mod commands;

pub mod defaults;
pub mod device;
pub mod diagnosis;
pub mod error;
pub mod explain;
mod forecasts;
pub mod interrupt;
pub mod judge;
pub mod onnx;
pub mod prepare;
pub mod ready;
pub mod recipe;
pub mod recipes;
pub mod run_folder;
pub mod say;
pub mod settings;
pub mod trained;
pub mod transfer;
pub mod tune;

pub mod classes;
pub mod format;
pub mod markup;
pub mod network_table;
pub mod plot;
pub mod progress;
pub mod report;
pub mod terminal;
