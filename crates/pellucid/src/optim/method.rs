//! What an optimiser is to the rest: settings, state, and one update of one stretch of the slab.

use std::ops::Range;

use kernels::buffer::Buffer;
use kernels::device::Device;
use kernels::simd::Simd;
use kernels::update::{self, Rule};
use serde::{Deserialize, Serialize};

use super::OptimError;

/// The formula of an optimiser with its settings.
pub(super) trait Method {
    /// What every optimiser has.
    fn settings(&self) -> Settings;

    /// Checks the ranges of the settings that only this optimiser has.
    fn check(&self) -> Result<(), OptimError>;

    /// Whether it needs the loss of the full batch at several places an update, so that [`Method::update`] is not it.
    fn full_batch(&self) -> bool {
        false
    }

    /// Names of the slabs of state, as in a PyTorch state dictionary.
    fn slots(&self) -> &'static [&'static str];

    /// What the slabs hold before the first update.
    fn initial(&self) -> f32 {
        0.0
    }

    /// Brings the counters, whose step number is already that of this update (from 1), to this update.
    fn advance(&self, _: &mut Counters) {}

    /// One update of a stretch; whether its gradients were finite.
    fn update(&self, now: &Now, stretch: Stretch<'_>) -> bool;
}

/// What every optimiser has.
#[derive(Clone, Copy)]
pub(super) struct Settings {
    /// Learning rate.
    pub lr: f64,
    /// λ of the weight decay.
    pub weight_decay: f64,
    /// Whether weight decay is decoupled from the gradient.
    pub decoupled: bool,
}

/// What an update needs to know of those before, besides the slabs.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Counters {
    /// Updates made.
    pub step: u64,
    /// Running products, such as β₁ᵗ and β₂ᵗ. A product is as exact as `pow` to some 10⁻¹⁶ · t, and costs nothing.
    pub products: [f64; 2],
}

impl Default for Counters {
    fn default() -> Counters {
        Counters { step: 0, products: [1.0; 2] }
    }
}

impl Counters {
    /// Multiplies the products by `factors`.
    pub fn multiply(&mut self, factors: [f64; 2]) {
        for i in 0..2 {
            self.products[i] *= factors[i];
        }
    }
}

/// What is the same for all values of a stretch.
pub(super) struct Now {
    /// Learning rate.
    pub rate: f64,
    /// Number of this update, from 1, and the products.
    pub counters: Counters,
}

/// Consecutive parameters with the same settings.
pub(super) struct Stretch<'a> {
    pub device: &'a Device,
    pub parameters: &'a mut [f32],
    pub gradients: &'a [f32],
    /// Whole slabs, of which `range` belongs to the parameters.
    pub slots: &'a mut [Buffer],
    pub range: Range<usize>,
    pub penalty: Option<Penalty>,
}

impl Stretch<'_> {
    /// Applies `rule` in one pass, penalties included.
    #[inline]
    pub fn apply<const SLOTS: usize, R: Rule<SLOTS>>(self, rule: R) -> bool {
        let Stretch { device, parameters, gradients, slots, range, penalty } = self;
        let mut slots = slots.iter_mut();
        let state = std::array::from_fn(|_| &mut slots.next().expect("a slab for every slot")[range.clone()]);
        match penalty {
            None => update::apply(device, rule, parameters, gradients, state),
            Some(penalty) => update::apply(device, Penalised { rule, penalty }, parameters, gradients, state),
        }
    }
}

/// Weight penalties at one learning rate.
#[derive(Clone, Copy)]
pub(super) struct Penalty {
    /// λ of the L1 penalty λ Σ |w|.
    pub l1: f32,
    /// λ of the L2 penalty λ/2 Σ w².
    pub l2: f32,
    /// 1 - rate · λ of the decoupled weight decay.
    pub keep: f32,
}

/// g + λ₂ w + λ₁ sign(w) for the gradient g, with sign(0) = 0, and w · keep for the parameter w, then `rule`.
///
/// Decoupled weight decay: Loshchilov and Hutter, "Decoupled weight decay regularization", 2019.
#[derive(Clone, Copy)]
struct Penalised<R> {
    rule: R,
    penalty: Penalty,
}

impl<const SLOTS: usize, R: Rule<SLOTS>> Rule<SLOTS> for Penalised<R> {
    #[inline(always)]
    fn update<S: Simd>(
        self,
        s: S,
        w: S::Float,
        gradient: S::Float,
        state: [S::Float; SLOTS],
    ) -> (S::Float, [S::Float; SLOTS]) {
        let zero = s.splat(0.0);
        let sign = s.select(s.eq(w, zero), zero, s.copysign(s.splat(self.penalty.l1), w));
        let gradient = s.add(s.fma(s.splat(self.penalty.l2), w, gradient), sign);
        self.rule.update(s, s.mul(w, s.splat(self.penalty.keep)), gradient, state)
    }
}
