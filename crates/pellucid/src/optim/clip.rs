//! Limits on gradients, applied before the update.

use std::fmt;
use std::str::FromStr;

use kernels::device::Device;
use kernels::{reduce, update};
use serde::{Deserialize, Serialize};

use super::OptimError;
use super::error::{hint, positive};

/// A limit on the gradients. As a line `norm:1` or `value:0.5`; in a document `{ norm = 1.0 }`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Clipping {
    /// The Euclidean norm of all gradients together is at most this, see [`clip_norm`].
    Norm(f64),
    /// Every gradient is in [-limit, limit].
    Value(f64),
}

impl Clipping {
    /// Reads `norm:1` or `value:0.5`.
    ///
    /// # Errors
    /// If there is no such clipping, or the limit is no number above 0.
    pub fn parse(text: &str) -> Result<Clipping, OptimError> {
        let (name, limit) = text.split_once(':').unwrap_or((text, ""));
        let make = match name.trim() {
            "norm" => Clipping::Norm,
            "value" => Clipping::Value,
            name => {
                let hint = hint(name, ["norm", "value"]);
                return Err(OptimError::UnknownName { what: "clipping", name: name.to_string(), hint });
            }
        };
        let clipping = make(limit.trim().parse().map_err(|_| OptimError::Value {
            setting: name.trim().to_string(),
            expected: format!("a limit, such as {}:1", name.trim()),
            value: format!("'{limit}'"),
        })?);
        clipping.check()?;
        Ok(clipping)
    }

    /// Checks that the limit is above 0; for one that does not come from [`Clipping::parse`].
    ///
    /// # Errors
    /// If it is not.
    pub fn check(self) -> Result<(), OptimError> {
        match self {
            Clipping::Norm(limit) => positive("norm", limit),
            Clipping::Value(limit) => positive("value", limit),
        }
    }

    /// Changes the gradients, which may be a slab with gaps of zeros.
    pub fn apply(self, device: &Device, gradients: &mut [f32]) {
        match self {
            Clipping::Norm(limit) => {
                clip_norm(device, limit, gradients);
            }
            Clipping::Value(limit) => clip_value(device, limit, gradients),
        }
    }
}

impl FromStr for Clipping {
    type Err = OptimError;
    fn from_str(text: &str) -> Result<Clipping, OptimError> {
        Clipping::parse(text)
    }
}

impl fmt::Display for Clipping {
    /// The line that [`Clipping::parse`] reads.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Clipping::Norm(limit) => write!(f, "norm:{limit}"),
            Clipping::Value(limit) => write!(f, "value:{limit}"),
        }
    }
}

/// Multiplies the gradients by `max_norm` / (norm + 10⁻⁶) if that is below 1; returns the norm before.
///
/// PyTorch's `clip_grad_norm_`, after Pascanu, Mikolov and Bengio, "On the difficulty of training recurrent neural
/// networks", 2013, algorithm 1. A gradient that is NaN or infinite leaves all as they are, for the update to notice.
pub fn clip_norm(device: &Device, max_norm: f64, gradients: &mut [f32]) -> f64 {
    let norm = norm(device, gradients);
    let factor = max_norm / (norm + 1e-6);
    if factor < 1.0 && norm.is_finite() {
        update::scale(device, factor as f32, gradients);
    }
    norm
}

/// Moves every gradient into [-limit, limit]; NaN stays NaN. Panics when `limit` is negative or NaN.
pub fn clip_value(device: &Device, limit: f64, gradients: &mut [f32]) {
    update::clip_value(device, limit as f32, gradients);
}

/// The Euclidean norm; NaN or infinite only if a value is.
fn norm(device: &Device, values: &[f32]) -> f64 {
    let norm = f64::from(reduce::norm(device, values));
    if norm.is_finite() || !reduce::all_finite(device, values) {
        return norm;
    }
    // Squares of values above 10¹⁹ overflow in f32. That rare, the plain sum in f64 may take its time.
    values.iter().map(|&x| f64::from(x) * f64::from(x)).sum::<f64>().sqrt()
}

#[cfg(test)]
mod tests {
    use super::super::tests::{bits, devices, values};
    use super::*;
    use kernels::simd::Isa;

    #[test]
    fn a_norm_below_the_limit_changes_nothing_and_one_above_comes_to_it() {
        let device = Device::new(Isa::best(), 2);
        let mut small = [0.3, -0.4];
        assert!((clip_norm(&device, 1.0, &mut small) - 0.5).abs() < 1e-7);
        assert_eq!(small, [0.3, -0.4]);
        let mut large: Vec<f32> = (0..50_000).map(|i| (i % 7) as f32 - 3.0).collect();
        let before = large.clone();
        // Σ over seven values is 28.
        let exact = (large.iter().map(|&x| f64::from(x * x)).sum::<f64>()).sqrt();
        assert!((clip_norm(&device, 2.0, &mut large) / exact - 1.0).abs() < 1e-6);
        let after = norm(&device, &large);
        assert!((after - 2.0).abs() < 1e-5, "{after}");
        assert!(before.iter().zip(&large).all(|(b, a)| (a * exact as f32 / 2.0 - b).abs() < 1e-5));
    }

    #[test]
    fn huge_gradients_are_clipped_and_those_that_are_not_finite_left_for_the_update() {
        let device = Device::new(Isa::best(), 1);
        let mut huge = [3e30, -4e30];
        assert!((clip_norm(&device, 5.0, &mut huge) / 5e30 - 1.0).abs() < 1e-6);
        assert!((huge[0] - 3.0).abs() < 1e-5 && (huge[1] + 4.0).abs() < 1e-5, "{huge:?}");
        for bad in [f32::NAN, f32::INFINITY] {
            let mut gradients = [bad, 7.0];
            assert!(!clip_norm(&device, 1.0, &mut gradients).is_finite());
            assert_eq!(gradients[1], 7.0);
            assert!(!gradients[0].is_finite());
        }
    }

    #[test]
    fn clipped_gradients_have_the_same_bits_on_every_device() {
        let gradients = values(1, 50_000);
        let mut reference = vec![];
        for device in devices() {
            for clipping in [Clipping::Norm(0.5), Clipping::Value(0.25)] {
                let mut clipped = gradients.clone();
                clipping.apply(&device, &mut clipped);
                assert!(clipped != gradients);
                reference.push((clipping, bits(&clipped)));
            }
        }
        let norm = |at: &(Clipping, Vec<u32>)| matches!(at.0, Clipping::Norm(_));
        for at in &reference {
            let first = reference.iter().find(|other| norm(other) == norm(at));
            assert!(first.is_some_and(|first| first.1 == at.1), "{:?}", at.0);
        }
    }

    #[test]
    fn text_and_document_give_the_same_clipping() {
        for clipping in [Clipping::Norm(1.0), Clipping::Value(0.3)] {
            assert_eq!(Clipping::parse(&clipping.to_string()), Ok(clipping));
            let text = serde_json::to_string(&clipping).expect("JSON");
            assert_eq!(serde_json::from_str::<Clipping>(&text).expect("clipping"), clipping);
        }
        for (text, message) in [
            ("nrom:1", "there is no clipping 'nrom'; did you mean 'norm'?"),
            ("norm:0", "'norm' must be more than 0, got 0"),
            ("value", "'value' must be a limit, such as value:1, got ''"),
        ] {
            assert_eq!(Clipping::parse(text).unwrap_err().to_string(), message);
        }
    }
}
