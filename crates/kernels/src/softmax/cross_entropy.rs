//! Softmax and cross-entropy in one: from logits to losses and gradients, without the probabilities in between.

use super::layout::{Layout, RowFormula, load, over_rows, store, vectors, within};
use super::{greatest, sum_of_exp};
use crate::device::Device;
use crate::math::log;
use crate::simd::Simd;

/// The loss of logits x [rows, n] against targets. For a row with target distribution t, class weights w, smoothing ε and
/// row weight r (all as PyTorch has them):
///
/// - qⱼ = wⱼ ((1 - ε) tⱼ + ε / n),
/// - loss = r Σⱼ qⱼ (log Σₖ exp(xₖ) - xⱼ), where a class of qⱼ = 0 counts nothing, whatever its logit,
/// - ∂loss/∂xⱼ = r (softmax(x)ⱼ Σₖ qₖ - qⱼ).
#[derive(Clone, Copy, Debug)]
pub struct CrossEntropy<'a> {
    /// Classes: values in a row, above 0.
    pub n: usize,
    /// What the logits should say.
    pub targets: Targets<'a>,
    /// w [n]; all 1 without.
    pub class_weights: Option<&'a [f32]>,
    /// ε, from 0 to 1.
    pub label_smoothing: f32,
    /// r [rows]; all 1 without.
    pub row_weights: Option<&'a [f32]>,
}

/// Targets of [`CrossEntropy`].
#[derive(Clone, Copy, Debug)]
pub enum Targets<'a> {
    /// t is 1 at the label and 0 elsewhere.
    Labels {
        /// Whole numbers from 0 below n, one for each row. Any other number (but the ignored one) makes loss and gradient
        /// of its row NaN.
        labels: &'a [f32],
        /// Rows of this label have loss and gradient 0, whatever their logits.
        ignored: Option<f32>,
    },
    /// t [rows, n].
    Soft(&'a [f32]),
}

impl CrossEntropy<'_> {
    /// losses [rows] of `logits` [rows, n]. Panics when the sizes do not fit.
    pub fn losses(&self, device: &Device, logits: &[f32], losses: &mut [f32]) {
        assert_eq!(Some(logits.len()), losses.len().checked_mul(self.n), "one loss a row");
        self.compute(device, logits, losses, 0.0, &mut []);
    }

    /// dlogits [rows, n] = factor · ∂(Σ losses)/∂logits. Panics when the sizes do not fit.
    pub fn backward(&self, device: &Device, logits: &[f32], factor: f32, dlogits: &mut [f32]) {
        assert_eq!(logits.len(), dlogits.len(), "logits and gradient of one size");
        self.compute(device, logits, &mut [], factor, dlogits);
    }

    /// [`CrossEntropy::losses`] and [`CrossEntropy::backward`] in one pass. The losses do not have the factor.
    pub fn losses_and_gradient(
        &self,
        device: &Device,
        logits: &[f32],
        losses: &mut [f32],
        factor: f32,
        dlogits: &mut [f32],
    ) {
        assert_eq!(Some(logits.len()), losses.len().checked_mul(self.n), "one loss a row");
        assert_eq!(logits.len(), dlogits.len(), "logits and gradient of one size");
        self.compute(device, logits, losses, factor, dlogits);
    }

    /// What the sum of the losses of `rows` rows is divided by for their mean: Σ r w[label] over the rows that are not
    /// ignored; for soft targets Σ r. Summed in f64, in order. Panics when the sizes do not fit.
    pub fn total_weight(&self, rows: usize) -> f32 {
        self.assert_fit(rows);
        let row_weight = |row: usize| self.row_weights.map_or(1.0, |weights| f64::from(weights[row]));
        let Targets::Labels { labels, ignored } = self.targets else {
            return (0..rows).map(row_weight).sum::<f64>() as f32;
        };
        let mut total = 0.0;
        for (row, &label) in labels.iter().enumerate() {
            if Some(label) == ignored {
                continue;
            }
            let valid = label >= 0.0 && label < self.n as f32 && label.trunc() == label;
            let class_weight = match self.class_weights {
                _ if !valid => f64::NAN,
                Some(weights) => f64::from(weights[label as usize]),
                None => 1.0,
            };
            total += row_weight(row) * class_weight;
        }
        total as f32
    }

    fn assert_fit(&self, rows: usize) {
        assert!(self.class_weights.is_none_or(|weights| weights.len() == self.n), "one weight a class");
        assert!(self.row_weights.is_none_or(|weights| weights.len() == rows), "one weight a row");
        match self.targets {
            Targets::Labels { labels, .. } => assert_eq!(labels.len(), rows, "one label a row"),
            Targets::Soft(targets) => assert_eq!(Some(targets.len()), rows.checked_mul(self.n), "a target a logit"),
        }
        assert!(self.n <= 1 << 24, "labels up to 2²⁴, but there are {} classes", self.n);
    }

    #[inline]
    fn compute(&self, device: &Device, logits: &[f32], losses: &mut [f32], factor: f32, dlogits: &mut [f32]) {
        self.assert_fit(logits.len().checked_div(self.n).expect("a row has values"));
        let common = Common {
            class_weights: self.class_weights,
            row_weights: self.row_weights,
            share: self.label_smoothing / self.n as f32,
            rest: 1.0 - self.label_smoothing,
            factor,
        };
        match self.targets {
            Targets::Labels { labels, ignored } => {
                // No label equals NaN.
                let ignored = ignored.unwrap_or(f32::NAN);
                let formula = Labels { common, labels, ignored, n: self.n as f32 };
                over_rows(device, formula, self.n, [logits], dlogits, losses);
            }
            Targets::Soft(targets) => over_rows(device, Soft(common), self.n, [logits, targets], dlogits, losses),
        }
    }
}

/// What both kinds of targets need.
#[derive(Clone, Copy)]
struct Common<'a> {
    class_weights: Option<&'a [f32]>,
    row_weights: Option<&'a [f32]>,
    /// ε / n
    share: f32,
    /// 1 - ε
    rest: f32,
    factor: f32,
}

impl Common<'_> {
    /// r of the rows of `layout`.
    #[inline(always)]
    fn row_weight<S: Simd, L: Layout>(self, s: S, layout: L) -> S::Float {
        match self.row_weights {
            Some(weights) => layout.per_row(s, weights),
            None => s.splat(1.0),
        }
    }

    /// Vector k of q, from vector k of t.
    #[inline(always)]
    fn weigh<S: Simd, L: Layout>(self, s: S, layout: L, k: usize, t: S::Float) -> S::Float {
        let q = s.fma(t, s.splat(self.rest), s.splat(self.share));
        match self.class_weights {
            Some(weights) => s.mul(q, layout.per_column(s, weights, k)),
            None => q,
        }
    }

    /// The losses, and the gradient if `out` is not empty. `row_weight` and `zero` belong to the rows; `zero` marks those
    /// that do not count.
    #[inline(always)]
    fn apply<S: Simd, L: Layout>(
        self,
        s: S,
        layout: L,
        x: &[f32],
        target: impl Target<S>,
        [row_weight, zero]: [S::Float; 2],
        out: &mut [f32],
    ) -> S::Float {
        let nothing = s.splat(0.0);
        let greatest = greatest(s, layout, x);
        let sum = sum_of_exp(s, layout, x, greatest, out);
        let log_sum = log(s, sum);
        let (mut loss, mut total) = (nothing, nothing);
        for k in 0..vectors(x) {
            let q = self.weigh(s, layout, k, target.vector(s, layout, k));
            let surprise = s.add(s.sub(greatest, load(s, x, k)), log_sum);
            let term = s.select(s.eq(q, nothing), nothing, s.mul(q, surprise));
            loss = s.add(loss, within(s, x, k, term, 0.0));
            total = s.add(total, within(s, x, k, q, 0.0));
        }
        let counts = s.eq(zero, nothing);
        if !out.is_empty() {
            let scale = s.div(layout.sum(s, total), sum);
            let factor = s.mul(row_weight, s.splat(self.factor));
            for k in 0..vectors(x) {
                let q = self.weigh(s, layout, k, target.vector(s, layout, k));
                let gradient = s.mul(factor, s.sub(s.mul(load(s, out, k), scale), q));
                store(s, s.select(counts, gradient, nothing), out, k);
            }
        }
        s.select(counts, s.mul(row_weight, layout.sum(s, loss)), nothing)
    }
}

/// Where the vectors of t come from.
trait Target<S: Simd>: Copy {
    /// Vector `k`.
    fn vector<L: Layout>(self, s: S, layout: L, k: usize) -> S::Float;
}

/// 1 at the label of each row in the lanes.
#[derive(Clone, Copy)]
struct OneHot<F>(F);

impl<S: Simd> Target<S> for OneHot<S::Float> {
    #[inline(always)]
    fn vector<L: Layout>(self, s: S, layout: L, k: usize) -> S::Float {
        s.select(s.eq(layout.column(s, k), self.0), s.splat(1.0), s.splat(0.0))
    }
}

impl<S: Simd> Target<S> for &[f32] {
    #[inline(always)]
    fn vector<L: Layout>(self, s: S, _: L, k: usize) -> S::Float {
        load(s, self, k)
    }
}

#[derive(Clone, Copy)]
struct Labels<'a> {
    common: Common<'a>,
    labels: &'a [f32],
    ignored: f32,
    n: f32,
}

impl RowFormula<1> for Labels<'_> {
    #[inline(always)]
    fn apply<S: Simd, L: Layout>(self, s: S, layout: L, [x]: [&[f32]; 1], out: &mut [f32]) -> S::Float {
        let label = layout.per_row(s, self.labels);
        let (nothing, nan) = (s.splat(0.0), s.splat(f32::NAN));
        let row_weight = self.common.row_weight(s, layout);
        let row_weight = s.select(s.le(nothing, label), row_weight, nan);
        let row_weight = s.select(s.lt(label, s.splat(self.n)), row_weight, nan);
        let row_weight = s.select(s.eq(s.round(label), label), row_weight, nan);
        let zero = s.select(s.eq(label, s.splat(self.ignored)), s.splat(1.0), nothing);
        self.common.apply(s, layout, x, OneHot(label), [row_weight, zero], out)
    }
}

#[derive(Clone, Copy)]
struct Soft<'a>(Common<'a>);

impl RowFormula<2> for Soft<'_> {
    #[inline(always)]
    fn apply<S: Simd, L: Layout>(self, s: S, layout: L, [x, t]: [&[f32]; 2], out: &mut [f32]) -> S::Float {
        let row_weight = self.0.row_weight(s, layout);
        self.0.apply(s, layout, x, t, [row_weight, s.splat(0.0)], out)
    }
}
