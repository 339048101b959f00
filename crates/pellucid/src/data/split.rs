//! Rows for training, validation and test.

use kernels::random::Stream;

/// Shares of the rows that are held out; the rest is for training.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fractions {
    /// For validation: early stopping and choices. 0 or more.
    pub validation: f64,
    /// For the test, which decides nothing. 0 or more; below 1 together with `validation`.
    pub test: f64,
}

/// Row numbers for each purpose, ascending; no row has two.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Split {
    /// To learn from.
    pub train: Vec<u32>,
    /// To stop early and choose by.
    pub validation: Vec<u32>,
    /// To judge by, once.
    pub test: Vec<u32>,
}

/// Why rows cannot be split.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum SplitError {
    /// Shares that are no shares.
    #[error(
        "shares of {validation} for validation and {test} for the test; both must be at least 0, and below 1 together"
    )]
    Fractions {
        /// The share given for validation.
        validation: f64,
        /// The share given for the test.
        test: f64,
    },
    /// No row at all.
    #[error("there are no rows to split")]
    NoRows,
}

/// Purpose of the random numbers of a split, distinct from all others of a run.
const PURPOSE: u32 = u32::from_be_bytes(*b"splt");

impl Split {
    /// Splits `rows` at random under `seed`; each row goes to one part.
    ///
    /// A share is rounded to whole rows, and is at least one row where there are ten or more. With `strata` (the class
    /// of each row) all parts have the classes in the same proportion, as nearly as whole rows allow, and each class
    /// keeps at least one row for training. Fewer rows than the shares ask for are then held out, if need be none.
    ///
    /// The result depends on the rows' order and number, the strata, the shares and the seed, and on nothing else.
    ///
    /// # Errors
    /// When shares are out of range or there are no rows.
    ///
    /// # Panics
    /// When `strata` has another length than `rows`.
    pub fn new(rows: &[u32], strata: Option<&[u32]>, fractions: Fractions, seed: u64) -> Result<Split, SplitError> {
        let Fractions { validation, test } = fractions;
        if !(validation >= 0.0 && test >= 0.0 && validation + test < 1.0) {
            return Err(SplitError::Fractions { validation, test });
        }
        if rows.is_empty() {
            return Err(SplitError::NoRows);
        }
        let order = order(rows.len(), strata, seed);
        let classes = order.iter().filter(|(position, _)| *position == LAST).count();
        let free = rows.len() - classes;
        let share = |fraction: f64, free: usize| {
            let least = usize::from(fraction > 0.0 && rows.len() >= 10);
            ((fraction * rows.len() as f64).round() as usize).max(least).min(free)
        };
        let tests = share(test, free);
        let validations = share(validation, free - tests);
        let part = |range: std::ops::Range<usize>| {
            let mut part: Vec<u32> = order[range].iter().map(|(_, at)| rows[*at]).collect();
            part.sort_unstable();
            part
        };
        Ok(Split {
            test: part(0..tests),
            validation: part(tests..tests + validations),
            train: part(tests + validations..rows.len()),
        })
    }
}

/// Position of the row of each class that is kept for training: behind all others.
const LAST: u64 = u64::MAX;

/// Places of rows in an order of which any piece from the front has the classes in proportion: the k-th of the n rows
/// of a class, shuffled, gets the position (k + 1/2)/n, and equal positions follow a random order.
fn order(rows: usize, strata: Option<&[u32]>, seed: u64) -> Vec<(u64, usize)> {
    if let Some(strata) = strata {
        assert_eq!(strata.len(), rows, "a class for each row");
    }
    let stream = Stream::new(seed, PURPOSE);
    let mut shuffled: Vec<usize> = (0..rows).collect();
    for i in (1..rows).rev() {
        shuffled.swap(i, stream.below(i as u64, i as u32 + 1) as usize);
    }
    let class = |row: usize| strata.map_or(0, |strata| strata[row]);
    let mut counts = std::collections::BTreeMap::new();
    for row in 0..rows {
        *counts.entry(class(row)).or_insert(0u64) += 1;
    }
    let mut taken = std::collections::BTreeMap::new();
    let mut positions: Vec<(u64, usize)> = Vec::with_capacity(rows);
    for row in shuffled {
        let (count, taken) = (counts[&class(row)], taken.entry(class(row)).or_insert(0u64));
        *taken += 1;
        // (k + 1/2)/n in units of 2⁻³¹, whole numbers on every machine; there are at most 2³² rows.
        let position = if *taken == count { LAST } else { ((2 * *taken - 1) << 30) / count };
        positions.push((position, row));
    }
    // Stable: equal positions stay in their random order.
    positions.sort_by_key(|(position, _)| *position);
    positions
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(strata: &[u32], validation: f64, test: f64, seed: u64) -> Split {
        let rows: Vec<u32> = (0..strata.len() as u32).collect();
        let split = Split::new(&rows, Some(strata), Fractions { validation, test }, seed).expect("splits");
        let mut all = [&split.train[..], &split.validation, &split.test].concat();
        all.sort_unstable();
        assert_eq!(all, rows, "every row exactly once");
        split
    }

    #[test]
    fn classes_keep_their_proportion_in_every_part() {
        let strata: Vec<u32> = (0..1000).map(|row| if row < 700 { 0 } else { 1 + u32::from(row >= 900) }).collect();
        for seed in 0..20 {
            let split = split(&strata, 0.1, 0.2, seed);
            let counts = |part: &[u32]| {
                [0, 1, 2].map(|class| part.iter().filter(|row| strata[**row as usize] == class).count() as i64)
            };
            for (part, expected) in
                [(&split.test, [140, 40, 20]), (&split.validation, [70, 20, 10]), (&split.train, [490, 140, 70])]
            {
                assert_eq!(part.len() as i64, expected.iter().sum::<i64>());
                let near =
                    counts(part).into_iter().zip(expected).all(|(count, expected)| (count - expected).abs() <= 1);
                assert!(near, "{:?} for {expected:?}", counts(part));
            }
        }
    }

    #[test]
    fn each_class_has_a_row_to_learn_from() {
        for seed in 0..50 {
            for strata in [&[0, 1, 2, 3][..], &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1], &[0, 1, 0, 1, 2]] {
                let split = split(strata, 0.3, 0.5, seed);
                for class in strata {
                    assert!(split.train.iter().any(|row| strata[*row as usize] == *class), "{strata:?} {split:?}");
                }
            }
        }
        assert_eq!(split(&[0, 1, 2, 3], 0.3, 0.5, 1).train, [0, 1, 2, 3]);
    }

    #[test]
    fn every_row_has_the_same_chance_of_each_part() {
        const SEEDS: u64 = 4000;
        let mut tests = [0u32; 20];
        for seed in 0..SEEDS {
            let rows: Vec<u32> = (0..20).collect();
            let split = Split::new(&rows, None, Fractions { validation: 0.0, test: 0.25 }, seed).expect("splits");
            assert_eq!((split.test.len(), split.validation.len()), (5, 0));
            split.test.iter().for_each(|row| tests[*row as usize] += 1);
        }
        // Binomial with mean 1000 and standard deviation sqrt(4000 · 3/16) = 27.4; five of them leave no doubt.
        assert!(tests.iter().all(|count| count.abs_diff(1000) <= 137), "{tests:?}");
    }

    #[test]
    fn a_seed_gives_one_split_and_another_seed_another() {
        let strata = [0, 1].repeat(50);
        assert_eq!(split(&strata, 0.2, 0.2, 7), split(&strata, 0.2, 0.2, 7));
        assert_ne!(split(&strata, 0.2, 0.2, 7), split(&strata, 0.2, 0.2, 8));
        let some: Vec<u32> = (100..112).collect();
        let split = Split::new(&some, None, Fractions { validation: 0.01, test: 0.0 }, 7).expect("splits");
        assert_eq!((split.train.len(), split.validation.len(), split.test.len()), (11, 1, 0));
        assert!(split.train.iter().all(|row| (100..112).contains(row)));
    }

    #[test]
    fn shares_out_of_range_are_refused() {
        for (validation, test) in [(0.5, 0.5), (-0.1, 0.2), (f64::NAN, 0.1), (0.1, 1.0)] {
            assert!(Split::new(&[1, 2], None, Fractions { validation, test }, 0).is_err(), "{validation} {test}");
        }
        assert_eq!(Split::new(&[], None, Fractions { validation: 0.1, test: 0.1 }, 0), Err(SplitError::NoRows));
    }
}
