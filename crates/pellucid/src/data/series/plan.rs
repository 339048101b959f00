//! Windows of a series: how values become inputs of a network, and its outputs a forecast.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::{Series, SeriesError, TimeStep};
use crate::data::{Dataset, Features, TargetScaling, Task};

/// How the values of a column become inputs: standardised, or the logarithms are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ColumnScale {
    /// Name of the column.
    pub name: String,
    /// Of the logarithms: where all values to be learnt from are above 0, what grows grows by shares.
    pub log: bool,
    /// Mean of the values (or logarithms) to be learnt from.
    pub mean: f64,
    /// Their standard deviation (1/n); 1 for a column that never changes.
    pub std: f64,
}

impl ColumnScale {
    fn learn(name: &str, values: &[f64]) -> ColumnScale {
        ColumnScale::of(name, values, values.iter().all(|value| *value > 0.0))
    }

    /// That of these values, or of their logarithms.
    pub(in crate::data) fn of(name: &str, values: &[f64], log: bool) -> ColumnScale {
        let seen: Vec<f64> = values.iter().map(|value| if log { libm::log(*value) } else { *value }).collect();
        let count = seen.len().max(1) as f64;
        let mean = seen.iter().sum::<f64>() / count;
        let std = (seen.iter().map(|value| (value - mean) * (value - mean)).sum::<f64>() / count).sqrt();
        let std = if std > 1e-12 * mean.abs().max(1e-300) { std } else { 1.0 };
        ColumnScale { name: name.to_string(), log, mean, std }
    }

    /// As it enters a network.
    pub(in crate::data) fn standardise(&self, value: f64) -> f32 {
        let value = if self.log { libm::log(value) } else { value };
        ((value - self.mean) / self.std) as f32
    }

    fn scaling(&self, name: String) -> TargetScaling {
        TargetScaling { name, mean: self.mean, std: self.std, log: self.log }
    }
}

/// What is learnt about a series besides the network, and how its windows are cut.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SeriesPlan {
    /// The columns, those that are predicted first.
    pub columns: Vec<ColumnScale>,
    /// How many of them are predicted.
    pub targets: usize,
    /// Which columns are known in advance.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub known: Vec<usize>,
    /// Name of the column of times, if there is one, and its step.
    pub time: Option<(String, TimeStep)>,
    /// Steps that the network sees.
    pub window: usize,
    /// Steps that it predicts.
    pub horizon: usize,
    /// Steps of a season, for the forecast that repeats the last one; 1 for none.
    pub season: usize,
    /// Mean distance of each predicted column from its value a season before, over the steps to be learnt from: what the
    /// error is compared with in MASE (Hyndman and Koehler, 2006).
    pub naive_errors: Vec<f64>,
}

impl SeriesPlan {
    /// Learns from the first `steps` of a series.
    ///
    /// # Errors
    /// Too few steps for a single window and what follows it; a window shorter than the horizon, where columns are known in
    /// advance.
    pub fn learn(
        series: &Series,
        steps: usize,
        (window, horizon): (usize, usize),
        season: usize,
    ) -> Result<SeriesPlan, SeriesError> {
        if !series.known.is_empty() && window < horizon {
            return Err(SeriesError::Short { window, horizon });
        }
        if steps < window + horizon {
            let (source_name, needed) = (series.source.clone(), window + horizon);
            return Err(SeriesError::TooShort { source_name, steps, what: " to learn from", window, horizon, needed });
        }
        let columns: Vec<ColumnScale> = series
            .names
            .iter()
            .zip(&series.values)
            .map(|(name, values)| ColumnScale::learn(name, &values[..steps]))
            .collect();
        let naive = |values: &Vec<f64>| {
            let pairs = values[season.min(steps)..steps].iter().zip(values);
            let count = pairs.len().max(1) as f64;
            pairs.map(|(value, before)| (value - before).abs()).sum::<f64>() / count
        };
        let naive_errors = series.values[..series.targets].iter().map(naive).collect();
        let time = series.time.as_ref().map(|time| (time.name.clone(), time.step));
        let (targets, known) = (series.targets, series.known.clone());
        Ok(SeriesPlan { columns, targets, known, time, window, horizon, season, naive_errors })
    }

    /// Why no series can be read by this plan, if it comes from a file that says what cannot be.
    pub fn fault(&self) -> Option<String> {
        let columns = self.columns.len();
        if self.targets == 0 || self.targets > columns || self.naive_errors.len() != self.targets {
            return Some(format!("{} of {columns} columns of the series are predicted", self.targets));
        }
        if let Some(column) = self.known.iter().find(|column| !(self.targets..columns).contains(column)) {
            return Some(format!("column {column} of {columns} is known in advance"));
        }
        let steps = [self.window, self.horizon, self.season];
        if steps.contains(&0) || self.window.checked_add(self.horizon).is_none() {
            return Some(format!("window, horizon and season are {steps:?} steps"));
        }
        (!self.known.is_empty() && self.window < self.horizon)
            .then(|| format!("the window of {} steps is shorter than the horizon of {}", self.window, self.horizon))
    }

    /// What is predicted: step by step, of each step all predicted columns.
    pub fn task(&self) -> Task {
        let step = |step: usize| {
            let name = move |column: &ColumnScale| column.scaling(format!("{} +{}", column.name, step + 1));
            self.columns[..self.targets].iter().map(name)
        };
        Task::Regression { targets: (0..self.horizon).flat_map(step).collect() }
    }

    /// Values of a step of the network's input: all columns, and those that are known `horizon` steps later.
    pub fn width(&self) -> usize {
        self.columns.len() + self.known.len()
    }

    /// Values of a column from the first step on, as they enter the network; of one that is known with its future.
    fn standardised(&self, series: &Series, column: usize) -> Result<Vec<f32>, SeriesError> {
        let scale = &self.columns[column];
        let value = |(step, value): (usize, &f64)| {
            if scale.log && *value <= 0.0 {
                let (source_name, line) = (series.source.clone(), series.lines[step]);
                return Err(SeriesError::NotPositive { source_name, line, column: scale.name.clone(), value: *value });
            }
            Ok(scale.standardise(*value))
        };
        series.values[column].iter().enumerate().map(value).collect()
    }

    /// Values of all columns, column by column.
    fn inputs(&self, series: &Series) -> Result<Vec<Vec<f32>>, SeriesError> {
        (0..self.columns.len()).map(|column| self.standardised(series, column)).collect()
    }

    /// What the network sees before step t: [window, width].
    fn window_before<'a>(&'a self, inputs: &'a [Vec<f32>], t: usize) -> impl Iterator<Item = f32> + 'a {
        (t - self.window..t).flat_map(move |step| {
            let ahead = self.known.iter().map(move |column| inputs[*column][step + self.horizon]);
            inputs.iter().map(move |values| values[step]).chain(ahead)
        })
    }

    /// What the network sees behind the last step of a series: [window, width].
    ///
    /// # Errors
    /// Too few steps, or too few of what is known in advance; a value without a logarithm where the others had one.
    pub fn last_window(&self, series: &Series) -> Result<Vec<f32>, SeriesError> {
        let (steps, source_name) = (series.steps(), series.source.clone());
        if steps < self.window {
            return Err(SeriesError::Window { source_name, steps, window: self.window });
        }
        let short = |column: &&usize| series.values[**column].len() < steps + self.horizon;
        if let Some(column) = self.known.iter().find(short) {
            return Err(SeriesError::Future {
                source_name,
                column: self.columns[*column].name.clone(),
                target: self.columns[0].name.clone(),
                horizon: self.horizon,
                found: series.values[*column].len() - steps,
            });
        }
        Ok(self.window_before(&self.inputs(series)?, steps).collect())
    }

    /// A row for each forecast: that from step t (the first that is predicted) for every t in `from`, whose windows lie before.
    ///
    /// # Errors
    /// A value without a logarithm where the others had one.
    pub fn dataset(&self, series: &Series, from: Range<usize>) -> Result<Dataset, SeriesError> {
        let inputs = self.inputs(series)?;
        let (mut features, mut targets) = (Vec::new(), Vec::new());
        for t in from {
            features.extend(self.window_before(&inputs, t));
            targets.extend(
                (t..t + self.horizon).flat_map(|step| inputs[..self.targets].iter().map(move |values| values[step])),
            );
        }
        let shape = vec![self.window, self.width()];
        Ok(Dataset::new(shape, Features::F32(features), targets, self.horizon * self.targets, None)
            .expect("lengths agree"))
    }

    /// The forecast from step t that repeats what was there `season` steps before (or as many as there were), in units:
    /// [horizon · targets].
    pub fn naive(&self, series: &Series, t: usize, season: usize) -> Vec<f64> {
        let season = season.clamp(1, t.max(1));
        let before = |step: usize| t + step % season - season;
        (0..self.horizon)
            .flat_map(|step| series.values[..self.targets].iter().map(move |values| values[before(step)]))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::series::SeriesOptions;
    use crate::data::{Table, TableOptions};

    fn series(text: &str) -> Series {
        let table = Table::from_reader("s.csv", text.as_bytes(), &TableOptions::default()).expect("a table");
        Series::read(&table, &SeriesOptions::default()).expect("a series")
    }

    #[test]
    fn windows_end_where_their_forecasts_begin() {
        let series = series("x,y\n-1,1\n1,2\n-1,4\n1,8\n-1,16\n1,32\n");
        let plan = SeriesPlan::learn(&series, 4, (2, 1), 2).expect("enough");
        assert_eq!((plan.columns[0].name.as_str(), plan.columns[0].log), ("y", true));
        assert!(!plan.columns[1].log && plan.columns[1].mean == 0.0 && plan.columns[1].std == 1.0);
        // |4 - 1| and |8 - 2|.
        assert_eq!(plan.naive_errors, [4.5]);
        let data = plan.dataset(&series, 2..5).expect("positive");
        let inputs = plan.inputs(&series).expect("positive");
        assert_eq!((data.sample_shape.as_slice(), data.rows()), (&[2, 2][..], 3));
        let Features::F32(features) = &data.features else { panic!("values") };
        assert_eq!(features[4..8], [inputs[0][1], inputs[1][1], inputs[0][2], inputs[1][2]]);
        assert_eq!(data.targets, inputs[0][2..5]);
        let Task::Regression { targets } = plan.task() else { panic!("a regression") };
        assert_eq!(targets[0].name, "y +1");
        assert!((targets[0].to_units(data.targets[2]) - 16.0).abs() < 1e-4);
    }

    #[test]
    fn a_plan_that_fits_no_series_is_refused() {
        let whole = SeriesPlan::learn(&series("x,y\n1,1\n2,2\n3,4\n4,8\n"), 4, (2, 1), 1).expect("enough");
        assert_eq!(whole.fault(), None);
        let wrong: [fn(&mut SeriesPlan); 6] = [
            |plan| plan.known = vec![9],
            |plan| plan.known = vec![0],
            |plan| plan.targets = 3,
            |plan| plan.targets = 0,
            |plan| plan.window = usize::MAX,
            |plan| plan.season = 0,
        ];
        for (number, change) in wrong.into_iter().enumerate() {
            let mut plan = whole.clone();
            change(&mut plan);
            assert!(plan.fault().is_some(), "{number}");
        }
    }

    #[test]
    fn naive_forecasts_repeat_the_last_season() {
        let series = series("y\n1\n2\n3\n4\n5\n6\n7\n");
        let plan = SeriesPlan::learn(&series, 7, (3, 4), 3).expect("enough");
        assert_eq!(plan.naive(&series, 5, 1), [5.0; 4]);
        assert_eq!(plan.naive(&series, 5, 3), [3.0, 4.0, 5.0, 3.0]);
        let error = SeriesPlan::learn(&series, 6, (3, 4), 1).expect_err("too few").to_string();
        assert!(error.contains("has 6 steps to learn from; a window of 3 and a horizon of 4 need 7"), "{error}");
    }

    #[test]
    fn a_value_without_a_logarithm_is_named() {
        let series = series("y\n1\n2\n0\n");
        let plan = SeriesPlan::learn(&series, 2, (1, 1), 1).expect("enough");
        let error = plan.inputs(&series).expect_err("no logarithm").to_string();
        assert!(error.contains("line 4: y is 0; the model takes its logarithm"), "{error}");
    }

    #[test]
    fn what_is_known_is_seen_at_the_steps_ahead() {
        let text = "x,y\n-1,1\n1,2\n-2,4\n3,8\n-4,16\n5,32\n6,\n7,\n";
        let table = Table::from_reader("s.csv", text.as_bytes(), &TableOptions::default()).expect("a table");
        let options = SeriesOptions { known: vec!["x".to_string()], targets: vec!["y".to_string()], time: None };
        let series = Series::read(&table, &options).expect("a series");
        let plan = SeriesPlan::learn(&series, 6, (2, 2), 1).expect("enough");
        assert_eq!((plan.width(), plan.known.as_slice()), (3, &[1][..]));
        let [y, x] = [0, 1].map(|column| plan.standardised(&series, column).expect("positive"));
        let data = plan.dataset(&series, 2..5).expect("positive");
        let Features::F32(features) = &data.features else { panic!("values") };
        assert_eq!(features[6..12], [y[1], x[1], x[3], y[2], x[2], x[4]]);
        let last = plan.last_window(&series).expect("the future is known");
        assert_eq!(last, [y[4], x[4], x[6], y[5], x[5], x[7]]);
        let mut short = series.clone();
        short.values[1].pop();
        let error = plan.last_window(&short).expect_err("too little").to_string();
        assert!(error.contains("x must be known 2 steps ahead, but there are 1 lines behind the last y"), "{error}");
        let error = SeriesPlan::learn(&series, 6, (1, 2), 1).expect_err("not seen").to_string();
        assert!(error.contains("choose a window of 2 at least"), "{error}");
    }
}
