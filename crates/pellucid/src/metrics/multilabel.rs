//! Any number of labels at once.

use super::collector::Collector;
use super::rows::{Rows, log_probability, mean_of_defined};
use super::{ClassCounts, Detail, Metrics, MetricsError, Ranking, Report, Scores};

/// Judges probabilities of all labels: `targets` `[rows, labels]` of 0 and 1, `probabilities` `[rows, labels]`, `weights` `[rows]`.
///
/// Scores: `accuracy` (every label of the row is right: subset accuracy), `hamming_loss` (share of wrong labels), `log_loss`
/// (mean over rows and labels); `precision`, `recall` and `f1` as `_macro` (over all labels), `_micro`, `_weighted`;
/// `roc_auc_macro` (mean over the labels that have rows with and without).
///
/// # Errors
/// If the arrays do not fit, or a target is neither 0 nor 1.
///
/// # Panics
/// If there are no labels.
pub fn multilabel(
    targets: &[f32],
    probabilities: &[f32],
    labels: usize,
    weights: Option<&[f32]>,
) -> Result<Report, MetricsError> {
    let mut metrics = MultilabelMetrics::new(labels, Detail::Full);
    metrics.update(targets, probabilities, weights)?;
    Ok(metrics.report())
}

/// The streaming form of [`multilabel`].
#[derive(Clone, Debug)]
pub struct MultilabelMetrics {
    labels: usize,
    counts: ClassCounts,
    rows: u64,
    weight: f64,
    exact: f64,
    wrong: f64,
    log_loss: f64,
    collector: Option<Collector>,
}

impl MultilabelMetrics {
    /// Nothing counted yet.
    ///
    /// # Panics
    /// If there are no labels.
    pub fn new(labels: usize, detail: Detail) -> MultilabelMetrics {
        assert!(labels > 0, "a task needs labels");
        MultilabelMetrics {
            labels,
            counts: ClassCounts::new(labels),
            rows: 0,
            weight: 0.0,
            exact: 0.0,
            wrong: 0.0,
            log_loss: 0.0,
            collector: (detail == Detail::Full).then(|| Collector::new(labels, labels)),
        }
    }
}

impl Metrics for MultilabelMetrics {
    fn update(&mut self, targets: &[f32], outputs: &[f32], weights: Option<&[f32]>) -> Result<(), MetricsError> {
        let rows = Rows::new((targets, self.labels), (outputs, self.labels), weights)?;
        rows.check_classes(2)?;
        for row in rows.iter() {
            let weight = f64::from(row.weight);
            let mut wrong = 0.0;
            for label in 0..self.labels {
                let is_there = row.targets[label] == 1.0;
                let probability = f64::from(row.outputs[label]);
                let is_predicted = probability >= 0.5;
                self.counts.update_label(label, is_there, is_predicted, weight);
                self.log_loss -= weight * log_probability(if is_there { probability } else { 1.0 - probability });
                wrong += f64::from(u8::from(is_there != is_predicted));
            }
            self.rows += 1;
            self.weight += weight;
            self.wrong += weight * wrong;
            self.exact += if wrong == 0.0 { weight } else { 0.0 };
            if let Some(collector) = &mut self.collector {
                collector.push(row.targets, row.outputs, row.weight);
            }
        }
        Ok(())
    }

    fn report(&self) -> Report {
        let mut scores = Scores::new();
        let cells = self.weight * self.labels as f64;
        scores.set("accuracy", self.exact / self.weight);
        scores.set("hamming_loss", self.wrong / cells);
        scores.set("log_loss", self.log_loss / cells);
        self.counts.set_averages(true, &mut scores);
        if let Some(collector) = &self.collector {
            let areas = (0..self.labels).map(|label| {
                let rows = collector.rows();
                let rows = rows.map(|(weight, targets, outputs)| (outputs[label], targets[label] == 1.0, weight));
                Ranking::new(rows).roc_auc()
            });
            scores.set("roc_auc_macro", mean_of_defined(areas));
        }
        Report {
            scores,
            rows: self.rows,
            ranked_rows: self.collector.as_ref().map_or(0, |collector| collector.len() as u64),
            per_class: self.counts.class_scores(),
            ..Report::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_judged_one_by_one_and_together() {
        // Two rows, three labels: predicted 1 0 1 and 0 0 1.
        let report =
            multilabel(&[1.0, 0.0, 1.0, 1.0, 0.0, 1.0], &[0.9, 0.1, 0.5, 0.4, 0.2, 0.8], 3, None).expect("arrays fit");
        let score = |name: &str| report.scores.get(name).expect("a score");
        assert_eq!(score("accuracy"), 0.5);
        assert_eq!(score("hamming_loss"), 1.0 / 6.0);
        assert_eq!((score("precision_micro"), score("recall_micro")), (1.0, 0.75));
        // The second label never occurs and counts as 0 in the mean.
        assert_eq!((score("precision_macro"), score("recall_macro")), (2.0 / 3.0, 0.5));
        assert!((score("f1_macro") - (2.0 / 3.0 + 0.0 + 1.0) / 3.0).abs() <= f64::EPSILON);
        assert!(score("roc_auc_macro").is_nan(), "no label has rows with and without it");
    }
}
