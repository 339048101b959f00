//! Rows of a table by their numbers, as an embedding looks them up, and the way back.

use crate::device::{Device, Shared};
use crate::simd::{Kernel, Simd, dispatch};

/// Values of a task of the forward pass: some microseconds, most of them waiting for memory.
const TASK: usize = 1 << 14;
/// Columns of a task of the backward pass: whole cache lines.
const COLUMNS: usize = 32;

/// The row of a table of `rows` that `token` names; none where it is no whole number from 0 below `rows`.
#[inline(always)]
fn row_of(token: f32, rows: usize) -> Option<usize> {
    // The cast goes to 0 for what is negative or NaN, and the comparison then finds it out.
    let row = token as usize;
    (row < rows && row as f32 == token).then_some(row)
}

/// out[i] = table[tokens[i]], for rows of `n` values: table [rows, n], out [tokens.len(), n]. A token that is no whole
/// number from 0 below the number of rows gives a row of NaN.
///
/// Panics when the sizes do not fit or n is 0.
pub fn look_up(device: &Device, n: usize, table: &[f32], tokens: &[f32], out: &mut [f32]) {
    assert!(n > 0 && table.len().is_multiple_of(n), "whole rows of {n}");
    device.split_rows(tokens.len(), (TASK / n).max(1), (out, n), [], |first, out, []| {
        for (out, &token) in out.chunks_exact_mut(n).zip(&tokens[first..]) {
            match row_of(token, table.len() / n) {
                Some(row) => out.copy_from_slice(&table[row * n..][..n]),
                None => out.fill(f32::NAN),
            }
        }
    });
}

/// The gradient of the table: dtable[r] = Σ dy[i] over the i with tokens[i] = r, in ascending order of i; tokens that
/// name no row are left out. Sizes as in [`look_up`]. Panics when they do not fit or n is 0.
///
/// Work is split by columns, so that every sum is made by one thread in one order.
pub fn look_up_backward(device: &Device, n: usize, tokens: &[f32], dy: &[f32], dtable: &mut [f32]) {
    assert!(n > 0 && dtable.len().is_multiple_of(n), "whole rows of {n}");
    assert_eq!(dy.len(), tokens.len() * n, "a gradient for each token");
    let rows = dtable.len() / n;
    let target = Shared(dtable.as_mut_ptr());
    device.for_each(n.div_ceil(COLUMNS), &|task| {
        let column = task * COLUMNS;
        let width = COLUMNS.min(n - column);
        dispatch(device.isa(), AddColumns { n, rows, column, width, tokens, dy, target });
    });
}

/// The columns from `column` of the gradient of a table.
struct AddColumns<'a> {
    n: usize,
    rows: usize,
    column: usize,
    width: usize,
    tokens: &'a [f32],
    dy: &'a [f32],
    target: Shared,
}

impl Kernel for AddColumns<'_> {
    type Output = ();

    /// The loops are left to the compiler, which has the instruction set at hand and vectorises them.
    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        let AddColumns { n, rows, column, width, tokens, dy, target } = self;
        let part = |row: usize| {
            // SAFETY: `row` is one of the table's, tasks have different columns, and no two slices live at a time.
            unsafe { std::slice::from_raw_parts_mut(target.at(row * n + column), width) }
        };
        for row in 0..rows {
            part(row).fill(0.0);
        }
        for (&token, dy) in tokens.iter().zip(dy.chunks_exact(n)) {
            let Some(row) = row_of(token, rows) else { continue };
            for (sum, value) in part(row).iter_mut().zip(&dy[column..column + width]) {
                *sum += value;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Stream;
    use crate::testing::{devices, on_every_device, values};

    const SHAPES: [(usize, usize, usize); 8] =
        [(1, 1, 1), (5, 3, 0), (10, 15, 40), (9, 16, 3), (50, 17, 2000), (65, 128, 300), (3, 1000, 7), (40, 31, 5)];

    fn tokens(rows: usize, len: usize) -> Vec<f32> {
        (0..len as u64).map(|i| Stream::new(1, 2).below(i, rows as u32) as f32).collect()
    }

    #[test]
    fn rows_are_looked_up_and_gradients_summed_in_order() {
        for (rows, n, len) in SHAPES {
            let (table, tokens, dy) = (values(1, rows * n), tokens(rows, len), values(2, len * n));
            let out = on_every_device(|device| {
                let mut out = vec![f32::NAN; len * n];
                look_up(device, n, &table, &tokens, &mut out);
                out
            });
            let gradient = on_every_device(|device| {
                let mut dtable = vec![f32::NAN; rows * n];
                look_up_backward(device, n, &tokens, &dy, &mut dtable);
                dtable
            });
            let mut expected = vec![0.0; rows * n];
            for (i, &token) in tokens.iter().enumerate() {
                let row = token as usize;
                assert_eq!(out[i * n..(i + 1) * n], table[row * n..(row + 1) * n], "token {i} of {rows}x{n}");
                for j in 0..n {
                    expected[row * n + j] += dy[i * n + j];
                }
            }
            assert_eq!(gradient, expected, "{rows}x{n}");
        }
    }

    #[test]
    fn what_names_no_row_gives_nan_and_takes_no_gradient() {
        let device = &devices()[0];
        let tokens = [1.0, 2.0, -1.0, 0.5, f32::NAN, f32::INFINITY, 1e30, -0.0];
        let mut out = [7.0; 16];
        look_up(device, 2, &[1.0, 2.0, 3.0, 4.0], &tokens, &mut out);
        assert_eq!(out[..2], [3.0, 4.0]);
        assert!(out[2..14].iter().all(|value| value.is_nan()), "{out:?}");
        assert_eq!(out[14..], [1.0, 2.0]);
        let mut dtable = [f32::NAN; 4];
        look_up_backward(device, 2, &tokens, &[1.0; 16], &mut dtable);
        assert_eq!(dtable, [1.0; 4]);
    }

    #[test]
    #[should_panic(expected = "a gradient for each token")]
    fn another_number_of_gradients_is_refused() {
        look_up_backward(&devices()[0], 2, &[0.0], &[1.0; 4], &mut [0.0; 2]);
    }
}
