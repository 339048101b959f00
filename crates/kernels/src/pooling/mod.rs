//! Pooling: windows slide over planes [height, width], and each gives one value.
//!
//! A plane is one channel of one sample, so planes do not touch each other and are what is split between threads. Rows
//! and signals in one dimension are planes of height 1.

mod average;
mod average_pairs;
mod greatest;
mod max;
mod max_pairs;
mod regions;
#[cfg(test)]
mod tests;

pub use average::{average_pool, average_pool_backward};
pub use greatest::{adaptive_max_pool, adaptive_max_pool_backward};
pub use max::{max_pool, max_pool_backward};
pub use regions::Regions;

use crate::simd::{LANES, Simd};

/// Values of a task: some microseconds.
const TASK: usize = 1 << 14;

/// The windows over a plane. Output (i, j) looks at the places (i · stride - padding + a · dilation, …) for a below the
/// kernel's height, and so on; places outside of the plane are passed over.
///
/// All pairs are height, width.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Windows {
    /// Size of the input planes.
    pub input: [usize; 2],
    /// Size of the output planes.
    pub output: [usize; 2],
    /// Places that a window looks at, 1 or more.
    pub kernel: [usize; 2],
    /// From one window to the next, 1 or more.
    pub stride: [usize; 2],
    /// How far the first window begins before the plane.
    pub padding: [usize; 2],
    /// From one place of a window to the next, 1 or more.
    pub dilation: [usize; 2],
}

/// The places of a window along one axis that are inside of the plane: those of the kernel's places `first..end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Taps {
    first: usize,
    end: usize,
    /// Where place 0 of the kernel lies, perhaps before the plane.
    base: isize,
}

impl Windows {
    /// Values of an input plane.
    fn input_len(&self) -> usize {
        self.input[0] * self.input[1]
    }

    /// Values of an output plane.
    fn output_len(&self) -> usize {
        self.output[0] * self.output[1]
    }

    /// Number of planes; panics unless input and output hold as many.
    fn planes(&self, input: usize, output: usize) -> usize {
        let positive = |pair: [usize; 2]| pair.iter().all(|&size| size > 0);
        assert!(positive(self.kernel) && positive(self.stride) && positive(self.dilation), "sizes of 1 or more");
        let (input_len, output_len) = (self.input_len(), self.output_len());
        let planes = output.checked_div(output_len).unwrap_or(0);
        assert!(planes * output_len == output && planes * input_len == input, "input and output of as many planes");
        planes
    }

    /// Planes of a task.
    fn chunk(&self) -> usize {
        (TASK / self.input_len().max(1)).max(1)
    }

    /// The places along `axis` of output `index`.
    #[inline(always)]
    fn taps(&self, axis: usize, index: usize) -> Taps {
        let (dilation, size) = (self.dilation[axis] as isize, self.input[axis] as isize);
        let base = (index * self.stride[axis]) as isize - self.padding[axis] as isize;
        let first = if base < 0 { (-base + dilation - 1) / dilation } else { 0 };
        let end = if base < size { (size - base + dilation - 1) / dilation } else { 0 };
        let end = end.clamp(0, self.kernel[axis] as isize);
        Taps { first: first.min(end) as usize, end: end as usize, base }
    }

    /// The outputs of a row whose windows are all inside of its columns.
    #[inline(always)]
    fn whole_columns(&self) -> std::ops::Range<usize> {
        let whole = |column: usize| {
            let Taps { first, end, .. } = self.taps(1, column);
            first == 0 && end == self.kernel[1]
        };
        let start = (0..self.output[1]).find(|&column| whole(column)).unwrap_or(self.output[1]);
        let end = (start..self.output[1]).find(|&column| !whole(column)).unwrap_or(self.output[1]);
        start..end
    }
}

impl Taps {
    /// Where place `tap` of the kernel lies.
    #[inline(always)]
    fn at(self, tap: usize, dilation: usize) -> usize {
        (self.base + (tap * dilation) as isize) as usize
    }
}

/// Sixteen values from `start`, with zeros beyond the end.
#[inline(always)]
fn load_from<S: Simd>(s: S, values: &[f32], start: usize) -> S::Float {
    let rest = values.get(start..).unwrap_or(&[]);
    if rest.len() >= LANES { s.load(rest) } else { s.load_partial(rest) }
}

/// Sixteen values from `start`, each `stride` (1 or 2) behind the one before, with zeros beyond the end.
#[inline(always)]
fn load_strided<S: Simd>(s: S, values: &[f32], start: usize, stride: usize) -> S::Float {
    let first = load_from(s, values, start);
    if stride == 1 { first } else { s.even_odd(first, load_from(s, values, start + LANES)).0 }
}

/// Writes the first `count` lanes from `start`.
#[inline(always)]
fn store_at<S: Simd>(s: S, value: S::Float, target: &mut [f32], start: usize, count: usize) {
    if count >= LANES {
        s.store(value, &mut target[start..]);
    } else {
        s.store_partial(value, &mut target[start..start + count]);
    }
}
