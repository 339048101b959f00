//! Forecasts beside what needs no model: repeating the last value, or the last season.

use pellucid::data::series::SeriesPlan;
use pellucid::metrics::{Scores, forecast};
use serde_json::{Value, json};

use crate::judge::Judged;
use crate::plot::ForecastPlot;
use crate::prepare::{Forecasting, Rows};
use crate::terminal::{Screen, scores_table};

/// Forecasts of one part of the data, and what happened.
#[derive(Clone, Debug)]
pub struct Forecasts {
    pub part: &'static str,
    /// Name of a method and its scores, the model first.
    pub scores: Vec<(String, Scores)>,
    /// What is drawn of each predicted column.
    pub plots: Vec<ForecastPlot>,
}

impl Forecasts {
    /// Compares what the model predicts for `rows` with what happened.
    pub fn new(forecasting: &Forecasting, judged: &Judged, rows: &Rows) -> Forecasts {
        let Forecasting { series, plan } = forecasting;
        let origins = || rows.rows.iter().map(|row| forecasting.origin(*row));
        let truth: Vec<f64> = origins().flat_map(|t| truth_from(forecasting, t)).collect();
        let naive_errors: Vec<f64> = plan.naive_errors.iter().copied().cycle().take(truth.len()).collect();
        let model: Vec<f64> = judged.readable.iter().map(|value| f64::from(*value)).collect();
        let repeated = |season: usize| -> Vec<f64> { origins().flat_map(|t| plan.naive(series, t, season)).collect() };
        let mut methods = vec![("model".to_string(), model), ("last value".to_string(), repeated(1))];
        if plan.season > 1 {
            methods.push((format!("{} steps before", plan.season), repeated(plan.season)));
        }
        let scores =
            methods.iter().map(|(name, values)| (name.clone(), forecast(&truth, values, &naive_errors))).collect();
        let plots = (0..plan.targets).map(|column| plot(forecasting, rows, &methods[0].1, column)).collect();
        Forecasts { part: judged.part, scores, plots }
    }

    /// A table for the terminal.
    pub fn table(&self, screen: &Screen) -> String {
        let parts: Vec<(&str, &Scores)> = self.scores.iter().map(|(name, scores)| (name.as_str(), scores)).collect();
        format!("\n{} forecasts beside simpler ones\n{}", self.part, scores_table(&parts, screen))
    }

    /// As `--json` shows them.
    pub fn json(&self) -> Value {
        let scores: serde_json::Map<String, Value> =
            self.scores.iter().map(|(name, scores)| (name.clone(), json!(scores))).collect();
        json!({"part": self.part, "scores": scores})
    }
}

/// What happened from step t on: step by step, of each step all predicted columns.
fn truth_from(forecasting: &Forecasting, t: usize) -> impl Iterator<Item = f64> {
    let Forecasting { series, plan } = forecasting;
    let values = &series.values[..plan.targets];
    (t..t + plan.horizon).flat_map(move |step| values.iter().map(move |values| values[step]))
}

/// The end of the series, and forecasts one after the other, each from where the one before ended.
fn plot(forecasting: &Forecasting, rows: &Rows, predicted: &[f64], column: usize) -> ForecastPlot {
    let Forecasting { series, plan } = forecasting;
    let SeriesPlan { horizon, targets, window, .. } = plan;
    let first = rows.rows.first().map_or(series.steps(), |row| forecasting.origin(*row));
    let shown = first.saturating_sub(*window);
    let truth = (shown..series.steps()).map(|step| (step as f64, series.values[column][step])).collect();
    let forecasts = (0..rows.rows.len()).step_by(*horizon).map(|row| {
        let t = forecasting.origin(rows.rows[row]);
        let value = |step: usize| predicted[(row * horizon + step) * targets + column];
        (0..*horizon).map(|step| ((t + step) as f64, value(step))).collect()
    });
    ForecastPlot { name: series.names[column].clone(), truth, forecasts: forecasts.collect() }
}
