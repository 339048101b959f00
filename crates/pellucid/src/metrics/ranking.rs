//! Metrics that depend on the order of the scores: ROC curve and its area, average precision.

use serde::Serialize;

/// Rows in the order of their scores, equal scores taken together.
///
/// A point says what happens when every row with at least its `threshold` is called positive.
#[derive(Clone, Debug, PartialEq)]
pub struct Ranking {
    /// (score, positive, weight), highest score first.
    rows: Vec<(f32, bool, f32)>,
    /// Weight of all negative and all positive rows; `None` without rows, or where a score is NaN: no order exists.
    totals: Option<(f64, f64)>,
}

/// Weight of the negative and the positive rows with a score of at least `threshold`.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Step {
    threshold: f64,
    negative: f64,
    positive: f64,
}

/// A point of the ROC curve.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct RocPoint {
    /// Rows with at least this score count as positive; infinite at the first point, where none do.
    pub threshold: f64,
    /// Share of the negative rows above the threshold, 0 to 1.
    pub false_positive_rate: f64,
    /// Share of the positive rows above the threshold, 0 to 1.
    pub true_positive_rate: f64,
}

impl Ranking {
    /// Ranks rows of (score, positive, weight). n log n; rows of equal score keep their order, so sums have one order.
    pub fn new(rows: impl IntoIterator<Item = (f32, bool, f32)>) -> Ranking {
        let mut rows: Vec<(f32, bool, f32)> = rows.into_iter().collect();
        rows.sort_by(|a, b| b.0.total_cmp(&a.0));
        let mut ranking = Ranking { rows, totals: None };
        if ranking.rows.iter().all(|(score, _, _)| !score.is_nan()) {
            ranking.totals = ranking.steps().last().map(|last| (last.negative, last.positive));
        }
        ranking
    }

    /// The thresholds from the highest on. Not kept: there may be as many as rows, and they take twice the memory.
    fn steps(&self) -> impl Iterator<Item = Step> {
        let (mut negative, mut positive) = (0.0, 0.0);
        self.rows.chunk_by(|a, b| a.0 == b.0).map(move |tied| {
            for &(_, is_positive, weight) in tied {
                *(if is_positive { &mut positive } else { &mut negative }) += f64::from(weight);
            }
            Step { threshold: f64::from(tied[0].0), negative, positive }
        })
    }

    /// Area under the ROC curve: the probability that a positive row has a higher score than a negative one, ties counted
    /// half. NaN if there are no positive or no negative rows, or a score is NaN.
    pub fn roc_auc(&self) -> f64 {
        let Some((negatives, positives)) = self.totals.filter(|(n, p)| *n > 0.0 && *p > 0.0) else {
            return f64::NAN;
        };
        let (mut area, mut negative, mut positive) = (0.0, 0.0, 0.0);
        for step in self.steps() {
            area += (step.negative - negative) * (step.positive + positive) / 2.0;
            (negative, positive) = (step.negative, step.positive);
        }
        area / (negatives * positives)
    }

    /// Sum over the thresholds of precision × gain in recall, without interpolation. NaN if there are no positive rows,
    /// or a score is NaN.
    pub fn average_precision(&self) -> f64 {
        let Some((_, positives)) = self.totals.filter(|(_, p)| *p > 0.0) else { return f64::NAN };
        let (mut sum, mut positive) = (0.0, 0.0);
        for step in self.steps() {
            if step.positive > positive {
                sum += (step.positive - positive) * step.positive / (step.positive + step.negative);
                positive = step.positive;
            }
        }
        sum / positives
    }

    /// The curve from (0, 0) to (1, 1) without the points on straight pieces; if more than `most` (at least 2) remain,
    /// an even choice of them with both ends. Empty where [`Ranking::roc_auc`] is NaN.
    pub fn roc_curve(&self, most: usize) -> Vec<RocPoint> {
        let Some((negatives, positives)) = self.totals.filter(|(n, p)| *n > 0.0 && *p > 0.0) else {
            return Vec::new();
        };
        let mut corners = vec![Step { threshold: f64::INFINITY, negative: 0.0, positive: 0.0 }];
        for step in self.steps() {
            if let [.., before, last] = corners.as_slice() {
                let straight = (last.negative - before.negative) * (step.positive - last.positive)
                    == (step.negative - last.negative) * (last.positive - before.positive);
                if straight {
                    corners.pop();
                }
            }
            corners.push(step);
        }
        let most = most.max(2).min(corners.len());
        let chosen = (0..most).map(|point| corners[point * (corners.len() - 1) / (most - 1)]);
        chosen
            .map(|step| RocPoint {
                threshold: step.threshold,
                false_positive_rate: step.negative / negatives,
                true_positive_rate: step.positive / positives,
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ranking(rows: &[(f32, u8)]) -> Ranking {
        Ranking::new(rows.iter().map(|&(score, class)| (score, class == 1, 1.0)))
    }

    #[test]
    fn the_area_counts_pairs_and_ties_half() {
        // The example of scikit-learn's documentation: three of four pairs are in order.
        let plain = ranking(&[(0.1, 0), (0.4, 0), (0.35, 1), (0.8, 1)]);
        assert_eq!(plain.roc_auc(), 0.75);
        assert!((plain.average_precision() - 5.0 / 6.0).abs() <= f64::EPSILON, "{}", plain.average_precision());
        assert_eq!(ranking(&[(0.5, 0), (0.5, 1)]).roc_auc(), 0.5);
        assert_eq!(ranking(&[(0.2, 0), (0.9, 1)]).roc_auc(), 1.0);
        assert_eq!(ranking(&[(0.9, 0), (0.2, 1)]).roc_auc(), 0.0);
        assert_eq!(ranking(&[(0.0, 0), (-0.0, 1)]).roc_auc(), 0.5, "zeros of either sign are tied");
    }

    #[test]
    fn a_weight_of_two_is_a_row_twice() {
        let twice = ranking(&[(0.1, 0), (0.4, 0), (0.4, 0), (0.35, 1), (0.8, 1), (0.8, 1)]);
        let weighted = Ranking::new([
            (0.1, false, 1.0),
            (0.4, false, 2.0),
            (0.35, true, 1.0),
            (0.8, true, 2.0),
            (0.9, false, 0.0),
        ]);
        assert_eq!(weighted.roc_auc(), twice.roc_auc());
        assert_eq!(weighted.average_precision(), twice.average_precision());
    }

    #[test]
    fn without_both_classes_or_an_order_there_is_no_area() {
        for rows in [&[][..], &[(0.5, 1)], &[(0.5, 0), (0.1, 0)], &[(f32::NAN, 1), (0.5, 0)]] {
            assert!(ranking(rows).roc_auc().is_nan() && ranking(rows).roc_curve(9).is_empty(), "{rows:?}");
        }
        assert!(ranking(&[(0.5, 0)]).average_precision().is_nan());
    }

    #[test]
    fn the_curve_runs_from_corner_to_corner() {
        let curve = ranking(&[(0.9, 1), (0.8, 1), (0.7, 0), (0.6, 1), (0.5, 0), (0.4, 0)]).roc_curve(100);
        let points: Vec<(f64, f64)> = curve.iter().map(|p| (p.false_positive_rate, p.true_positive_rate)).collect();
        assert_eq!(points, [(0.0, 0.0), (0.0, 2.0 / 3.0), (1.0 / 3.0, 2.0 / 3.0), (1.0 / 3.0, 1.0), (1.0, 1.0)]);
        assert_eq!(curve[0].threshold, f64::INFINITY);
        let rows: Vec<(f32, u8)> = (0..1000).map(|row| (row as f32, (row % 2) as u8)).collect();
        let thin = ranking(&rows).roc_curve(50);
        assert_eq!(thin.len(), 50);
        assert_eq!((thin[49].false_positive_rate, thin[49].true_positive_rate), (1.0, 1.0));
    }
}
