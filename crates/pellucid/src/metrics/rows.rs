//! What goes wrong with the arrays, and the checks before any of them is counted.

use thiserror::Error;

/// Arrays that cannot be judged. Nothing of the refused batch has been counted.
#[derive(Clone, Copy, Debug, PartialEq, Error)]
pub enum MetricsError {
    /// An array does not fit the others.
    #[error("{what} hold {actual} numbers where {expected} are expected")]
    Length {
        /// Which array.
        what: &'static str,
        /// Numbers that would fit.
        expected: usize,
        /// Numbers that are there.
        actual: usize,
    },
    /// A target is no class.
    #[error("the target of row {row} is {value}, classes are whole numbers from 0 to {}", classes - 1)]
    Class {
        /// Row in the batch, from 0.
        row: usize,
        /// What stands there.
        value: f32,
        /// Number of classes.
        classes: usize,
    },
    /// A weight is negative, infinite or NaN.
    #[error("the weight of row {row} is {value}, weights are finite and at least 0")]
    Weight {
        /// Row in the batch, from 0.
        row: usize,
        /// What stands there.
        value: f32,
    },
}

/// One batch, row by row; lengths and weights have been checked.
#[derive(Clone, Copy)]
pub(super) struct Rows<'a> {
    targets: &'a [f32],
    target_width: usize,
    outputs: &'a [f32],
    output_width: usize,
    weights: Option<&'a [f32]>,
}

pub(super) struct Row<'a> {
    pub targets: &'a [f32],
    pub outputs: &'a [f32],
    pub weight: f32,
}

impl<'a> Rows<'a> {
    /// `targets` `[rows, target_width]`, `outputs` `[rows, output_width]`, `weights` `[rows]`; widths are at least 1.
    pub fn new(
        (targets, target_width): (&'a [f32], usize),
        (outputs, output_width): (&'a [f32], usize),
        weights: Option<&'a [f32]>,
    ) -> Result<Rows<'a>, MetricsError> {
        let rows = targets.len() / target_width;
        let lengths = [
            ("targets", rows * target_width, targets.len()),
            ("predictions", rows * output_width, outputs.len()),
            ("weights", rows, weights.map_or(rows, <[f32]>::len)),
        ];
        for (what, expected, actual) in lengths {
            if expected != actual {
                return Err(MetricsError::Length { what, expected, actual });
            }
        }
        for (row, &value) in weights.unwrap_or_default().iter().enumerate() {
            if !(value >= 0.0 && value.is_finite()) {
                return Err(MetricsError::Weight { row, value });
            }
        }
        Ok(Rows { targets, target_width, outputs, output_width, weights })
    }

    /// Refuses targets that are not whole numbers below `classes`.
    pub fn check_classes(&self, classes: usize) -> Result<(), MetricsError> {
        for (position, &value) in self.targets.iter().enumerate() {
            if !(value >= 0.0 && value < classes as f32 && value.fract() == 0.0) {
                return Err(MetricsError::Class { row: position / self.target_width, value, classes });
            }
        }
        Ok(())
    }

    pub fn iter(self) -> impl Iterator<Item = Row<'a>> {
        let targets = self.targets.chunks_exact(self.target_width);
        let outputs = self.outputs.chunks_exact(self.output_width);
        targets.zip(outputs).enumerate().map(move |(row, (targets, outputs))| {
            let weight = self.weights.map_or(1.0, |weights| weights[row]);
            Row { targets, outputs, weight }
        })
    }
}

/// The natural logarithm of a probability, kept away from 0 and 1 by the f64 epsilon as scikit-learn does.
pub(super) fn log_probability(probability: f64) -> f64 {
    libm::log(probability.clamp(f64::EPSILON, 1.0 - f64::EPSILON))
}

/// The mean of the values that are not NaN; NaN if there are none.
pub(super) fn mean_of_defined(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) =
        values.filter(|value| !value.is_nan()).fold((0.0, 0.0), |(sum, count), value| (sum + value, count + 1.0));
    sum / count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrays_that_do_not_fit_are_named_with_both_lengths() {
        let check = |targets: &[f32], outputs: &[f32], weights: Option<&[f32]>| {
            Rows::new((targets, 1), (outputs, 2), weights).err().map(|error| error.to_string())
        };
        assert_eq!(check(&[0.0, 1.0], &[0.0; 4], Some(&[1.0; 2])), None);
        let message = check(&[0.0, 1.0], &[0.0; 3], None);
        assert_eq!(message.as_deref(), Some("predictions hold 3 numbers where 4 are expected"));
        let message = check(&[0.0, 1.0], &[0.0; 4], Some(&[1.0; 3]));
        assert_eq!(message.as_deref(), Some("weights hold 3 numbers where 2 are expected"));
        for bad in [-1.0, f32::NAN, f32::INFINITY] {
            let message = check(&[0.0, 1.0], &[0.0; 4], Some(&[1.0, bad])).expect("refused");
            assert!(message.starts_with("the weight of row 1 is "), "{message}");
        }
        let odd = Rows::new((&[0.0; 3], 2), (&[0.0; 2], 2), None).err();
        assert_eq!(odd, Some(MetricsError::Length { what: "targets", expected: 2, actual: 3 }));
    }

    #[test]
    fn targets_must_be_classes() {
        for bad in [-1.0, 0.5, 3.0, f32::NAN] {
            let targets = [0.0, 2.0, bad];
            let rows = Rows::new((&targets, 1), (&[0.0; 3], 1), None).expect("lengths fit");
            let error = rows.check_classes(3).expect_err("not a class");
            let message = format!("the target of row 2 is {bad}, classes are whole numbers from 0 to 2");
            assert_eq!(error.to_string(), message);
        }
    }
}
