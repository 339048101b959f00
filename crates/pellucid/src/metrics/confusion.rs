//! Counts of targets against predictions, and what follows from them.

use serde::Serialize;

use super::Scores;

/// Weight of the rows by target and predicted class.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ConfusionMatrix {
    classes: usize,
    /// [target, predicted].
    cells: Vec<f64>,
}

/// For each class: how often it was there, was predicted, and both. O(classes), and enough for every score below.
#[derive(Clone, Debug, PartialEq)]
pub struct ClassCounts {
    targets: Vec<f64>,
    predicted: Vec<f64>,
    correct: Vec<f64>,
}

/// How well one class is recognised; each score is 0 where it would be 0/0.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct ClassScores {
    /// Share of the rows predicted as this class that belong to it.
    pub precision: f64,
    /// Share of the rows of this class that are predicted as it.
    pub recall: f64,
    /// Harmonic mean of precision and recall.
    pub f1: f64,
    /// Weight of the rows of this class.
    pub support: f64,
}

impl ConfusionMatrix {
    /// Nothing counted yet.
    pub fn new(classes: usize) -> ConfusionMatrix {
        ConfusionMatrix { classes, cells: vec![0.0; classes * classes] }
    }

    /// Counts a row.
    ///
    /// # Panics
    /// If a class is not below [`ConfusionMatrix::classes`].
    pub fn update(&mut self, target: usize, predicted: usize, weight: f64) {
        assert!(target < self.classes && predicted < self.classes, "class {target} or {predicted} of {}", self.classes);
        self.cells[target * self.classes + predicted] += weight;
    }

    /// Adds the counts of another part of the rows: exact as long as weights are whole numbers.
    ///
    /// # Panics
    /// If the other matrix has another number of classes.
    pub fn merge(&mut self, other: &ConfusionMatrix) {
        assert_eq!(self.classes, other.classes, "confusion matrices of different sizes");
        for (cell, more) in self.cells.iter_mut().zip(&other.cells) {
            *cell += more;
        }
    }

    /// Number of classes.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// Weight of the rows of class `target` that were predicted as `predicted`.
    pub fn get(&self, target: usize, predicted: usize) -> f64 {
        self.cells[target * self.classes + predicted]
    }

    /// One slice for each target class, over the predicted classes.
    pub fn rows(&self) -> impl Iterator<Item = &[f64]> {
        self.cells.chunks_exact(self.classes.max(1))
    }

    /// The counts for each class.
    pub fn counts(&self) -> ClassCounts {
        let mut counts = ClassCounts::new(self.classes);
        for target in 0..self.classes {
            for predicted in 0..self.classes {
                counts.update(target, predicted, self.get(target, predicted));
            }
        }
        counts
    }
}

impl ClassCounts {
    /// Nothing counted yet.
    pub fn new(classes: usize) -> ClassCounts {
        ClassCounts { targets: vec![0.0; classes], predicted: vec![0.0; classes], correct: vec![0.0; classes] }
    }

    /// Counts a row.
    ///
    /// # Panics
    /// If a class is out of range.
    pub fn update(&mut self, target: usize, predicted: usize, weight: f64) {
        self.targets[target] += weight;
        self.predicted[predicted] += weight;
        if target == predicted {
            self.correct[target] += weight;
        }
    }

    /// Counts one label of a row with several labels.
    pub(super) fn update_label(&mut self, label: usize, is_there: bool, is_predicted: bool, weight: f64) {
        self.targets[label] += if is_there { weight } else { 0.0 };
        self.predicted[label] += if is_predicted { weight } else { 0.0 };
        self.correct[label] += if is_there && is_predicted { weight } else { 0.0 };
    }

    fn total(&self) -> f64 {
        self.targets.iter().sum()
    }

    fn hits(&self) -> f64 {
        self.correct.iter().sum()
    }

    /// Share of the rows that are predicted right; NaN without rows.
    pub fn accuracy(&self) -> f64 {
        self.hits() / self.total()
    }

    /// Mean recall of the classes that are there; NaN without rows.
    pub fn balanced_accuracy(&self) -> f64 {
        let present = || (0..self.targets.len()).filter(|&class| self.targets[class] > 0.0);
        present().map(|class| self.correct[class] / self.targets[class]).sum::<f64>() / present().count() as f64
    }

    /// Agreement beyond chance (Cohen 1960), at most 1; NaN where chance alone would agree fully.
    pub fn cohen_kappa(&self) -> f64 {
        let total = self.total();
        let chance = dot(&self.targets, &self.predicted) / (total * total);
        (self.hits() / total - chance) / (1.0 - chance)
    }

    /// Correlation of targets and predictions (Matthews 1975; for many classes Gorodkin 2004), -1 to 1; 0 where either
    /// of them is constant.
    pub fn matthews_corrcoef(&self) -> f64 {
        let total = self.total();
        let covariance = self.hits() * total - dot(&self.targets, &self.predicted);
        let of_targets = total * total - dot(&self.targets, &self.targets);
        let of_predicted = total * total - dot(&self.predicted, &self.predicted);
        // One root of the product: the root of a square is exact, so perfect predictions get 1 and not a little more.
        let scale = (of_targets * of_predicted).sqrt();
        if scale == 0.0 { 0.0 } else { covariance / scale }
    }

    /// Precision, recall, F1 and support of each class.
    pub fn class_scores(&self) -> Vec<ClassScores> {
        (0..self.targets.len())
            .map(|class| scores_of(self.correct[class], self.targets[class], self.predicted[class]))
            .collect()
    }

    /// Sets `accuracy`, `balanced_accuracy`, `cohen_kappa`, `matthews_corrcoef`.
    pub(super) fn set_agreement(&self, scores: &mut Scores) {
        scores.set("accuracy", self.accuracy());
        scores.set("balanced_accuracy", self.balanced_accuracy());
        scores.set("cohen_kappa", self.cohen_kappa());
        scores.set("matthews_corrcoef", self.matthews_corrcoef());
    }

    /// Sets precision, recall and F1 as `macro` (mean over the classes; those that are neither there nor predicted only
    /// count if `all`), `micro` (of the sums) and `weighted` (mean by support) averages.
    pub(super) fn set_averages(&self, all: bool, scores: &mut Scores) {
        let classes = self.class_scores();
        let occurs = |class: &usize| all || self.targets[*class] > 0.0 || self.predicted[*class] > 0.0;
        let occurring: Vec<ClassScores> = (0..classes.len()).filter(occurs).map(|class| classes[class]).collect();
        let micro = scores_of(self.hits(), self.total(), self.predicted.iter().sum());
        type Score = fn(&ClassScores) -> f64;
        let kinds: [(&str, Score); 3] = [("precision", |c| c.precision), ("recall", |c| c.recall), ("f1", |c| c.f1)];
        let mean = |kind: Score| occurring.iter().map(kind).sum::<f64>() / occurring.len() as f64;
        let by_support = |kind: Score| classes.iter().map(|c| kind(c) * c.support).sum::<f64>() / self.total();
        for (name, kind) in kinds {
            scores.set(format!("{name}_macro"), mean(kind));
        }
        for (name, kind) in kinds {
            scores.set(format!("{name}_micro"), kind(&micro));
        }
        for (name, kind) in kinds {
            scores.set(format!("{name}_weighted"), by_support(kind));
        }
    }
}

fn scores_of(correct: f64, targets: f64, predicted: f64) -> ClassScores {
    let share = |part: f64, whole: f64| if whole > 0.0 { part / whole } else { 0.0 };
    ClassScores {
        precision: share(correct, predicted),
        recall: share(correct, targets),
        f1: share(2.0 * correct, targets + predicted),
        support: targets,
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matrix(rows: [[u32; 3]; 3]) -> ConfusionMatrix {
        let mut matrix = ConfusionMatrix::new(3);
        for (target, row) in rows.iter().enumerate() {
            for (predicted, &count) in row.iter().enumerate() {
                for _ in 0..count {
                    matrix.update(target, predicted, 1.0);
                }
            }
        }
        matrix
    }

    #[test]
    fn perfect_and_constant_predictions_have_known_scores() {
        let perfect = matrix([[2, 0, 0], [0, 3, 0], [0, 0, 4]]).counts();
        assert_eq!((perfect.accuracy(), perfect.balanced_accuracy()), (1.0, 1.0));
        assert_eq!((perfect.cohen_kappa(), perfect.matthews_corrcoef()), (1.0, 1.0));
        let constant = matrix([[2, 0, 0], [3, 0, 0], [4, 0, 0]]).counts();
        assert_eq!((constant.cohen_kappa(), constant.matthews_corrcoef()), (0.0, 0.0));
        assert_eq!(constant.balanced_accuracy(), 1.0 / 3.0);
        let zero = ClassScores { precision: 0.0, recall: 0.0, f1: 0.0, support: 3.0 };
        assert_eq!(constant.class_scores()[1], zero);
    }

    #[test]
    fn macro_averages_leave_out_classes_that_do_not_occur() {
        let counts = matrix([[1, 1, 0], [0, 2, 0], [0, 0, 0]]).counts();
        let (mut occurring, mut all) = (Scores::new(), Scores::new());
        counts.set_averages(false, &mut occurring);
        counts.set_averages(true, &mut all);
        assert_eq!(occurring.get("recall_macro"), Some(0.75));
        assert_eq!(all.get("recall_macro"), Some(0.5));
        assert_eq!(all.get("recall_micro"), Some(0.75));
        assert_eq!(all.get("recall_weighted"), Some(0.75));
        assert_eq!(counts.balanced_accuracy(), 0.75);
    }

    #[test]
    fn nothing_counted_is_not_a_number() {
        let empty = ConfusionMatrix::new(3).counts();
        assert!(empty.accuracy().is_nan() && empty.balanced_accuracy().is_nan() && empty.cohen_kappa().is_nan());
        assert_eq!(empty.matthews_corrcoef(), 0.0);
    }

    #[test]
    fn merged_parts_are_the_whole() {
        let mut first = matrix([[1, 2, 3], [4, 5, 6], [7, 8, 9]]);
        first.merge(&matrix([[9, 8, 7], [6, 5, 4], [3, 2, 1]]));
        assert_eq!(first, matrix([[10; 3]; 3]));
        assert_eq!(first.rows().next(), Some([10.0; 3].as_slice()));
    }
}
