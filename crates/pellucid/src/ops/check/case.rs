//! A sample case of an op: inputs, and how far results may be from the op's reference in f64.

use std::sync::Arc;

use kernels::random::Stream;

use super::super::Op;
use crate::tensor::Shape;

/// An op with inputs to try it on, and what it should give.
#[derive(Clone)]
pub struct Case {
    /// What is special about the case.
    pub name: String,
    /// The op.
    pub op: Arc<dyn Op>,
    /// Its inputs.
    pub inputs: Vec<Input>,
    /// Numbers of rows to try.
    pub batches: Vec<usize>,
    /// How far the output may be from the reference.
    pub value: Bound,
    /// How far gradients may be from those of the reference.
    pub gradient: Bound,
    /// The op computes the same at inference as in training.
    pub same_at_inference: bool,
    /// Shapes that the op refuses, and a part of what it says.
    pub refused: Vec<(Vec<Shape>, &'static str)>,
}

/// One input: its shape, and how its values are drawn.
#[derive(Clone, Debug)]
pub struct Input {
    /// The shape.
    pub shape: Shape,
    /// The values.
    pub values: Values,
}

/// How values are drawn, always the same ones.
#[derive(Clone, Debug)]
pub enum Values {
    /// Normally distributed with this standard deviation.
    Normal(f32),
    /// Equally likely between two limits.
    Uniform(f32, f32),
    /// Whole numbers below this one.
    Labels(u32),
    /// One of these.
    Choice(Vec<f32>),
    /// Positive, with a sum of 1 over the last axis; none below 0.05 of the mean.
    Probabilities,
    /// Normally distributed with a standard deviation, but nowhere nearer to a kink than `margin`, so that differences
    /// do not step over it.
    AwayFrom {
        /// Standard deviation.
        spread: f32,
        /// Where the function has no derivative; further apart than two margins.
        kinks: Vec<f32>,
        /// The least distance, well above [`super::STEP`].
        margin: f32,
    },
}

/// How far a result may be from the reference: ε (relative · |expected| + absolute · s + magnitude · m), plus the
/// smallest subnormal, with ε = 2⁻²³. For values s = 1, for gradients it is the greatest |dy|; m is what the reference
/// gives for the magnitudes of its inputs (for gradients: its gradient there, with |dy|), which for a matrix product is
/// Σ |a| |b|.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bound {
    /// In units of ε |expected|: about ULP.
    pub relative: f64,
    /// In units of ε s.
    pub absolute: f64,
    /// In units of ε m.
    pub magnitude: f64,
    /// Why it is this large.
    pub reason: &'static str,
}

impl Bound {
    /// Equal bits, but for the sign of a zero.
    pub const EXACT: Bound = Bound::relative(0.0, "no rounding");
    /// One correctly rounded operation.
    pub const ROUNDED: Bound = Bound::relative(0.5, "one rounding");

    /// A multiple of ε of the expected value.
    pub const fn relative(relative: f64, reason: &'static str) -> Bound {
        Bound { relative, absolute: 0.0, magnitude: 0.0, reason }
    }

    /// The same with an absolute part.
    pub const fn and_absolute(self, absolute: f64) -> Bound {
        Bound { absolute, ..self }
    }

    /// A multiple of ε of the sum of magnitudes.
    pub const fn magnitude(magnitude: f64, reason: &'static str) -> Bound {
        Bound { relative: 0.0, absolute: 0.0, magnitude, reason }
    }

    /// The bound at one place.
    pub(super) fn at(&self, expected: f64, scale: f64, magnitude: f64) -> f64 {
        let units = self.relative * expected.abs() + self.absolute * scale + self.magnitude * magnitude;
        let smallest = f64::from(f32::from_bits(1));
        if self.relative + self.absolute + self.magnitude == 0.0 {
            return 0.0;
        }
        f64::from(f32::EPSILON) * units + smallest
    }
}

impl Case {
    /// A case with batches of 1, 2 and 5 rows, correctly rounded unless the bounds are set.
    pub fn new(op: impl Op + 'static, inputs: impl IntoIterator<Item = Input>) -> Case {
        Case {
            name: String::new(),
            op: Arc::new(op),
            inputs: inputs.into_iter().collect(),
            batches: vec![1, 2, 5],
            value: Bound::ROUNDED,
            gradient: Bound::ROUNDED,
            same_at_inference: true,
            refused: Vec::new(),
        }
    }

    /// An element-wise function of one input of shape `[batch]`: no value, every length up to beyond two vectors, and one
    /// that is split between threads.
    pub fn elementwise(op: impl Op + 'static, values: Values) -> Case {
        let input = Input::new(Shape::batched(&[]), values);
        let lengths = (0..=33).chain([20_011]);
        Case::new(op, [input]).batches(lengths)
    }

    /// With a name.
    pub fn named(self, name: impl ToString) -> Case {
        Case { name: name.to_string(), ..self }
    }

    /// With other numbers of rows.
    pub fn batches(self, batches: impl IntoIterator<Item = usize>) -> Case {
        Case { batches: batches.into_iter().collect(), ..self }
    }

    /// With bounds on values and gradients.
    pub fn within(self, value: Bound, gradient: Bound) -> Case {
        Case { value, gradient, ..self }
    }

    /// For an op that computes something else at inference.
    pub fn differs_at_inference(self) -> Case {
        Case { same_at_inference: false, ..self }
    }

    /// With shapes that are refused, in words that hold `text`.
    pub fn refuses(mut self, shapes: impl IntoIterator<Item = Shape>, text: &'static str) -> Case {
        self.refused.push((shapes.into_iter().collect(), text));
        self
    }

    /// Name of op and case.
    pub fn title(&self) -> String {
        if self.name.is_empty() { self.op.name().to_string() } else { format!("{} ({})", self.op.name(), self.name) }
    }
}

impl Input {
    /// An input.
    pub fn new(shape: Shape, values: Values) -> Input {
        Input { shape, values }
    }

    /// Values of the standard normal distribution after the batch.
    pub fn batched(sizes: &[usize]) -> Input {
        Input::new(Shape::batched(sizes), Values::Normal(1.0))
    }

    /// Values of the standard normal distribution without a batch, such as a parameter.
    pub fn fixed(sizes: &[usize]) -> Input {
        Input::new(Shape::fixed(sizes), Values::Normal(1.0))
    }
}

impl Values {
    /// Values for sizes `dims`; `stream` decides which.
    pub(super) fn draw(&self, stream: Stream, dims: &[usize]) -> Vec<f32> {
        let len: usize = dims.iter().product();
        let unit = |i: usize| f64::from(stream.unit_at(i as u64));
        let normal = |i: usize| {
            // Box and Muller, 1958.
            let radius = (-2.0 * libm::log(1.0 - unit(2 * i))).sqrt();
            radius * libm::cos(std::f64::consts::TAU * unit(2 * i + 1))
        };
        let place = |i: usize, count: u32| stream.below(i as u64, count);
        match self {
            Values::Normal(spread) => (0..len).map(|i| (f64::from(*spread) * normal(i)) as f32).collect(),
            Values::Uniform(low, high) => (0..len).map(|i| low + (high - low) * unit(i) as f32).collect(),
            Values::Labels(classes) => (0..len).map(|i| place(i, *classes) as f32).collect(),
            Values::Choice(values) => (0..len).map(|i| values[place(i, values.len() as u32) as usize]).collect(),
            Values::Probabilities => {
                let n = dims.last().copied().unwrap_or(1).max(1);
                let mut weights: Vec<f64> = (0..len).map(|i| 0.05 + unit(i)).collect();
                for row in weights.chunks_mut(n) {
                    let sum: f64 = row.iter().sum();
                    row.iter_mut().for_each(|weight| *weight /= sum);
                }
                weights.into_iter().map(|weight| weight as f32).collect()
            }
            Values::AwayFrom { spread, kinks, margin } => {
                let away = |i: usize| {
                    let x = (f64::from(*spread) * normal(i)) as f32;
                    match kinks.iter().find(|&&kink| (x - kink).abs() < *margin) {
                        Some(kink) => kink + (margin * (1.0 + unit(2 * i) as f32)).copysign(x - kink),
                        None => x,
                    }
                };
                (0..len).map(away).collect()
            }
        }
    }
}
