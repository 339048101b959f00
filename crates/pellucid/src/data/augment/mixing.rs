//! Rows of a batch mixed with each other, targets and all.
//!
//! mixup: x' = λ x + (1 - λ) x₂, Zhang et al., "mixup: Beyond empirical risk minimization", ICLR 2018. CutMix: a rectangle
//! of x₂ with an area of 1 - λ is put into x, Yun et al., "CutMix: Regularization strategy to train strong classifiers with
//! localizable features", ICCV 2019; λ is then what is left of x. In both t' = λ t + (1 - λ) t₂, and so the weights of the
//! rows. λ comes from the beta distribution of (α, α), one for each batch as in the authors' programs, and x₂ from a
//! random order of the batch.

use kernels::device::Device;
use kernels::random::{self, Stream};

use super::cutout::Rectangle;
use super::{AugmentError, Augmentation, Size};
use crate::tensor::Purpose;

/// Mixes the rows of batches of pictures of one size.
#[derive(Clone, Debug)]
pub struct Mixer {
    mixup: f64,
    cutmix: f64,
    seed: u64,
    size: Size,
}

/// How the rows of one batch are mixed.
#[derive(Clone, Debug, PartialEq)]
pub struct Mixture {
    /// λ: what a row keeps of its own target; a multiple of 2⁻²⁴, so that λ and 1 - λ are exact.
    pub share: f32,
    /// What comes from the other row; everything in the proportion of the shares if there is none.
    patch: Option<Rectangle>,
    size: Size,
}

/// Places of the random numbers of a batch.
const PARTNERS: usize = 1 << 20;
const CHOICES: usize = PARTNERS + 1;

impl Mixer {
    /// The mixing that `settings` ask for, for rows of `sample_shape`; none if they ask for none.
    ///
    /// # Errors
    /// When rows are no pictures.
    pub fn new(settings: &Augmentation, sample_shape: &[usize], seed: u64) -> Result<Option<Mixer>, AugmentError> {
        let size = Size::of(sample_shape)?;
        let Augmentation { mixup, cutmix, .. } = *settings;
        Ok(settings.mixes().then_some(Mixer { mixup, cutmix, seed, size }))
    }

    /// How the batch of `step` is mixed: for each of its rows the place in the batch of the one that it is mixed with, in
    /// `partners`, and what of it.
    pub fn draw(&self, device: &Device, step: u64, partners: &mut [u32]) -> Mixture {
        random::permutation(device, Purpose::Augment(PARTNERS).stream(self.seed).at(step), partners);
        let stream = Purpose::Augment(CHOICES).stream(self.seed).at(step);
        let cut = self.cutmix > 0.0 && (self.mixup == 0.0 || stream.below(0, 2) == 1);
        let share = beta(if cut { self.cutmix } else { self.mixup }, stream);
        let size = self.size;
        if !cut {
            return Mixture { share: rounded(share), patch: None, size };
        }
        let side = |n: usize| (libm::sqrt(1.0 - share) * n as f64).round() as usize;
        let centre = [stream.below(1, size.width as u32) as usize, stream.below(2, size.height as u32) as usize];
        let patch = Rectangle::around(centre, [side(size.width), side(size.height)], size);
        let share = 1.0 - patch.area() as f64 / size.plane() as f64;
        Mixture { share: rounded(share), patch: Some(patch), size }
    }
}

impl Mixture {
    /// Writes the mixture of the pictures `own` and `other` into `out`.
    pub fn pictures(&self, own: &[f32], other: &[f32], out: &mut [f32]) {
        match &self.patch {
            None => self.numbers(own, other, out),
            Some(patch) => {
                out.copy_from_slice(own);
                patch.for_lines(self.size, |line| out[line.clone()].copy_from_slice(&other[line]));
            }
        }
    }

    /// Writes the mixture of targets or weights into `out`: λ times `own` and 1 - λ times `other`.
    pub fn numbers(&self, own: &[f32], other: &[f32], out: &mut [f32]) {
        let rest = 1.0 - self.share;
        for ((out, own), other) in out.iter_mut().zip(own).zip(other) {
            *out = self.share * own + rest * other;
        }
    }

    /// True when there is more of the other row in the mixture than of the own.
    pub fn is_mostly_other(&self) -> bool {
        self.share < 0.5
    }
}

/// The nearest multiple of 2⁻²⁴.
fn rounded(share: f64) -> f32 {
    const STEPS: f64 = (1u64 << 24) as f64;
    ((share * STEPS).round() / STEPS) as f32
}

/// A number of the beta distribution of (α, α), from words 16 and following of `stream`: X / (X + Y) for two numbers of
/// the gamma distribution of α. Logarithms keep it right where both are too small for a number.
fn beta(alpha: f64, stream: Stream) -> f64 {
    let mut words = 16..;
    let mut next = || {
        let index = words.next().expect("more words");
        (f64::from(stream.u32_at(index)) + 0.5) / f64::from(u32::MAX).next_up()
    };
    let [x, y] = [0, 1].map(|_| log_gamma(alpha, &mut next));
    1.0 / (1.0 + libm::exp(y - x))
}

/// The logarithm of a number of the gamma distribution of `shape`, from uniform numbers in (0, 1).
///
/// Marsaglia and Tsang, "A simple method for generating gamma variables", 2000: for shape + 1, and with U^(1/shape) on top
/// for shape itself. Normal numbers by Box and Muller, 1958.
fn log_gamma(shape: f64, uniform: &mut impl FnMut() -> f64) -> f64 {
    let d = shape + 1.0 - 1.0 / 3.0;
    let c = 1.0 / libm::sqrt(9.0 * d);
    loop {
        let normal = libm::sqrt(-2.0 * libm::log(uniform())) * libm::cos(std::f64::consts::TAU * uniform());
        let v = 1.0 + c * normal;
        if v <= 0.0 {
            continue;
        }
        let v = v * v * v;
        if libm::log(uniform()) < 0.5 * normal * normal + d * (1.0 - v + libm::log(v)) {
            return libm::log(d * v) + libm::log(uniform()) / shape;
        }
    }
}
