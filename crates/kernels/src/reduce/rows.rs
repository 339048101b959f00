//! Reductions of a matrix [rows, n], row after row in memory: over its rows or its columns.

use super::{Itself, sum_lanes};
use crate::device::Device;
use crate::simd::{Kernel, LANES, Simd, dispatch};

/// Values of a task: some two microseconds.
const TASK: usize = 1 << 14;
/// Rows whose sums are added to the total as a whole, so that long columns do not lose digits.
const BLOCK_ROWS: usize = 256;
/// Columns of a tile: two vectors; with four chains of rows side by side they hide the latency of the additions.
const TILE: usize = 2 * LANES;
const CHAINS: usize = 4;

/// sums[j] = Σᵢ x[i, j] for x [rows, n] with n = sums.len(), such as the gradient of a bias. Zeros for no rows.
///
/// Panics when `x` does not hold whole rows.
pub fn column_sums(device: &Device, x: &[f32], sums: &mut [f32]) {
    let n = sums.len();
    assert!(if n == 0 { x.is_empty() } else { x.len().is_multiple_of(n) }, "whole rows of {n}");
    if n == 0 {
        return;
    }
    let rows = x.len() / n;
    let columns = (TASK / rows.max(1)).next_multiple_of(TILE).max(TILE);
    device.chunks_mut(columns, sums, |first, sums| {
        dispatch(device.isa(), ColumnSums { x, n, rows, first, sums });
    });
}

struct ColumnSums<'a> {
    x: &'a [f32],
    n: usize,
    rows: usize,
    first: usize,
    sums: &'a mut [f32],
}

impl Kernel for ColumnSums<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let ColumnSums { x, n, rows, first, sums } = self;
        for (tile, sums) in sums.chunks_mut(TILE).enumerate() {
            let column = first + tile * TILE;
            let width = sums.len();
            let (left, right) = sums.split_at_mut(width.min(LANES));
            if width == TILE {
                let [a, b] = tile_sums(s, rows, |row, half| s.load(&x[row * n + column + half * LANES..]));
                s.store(a, left);
                s.store(b, right);
                continue;
            }
            // What follows a row is not stored, and a whole vector is quicker to load.
            let load = |start: usize, width: usize| {
                if start + LANES <= x.len() { s.load(&x[start..]) } else { s.load_partial(&x[start..start + width]) }
            };
            if width > LANES {
                let [a, b] = tile_sums(s, rows, |row, half| {
                    let start = row * n + column;
                    if half == 0 { s.load(&x[start..]) } else { load(start + LANES, width - LANES) }
                });
                s.store(a, left);
                s.store_partial(b, right);
            } else {
                let [total] = tile_sums(s, rows, |row, _| load(row * n + column, width));
                s.store_partial(total, left);
            }
        }
    }
}

/// Sums over the rows of what `load(row, vector)` gives: four chains, joined as a tree, block after block.
#[inline(always)]
fn tile_sums<const V: usize, S: Simd>(s: S, rows: usize, load: impl Fn(usize, usize) -> S::Float) -> [S::Float; V] {
    let mut total = [s.splat(0.0); V];
    for start in (0..rows).step_by(BLOCK_ROWS) {
        let end = rows.min(start + BLOCK_ROWS);
        let mut sums = [[s.splat(0.0); V]; CHAINS];
        let mut row = start;
        while row + CHAINS <= end {
            for chain in 0..CHAINS {
                for half in 0..V {
                    sums[chain][half] = s.add(sums[chain][half], load(row + chain, half));
                }
            }
            row += CHAINS;
        }
        for chain in 0..end - row {
            for half in 0..V {
                sums[chain][half] = s.add(sums[chain][half], load(row + chain, half));
            }
        }
        for half in 0..V {
            let block = s.add(s.add(sums[0][half], sums[2][half]), s.add(sums[1][half], sums[3][half]));
            total[half] = s.add(total[half], block);
        }
    }
    total
}

/// sums[i] = Σⱼ x[i, j] for x [rows, n] with rows = sums.len(). Panics when the sizes do not fit.
pub fn row_sums(device: &Device, n: usize, x: &[f32], sums: &mut [f32]) {
    assert_eq!(Some(x.len()), sums.len().checked_mul(n), "one sum a row");
    device.chunks_mut(rows_of_task(n), sums, |row, sums| {
        let x = &x[row * n..(row + sums.len()) * n];
        dispatch(device.isa(), RowSums { n, x, sums });
    });
}

/// classes[i] = the place of the greatest value in row i of x [rows, n], as a whole number in f32; the first of equal
/// ones wins, and the first NaN over all numbers. Panics when the sizes do not fit, or n is 0 or above 2²⁴.
pub fn argmax_rows(device: &Device, n: usize, x: &[f32], classes: &mut [f32]) {
    assert_eq!(Some(x.len()), classes.len().checked_mul(n), "one class a row");
    assert!((1..=1 << 24).contains(&n), "a row has 1 to 2²⁴ values, but it has {n}");
    device.chunks_mut(rows_of_task(n), classes, |row, classes| {
        let x = &x[row * n..(row + classes.len()) * n];
        dispatch(device.isa(), ArgmaxRows { n, x, classes });
    });
}

/// Whole groups of sixteen rows with about as many values as a task should have.
fn rows_of_task(n: usize) -> usize {
    (TASK / n.max(1)).next_multiple_of(LANES).max(LANES)
}

struct RowSums<'a> {
    n: usize,
    x: &'a [f32],
    sums: &'a mut [f32],
}

impl Kernel for RowSums<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let RowSums { n, x, sums } = self;
        for (group, sums) in sums.chunks_mut(LANES).enumerate() {
            // Each row gives a vector; transposed, the sixteen sums of lanes are a tree of vectors, as in `reduce_add`.
            let mut vectors = [s.splat(0.0); LANES];
            for row in 0..sums.len() {
                let start = (group * LANES + row) * n;
                vectors[row] = sum_lanes(s, Itself, [&x[start..start + n]]);
            }
            let mut lanes = s.transpose(vectors);
            for half in [8, 4, 2, 1] {
                for lane in 0..half {
                    lanes[lane] = s.add(lanes[lane], lanes[lane + half]);
                }
            }
            s.store_partial(lanes[0], sums);
        }
    }
}

struct ArgmaxRows<'a> {
    n: usize,
    x: &'a [f32],
    classes: &'a mut [f32],
}

impl Kernel for ArgmaxRows<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let ArgmaxRows { n, x, classes } = self;
        for (group, classes) in classes.chunks_mut(LANES).enumerate() {
            let first = group * LANES;
            // Lanes are rows, and columns come in order, so that the first of equal values is the one that stays.
            let mut best = s.splat(f32::NEG_INFINITY);
            let mut class = s.splat(0.0);
            for start in (0..n).step_by(LANES) {
                let width = LANES.min(n - start);
                let mut rows = [s.splat(0.0); LANES];
                for row in 0..classes.len() {
                    let at = (first + row) * n + start;
                    // What follows the row is not looked at, and a whole vector is quicker to load.
                    rows[row] =
                        if at + LANES <= x.len() { s.load(&x[at..]) } else { s.load_partial(&x[at..at + width]) };
                }
                let columns = s.transpose(rows);
                for j in 0..width {
                    let value = columns[j];
                    // What is not ≤ the best, greater or NaN, takes its place, unless that is NaN.
                    let (keep, replaceable) = (s.le(value, best), s.eq(best, best));
                    let place = s.splat((start + j) as f32);
                    class = s.select(keep, class, s.select(replaceable, place, class));
                    best = s.select(keep, best, s.select(replaceable, value, best));
                }
            }
            s.store_partial(class, classes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{assert_close, on_every_device, values};

    const SHAPES: [(usize, usize); 22] = [
        (0, 3),
        (1, 1),
        (4, 2),
        (3, 15),
        (5, 16),
        (32, 10),
        (17, 17),
        (7, 31),
        (33, 32),
        (15, 33),
        (16, 48),
        (32, 128),
        (128, 512),
        (1, 1000),
        (257, 5),
        (1000, 3),
        (513, 100),
        (20_001, 4),
        (2, 40_000),
        (300, 700),
        (100, 64),
        (3, 1025),
    ];

    #[test]
    fn sums_of_rows_and_columns_are_near_those_in_f64_and_the_same_on_every_device() {
        for (rows, n) in SHAPES {
            let x: Vec<f32> = values(1, rows * n).iter().map(|x| x + 1.5).collect();
            let columns = on_every_device(|device| {
                let mut sums = vec![f32::NAN; n];
                column_sums(device, &x, &mut sums);
                sums
            });
            let at = |i: usize, j: usize| f64::from(x[i * n + j]);
            let expected: Vec<f64> = (0..n).map(|j| (0..rows).map(|i| at(i, j)).sum()).collect();
            // 64 roundings in a chain, and one a block.
            let bound = (70.0 + rows as f64 / 256.0) * 0.5 * f64::from(f32::EPSILON);
            assert_close(&columns, &expected, bound, 0.0);
            let sums = on_every_device(|device| {
                let mut sums = vec![f32::NAN; rows];
                row_sums(device, n, &x, &mut sums);
                sums
            });
            let expected: Vec<f64> = (0..rows).map(|i| (0..n).map(|j| at(i, j)).sum()).collect();
            assert_close(&sums, &expected, (30.0 + n as f64 / 1024.0) * 0.5 * f64::from(f32::EPSILON), 0.0);
        }
    }

    #[test]
    fn a_column_of_many_rows_does_not_stop_growing() {
        let mut sums = [0.0; 1];
        column_sums(&crate::testing::devices()[0], &vec![1.0; 20_000_000], &mut sums);
        assert_eq!(sums[0], 20_000_000.0_f32);
    }

    #[test]
    fn no_columns_or_no_rows() {
        let device = &crate::testing::devices()[0];
        column_sums(device, &[], &mut []);
        let mut sums = [f32::NAN; 3];
        column_sums(device, &[], &mut sums);
        assert_eq!(sums, [0.0; 3]);
        row_sums(device, 0, &[], &mut sums);
        assert_eq!(sums, [0.0; 3]);
    }

    /// The definition, one row at a time.
    fn argmax(row: &[f32]) -> usize {
        let nan = row.iter().position(|x| x.is_nan());
        nan.unwrap_or_else(|| (1..row.len()).fold(0, |best, j| if row[j] > row[best] { j } else { best }))
    }

    #[test]
    fn the_first_greatest_value_of_a_row_wins() {
        for (rows, n) in SHAPES {
            // Few different values, so that many are equal; here and there an infinity or a NaN.
            let mut x: Vec<f32> = values(2, rows * n).iter().map(|x| (4.0 * x).round()).collect();
            for i in (0..x.len()).step_by(7) {
                x[i] = f32::NEG_INFINITY;
            }
            for i in (5..x.len()).step_by(67) {
                x[i] = if i % 2 == 0 { f32::NAN } else { f32::INFINITY };
            }
            let classes = on_every_device(|device| {
                let mut classes = vec![f32::NAN; rows];
                argmax_rows(device, n, &x, &mut classes);
                classes
            });
            for row in 0..rows {
                assert_eq!(classes[row], argmax(&x[row * n..(row + 1) * n]) as f32, "row {row} of {rows}x{n}");
            }
        }
        let mut classes = [9.0; 2];
        argmax_rows(&crate::testing::devices()[0], 2, &[f32::NEG_INFINITY; 4], &mut classes);
        assert_eq!(classes, [0.0; 2]);
    }

    #[test]
    #[should_panic(expected = "whole rows")]
    fn a_cut_row_is_refused() {
        column_sums(&crate::testing::devices()[0], &[0.0; 7], &mut [0.0; 3]);
    }
}
