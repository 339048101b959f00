//! The `pellucid` program.
#![forbid(unsafe_code)]

fn main() {}
