//! Planes [height, width] of another size: with a border, or larger.
//!
//! A plane is one channel of one sample, and what is split between threads.

mod pad;
#[cfg(test)]
mod tests;
mod upsample;

pub use pad::{Border, Padding, pad, pad_backward};
pub use upsample::{Upsampling, upsample, upsample_backward};

/// Values of a task: some microseconds.
const TASK: usize = 1 << 14;

/// Number of planes; panics unless input and output hold as many.
fn planes([input, output]: [[usize; 2]; 2], input_len: usize, output_len: usize) -> usize {
    let (of_input, of_output) = (input[0] * input[1], output[0] * output[1]);
    let planes = output_len.checked_div(of_output).unwrap_or(0);
    assert!(planes * of_output == output_len && planes * of_input == input_len, "input and output of as many planes");
    planes
}
