//! Permutation importance: how much worse a network does when a column is shuffled among the rows, and so says nothing.
//!
//! importance of a column = score of the rows as they are - mean score with that column permuted. (Breiman, "Random forests",
//! 2001, section 10; for any model: Fisher, Rudin and Dominici, "All models are wrong, but many are useful", 2019.) Of columns that
//! say the same, each alone may count little.

use std::ops::Range;

use kernels::random::Stream;

use crate::metrics::mean_and_deviation;

/// How much the score falls without a column.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Importance {
    /// Mean over the repetitions.
    pub mean: f64,
    /// Standard deviation over the repetitions (n - 1); 0 for one.
    pub deviation: f64,
}

/// The importance of each of `columns`, ranges of the values of a row, for `rows` [rows, width]. `score` judges rows like these,
/// and is the better the greater it is. The same `seed` gives the same permutations.
///
/// # Panics
/// Without repetitions, or when a range is beyond the width.
pub fn permutation_importance(
    (rows, width): (&[f32], usize),
    columns: &[Range<usize>],
    (repeats, seed): (usize, u64),
    mut score: impl FnMut(&[f32]) -> f64,
) -> Vec<Importance> {
    assert!(repeats > 0, "at least one permutation");
    let count = rows.len() / width.max(1);
    let whole = score(rows);
    let mut shuffled = rows.to_vec();
    let mut of_column = |(index, column): (usize, &Range<usize>)| {
        let falls: Vec<f64> = (0..repeats)
            .map(|repeat| {
                let order = permutation(count, Stream::new(seed, index as u32).at(repeat as u64));
                for (row, from) in order.iter().enumerate() {
                    let source = &rows[from * width..][column.clone()];
                    shuffled[row * width..][column.clone()].copy_from_slice(source);
                }
                whole - score(&shuffled)
            })
            .collect();
        for row in 0..count {
            shuffled[row * width..][column.clone()].copy_from_slice(&rows[row * width..][column.clone()]);
        }
        let (mean, deviation) = mean_and_deviation(&falls);
        Importance { mean, deviation }
    };
    columns.iter().enumerate().map(&mut of_column).collect()
}

/// The numbers below `len` in a random order (Fisher and Yates).
fn permutation(len: usize, random: Stream) -> Vec<usize> {
    let mut order: Vec<usize> = (0..len).collect();
    for last in (1..len).rev() {
        // Eight words apart, as a bounded number may take some.
        order.swap(last, random.below(8 * last as u64, last as u32 + 1) as usize);
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_that_decides_counts_and_one_that_is_not_read_counts_nothing() {
        // Rows [decides, unread, says the same twice in two values].
        let rows: Vec<f32> =
            (0..200).flat_map(|i| [(i % 2) as f32, i as f32, (i % 2) as f32, (i % 2) as f32]).collect();
        let judged = |rows: &[f32]| {
            rows.chunks(4).enumerate().filter(|(i, row)| (row[0] + row[2] + row[3] > 1.5) == (i % 2 == 1)).count()
                as f64
                / 200.0
        };
        let found = permutation_importance((&rows, 4), &[0..1, 1..2, 2..4], (5, 3), judged);
        assert_eq!(found[1], Importance { mean: 0.0, deviation: 0.0 });
        assert_eq!(found[0].mean, 0.0, "outvoted by the two others");
        assert!((found[2].mean - 0.5).abs() < 0.15 && found[2].deviation > 0.0, "{found:?}");
        assert_eq!(found, permutation_importance((&rows, 4), &[0..1, 1..2, 2..4], (5, 3), judged));
    }

    #[test]
    fn a_permutation_has_every_number_once() {
        for len in [0, 1, 2, 100] {
            let mut order = permutation(len, Stream::new(1, 2).at(3));
            assert!(len < 100 || order != (0..len).collect::<Vec<_>>());
            order.sort_unstable();
            assert_eq!(order, (0..len).collect::<Vec<_>>());
        }
    }
}
