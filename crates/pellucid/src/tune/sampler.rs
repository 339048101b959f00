//! What to try next.

use std::str::FromStr;

use kernels::random::Stream;
use serde::{Deserialize, Serialize};

use super::space::{Assignment, Dimension, Domain, Space};
use super::tpe;

/// How values are chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Sampler {
    /// Each dimension for itself, at random. (Bergstra and Bengio, "Random search for hyper-parameter optimization", 2012.)
    Random,
    /// All combinations, numbers at evenly spaced places.
    Grid,
    /// Tree-structured Parzen estimator: at random at first, then where good trials are dense and bad ones are not. (Bergstra, Bardenet,
    /// Bengio and Kégl, "Algorithms for hyper-parameter optimization", 2011.)
    #[default]
    Tpe,
}

/// Places of a grid along a dimension of numbers.
const GRID: usize = 5;

impl FromStr for Sampler {
    type Err = String;
    fn from_str(text: &str) -> Result<Sampler, String> {
        match text {
            "random" => Ok(Sampler::Random),
            "grid" => Ok(Sampler::Grid),
            "tpe" => Ok(Sampler::Tpe),
            _ => Err(format!("a sampler is random, grid or tpe, got '{text}'")),
        }
    }
}

impl Sampler {
    /// Values for the trial `number`, from 0; `seen` are values and scores (the smaller, the better) of trials that came to an end, in
    /// their order. `None` where the grid has no more.
    pub(super) fn suggest(
        self,
        space: &Space,
        number: usize,
        seen: &[(&Assignment, f64)],
        seed: u64,
    ) -> Option<Assignment> {
        let random = Stream::new(seed, SEARCH).at(number as u64);
        match self {
            Sampler::Random => Some(at_random(space, random)),
            Sampler::Grid => on_grid(space, number),
            Sampler::Tpe => Some(tpe::suggest(space, seen, random)),
        }
    }
}

/// Tells the random numbers of a search from others of the same seed.
const SEARCH: u32 = u32::MAX - 7;

/// Each dimension for itself.
pub(super) fn at_random(space: &Space, random: Stream) -> Assignment {
    space.assign(|index, _| f64::from(random.unit_at(index as u64)))
}

/// The combination `number`, the last dimension changing fastest; combinations that differ in what does not count alone are one.
fn on_grid(space: &Space, number: usize) -> Option<Assignment> {
    let size = |dimension: &Dimension| match &dimension.domain {
        Domain::Choice(values) => values.len(),
        numbers => numbers.count().unwrap_or(GRID).min(GRID),
    };
    let sizes: Vec<usize> = space.dimensions().iter().map(size).collect();
    let mut seen: Vec<Assignment> = Vec::new();
    let all: usize = sizes.iter().product();
    for combination in 0..all {
        let mut rest = combination;
        let mut places = vec![0.0; sizes.len()];
        for (place, size) in places.iter_mut().zip(&sizes).rev() {
            *place = if *size > 1 { (rest % size) as f64 / (size - 1) as f64 } else { 0.5 };
            rest /= size;
        }
        let assignment = space.assign(|index, _| places[index]);
        if seen.contains(&assignment) {
            continue;
        }
        if seen.len() == number {
            return Some(assignment);
        }
        seen.push(assignment);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grid_has_every_combination_once() {
        let text = r#"{"a": {"values": [1, 2]}, "b": {"low": 0, "high": 1}, "c": {"low": 1, "high": 3, "whole": true, "when": {"a": 1}}}"#;
        let space = Space::parse(text).expect("a space");
        let all: Vec<Assignment> = (0..).map_while(|number| on_grid(&space, number)).collect();
        // Five places of b; three values of c where it counts.
        assert_eq!(all.len(), 5 * 3 + 5);
        assert!(all.iter().enumerate().all(|(i, one)| !all[..i].contains(one)));
    }

    #[test]
    fn the_same_seed_and_number_give_the_same_values() {
        let space = Space::parse(r#"{"x": {"low": 0, "high": 1}, "y": {"low": 1, "high": 9, "whole": true}}"#)
            .expect("a space");
        for sampler in [Sampler::Random, Sampler::Tpe] {
            let suggest = |number, seed| sampler.suggest(&space, number, &[], seed);
            assert_eq!(suggest(3, 1), suggest(3, 1));
            assert_ne!(suggest(3, 1), suggest(4, 1));
            assert_ne!(suggest(3, 1), suggest(3, 2));
        }
    }
}
