//! Normalisation: values less their mean, divided by their standard deviation. Over rows (layer, RMS and group
//! normalisation), or over a channel of all samples (batch normalisation).
//!
//! Sums go over fixed parts in a fixed order, so the bits depend on the sizes alone.

mod batch;
mod columns;
mod rows;
#[cfg(test)]
mod tests;

pub use batch::{BatchNorm, Statistics, batch_norm, batch_norm_backward};
pub use rows::{RowNorm, normalise_rows, normalise_rows_backward};

use crate::reduce::lanes_below;
use crate::simd::{LANES, Simd};

/// Values of a task: some microseconds.
const TASK: usize = 1 << 14;
/// Values whose sum is added to the total as a whole.
const BLOCK: usize = 1024;

/// Sixteen values from `start` of `values`, with zeros beyond the end.
#[inline(always)]
fn load<S: Simd>(s: S, values: &[f32], start: usize) -> S::Float {
    let rest = &values[start..];
    if rest.len() >= LANES { s.load(rest) } else { s.load_partial(rest) }
}

/// Writes `value` from `start` on, up to the end.
#[inline(always)]
fn store<S: Simd>(s: S, value: S::Float, values: &mut [f32], start: usize) {
    let rest = &mut values[start..];
    if rest.len() >= LANES { s.store(value, rest) } else { s.store_partial(value, rest) }
}

/// `value` in the first `count` lanes, zeros in the others.
#[inline(always)]
fn first<S: Simd>(s: S, value: S::Float, count: usize) -> S::Float {
    if count >= LANES { value } else { s.select(lanes_below(s, count), value, s.splat(0.0)) }
}
