//! One of several classes.

use super::collector::Collector;
use super::rows::{Rows, log_probability, mean_of_defined};
use super::{Calibration, ClassCounts, ConfusionMatrix, Detail, Metrics, MetricsError, Ranking, Report, Scores};

/// With more classes the confusion matrix and `roc_auc_ovr_macro` are left out: they cost classes² memory and a sort of
/// all rows for each class.
pub const MAX_DETAILED_CLASSES: usize = 1024;

/// Judges probabilities of all classes: `targets` `[rows]` of whole numbers, `probabilities` `[rows, classes]`, `weights` `[rows]`.
///
/// Scores: `accuracy`, `balanced_accuracy`, `cohen_kappa`, `matthews_corrcoef`, `log_loss`; `precision`, `recall` and `f1`
/// as `_macro`, `_micro`, `_weighted`; `roc_auc_ovr_macro` (mean over the classes that have rows inside and outside);
/// `top_2_accuracy` with three classes or more (of equal probabilities the first classes count as the higher ones).
///
/// # Errors
/// If the arrays do not fit, or a target is no class.
///
/// # Panics
/// If there are no classes.
pub fn multiclass(
    targets: &[f32],
    probabilities: &[f32],
    classes: usize,
    weights: Option<&[f32]>,
) -> Result<Report, MetricsError> {
    let mut metrics = MulticlassMetrics::new(classes, Detail::Full);
    metrics.update(targets, probabilities, weights)?;
    Ok(metrics.report())
}

/// The streaming form of [`multiclass`].
#[derive(Clone, Debug)]
pub struct MulticlassMetrics {
    classes: usize,
    counts: ClassCounts,
    confusion: Option<ConfusionMatrix>,
    rows: u64,
    weight: f64,
    log_loss: f64,
    in_first_two: f64,
    calibration: Calibration,
    collector: Option<Collector>,
}

impl MulticlassMetrics {
    /// Nothing counted yet.
    ///
    /// # Panics
    /// If there are no classes.
    pub fn new(classes: usize, detail: Detail) -> MulticlassMetrics {
        assert!(classes > 0, "a task needs classes");
        let detailed = classes <= MAX_DETAILED_CLASSES;
        MulticlassMetrics {
            classes,
            counts: ClassCounts::new(classes),
            confusion: detailed.then(|| ConfusionMatrix::new(classes)),
            rows: 0,
            weight: 0.0,
            log_loss: 0.0,
            in_first_two: 0.0,
            calibration: Calibration::default(),
            collector: (detailed && detail == Detail::Full).then(|| Collector::new(1, classes)),
        }
    }
}

impl Metrics for MulticlassMetrics {
    fn update(&mut self, targets: &[f32], outputs: &[f32], weights: Option<&[f32]>) -> Result<(), MetricsError> {
        let rows = Rows::new((targets, 1), (outputs, self.classes), weights)?;
        rows.check_classes(self.classes)?;
        for row in rows.iter() {
            let target = row.targets[0] as usize;
            let weight = f64::from(row.weight);
            let predicted = first_maximum(row.outputs);
            self.rows += 1;
            self.weight += weight;
            self.counts.update(target, predicted, weight);
            if let Some(confusion) = &mut self.confusion {
                confusion.update(target, predicted, weight);
            }
            self.log_loss -= weight * log_probability(f64::from(row.outputs[target]));
            if rank(row.outputs, target) < 2 {
                self.in_first_two += weight;
            }
            self.calibration.update(f64::from(row.outputs[predicted]), predicted == target, weight);
            if let Some(collector) = &mut self.collector {
                collector.push(row.targets, row.outputs, row.weight);
            }
        }
        Ok(())
    }

    fn report(&self) -> Report {
        let mut scores = Scores::new();
        self.counts.set_agreement(&mut scores);
        scores.set("log_loss", self.log_loss / self.weight);
        self.counts.set_averages(false, &mut scores);
        if let Some(collector) = &self.collector {
            let areas = (0..self.classes).map(|class| {
                let rows = collector.rows();
                let rows =
                    rows.map(|(weight, targets, outputs)| (outputs[class], targets[0] as usize == class, weight));
                Ranking::new(rows).roc_auc()
            });
            scores.set("roc_auc_ovr_macro", mean_of_defined(areas));
        }
        if self.classes > 2 {
            scores.set("top_2_accuracy", self.in_first_two / self.weight);
        }
        Report {
            scores,
            rows: self.rows,
            ranked_rows: self.collector.as_ref().map_or(0, |collector| collector.len() as u64),
            per_class: self.counts.class_scores(),
            confusion: self.confusion.clone(),
            calibration: Some(self.calibration.clone()),
            ..Report::default()
        }
    }
}

/// The first of the largest values; NaN is never larger.
fn first_maximum(values: &[f32]) -> usize {
    let mut best = 0;
    for (class, &value) in values.iter().enumerate() {
        if value > values[best] || (values[best].is_nan() && !value.is_nan()) {
            best = class;
        }
    }
    best
}

/// How many classes stand before `target` when they are ordered by probability, earlier classes first among equals.
fn rank(values: &[f32], target: usize) -> usize {
    let own = values[target];
    let before = |(class, &value): (usize, &f32)| value > own || (value == own && class < target) || own.is_nan();
    values.iter().enumerate().filter(|(class, _)| *class != target).filter(|&other| before(other)).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_maximum_wins_and_comes_first() {
        assert_eq!(first_maximum(&[0.2, 0.4, 0.4]), 1);
        assert_eq!(first_maximum(&[f32::NAN, 0.4, 0.1]), 1);
        assert_eq!(first_maximum(&[f32::NAN; 3]), 0);
        assert_eq!([0, 1, 2].map(|class| rank(&[0.2, 0.4, 0.4], class)), [2, 0, 1]);
        assert_eq!(rank(&[0.1, f32::NAN, 0.3], 1), 2);
    }

    #[test]
    fn a_class_without_rows_has_no_part_in_the_area() {
        let probabilities = [0.7, 0.2, 0.1, 0.3, 0.6, 0.1, 0.5, 0.3, 0.2];
        let report = multiclass(&[0.0, 1.0, 0.0], &probabilities, 3, None).expect("arrays fit");
        assert_eq!(report.scores.get("roc_auc_ovr_macro"), Some(1.0));
        assert_eq!(report.scores.get("f1_macro"), Some(1.0));
        assert_eq!(report.per_class[2].support, 0.0);
        let one = multiclass(&[0.0], &[0.7, 0.2, 0.1], 3, None).expect("arrays fit");
        assert!(one.scores.get("roc_auc_ovr_macro").is_some_and(f64::is_nan));
    }

    #[test]
    fn very_many_classes_are_judged_without_a_matrix() {
        let classes = MAX_DETAILED_CLASSES + 1;
        let mut probabilities = vec![0.0; classes];
        probabilities[classes - 1] = 1.0;
        let report = multiclass(&[(classes - 1) as f32], &probabilities, classes, None).expect("arrays fit");
        assert_eq!((report.scores.get("accuracy"), report.scores.get("roc_auc_ovr_macro")), (Some(1.0), None));
        assert!(report.confusion.is_none());
    }
}
