//! One of two classes.

use super::collector::Collector;
use super::rows::{Rows, log_probability};
use super::{Calibration, ConfusionMatrix, Detail, Metrics, MetricsError, Ranking, Report, Scores};

/// Most points of a reported ROC curve.
const ROC_POINTS: usize = 256;

/// Judges probabilities of the positive class: `targets` `[rows]` of 0 and 1, `probabilities` `[rows]`, `weights` `[rows]`.
///
/// Scores: `accuracy`, `balanced_accuracy`, `cohen_kappa`, `matthews_corrcoef`, `log_loss`, `precision_binary`,
/// `recall_binary`, `f1_binary`, `roc_auc`, `average_precision`, `brier`.
///
/// # Errors
/// If the arrays do not fit, or a target is neither 0 nor 1.
pub fn binary(targets: &[f32], probabilities: &[f32], weights: Option<&[f32]>) -> Result<Report, MetricsError> {
    let mut metrics = BinaryMetrics::new(Detail::Full);
    metrics.update(targets, probabilities, weights)?;
    Ok(metrics.report())
}

/// The streaming form of [`binary`].
#[derive(Clone, Debug)]
pub struct BinaryMetrics {
    confusion: ConfusionMatrix,
    rows: u64,
    weight: f64,
    log_loss: f64,
    brier: f64,
    calibration: Calibration,
    collector: Option<Collector>,
}

impl BinaryMetrics {
    /// Nothing counted yet.
    pub fn new(detail: Detail) -> BinaryMetrics {
        BinaryMetrics {
            confusion: ConfusionMatrix::new(2),
            rows: 0,
            weight: 0.0,
            log_loss: 0.0,
            brier: 0.0,
            calibration: Calibration::default(),
            collector: (detail == Detail::Full).then(|| Collector::new(1, 1)),
        }
    }
}

impl Metrics for BinaryMetrics {
    fn update(&mut self, targets: &[f32], outputs: &[f32], weights: Option<&[f32]>) -> Result<(), MetricsError> {
        let rows = Rows::new((targets, 1), (outputs, 1), weights)?;
        rows.check_classes(2)?;
        for row in rows.iter() {
            let positive = row.targets[0] == 1.0;
            let probability = f64::from(row.outputs[0]);
            let weight = f64::from(row.weight);
            let difference = probability - f64::from(row.targets[0]);
            self.rows += 1;
            self.weight += weight;
            self.confusion.update(usize::from(positive), usize::from(probability >= 0.5), weight);
            self.log_loss -= weight * log_probability(if positive { probability } else { 1.0 - probability });
            self.brier += weight * difference * difference;
            self.calibration.update(probability, positive, weight);
            if let Some(collector) = &mut self.collector {
                collector.push(row.targets, row.outputs, row.weight);
            }
        }
        Ok(())
    }

    fn report(&self) -> Report {
        let counts = self.confusion.counts();
        let per_class = counts.class_scores();
        let mut scores = Scores::new();
        counts.set_agreement(&mut scores);
        scores.set("log_loss", self.log_loss / self.weight);
        scores.set("precision_binary", per_class[1].precision);
        scores.set("recall_binary", per_class[1].recall);
        scores.set("f1_binary", per_class[1].f1);
        let mut roc = Vec::new();
        if let Some(collector) = &self.collector {
            let rows = collector.rows().map(|(weight, targets, outputs)| (outputs[0], targets[0] == 1.0, weight));
            let ranking = Ranking::new(rows);
            scores.set("roc_auc", ranking.roc_auc());
            scores.set("average_precision", ranking.average_precision());
            roc = ranking.roc_curve(ROC_POINTS);
        }
        scores.set("brier", self.brier / self.weight);
        Report {
            scores,
            rows: self.rows,
            ranked_rows: self.collector.as_ref().map_or(0, |collector| collector.len() as u64),
            per_class,
            confusion: Some(self.confusion.clone()),
            roc,
            calibration: Some(self.calibration.clone()),
            ..Report::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_half_is_positive_and_one_class_has_no_area() {
        let report = binary(&[1.0, 1.0], &[0.5, 0.4], None).expect("arrays fit");
        assert_eq!(report.scores.get("accuracy"), Some(0.5));
        assert!(report.scores.get("roc_auc").is_some_and(f64::is_nan) && report.roc.is_empty());
        assert_eq!(report.scores.get("average_precision"), Some(1.0));
    }

    #[test]
    fn certain_and_wrong_costs_a_finite_loss() {
        let report = binary(&[1.0, 0.0], &[0.0, 1.0], None).expect("arrays fit");
        let loss = report.scores.get("log_loss").expect("a loss");
        assert!((loss - 36.043_653_389_117_15).abs() <= 1e-12, "{loss}");
    }

    #[test]
    fn without_detail_nothing_is_collected() {
        let mut metrics = BinaryMetrics::new(Detail::Running);
        metrics.update(&[1.0, 0.0], &[0.9, 0.2], None).expect("arrays fit");
        let report = metrics.report();
        assert_eq!(
            (report.scores.get("accuracy"), report.scores.get("roc_auc"), report.ranked_rows),
            (Some(1.0), None, 0)
        );
    }

    #[test]
    fn a_refused_batch_is_not_counted() {
        let mut metrics = BinaryMetrics::new(Detail::Full);
        assert!(metrics.update(&[1.0, 2.0], &[0.9, 0.2], None).is_err());
        assert_eq!(metrics.report().rows, 0);
    }
}
