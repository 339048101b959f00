//! The parts of the `pellucid` program: what it prints, draws and writes. The program itself is a thin `main` over them,
//! so that tests and examples reach every part.
#![forbid(unsafe_code)]

pub mod classes;
pub mod format;
pub mod markup;
pub mod plot;
pub mod progress;
pub mod report;
pub mod terminal;
