//! How the rows of a matrix are brought into lanes, so that a formula over rows is written once.
//!
//! Short rows: sixteen of them are transposed into a buffer, lanes are rows, and nothing is lost to rows that do not
//! fill a vector (ten classes!). Long rows: lanes are columns, one row after the other. Which, depends on the row length
//! alone, and rows do not touch each other, so the bits depend on neither the number of rows nor the threads.

use crate::device::Device;
use crate::reduce::lanes_below;
use crate::simd::{Kernel, LANES, Simd, dispatch};

/// Columns up to which rows are short: three buffers of 4 KiB.
const SHORT: usize = 64;
/// Values of a task: some four microseconds.
const TASK: usize = 1 << 12;

/// A formula over each row of `N` matrices [rows, n]. It gives a row, or one number, or both.
pub(super) trait RowFormula<const N: usize>: Copy + Sync {
    /// Applies the formula to the row or rows of `layout`: `inputs` are their vectors, `out` takes those of the result
    /// (or is empty where no result is wanted), and the vector that is returned holds the number of each row.
    fn apply<S: Simd, L: Layout>(self, s: S, layout: L, inputs: [&[f32]; N], out: &mut [f32]) -> S::Float;
}

/// What the vectors of one row or of sixteen rows mean.
pub(super) trait Layout: Copy {
    /// The sum over each row, from the sum of its vectors.
    fn sum<S: Simd>(self, s: S, vectors: S::Float) -> S::Float;
    /// The greatest value of each row, from that of its vectors.
    fn greatest<S: Simd>(self, s: S, vectors: S::Float) -> S::Float;
    /// Of one value for each row of the matrix, those of the rows in the lanes.
    fn per_row<S: Simd>(self, s: S, values: &[f32]) -> S::Float;
    /// Of one value for each column of the matrix, those of vector `k`; zeros beyond.
    fn per_column<S: Simd>(self, s: S, values: &[f32], k: usize) -> S::Float;
    /// The numbers of the columns of vector `k`.
    fn column<S: Simd>(self, s: S, k: usize) -> S::Float;
}

/// Sixteen rows in the lanes, of which `count` from `first` are rows of the matrix; a vector is a column.
#[derive(Clone, Copy)]
pub(super) struct RowsInLanes {
    first: usize,
    count: usize,
}

impl Layout for RowsInLanes {
    #[inline(always)]
    fn sum<S: Simd>(self, _: S, vectors: S::Float) -> S::Float {
        vectors
    }
    #[inline(always)]
    fn greatest<S: Simd>(self, _: S, vectors: S::Float) -> S::Float {
        vectors
    }
    #[inline(always)]
    fn per_row<S: Simd>(self, s: S, values: &[f32]) -> S::Float {
        s.load_partial(&values[self.first..self.first + self.count])
    }
    #[inline(always)]
    fn per_column<S: Simd>(self, s: S, values: &[f32], k: usize) -> S::Float {
        s.splat(values[k])
    }
    #[inline(always)]
    fn column<S: Simd>(self, s: S, k: usize) -> S::Float {
        s.splat(k as f32)
    }
}

/// Sixteen columns of the row in the lanes.
#[derive(Clone, Copy)]
pub(super) struct ColumnsInLanes {
    row: usize,
}

impl Layout for ColumnsInLanes {
    #[inline(always)]
    fn sum<S: Simd>(self, s: S, vectors: S::Float) -> S::Float {
        s.splat(s.reduce_add(vectors))
    }
    #[inline(always)]
    fn greatest<S: Simd>(self, s: S, vectors: S::Float) -> S::Float {
        let mut lanes = s.to_array(vectors);
        for half in [8, 4, 2, 1] {
            for lane in 0..half {
                lanes[lane] = if lanes[lane + half] > lanes[lane] { lanes[lane + half] } else { lanes[lane] };
            }
        }
        s.splat(lanes[0])
    }
    #[inline(always)]
    fn per_row<S: Simd>(self, s: S, values: &[f32]) -> S::Float {
        s.splat(values[self.row])
    }
    #[inline(always)]
    fn per_column<S: Simd>(self, s: S, values: &[f32], k: usize) -> S::Float {
        load(s, values, k)
    }
    #[inline(always)]
    fn column<S: Simd>(self, s: S, k: usize) -> S::Float {
        s.add(s.to_float(s.lane_index()), s.splat((k * LANES) as f32))
    }
}

// A formula is plain loops over these four: a closure would not be compiled for the instruction set of its caller.

/// Vectors of `x`, the last one perhaps not full.
#[inline(always)]
pub(super) fn vectors(x: &[f32]) -> usize {
    x.len().div_ceil(LANES)
}

/// Vector `k` of `x`, with zeros beyond the end.
#[inline(always)]
pub(super) fn load<S: Simd>(s: S, x: &[f32], k: usize) -> S::Float {
    let rest = &x[k * LANES..];
    if rest.len() >= LANES { s.load(rest) } else { s.load_partial(rest) }
}

/// Writes `value` to vector `k` of `out`, up to the end.
#[inline(always)]
pub(super) fn store<S: Simd>(s: S, value: S::Float, out: &mut [f32], k: usize) {
    let rest = &mut out[k * LANES..];
    if rest.len() >= LANES { s.store(value, rest) } else { s.store_partial(value, rest) }
}

/// `value`, made of vector `k` of `x`, with `beyond` in the lanes beyond the end.
#[inline(always)]
pub(super) fn within<S: Simd>(s: S, x: &[f32], k: usize, value: S::Float, beyond: f32) -> S::Float {
    let rest = x.len() - k * LANES;
    if rest >= LANES { value } else { s.select(lanes_below(s, rest), value, s.splat(beyond)) }
}

/// Applies `formula` to all rows of the inputs [rows, n]: rows to `out` [rows, n], numbers to `per_row` [rows]; either
/// is empty where it is not wanted. Panics when the sizes do not fit or n is 0.
#[inline]
pub(super) fn over_rows<const N: usize, F: RowFormula<N>>(
    device: &Device,
    formula: F,
    n: usize,
    inputs: [&[f32]; N],
    out: &mut [f32],
    per_row: &mut [f32],
) {
    assert!(n > 0, "a row has values");
    let rows = inputs[0].len() / n;
    assert!(inputs.iter().all(|input| input.len() == rows * n), "inputs of as many whole rows of {n}");
    let widths = (if out.is_empty() { 0 } else { n }, if per_row.is_empty() { 0 } else { 1 });
    let chunk = (TASK / n).next_multiple_of(LANES).max(LANES);
    let chunk = if n > SHORT { (TASK / n).max(1) } else { chunk };
    device.split_rows(rows, chunk, (out, widths.0), [(per_row, widths.1)], |first, out, [per_row]| {
        let rows = chunk.min(rows - first);
        dispatch(device.isa(), Rows { formula, n, first, rows, inputs, out, per_row });
    });
}

struct Rows<'a, const N: usize, F> {
    formula: F,
    n: usize,
    first: usize,
    rows: usize,
    /// All rows of the matrices, for these only those from `first`.
    inputs: [&'a [f32]; N],
    out: &'a mut [f32],
    per_row: &'a mut [f32],
}

impl<const N: usize, F: RowFormula<N>> Kernel for Rows<'_, N, F> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        if self.n <= LANES {
            self.short::<LANES, S>(s)
        } else if self.n <= SHORT {
            self.short::<SHORT, S>(s)
        } else {
            self.long(s)
        }
    }
}

impl<const N: usize, F: RowFormula<N>> Rows<'_, N, F> {
    /// For rows of up to `MOST` values: to clear large buffers would cost more than ten classes do.
    #[inline(always)]
    fn short<const MOST: usize, S: Simd>(self, s: S) {
        let Rows { formula, n, first, rows, inputs, out, per_row } = self;
        let mut buffers = [[[0.0; LANES]; MOST]; N];
        let mut result = [[0.0; LANES]; MOST];
        let result = result.as_flattened_mut();
        for group in (0..rows).step_by(LANES) {
            let count = LANES.min(rows - group);
            let mut columns = [&[][..]; N];
            for (i, buffer) in buffers.iter_mut().enumerate() {
                let buffer = buffer.as_flattened_mut();
                into_lanes(s, n, (first + group) * n, count, inputs[i], buffer);
                columns[i] = &buffer[..n * LANES];
            }
            let wanted = if out.is_empty() { 0 } else { n * LANES };
            let layout = RowsInLanes { first: first + group, count };
            let numbers = formula.apply(s, layout, columns, &mut result[..wanted]);
            if !out.is_empty() {
                from_lanes(s, n, group * n, count, result, out);
            }
            if !per_row.is_empty() {
                s.store_partial(numbers, &mut per_row[group..group + count]);
            }
        }
    }

    #[inline(always)]
    fn long<S: Simd>(self, s: S) {
        let Rows { formula, n, first, rows, inputs, out, per_row } = self;
        for row in 0..rows {
            let mut values = inputs;
            for i in 0..N {
                values[i] = &inputs[i][(first + row) * n..][..n];
            }
            let out = if out.is_empty() { &mut [] } else { &mut out[row * n..][..n] };
            let numbers = formula.apply(s, ColumnsInLanes { row: first + row }, values, out);
            if !per_row.is_empty() {
                s.store_partial(numbers, &mut per_row[row..=row]);
            }
        }
    }
}

/// Writes `count` rows of `n` values from `start` of `x` to `columns`: a vector for each column, zeros for other rows.
#[inline(always)]
fn into_lanes<S: Simd>(s: S, n: usize, start: usize, count: usize, x: &[f32], columns: &mut [f32]) {
    for column in (0..n).step_by(LANES) {
        let width = LANES.min(n - column);
        let mut rows = [s.splat(0.0); LANES];
        for row in 0..count {
            let at = start + row * n + column;
            // What follows the row ends in columns that nobody looks at, and a whole vector is quicker to load.
            rows[row] = if at + LANES <= x.len() { s.load(&x[at..]) } else { s.load_partial(&x[at..at + width]) };
        }
        let transposed = s.transpose(rows);
        for j in 0..width {
            s.store(transposed[j], &mut columns[(column + j) * LANES..]);
        }
    }
}

/// The way back, to `count` rows from `start` of `y`.
#[inline(always)]
fn from_lanes<S: Simd>(s: S, n: usize, start: usize, count: usize, columns: &[f32], y: &mut [f32]) {
    for column in (0..n).step_by(LANES) {
        let width = LANES.min(n - column);
        let mut transposed = [s.splat(0.0); LANES];
        for j in 0..width {
            transposed[j] = s.load(&columns[(column + j) * LANES..]);
        }
        let rows = s.transpose(transposed);
        for row in 0..count {
            let at = start + row * n + column;
            s.store_partial(rows[row], &mut y[at..at + width]);
        }
    }
}
