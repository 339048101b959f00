//! How much of the scores' variance each hyper-parameter explains.
//!
//! A forest of regression trees learns scores from values; of what it predicts over the whole space, the variance of the mean over
//! all other hyper-parameters is the share of one of them. (Hutter, Hoos and Leyton-Brown, "An efficient approach for assessing
//! hyperparameter importance", ICML 2014.)

use fanova::{FanovaOptions, RandomForestOptions};
use pellucid::tune::{Dimension, Space, Trial};

/// Fewer trials say nothing.
const FEWEST: usize = 8;

/// The share of one hyper-parameter.
#[derive(Clone, Debug, PartialEq)]
pub struct Importance {
    /// Its name.
    pub name: String,
    /// Share of the variance that it alone explains, from 0 to 1; the rest is for what several do together.
    pub share: f64,
    /// Standard deviation of the share over the trees.
    pub deviation: f64,
}

/// Shares of all hyper-parameters, the greatest first; none where there are too few trials that were run to their end.
pub fn importance(space: &Space, trials: &[&Trial]) -> Vec<Importance> {
    let finished: Vec<(&Trial, f64)> =
        trials.iter().filter_map(|trial| Some((*trial, trial.value().filter(|value| value.is_finite())?))).collect();
    let scores: Vec<f64> = finished.iter().map(|(_, score)| *score).collect();
    if finished.len() < FEWEST || scores.iter().all(|score| *score == scores[0]) {
        return Vec::new();
    }
    // Where it does not count it stands outside of its range.
    let place = |dimension: &Dimension, trial: &Trial| {
        trial.values.get(&dimension.name).and_then(|value| dimension.domain.place(value)).unwrap_or(-0.5)
    };
    let columns: Vec<Vec<f64>> = space
        .dimensions()
        .iter()
        .map(|dimension| finished.iter().map(|(trial, _)| place(dimension, trial)).collect())
        .collect();
    let features = columns.iter().map(Vec::as_slice).collect();
    let options = FanovaOptions::new().random_forest(RandomForestOptions::new().seed(0));
    let Ok(mut fitted) = options.fit(features, &scores) else { return Vec::new() };
    let share = |(index, dimension): (usize, &Dimension)| {
        let found = fitted.quantify_importance(&[index]);
        // A dimension with one value explains nothing, and has no number.
        let finite = |value: f64| if value.is_finite() { value } else { 0.0 };
        Importance { name: dimension.name.clone(), share: finite(found.mean), deviation: finite(found.stddev) }
    };
    let mut shares: Vec<Importance> = space.dimensions().iter().enumerate().map(share).collect();
    shares.sort_by(|a, b| b.share.total_cmp(&a.share));
    shares
}

#[cfg(test)]
mod tests {
    use pellucid::tune::Verdict;

    use super::*;

    #[test]
    fn what_the_score_depends_on_is_important_and_what_it_does_not_is_not() {
        let space = Space::parse(
            r#"{"lr": {"low": 1e-4, "high": 1, "log": true}, "idle": {"low": 0, "high": 1},
                "kind": {"values": ["a", "b"]}}"#,
        )
        .expect("a space");
        let trial = |number: usize| {
            let (lr, idle) = (number * 7 % 50, number * 13 % 50);
            let values = space.dimensions().iter().map(|dimension| {
                let place = match dimension.name.as_str() {
                    "lr" => lr as f64 / 49.0,
                    "idle" => idle as f64 / 49.0,
                    _ => (number % 2) as f64,
                };
                (dimension.name.clone(), dimension.domain.at(place))
            });
            let score = (lr as f64 / 49.0 - 0.3).abs() + if number.is_multiple_of(2) { 0.5 } else { 0.0 };
            Trial { number, values: values.collect(), reports: Vec::new(), verdict: Some(Verdict::Finished(score)) }
        };
        let trials: Vec<Trial> = (0..60).map(trial).collect();
        let found = importance(&space, &trials.iter().collect::<Vec<_>>());
        // Over even values the variance is 0.0625 for kind, and about 0.04 for lr.
        let share = |name: &str| found.iter().find(|one| one.name == name).map_or(f64::NAN, |one| one.share);
        assert!(share("kind") > 0.35 && share("lr") > 0.2 && share("idle") < 0.05, "{found:?}");
        assert_eq!(found[2].name, "idle", "the greatest first");
        assert!(importance(&space, &trials[..5].iter().collect::<Vec<_>>()).is_empty());
    }
}
