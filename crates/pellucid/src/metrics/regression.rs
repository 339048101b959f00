//! One or several numbers.

use super::collector::Collector;
use super::rows::Rows;
use super::{Detail, Histogram, Metrics, MetricsError, Report, Scores};

/// Intervals of the reported histogram.
const BINS: usize = 40;

/// Judges predicted numbers: `targets` `[rows, outputs]`, `predictions` `[rows, outputs]`, `weights` `[rows]`.
///
/// Scores: `mae`, `mse`, `rmse`, `r2`, `median_ae`, `max_error`, `explained_variance`. With several outputs each is the mean
/// over the outputs, `max_error` the largest. `r2` and `explained_variance` are NaN if a target is constant. `max_error`
/// looks at rows whose weight is not 0. The weighted median is the value where half of the weight is reached, the mean of two
/// if it is reached between them.
///
/// # Errors
/// If the arrays do not fit.
///
/// # Panics
/// If there are no outputs.
pub fn regression(
    targets: &[f32],
    predictions: &[f32],
    outputs: usize,
    weights: Option<&[f32]>,
) -> Result<Report, MetricsError> {
    let mut metrics = RegressionMetrics::new(outputs, Detail::Full);
    metrics.update(targets, predictions, weights)?;
    Ok(metrics.report())
}

/// The streaming form of [`regression`].
#[derive(Clone, Debug)]
pub struct RegressionMetrics {
    rows: u64,
    moments: Vec<Moments>,
    collector: Option<Collector>,
}

/// Running sums of one output.
#[derive(Clone, Copy, Debug, Default)]
struct Moments {
    weight: f64,
    absolute: f64,
    squared: f64,
    largest: f64,
    target: Spread,
    error: Spread,
}

/// Weighted mean and sum of squared differences from it, updated without cancellation (West 1979).
#[derive(Clone, Copy, Debug, Default)]
struct Spread {
    weight: f64,
    mean: f64,
    squares: f64,
}

impl Spread {
    fn update(&mut self, value: f64, weight: f64) {
        self.weight += weight;
        let difference = value - self.mean;
        self.mean += difference * (weight / self.weight);
        self.squares += weight * difference * (value - self.mean);
    }
}

impl Moments {
    fn update(&mut self, target: f64, prediction: f64, weight: f64) {
        if weight == 0.0 {
            return;
        }
        let error = target - prediction;
        self.weight += weight;
        self.absolute += weight * error.abs();
        self.squared += weight * error * error;
        // `max` would pass over a NaN.
        self.largest = if error.abs() > self.largest || error.is_nan() { error.abs() } else { self.largest };
        self.target.update(target, weight);
        self.error.update(error, weight);
    }

    fn scores(&self, median: Option<f64>) -> Scores {
        let share = |part: f64| if self.target.squares > 0.0 { 1.0 - part / self.target.squares } else { f64::NAN };
        let mse = self.squared / self.weight;
        let mut scores = Scores::new();
        scores.set("mae", self.absolute / self.weight);
        scores.set("mse", mse);
        scores.set("rmse", mse.sqrt());
        scores.set("r2", share(self.squared));
        if let Some(median) = median {
            scores.set("median_ae", median);
        }
        scores.set("max_error", if self.weight > 0.0 { self.largest } else { f64::NAN });
        scores.set("explained_variance", share(self.error.squares));
        scores
    }
}

impl RegressionMetrics {
    /// Nothing counted yet.
    ///
    /// # Panics
    /// If there are no outputs.
    pub fn new(outputs: usize, detail: Detail) -> RegressionMetrics {
        assert!(outputs > 0, "a task needs outputs");
        RegressionMetrics {
            rows: 0,
            moments: vec![Moments::default(); outputs],
            collector: (detail == Detail::Full).then(|| Collector::new(outputs, outputs)),
        }
    }

    /// prediction - target and the weight of every row kept, for one output.
    fn residuals(collector: &Collector, output: usize) -> Vec<(f64, f64)> {
        let residual = |(weight, targets, outputs): (f32, &[f32], &[f32])| {
            (f64::from(outputs[output]) - f64::from(targets[output]), f64::from(weight))
        };
        collector.rows().map(residual).collect()
    }
}

impl Metrics for RegressionMetrics {
    fn update(&mut self, targets: &[f32], outputs: &[f32], weights: Option<&[f32]>) -> Result<(), MetricsError> {
        let width = self.moments.len();
        for row in Rows::new((targets, width), (outputs, width), weights)?.iter() {
            self.rows += 1;
            for (output, moments) in self.moments.iter_mut().enumerate() {
                let (target, prediction) = (f64::from(row.targets[output]), f64::from(row.outputs[output]));
                moments.update(target, prediction, f64::from(row.weight));
            }
            if let Some(collector) = &mut self.collector {
                collector.push(row.targets, row.outputs, row.weight);
            }
        }
        Ok(())
    }

    fn report(&self) -> Report {
        let of_output = |(output, moments): (usize, &Moments)| {
            let median = self.collector.as_ref().map(|collector| {
                let residuals = RegressionMetrics::residuals(collector, output);
                weighted_median(residuals.into_iter().map(|(residual, weight)| (residual.abs(), weight)).collect())
            });
            moments.scores(median)
        };
        let per_output: Vec<Scores> = self.moments.iter().enumerate().map(of_output).collect();
        let mut scores = Scores::new();
        for (name, _) in per_output[0].iter() {
            let values = || per_output.iter().filter_map(|scores| scores.get(name));
            let value = if name == "max_error" {
                values().fold(0.0, |most: f64, value| if value > most || value.is_nan() { value } else { most })
            } else {
                values().sum::<f64>() / per_output.len() as f64
            };
            scores.set(name, value);
        }
        let first = self.collector.as_ref().map(|collector| RegressionMetrics::residuals(collector, 0));
        Report {
            scores,
            rows: self.rows,
            ranked_rows: self.collector.as_ref().map_or(0, |collector| collector.len() as u64),
            residuals: first.and_then(|residuals| Histogram::new(&residuals, BINS)),
            per_output: if per_output.len() > 1 { per_output } else { Vec::new() },
            ..Report::default()
        }
    }
}

/// The value where half of the weight is reached; NaN without weight or with a NaN.
fn weighted_median(mut values: Vec<(f64, f64)>) -> f64 {
    values.retain(|(_, weight)| *weight > 0.0);
    if values.iter().any(|(value, _)| value.is_nan()) {
        return f64::NAN;
    }
    values.sort_by(|a, b| a.0.total_cmp(&b.0));
    let half = values.iter().map(|(_, weight)| weight).sum::<f64>() / 2.0;
    let mut reached = 0.0;
    for (position, (value, weight)) in values.iter().enumerate() {
        reached += weight;
        if reached > half {
            return *value;
        }
        if reached == half {
            let next = values.get(position + 1).map_or(*value, |(next, _)| *next);
            return (value + next) / 2.0;
        }
    }
    values.last().map_or(f64::NAN, |(value, _)| *value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_of_a_small_example_by_hand() {
        // scikit-learn's documentation: y = 3, -0.5, 2, 7 against 2.5, 0, 2, 8.
        let report = regression(&[3.0, -0.5, 2.0, 7.0], &[2.5, 0.0, 2.0, 8.0], 1, None).expect("arrays fit");
        for (name, value) in [
            ("mae", 0.5),
            ("mse", 0.375),
            ("r2", 0.948_608_137_044_967_9),
            ("median_ae", 0.5),
            ("max_error", 1.0),
            ("explained_variance", 0.957_173_447_537_473_2),
        ] {
            let score = report.scores.get(name).expect("a score");
            assert!((score - value).abs() <= 1e-15, "{name} is {score}");
        }
        let residuals = report.residuals.expect("a histogram");
        assert_eq!((residuals.low, residuals.high, residuals.counts.iter().sum::<f64>()), (-0.5, 1.0, 4.0));
    }

    #[test]
    fn medians_of_even_odd_and_weighted_rows() {
        assert_eq!(weighted_median(vec![(3.0, 1.0), (1.0, 1.0), (2.0, 1.0)]), 2.0);
        assert_eq!(weighted_median(vec![(3.0, 1.0), (1.0, 1.0)]), 2.0);
        assert_eq!(weighted_median(vec![(3.0, 3.0), (1.0, 1.0), (9.0, 0.0)]), 3.0);
        assert!(weighted_median(vec![]).is_nan() && weighted_median(vec![(f64::NAN, 1.0)]).is_nan());
    }

    #[test]
    fn a_constant_target_has_no_r2_and_nan_shows() {
        let constant = regression(&[2.0, 2.0], &[1.0, 2.0], 1, None).expect("arrays fit").scores;
        assert!(constant.get("r2").is_some_and(f64::is_nan));
        assert_eq!(constant.get("mae"), Some(0.5));
        let broken = regression(&[1.0, 2.0, 3.0], &[f32::NAN, 2.0, 9.0], 1, None).expect("arrays fit").scores;
        for (name, value) in broken.iter() {
            assert!(value.is_nan(), "{name} is {value}");
        }
    }

    #[test]
    fn several_outputs_are_averaged_and_listed() {
        let report = regression(&[1.0, 10.0, 2.0, 20.0], &[1.0, 11.0, 3.0, 23.0], 2, None).expect("arrays fit");
        assert_eq!(report.per_output[0].get("mae"), Some(0.5));
        assert_eq!(report.per_output[1].get("mae"), Some(2.0));
        assert_eq!((report.scores.get("mae"), report.scores.get("max_error")), (Some(1.25), Some(3.0)));
    }

    #[test]
    fn large_offsets_do_not_cancel() {
        let targets: Vec<f32> = (0..100).map(|row| 1e6 + (row % 2) as f32).collect();
        let predictions = vec![1e6 + 0.5; 100];
        let r2 = regression(&targets, &predictions, 1, None).expect("arrays fit").scores.get("r2").expect("a score");
        assert!(r2.abs() <= 1e-9, "{r2}");
    }
}
