//! Rows for training, validation and test.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::str::FromStr;

use kernels::random::Stream;
use serde::{Deserialize, Serialize};

/// Shares of the rows that are held out; the rest is for training.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
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

/// One of several equal parts of the rows that are not for the test: it is for validation, and the others are to learn from.
/// Written `2/5`. (Stone, "Cross-validatory choice and assessment of statistical predictions", 1974.)
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Fold {
    /// Its number, from 1.
    pub number: usize,
    /// How many there are; at least 2.
    pub of: usize,
}

impl FromStr for Fold {
    type Err = String;
    fn from_str(text: &str) -> Result<Fold, String> {
        let pair =
            text.split_once('/').and_then(|(number, of)| Some((number.trim().parse().ok()?, of.trim().parse().ok()?)));
        match pair {
            Some((number, of)) if of >= 2 && (1..=of).contains(&number) => Ok(Fold { number, of }),
            _ => Err(format!("a fold is NUMBER/OF, such as 2/5, of two or more; got {text:?}")),
        }
    }
}

impl TryFrom<String> for Fold {
    type Error = String;
    fn try_from(text: String) -> Result<Fold, String> {
        text.parse()
    }
}

impl From<Fold> for String {
    fn from(fold: Fold) -> String {
        fold.to_string()
    }
}

impl fmt::Display for Fold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.number, self.of)
    }
}

/// How rows are divided.
#[derive(Clone, Copy, Debug, Default)]
pub struct Division<'a> {
    /// The class of each row: all parts have the classes in the same proportion, as nearly as whole rows allow.
    pub strata: Option<&'a [u32]>,
    /// The group of each row: a group is not cut. Its class is the most frequent of its rows.
    pub groups: Option<&'a [u32]>,
    /// The place of each row in time: the last are for the test, those before them for validation. Excludes groups; classes are not
    /// looked at.
    pub times: Option<&'a [u32]>,
    /// Shares to hold out.
    pub fractions: Fractions,
    /// Instead of a share for validation: this fold. In time the rows are cut in one part more than there are folds, fold i learns from
    /// the first i and is judged by the next.
    pub fold: Option<Fold>,
    /// Seed of the order.
    pub seed: u64,
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
    /// Fewer rows or groups than folds.
    #[error("{pieces} rows or groups cannot be divided in {of} folds; ask for fewer")]
    Folds {
        /// Rows or groups.
        pieces: usize,
        /// Folds.
        of: usize,
    },
}

/// Purpose of the random numbers of a split, distinct from all others of a run.
const PURPOSE: u32 = u32::from_be_bytes(*b"splt");

impl Split {
    /// Divides `rows`; each row goes to one part.
    ///
    /// A share is rounded to whole rows (with groups: to the whole groups nearest to it), and is at least one row where there are ten
    /// or more. With strata each class keeps at least one row (group) for training. Fewer rows than the shares ask for are then held
    /// out, if need be none. Folds have the same test rows, and each other row is for validation in one of them, but for those of
    /// classes with one row (group) and, in time, those of the first part.
    ///
    /// The result depends on the rows' order and number and on the division, and on nothing else.
    ///
    /// # Errors
    /// When shares are out of range, there are no rows, or fewer than folds.
    ///
    /// # Panics
    /// When strata, groups or times have another length than `rows`.
    pub fn new(rows: &[u32], division: &Division) -> Result<Split, SplitError> {
        let Fractions { validation, test } = division.fractions;
        if !(validation >= 0.0 && test >= 0.0 && validation + test < 1.0) {
            return Err(SplitError::Fractions { validation, test });
        }
        if rows.is_empty() {
            return Err(SplitError::NoRows);
        }
        let (order, pieces) = match division.times {
            Some(times) => latest_first(times),
            None => in_proportion(rows.len(), division),
        };
        let least = |fraction: f64| usize::from(fraction > 0.0 && rows.len() >= 10);
        let share = |fraction: f64| ((fraction * rows.len() as f64).round() as usize).max(least(fraction));
        let (tests, rest) = pieces.split_at(front(&pieces, share(test)));
        let part = |pieces: &[Piece]| {
            let places = pieces.iter().flat_map(|piece| &order[piece.places.clone()]);
            let mut part: Vec<u32> = places.map(|at| rows[*at]).collect();
            part.sort_unstable();
            part
        };
        let [validation, train] = match division.fold {
            None => {
                let (validation, train) = rest.split_at(front(rest, share(validation)));
                [part(validation), part(train)]
            }
            Some(fold) => folded(rest, fold, division.times.is_some())?.map(|pieces| part(&pieces)),
        };
        Ok(Split { test: part(tests), validation, train })
    }
}

/// What is not cut: a row, or the rows of a group.
#[derive(Clone, Debug)]
struct Piece {
    /// Where its rows are listed.
    places: Range<usize>,
    /// Where it stands in an order of which any part has the classes in proportion.
    position: u64,
    /// The piece of each class that is kept for training, behind all others.
    kept: bool,
    /// The only one of its class.
    alone: bool,
}

/// Rows as lists, and the pieces of the list.
type Pieces = (Vec<usize>, Vec<Piece>);

/// Pieces from the front that come nearest to so many rows together; none that is kept for training.
fn front(pieces: &[Piece], share: usize) -> usize {
    let mut taken = 0;
    let fits = |piece: &&Piece| {
        let with = taken + piece.places.len();
        let nearer = !piece.kept && taken < share && with.abs_diff(share) < share - taken;
        taken = if nearer { with } else { taken };
        nearer
    };
    pieces.iter().take_while(fits).count()
}

/// The pieces for validation and those to learn from.
fn folded(pieces: &[Piece], fold: Fold, in_time: bool) -> Result<[Vec<Piece>; 2], SplitError> {
    let parts = fold.of + usize::from(in_time);
    if pieces.len() < parts {
        return Err(SplitError::Folds { pieces: pieces.len(), of: fold.of });
    }
    // In time fold i is judged by the part behind the first i, otherwise by the i-th.
    let judged = if in_time { fold.number } else { fold.number - 1 };
    let mut ordered: Vec<&Piece> = pieces.iter().collect();
    if in_time {
        ordered.reverse();
    } else {
        ordered.sort_by_key(|piece| piece.position);
    }
    let all: usize = pieces.iter().map(|piece| piece.places.len()).sum();
    let (mut validation, mut train, mut before) = (Vec::new(), Vec::new(), 0);
    for piece in ordered {
        // The part in which the middle of the piece lies.
        let part = (2 * before + piece.places.len()) * parts / (2 * all);
        before += piece.places.len();
        if part == judged && !piece.alone {
            validation.push(piece.clone());
        } else if part <= judged || !in_time {
            train.push(piece.clone());
        }
    }
    Ok([validation, train])
}

fn latest_first(times: &[u32]) -> Pieces {
    let mut order: Vec<usize> = (0..times.len()).collect();
    order.sort_by_key(|row| std::cmp::Reverse((times[*row], *row)));
    let piece = |place: usize| Piece { places: place..place + 1, position: 0, kept: false, alone: false };
    let pieces = (0..order.len()).map(piece).collect();
    (order, pieces)
}

/// Pieces in an order of which any part from the front has the classes in proportion: the k-th of the n pieces of a class, shuffled,
/// gets the position (k + 1/2)/n, and equal positions follow a random order. The last of each class is kept behind all others.
fn in_proportion(rows: usize, division: &Division) -> Pieces {
    for given in [division.strata, division.groups].into_iter().flatten() {
        assert_eq!(given.len(), rows, "a class and a group for each row");
    }
    let mut order: Vec<usize> = (0..rows).collect();
    let group = |row: &usize| division.groups.map_or(*row as u32, |groups| groups[*row]);
    order.sort_by_key(group);
    let mut places: Vec<Range<usize>> = Vec::with_capacity(rows);
    for rows in order.chunk_by(|a, b| group(a) == group(b)) {
        let start = places.last().map_or(0, |before| before.end);
        places.push(start..start + rows.len());
    }
    let stream = Stream::new(division.seed, PURPOSE);
    for i in (1..places.len()).rev() {
        places.swap(i, stream.below(i as u64, i as u32 + 1) as usize);
    }
    let class =
        |places: &Range<usize>| division.strata.map_or(0, |strata| most_frequent(&order[places.clone()], strata));
    let mut counts: BTreeMap<u32, (u64, u64)> = BTreeMap::new();
    let classes: Vec<u32> = places.iter().map(class).collect();
    classes.iter().for_each(|class| counts.entry(*class).or_default().0 += 1);
    let placed = places.into_iter().zip(&classes).map(|(places, class)| {
        let (count, taken) = counts.get_mut(class).expect("counted");
        *taken += 1;
        // (k + 1/2)/n in units of 2⁻³¹, whole numbers on every machine; there are at most 2³² rows.
        let position = ((2 * *taken - 1) << 30) / *count;
        Piece { places, position, kept: taken == count, alone: *count == 1 }
    });
    let mut pieces: Vec<Piece> = placed.collect();
    // Stable: equal positions stay in their random order.
    pieces.sort_by_key(|piece| (piece.kept, if piece.kept { 0 } else { piece.position }));
    (order, pieces)
}

/// The class of a group; of equally frequent ones the first.
fn most_frequent(rows: &[usize], strata: &[u32]) -> u32 {
    if let [row] = rows {
        return strata[*row];
    }
    let mut counts: BTreeMap<u32, usize> = BTreeMap::new();
    rows.iter().for_each(|row| *counts.entry(strata[*row]).or_default() += 1);
    let mut best = (0, 0);
    for (class, count) in counts {
        if count > best.1 {
            best = (class, count);
        }
    }
    best.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn division(validation: f64, test: f64, seed: u64) -> Division<'static> {
        Division { fractions: Fractions { validation, test }, seed, ..Division::default() }
    }

    fn split(strata: &[u32], validation: f64, test: f64, seed: u64) -> Split {
        let rows: Vec<u32> = (0..strata.len() as u32).collect();
        let division = Division { strata: Some(strata), ..division(validation, test, seed) };
        let split = Split::new(&rows, &division).expect("splits");
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
            let split = Split::new(&rows, &division(0.0, 0.25, seed)).expect("splits");
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
        let split = Split::new(&some, &division(0.01, 0.0, 7)).expect("splits");
        assert_eq!((split.train.len(), split.validation.len(), split.test.len()), (11, 1, 0));
        assert!(split.train.iter().all(|row| (100..112).contains(row)));
    }

    #[test]
    fn shares_out_of_range_are_refused() {
        for (validation, test) in [(0.5, 0.5), (-0.1, 0.2), (f64::NAN, 0.1), (0.1, 1.0)] {
            assert!(Split::new(&[1, 2], &division(validation, test, 0)).is_err(), "{validation} {test}");
        }
        assert_eq!(Split::new(&[], &division(0.1, 0.1, 0)), Err(SplitError::NoRows));
    }

    #[test]
    fn a_group_is_never_cut() {
        // Twelve groups of different sizes, of two classes.
        let groups: Vec<u32> = (0..200).map(|row: u32| (row * row / 7) % 12).collect();
        let strata: Vec<u32> = groups.iter().map(|group| group % 2).collect();
        let rows: Vec<u32> = (0..200).collect();
        for seed in 0..20 {
            let grouped = Division { strata: Some(&strata), groups: Some(&groups), ..division(0.2, 0.2, seed) };
            let folds = (1..=3).map(|number| Division { fold: Some(Fold { number, of: 3 }), ..grouped });
            for division in folds.chain([grouped]) {
                let Split { train, validation, test } = Split::new(&rows, &division).expect("splits");
                assert_eq!(train.len() + validation.len() + test.len(), 200);
                let of = |part: &[u32]| -> Vec<u32> { part.iter().map(|row| groups[*row as usize]).collect() };
                let (train, validation, test) = (of(&train), of(&validation), of(&test));
                assert!(!train.is_empty() && !validation.is_empty() && !test.is_empty());
                assert!(train.iter().all(|group| !validation.contains(group) && !test.contains(group)));
                assert!(validation.iter().all(|group| !test.contains(group)));
            }
        }
    }

    #[test]
    fn each_row_is_judged_by_in_one_fold_and_learnt_from_in_the_others() {
        // Balanced classes in turn, one rare and one with a single row.
        let strata: Vec<u32> = (0..103).map(|row| if row < 96 { row % 2 } else { 2 + u32::from(row == 102) }).collect();
        let rows: Vec<u32> = (0..103).collect();
        let mut judged = vec![0; 103];
        let mut tests = Vec::new();
        for number in 1..=5 {
            let fold = Some(Fold { number, of: 5 });
            let division = Division { strata: Some(&strata), fold, ..division(0.0, 0.2, 3) };
            let split = Split::new(&rows, &division).expect("splits");
            let mut all = [&split.train[..], &split.validation, &split.test].concat();
            all.sort_unstable();
            assert_eq!(all, rows);
            split.validation.iter().for_each(|row| judged[*row as usize] += 1);
            let first = split.validation.iter().filter(|row| strata[**row as usize] == 0).count();
            assert!((7..=9).contains(&first), "{first} of 16 or so in fold {number}");
            tests.push(split.test);
        }
        assert!(tests.iter().all(|test| *test == tests[0]), "the same test rows in all folds");
        for row in 0..103 {
            let expected = usize::from(!tests[0].contains(&row) && row != 102);
            assert_eq!(judged[row as usize], expected, "row {row}");
        }
        let folds = Some(Fold { number: 1, of: 200 });
        let error = Split::new(&rows, &Division { fold: folds, ..division(0.0, 0.0, 3) });
        assert_eq!(error, Err(SplitError::Folds { pieces: 103, of: 200 }));
    }

    #[test]
    fn in_time_nothing_is_learnt_from_what_comes_after() {
        let times: Vec<u32> = (0..60).map(|row: u32| (row * 37) % 60).collect();
        let rows: Vec<u32> = (0..60).collect();
        let timed = Division { times: Some(&times), ..division(0.25, 0.2, 0) };
        let of = |part: &[u32]| -> Vec<u32> { part.iter().map(|row| times[*row as usize]).collect() };
        let split = Split::new(&rows, &timed).expect("splits");
        let sorted = |part: &[u32]| {
            let mut part = of(part);
            part.sort_unstable();
            part
        };
        assert_eq!(sorted(&split.train), (0..33).collect::<Vec<_>>());
        assert_eq!(sorted(&split.validation), (33..48).collect::<Vec<_>>());
        assert_eq!(sorted(&split.test), (48..60).collect::<Vec<_>>());
        for number in 1..=3 {
            let split = Split::new(&rows, &Division { fold: Some(Fold { number, of: 3 }), ..timed }).expect("splits");
            let end = 12 * number as u32;
            assert_eq!(sorted(&split.train), (0..end).collect::<Vec<_>>());
            assert_eq!(sorted(&split.validation), (end..end + 12).collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_fold_is_written_as_its_number_and_their_number() {
        assert_eq!("2/5".parse(), Ok(Fold { number: 2, of: 5 }));
        assert_eq!(Fold { number: 2, of: 5 }.to_string(), "2/5");
        for wrong in ["0/5", "6/5", "1/1", "2", "a/b", "-1/3", ""] {
            assert!(wrong.parse::<Fold>().is_err(), "{wrong}");
        }
    }
}
