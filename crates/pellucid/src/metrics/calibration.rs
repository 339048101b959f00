//! Reliability: how often what was predicted with a probability came true.

use serde::Serialize;

const BINS: usize = 10;

/// Ten bins of equal width over the predicted probability, kept as running sums.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Calibration {
    /// Bin i holds probabilities from i/10 up to and without (i+1)/10, the last one with 1.
    pub bins: [CalibrationBin; BINS],
}

/// Sums over the rows of one bin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct CalibrationBin {
    /// Weight of the rows.
    pub weight: f64,
    /// Weighted sum of the predicted probabilities.
    pub probability_sum: f64,
    /// Weight of the rows for which it came true.
    pub hits: f64,
}

impl Calibration {
    /// Counts a prediction; probabilities outside of 0 to 1 go into the nearest bin, NaN is left out.
    pub fn update(&mut self, probability: f64, came_true: bool, weight: f64) {
        if probability.is_nan() {
            return;
        }
        // The conversion saturates: below 0 becomes 0.
        let bin = &mut self.bins[((probability * BINS as f64) as usize).min(BINS - 1)];
        bin.weight += weight;
        bin.probability_sum += weight * probability;
        bin.hits += if came_true { weight } else { 0.0 };
    }

    /// Expected calibration error (Naeini, Cooper, Hauskrecht 2015): the mean distance between probability and frequency,
    /// weighted by the bins; 0 is perfect, NaN without rows.
    pub fn expected_error(&self) -> f64 {
        let total: f64 = self.bins.iter().map(|bin| bin.weight).sum();
        self.bins.iter().map(|bin| (bin.probability_sum - bin.hits).abs()).sum::<f64>() / total
    }
}

impl CalibrationBin {
    /// Mean predicted probability; NaN for an empty bin.
    pub fn mean_probability(&self) -> f64 {
        self.probability_sum / self.weight
    }

    /// How often it came true, 0 to 1; NaN for an empty bin.
    pub fn frequency(&self) -> f64 {
        self.hits / self.weight
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn predictions_fall_into_their_bins() {
        let mut calibration = Calibration::default();
        assert!(calibration.expected_error().is_nan());
        for (probability, came_true, weight) in [
            (0.0, false, 1.0),
            (1.0, true, 1.0),
            (0.75, true, 3.0),
            (0.75, false, 1.0),
            (f64::NAN, true, 1.0),
            (0.5, true, 1.0),
        ] {
            calibration.update(probability, came_true, weight);
        }
        assert_eq!(calibration.bins.map(|bin| bin.weight), [1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 4.0, 0.0, 1.0]);
        assert_eq!((calibration.bins[7].mean_probability(), calibration.bins[7].frequency()), (0.75, 0.75));
        assert!(calibration.bins[1].frequency().is_nan());
        assert_eq!(calibration.expected_error(), 0.5 / 7.0);
    }
}
