//! What the outputs show about classes: scores for each, and which were taken for which.

use pellucid::metrics;

/// Scores of one class, as in the per-class table.
#[derive(Clone, Debug, PartialEq)]
pub struct ClassScores {
    /// Name of the class.
    pub name: String,
    /// Share of the rows predicted as this class that are of it, 0…1; NaN if none was predicted.
    pub precision: f64,
    /// Share of the rows of this class that were found, 0…1; NaN if there are none.
    pub recall: f64,
    /// Harmonic mean of the two.
    pub f1: f64,
    /// Rows of this class, or their weight.
    pub support: f64,
}

impl ClassScores {
    /// What was measured, with the names of the classes; a class beyond the names goes by its number.
    pub fn named(measured: &[metrics::ClassScores], names: &[String]) -> Vec<ClassScores> {
        let line = |(index, scores): (usize, &metrics::ClassScores)| ClassScores {
            name: name_of(names, index),
            precision: scores.precision,
            recall: scores.recall,
            f1: scores.f1,
            support: scores.support,
        };
        measured.iter().enumerate().map(line).collect()
    }
}

fn name_of(names: &[String], class: usize) -> String {
    names.get(class).cloned().unwrap_or_else(|| class.to_string())
}

/// Counts of true against predicted class; not whole where rows have weights.
#[derive(Clone, Debug, PartialEq)]
pub struct Confusion {
    names: Vec<String>,
    counts: Vec<f64>,
}

/// One kind of mistake: rows of class `truth` that were taken for class `predicted`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mixup {
    /// Index of the true class.
    pub truth: usize,
    /// Index of the predicted class.
    pub predicted: usize,
    /// Rows, or their weight.
    pub count: f64,
    /// Share of the rows of the true class, 0…1.
    pub share: f64,
}

impl Confusion {
    /// A matrix of `counts` [classes, classes]: row = true class, column = predicted class.
    ///
    /// # Panics
    /// If there are not `names.len()` squared counts (both come from the same model).
    pub fn new(names: Vec<String>, counts: Vec<f64>) -> Confusion {
        assert_eq!(counts.len(), names.len() * names.len(), "a confusion matrix of {} classes", names.len());
        Confusion { names, counts }
    }

    /// What was measured, with the names of the classes; a class beyond the names goes by its number.
    pub fn named(measured: &metrics::ConfusionMatrix, names: &[String]) -> Confusion {
        let names = (0..measured.classes()).map(|class| name_of(names, class)).collect();
        Confusion::new(names, measured.rows().flatten().copied().collect())
    }

    /// Names of the classes, in order.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Number of classes.
    pub fn classes(&self) -> usize {
        self.names.len()
    }

    /// Rows of class `truth` that were predicted as `predicted`.
    pub fn count(&self, truth: usize, predicted: usize) -> f64 {
        self.counts[truth * self.names.len() + predicted]
    }

    /// Rows of class `truth`.
    pub fn support(&self, truth: usize) -> f64 {
        let classes = self.names.len();
        self.counts[truth * classes..(truth + 1) * classes].iter().sum()
    }

    /// All counted rows.
    pub fn total(&self) -> f64 {
        self.counts.iter().sum()
    }

    /// Rows that were predicted rightly.
    pub fn correct(&self) -> f64 {
        (0..self.classes()).map(|class| self.count(class, class)).sum()
    }

    /// The part of class `truth` that went to `predicted`, 0…1; 0 for a class without rows.
    pub fn share(&self, truth: usize, predicted: usize) -> f64 {
        if self.support(truth) > 0.0 { self.count(truth, predicted) / self.support(truth) } else { 0.0 }
    }

    /// The most frequent mistakes, at most `limit`; equal counts in order of the classes.
    pub fn mixups(&self, limit: usize) -> Vec<Mixup> {
        let mut all = Vec::new();
        for truth in 0..self.classes() {
            for predicted in 0..self.classes() {
                let count = self.count(truth, predicted);
                if truth != predicted && count > 0.0 {
                    all.push(Mixup { truth, predicted, count, share: self.share(truth, predicted) });
                }
            }
        }
        all.sort_by(|a, b| b.count.total_cmp(&a.count));
        all.truncate(limit);
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mistakes_come_by_frequency_and_then_in_class_order() {
        let names = ["a", "b", "c"].map(String::from).to_vec();
        let matrix = Confusion::new(names, vec![5.0, 2.0, 0.0, 2.0, 6.0, 3.0, 0.0, 0.0, 0.0]);
        let pairs: Vec<_> = matrix.mixups(9).iter().map(|m| (m.truth, m.predicted, m.count)).collect();
        assert_eq!(pairs, [(1, 2, 3.0), (0, 1, 2.0), (1, 0, 2.0)]);
        assert_eq!(matrix.mixups(1).len(), 1);
        assert_eq!((matrix.correct(), matrix.total()), (11.0, 18.0));
        assert_eq!(matrix.share(2, 2), 0.0, "a class without rows has no shares, and no division by zero");
    }
}
