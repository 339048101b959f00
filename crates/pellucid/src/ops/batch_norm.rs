//! Batch normalisation: y = (x - mean) / √(variance + eps) · weight + bias, for each channel.
//!
//! Shapes: x [batch, channels, …], weight, bias, running_mean, running_var [channels] → y as x. In training mean and variance
//! are those of the channel over the batch and all its places (n values, the variance being Σ (x - mean)² / n), and the
//! running values follow them: running ← (1 - momentum) · running + momentum · that of the batch, the variance taken as
//! Σ (x - mean)² / (n - 1) (left alone where n = 1). At inference, and always if `fixed`, the running values stand for them.
//! With x̂ = (x - mean) / √(variance + eps):
//!
//! * ∂L/∂bias = Σ dy, ∂L/∂weight = Σ dy x̂
//! * ∂L/∂x = weight / √(variance + eps) · (dy - (Σ dy) / n - x̂ (Σ dy x̂) / n), without the sums if `fixed`.
//!
//! (Ioffe and Szegedy, "Batch normalization: accelerating deep network training by reducing internal covariate shift", 2015.)

use kernels::normalise::{BatchNorm as Sizing, Statistics, batch_norm, batch_norm_backward};

use super::check::{Bound, Case, Input, Values};
use super::{
    Attributes, Backward, ChannelAffine, Forward, Memory, Op, Reads, Run, Sample, ShapeError, Sizes, attributes_of,
};
use crate::tensor::{Dim, Shape, Tensor};

/// Batch normalisation with inputs x, weight, bias, running_mean and running_var.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BatchNorm {
    /// Added to the variance; 1e-5.
    pub eps: f32,
    /// Share of the batch in the running values, 0 to 1; 0.1.
    pub momentum: f32,
    /// Running values are used, and left as they are, in training too; false.
    pub fixed: bool,
}

impl Default for BatchNorm {
    fn default() -> BatchNorm {
        BatchNorm { eps: 1e-5, momentum: 0.1, fixed: false }
    }
}

/// Places of the running values among the inputs.
const RUNNING_MEAN: usize = 3;
const RUNNING_VARIANCE: usize = 4;

impl BatchNorm {
    fn sizing<'a>(&self, x: &[usize], weight: &'a [f32], bias: &'a [f32]) -> Sizing<'a> {
        Sizing { batch: x[0], channels: x[1], span: x[2..].iter().product(), eps: self.eps, weight, bias }
    }

    fn of_batch(&self, training: bool) -> bool {
        training && !self.fixed
    }
}

impl Op for BatchNorm {
    fn name(&self) -> &'static str {
        "BatchNormalization"
    }

    fn attributes(&self) -> Attributes {
        attributes_of(self)
    }

    fn output_shape(&self, inputs: &[Shape]) -> Result<Shape, ShapeError> {
        ShapeError::expect_setting("eps", self.eps, "a number from 0 on", |eps| eps >= 0.0)?;
        ShapeError::expect_setting("momentum", self.momentum, "a number from 0 to 1", |m| (0.0..=1.0).contains(&m))?;
        let [x, channels @ ..] = ShapeError::expect_inputs::<5>(inputs)?;
        let sample = ShapeError::expect_sample(x)?;
        let (Some(Dim::Fixed(count)), false) = (x.axes().get(1), sample.contains(&0)) else {
            return Err(ShapeError::size("shape of the input", "[batch, channels, …], no size being 0", x));
        };
        let expected = Shape::fixed(&[*count]);
        let names = ["shape of the weight", "shape of the bias", "shape of running_mean", "shape of running_var"];
        for (name, found) in names.into_iter().zip(channels) {
            if *found != expected {
                return Err(ShapeError::size(name, format!("{expected} (the channels)"), found));
            }
        }
        Ok(x.clone())
    }

    fn reads(&self) -> Reads {
        if self.fixed { Reads::inputs(&[0, 1, RUNNING_MEAN, RUNNING_VARIANCE]) } else { Reads::inputs(&[0, 1]) }
    }

    fn differentiable(&self, index: usize) -> bool {
        index < RUNNING_MEAN
    }

    fn memory(&self, at: Sizes, training: bool) -> Memory {
        // Mean and variance of the batch; two sums for each channel.
        let two = 2 * at.input_elements(1);
        let saved = if self.of_batch(training) { two } else { 0 };
        Memory { saved, forward: 0, backward: if training { two } else { 0 }, ..Memory::default() }
    }

    fn flops(&self, at: Sizes) -> u64 {
        // The sums of a training step are left out: this is the cost of inference.
        2 * at.output_elements() as u64
    }

    fn in_place(&self) -> bool {
        true
    }

    fn takes_epilogue(&self) -> bool {
        true
    }

    fn state(&self) -> &'static [usize] {
        if self.fixed { &[] } else { &[RUNNING_MEAN, RUNNING_VARIANCE] }
    }

    fn update_state(&self, index: usize, x: &[usize], saved: &[f32], values: &mut [f32]) {
        let count = (x[0] * x[2..].iter().product::<usize>()) as f64;
        let (mean, variance) = saved.split_at(values.len());
        if index == RUNNING_VARIANCE && count < 2.0 {
            return;
        }
        let (of_batch, unbiased) = if index == RUNNING_MEAN { (mean, 1.0) } else { (variance, count / (count - 1.0)) };
        let momentum = f64::from(self.momentum);
        for (value, of_batch) in values.iter_mut().zip(of_batch) {
            *value = ((1.0 - momentum) * f64::from(*value) + momentum * unbiased * f64::from(*of_batch)) as f32;
        }
    }

    fn at_inference(&self) -> Option<Box<dyn Op>> {
        Some(Box::new(BatchNorm { fixed: true, ..*self }))
    }

    fn channel_affine(&self, inputs: &[Tensor]) -> Option<ChannelAffine> {
        let [weight, bias, mean, variance] = [1, 2, 3, 4].map(|index: usize| inputs[index].data);
        if [weight, bias, mean, variance].iter().any(|values| values.is_empty()) {
            return None;
        }
        let scale = |i: usize| f64::from(weight[i]) / (f64::from(variance[i]) + f64::from(self.eps)).sqrt();
        let shift = |i: usize| f64::from(bias[i]) - f64::from(mean[i]) * scale(i);
        let each = |value: &dyn Fn(usize) -> f64| (0..weight.len()).map(|i| value(i) as f32).collect();
        Some(ChannelAffine { scale: each(&scale), shift: each(&shift) })
    }

    fn folds_channels(&self, _: &Shape) -> bool {
        true
    }

    fn formulas(&self) -> Option<[&'static str; 2]> {
        Some([
            "y = w (x - mean) / √(variance + ε) + b, for each channel",
            "∂L/∂x = dy w / √(variance + ε), ∂L/∂w = Σ dy (y - b) / w, ∂L/∂b = Σ dy",
        ])
    }

    fn reference(&self, at: &Sample) -> Option<Vec<f64>> {
        let [x, weight, bias, mean, variance] = [0, 1, 2, 3, 4].map(|input: usize| &at.inputs[input]);
        let (channels, span) = (at.dims[0][1], at.dims[0][2..].iter().product::<usize>());
        let channel = |i: usize| i / span % channels;
        let statistics = |c: usize| {
            if self.fixed {
                return (mean[c], variance[c]);
            }
            let values: Vec<f64> = (0..x.len()).filter(|&i| channel(i) == c).map(|i| x[i]).collect();
            let mean = values.iter().sum::<f64>() / values.len() as f64;
            (mean, values.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / values.len() as f64)
        };
        let each: Vec<(f64, f64)> = (0..channels).map(statistics).collect();
        let normalised = |i: usize| {
            let (mean, variance) = each[channel(i)];
            (x[i] - mean) / (variance + f64::from(self.eps)).sqrt()
        };
        Some((0..x.len()).map(|i| normalised(i) * weight[channel(i)] + bias[channel(i)]).collect())
    }

    fn forward(&self, run: &Run, pass: Forward) {
        let [x, weight, bias] = [pass.inputs[0], pass.inputs[1], pass.inputs[2]];
        let sizing = self.sizing(x.dims, weight.data, bias.data);
        let statistics = if self.of_batch(run.training) {
            let (mean, variance) = pass.saved.split_at_mut(sizing.channels);
            Statistics::OfBatch { mean, variance }
        } else {
            Statistics::Given { mean: pass.inputs[RUNNING_MEAN].data, variance: pass.inputs[RUNNING_VARIANCE].data }
        };
        batch_norm(run.device, &sizing, statistics, x.data, pass.output, pass.epilogue);
    }

    fn backward(&self, run: &Run, pass: Backward) {
        let [x, weight] = [pass.inputs[0], pass.inputs[1]];
        let sizing = self.sizing(x.dims, weight.data, &[]);
        let statistics = if self.fixed {
            [pass.inputs[RUNNING_MEAN].data, pass.inputs[RUNNING_VARIANCE].data]
        } else {
            let (mean, variance) = pass.saved.split_at(sizing.channels);
            [mean, variance]
        };
        let sums = pass.scratch;
        let [dx, dw, db, ..] = pass.dx else { return };
        let of_x: &mut [f32] = dx.as_deref_mut().unwrap_or(&mut []);
        batch_norm_backward(run.device, &sizing, !self.fixed, statistics, x.data, pass.dy, of_x, sums);
        let (of_weight, of_bias) = sums.split_at(sizing.channels);
        for (target, source) in [(dw, of_weight), (db, of_bias)] {
            if let Some(target) = target {
                target.copy_from_slice(source);
            }
        }
    }
}

/// What the checks run on.
pub(super) fn cases() -> Vec<Case> {
    let value =
        Bound::relative(30.0, "sums of up to some hundred terms in lanes, a root, three roundings").and_absolute(40.0);
    let gradient = Bound::relative(60.0, "two sums more, which cancel; a channel of few values may vary little")
        .and_absolute(600.0);
    let of = |name: &str, sample: &[usize], fixed: bool, batches: &[usize]| {
        let channels = sample[0];
        let op = BatchNorm { eps: 1e-3, fixed, ..BatchNorm::default() };
        let per_channel = Shape::fixed(&[channels]);
        let running = Input::new(per_channel.clone(), Values::Uniform(0.5, 2.0));
        let parameter = Input::fixed(&[channels]);
        let inputs = [Input::batched(sample), parameter.clone(), parameter, running.clone(), running];
        let wrong = Shape::fixed(&[channels + 1]);
        let shapes = |wrong: Option<usize>| {
            let x = Shape::batched(sample);
            let channels = |index: usize| Shape::fixed(&[sample[0] + usize::from(wrong == Some(index))]);
            [x, channels(1), channels(2), channels(3), channels(4)]
        };
        let case = Case::new(op, inputs)
            .named(name)
            .batches(batches.iter().copied())
            .within(value, gradient)
            .refuses(shapes(Some(1)), "shape of the weight")
            .refuses(shapes(Some(2)), "shape of the bias")
            .refuses(shapes(Some(3)), "shape of running_mean")
            .refuses(shapes(Some(4)), "shape of running_var")
            .refuses([Shape::batched(&[]), wrong.clone(), wrong.clone(), wrong.clone(), wrong], "[batch, channels, …]")
            .refuses(shapes(None)[..2].to_vec(), "got 2");
        if fixed { case } else { case.differs_at_inference() }
    };
    vec![
        of("rows", &[5], false, &[3, 8, 33]),
        of("rows, several vectors", &[35], false, &[7, 70]),
        of("1-D", &[2, 17], false, &[1, 2, 5]),
        of("2-D", &[3, 4, 5], false, &[1, 2, 9]),
        of("2-D, long", &[2, 35, 33], false, &[1, 3]),
        of("fixed, rows", &[19], true, &[1, 2, 5]),
        of("fixed, 2-D", &[3, 3, 7], true, &[1, 2, 5]),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn running_values_follow_those_of_the_batch() {
        let op = BatchNorm::default();
        let (mut mean, mut variance) = ([0.0, 2.0], [1.0, 1.0]);
        let saved = [1.0, 4.0, 3.0, 0.0];
        op.update_state(RUNNING_MEAN, &[2, 2, 2], &saved, &mut mean);
        op.update_state(RUNNING_VARIANCE, &[2, 2, 2], &saved, &mut variance);
        // Four values, so the variance is multiplied by 4 / 3.
        let near = |a: [f32; 2], b: [f32; 2]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-6);
        assert!(near(mean, [0.1, 2.2]) && near(variance, [1.3, 0.9]), "{mean:?} {variance:?}");
        // A single value has no unbiased variance.
        op.update_state(RUNNING_VARIANCE, &[1, 2, 1], &saved, &mut variance);
        assert!(near(variance, [1.3, 0.9]));
        assert!(BatchNorm { fixed: true, ..op }.state().is_empty());
    }

    #[test]
    fn settings_out_of_range_are_refused() {
        let channels = || Shape::fixed(&[3]);
        let shapes = [Shape::batched(&[3]), channels(), channels(), channels(), channels()];
        let refused = |op: BatchNorm| op.output_shape(&shapes).expect_err("out of range").to_string();
        let op = BatchNorm::default();
        assert_eq!(refused(BatchNorm { eps: -1.0, ..op }), "eps must be a number from 0 on, but it is -1");
        assert_eq!(refused(BatchNorm { momentum: 1.5, ..op }), "momentum must be a number from 0 to 1, but it is 1.5");
        assert!(op.output_shape(&shapes).is_ok());
    }
}
