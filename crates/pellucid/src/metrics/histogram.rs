//! Counts over equal intervals.

use serde::Serialize;

/// How values are distributed over equal intervals between the smallest and the largest one.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Histogram {
    /// Start of the first interval.
    pub low: f64,
    /// End of the last interval, which belongs to it.
    pub high: f64,
    /// Weight of the values in each interval.
    pub counts: Vec<f64>,
    /// Weight of the values that are infinite or NaN.
    pub not_finite: f64,
}

impl Histogram {
    /// Counts (value, weight) into `bins` intervals (at least one). Equal values get an interval of width 1 around them;
    /// `None` without a finite value.
    pub fn new(values: &[(f64, f64)], bins: usize) -> Option<Histogram> {
        let finite = || values.iter().filter(|(value, _)| value.is_finite());
        let mut low = finite().map(|(value, _)| *value).reduce(f64::min)?;
        let mut high = finite().map(|(value, _)| *value).reduce(f64::max)?;
        if low == high {
            (low, high) = (low - 0.5, high + 0.5);
        }
        let mut counts = vec![0.0; bins.max(1)];
        let last = counts.len() - 1;
        let scale = counts.len() as f64 / (high - low);
        for (value, weight) in finite() {
            counts[(((value - low) * scale) as usize).min(last)] += weight;
        }
        let not_finite = values.iter().filter(|(value, _)| !value.is_finite()).map(|(_, weight)| weight).sum();
        Some(Histogram { low, high, counts, not_finite })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_counted_in_their_interval() {
        let values = [(0.0, 1.0), (1.0, 2.0), (1.9, 1.0), (4.0, 1.0), (f64::NAN, 3.0)];
        let histogram = Histogram::new(&values, 4).expect("finite values");
        assert_eq!(histogram, Histogram { low: 0.0, high: 4.0, counts: vec![1.0, 3.0, 0.0, 1.0], not_finite: 3.0 });
        let equal = Histogram::new(&[(2.0, 1.0), (2.0, 1.0)], 2).expect("finite values");
        assert_eq!((equal.low, equal.high, equal.counts), (1.5, 2.5, vec![0.0, 2.0]));
        assert_eq!(Histogram::new(&[(f64::INFINITY, 1.0)], 2), None);
    }
}
