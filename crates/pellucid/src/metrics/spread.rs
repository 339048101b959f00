//! How values that were measured several times spread.

/// Mean and standard deviation (n - 1) of `values`; the deviation of a single one is 0, and all is NaN of none.
pub fn mean_and_deviation(values: &[f64]) -> (f64, f64) {
    let n = values.len();
    let mean = values.iter().sum::<f64>() / n as f64;
    let squares: f64 = values.iter().map(|value| (value - mean) * (value - mean)).sum();
    (mean, libm::sqrt(squares / n.saturating_sub(1).max(1) as f64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_deviation_is_that_of_a_sample() {
        assert_eq!(mean_and_deviation(&[1.0, 2.0, 3.0, 4.0, 5.0]), (3.0, libm::sqrt(2.5)));
        assert_eq!(mean_and_deviation(&[7.0]), (7.0, 0.0));
        assert!(mean_and_deviation(&[]).0.is_nan());
    }
}
