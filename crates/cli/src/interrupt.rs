//! Ctrl-C: once to end in good order, twice to end at once.

use std::process::exit;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::error::{Failure, INTERRUPTED, Outcome};

/// True once the user has pressed Ctrl-C. Pressed again it ends the program at once; what was written last stays.
///
/// # Errors
/// The system does not let the program watch.
pub fn interrupted() -> Outcome<&'static AtomicBool> {
    static STOP: AtomicBool = AtomicBool::new(false);
    static HANDLER: OnceLock<Result<(), String>> = OnceLock::new();
    let handler = HANDLER.get_or_init(|| {
        let pressed = || {
            if STOP.swap(true, Ordering::Relaxed) {
                exit(i32::from(INTERRUPTED));
            }
        };
        ctrlc::set_handler(pressed).map_err(|error| error.to_string())
    });
    match handler {
        Ok(()) => Ok(&STOP),
        Err(error) => Err(Failure::new(format!("cannot watch for Ctrl-C: {error}"))),
    }
}
