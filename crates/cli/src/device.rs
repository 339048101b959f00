//! What computes: instruction set and threads.

use std::sync::Arc;
use std::thread::available_parallelism;

use kernels::device::Device;
use kernels::simd::Isa;

use crate::error::{Failure, Outcome};

/// More threads than this are a slip of the finger.
const MOST_THREADS: usize = 1024;

/// The device that the flags say; by default the fastest instruction set on all processors.
///
/// # Errors
/// An unknown instruction set, one that this processor lacks, or a number of threads out of range.
pub fn device(isa: Option<&str>, threads: Option<usize>) -> Outcome<Arc<Device>> {
    let isa = match isa {
        Some(name) => name.parse().map_err(|error| Failure::new(format!("--isa: {error}")))?,
        None => Isa::best(),
    };
    Ok(Arc::new(Device::new(isa, self::threads(threads)?)))
}

/// The number of threads that the flag says; by default one for each processor.
///
/// # Errors
/// A number out of range.
pub fn threads(threads: Option<usize>) -> Outcome<usize> {
    match threads {
        Some(threads) if (1..=MOST_THREADS).contains(&threads) => Ok(threads),
        Some(threads) => Err(Failure::new(format!("--threads is from 1 to {MOST_THREADS}; got {threads}"))),
        None => Ok(available_parallelism().map_or(1, usize::from)),
    }
}
