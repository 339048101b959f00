//! Forecasts of a series.

use super::Scores;

/// Judges forecasts: `truth` and `predicted` hold as many values, in the same order; `naive_errors` is for each of them the mean
/// distance of the series from its value a season before, over the steps that were learnt from.
///
/// Scores: `mae`, `rmse`, `mape` (mean of |error| / |truth|), `smape` (mean of 2 |error| / (|truth| + |predicted|)), both
/// as shares, not in percent, and `mase` (mean of |error| / naive error), below 1 if the forecast is better than what
/// repeats the last season did one season ahead. Hyndman and Koehler, "Another look at measures of forecast accuracy", 2006.
/// A pair of zeros has no share of error. NaN without any value, and `mape` where a truth is 0.
///
/// # Panics
/// If the lengths differ.
pub fn forecast(truth: &[f64], predicted: &[f64], naive_errors: &[f64]) -> Scores {
    assert!(truth.len() == predicted.len() && truth.len() == naive_errors.len(), "as many of each");
    let count = truth.len() as f64;
    let mean = |term: &dyn Fn(usize) -> f64| (0..truth.len()).map(term).sum::<f64>() / count;
    let error = |i: usize| (truth[i] - predicted[i]).abs();
    let mut scores = Scores::new();
    scores.set("mae", mean(&error));
    scores.set("rmse", mean(&|i| error(i) * error(i)).sqrt());
    scores.set("mape", mean(&|i| if truth[i] == 0.0 { f64::NAN } else { error(i) / truth[i].abs() }));
    scores.set(
        "smape",
        mean(&|i| if error(i) == 0.0 { 0.0 } else { 2.0 * error(i) / (truth[i].abs() + predicted[i].abs()) }),
    );
    scores.set("mase", mean(&|i| error(i) / naive_errors[i]));
    scores
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_follow_their_definitions() {
        let scores = forecast(&[10.0, -4.0, 0.0], &[12.0, -5.0, 0.0], &[4.0, 4.0, 2.0]);
        let near = |name: &str, expected: f64| {
            let got = scores.get(name).expect("a score");
            assert!((got - expected).abs() < 1e-12 || (got.is_nan() && expected.is_nan()), "{name}: {got}");
        };
        near("mae", 1.0);
        near("rmse", (5.0f64 / 3.0).sqrt());
        near("mape", f64::NAN);
        near("smape", (4.0 / 22.0 + 2.0 / 9.0) / 3.0);
        near("mase", (0.5 + 0.25) / 3.0);
        let shares = forecast(&[10.0, -4.0], &[12.0, -5.0], &[1.0, 1.0]);
        assert!((shares.get("mape").expect("a score") - (0.2 + 0.25) / 2.0).abs() < 1e-12);
        assert!(forecast(&[], &[], &[]).iter().all(|(_, value)| value.is_nan()));
    }
}
