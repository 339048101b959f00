//! Losses: ops with the inputs prediction, target and, if rows count differently, row weights `[batch]`; one number comes
//! out. Only the prediction has a gradient.
//!
//! A weight w belongs to a row, all values of one index of the first axis. The reductions with it:
//! mean = Σ w·l / Σ w over all values, sum = Σ w·l. Where the divisor is 0 (all weights 0, every label ignored), loss and
//! gradient are 0: such a batch teaches nothing. Row weights are 0 or more; the ops do not check that.

pub(super) mod absolute_error;
pub(super) mod binary_cross_entropy;
pub(super) mod binary_cross_entropy_probabilities;
pub(super) mod cross_entropy;
pub(super) mod cross_entropy_probabilities;
mod elementwise;
pub(super) mod hinge;
pub(super) mod huber;
pub(super) mod kl_divergence;
pub(super) mod poisson;
pub(super) mod smooth_l1;
pub(super) mod squared_error;

use kernels::device::Device;
use kernels::reduce;
use serde::{Deserialize, Serialize};

pub use absolute_error::AbsoluteError;
pub use binary_cross_entropy::BinaryCrossEntropy;
pub use binary_cross_entropy_probabilities::BinaryCrossEntropyProbabilities;
pub use cross_entropy::CrossEntropy;
pub use cross_entropy_probabilities::CrossEntropyProbabilities;
pub use elementwise::{ElementLoss, Elementwise, SUM_ULP, element_cases};
pub use hinge::Hinge;
pub use huber::Huber;
pub use kl_divergence::KlDivergence;
pub use poisson::Poisson;
pub use smooth_l1::SmoothL1;
pub use squared_error::SquaredError;

use super::ShapeError;
use crate::tensor::{Shape, Tensor};

/// How the losses of the single values become one number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Reduction {
    /// Their weighted mean.
    #[default]
    Mean,
    /// Their weighted sum.
    Sum,
    /// Their weighted sum divided by the sum of the row weights, which is the number of rows without weights: the mean
    /// over rows of what a row as a whole loses.
    BatchMean,
}

/// Prediction, target and row weights, if there are as many inputs as a loss takes.
fn split_inputs(inputs: &[Shape]) -> Result<(&Shape, &Shape, Option<&Shape>), ShapeError> {
    match inputs {
        [prediction, target] => Ok((prediction, target, None)),
        [prediction, target, weights] => Ok((prediction, target, Some(weights))),
        _ => Err(ShapeError::InputCount { expected: "2 or 3", found: inputs.len() }),
    }
}

/// Refuses row weights that are not one for each index of the first axis.
fn expect_row_weights(prediction: &Shape, weights: Option<&Shape>) -> Result<(), ShapeError> {
    let Some(weights) = weights else { return Ok(()) };
    let rows = prediction.axes().get(..1).unwrap_or_default();
    if rows.len() == 1 && weights.axes() == rows {
        return Ok(());
    }
    let expected = Shape::new(rows.iter().copied())?;
    Err(ShapeError::size("shape of the row weights (one for each row of the prediction)", expected, weights))
}

/// Refuses a setting that is not a finite number above 0.
fn expect_positive(what: &'static str, value: f32) -> Result<(), ShapeError> {
    let is_positive = value > 0.0 && value.is_finite();
    if is_positive { Ok(()) } else { Err(ShapeError::size(what, "a finite number above 0", value)) }
}

/// Σ w, or the number of rows where there are no weights. A single number is a row. Where every step of a sequence has
/// its weight, that of a row is the mean of its steps, so that weights of 1 change nothing.
fn rows_or_weights(device: &Device, prediction: &Tensor, weights: Option<&[f32]>) -> f32 {
    let rows = prediction.dims.first().copied().unwrap_or(1);
    match weights {
        Some(weights) if weights.len() > rows => reduce::sum(device, weights) / (weights.len() / rows) as f32,
        Some(weights) => reduce::sum(device, weights),
        None => rows as f32,
    }
}

/// `sum / divisor`; 0 where nothing counts.
fn divided(sum: f32, divisor: f32) -> f32 {
    if divisor == 0.0 { 0.0 } else { sum / divisor }
}

#[cfg(test)]
mod tests {
    use kernels::simd::Isa;

    use super::*;
    use crate::ops::{Backward, Forward, Op, Run, Sizes};

    /// Loss and gradient of the prediction, which has the sizes `dims`; the gradient of the loss itself is `dy`. The
    /// target has as many values as the prediction, or one for each row. Checks that inference gives the same loss,
    /// and every device the same bits.
    pub(super) fn evaluate(
        op: &dyn Op,
        dims: &[usize],
        data: [&[f32]; 2],
        weights: Option<&[f32]>,
        dy: f32,
    ) -> (f32, Vec<f32>) {
        let mut results = Vec::new();
        for isa in Isa::available() {
            for threads in [1, 2] {
                let device = Device::new(isa, threads);
                let (loss, gradient) = evaluate_on(&device, op, dims, data, weights, dy);
                results.push((
                    loss.to_bits(),
                    gradient.iter().map(|x| x.to_bits()).collect::<Vec<_>>(),
                    loss,
                    gradient,
                ));
            }
        }
        for other in &results[1..] {
            let nan = |values: &[f32]| values.iter().map(|x| x.is_nan()).collect::<Vec<_>>();
            assert!(other.0 == results[0].0 || other.2.is_nan() && results[0].2.is_nan(), "the loss on every device");
            assert!(other.1 == results[0].1 || nan(&other.3) == nan(&results[0].3), "the gradient on every device");
        }
        let (_, _, loss, gradient) = results.swap_remove(0);
        (loss, gradient)
    }

    fn evaluate_on(
        device: &Device,
        op: &dyn Op,
        dims: &[usize],
        [prediction, target]: [&[f32]; 2],
        weights: Option<&[f32]>,
        dy: f32,
    ) -> (f32, Vec<f32>) {
        let target_dims = if target.len() == prediction.len() { dims } else { &dims[..dims.len() - 1] };
        let mut inputs = vec![Tensor { dims, data: prediction }, Tensor { dims: target_dims, data: target }];
        inputs.extend(weights.map(|data| Tensor { dims: &dims[..1], data }));
        let shapes: Vec<Shape> = inputs.iter().map(|input| Shape::fixed(input.dims)).collect();
        assert_eq!(op.output_shape(&shapes), Ok(Shape::scalar()));
        let sizes: Vec<&[usize]> = inputs.iter().map(|input| input.dims).collect();
        let sizes = Sizes { inputs: &sizes, output: &[] };
        let mut losses = [true, false].map(|training| {
            let memory = op.memory(sizes, training);
            let run = Run { device, training, seed: 0, step: 0, past: 0, node: 0 };
            let (mut output, mut scratch) = ([f32::NAN], vec![f32::NAN; memory.forward.max(memory.backward)]);
            let mut saved = vec![f32::NAN; memory.saved];
            let (saved_in, scratch_in) = (&mut saved[..], &mut scratch[..memory.forward]);
            let (output_in, packed, epilogue) = (&mut output[..], None, None);
            let pass = Forward {
                inputs: &inputs,
                dims: &[],
                output: output_in,
                saved: saved_in,
                scratch: scratch_in,
                carried: &mut [],
                packed,
                epilogue,
            };
            op.forward(&run, pass);
            (output[0], saved, scratch, memory)
        });
        let (loss, saved, scratch, memory) = &mut losses[0];
        let reads = op.reads();
        let read: Vec<Tensor> = (0..inputs.len())
            .map(|i| if reads.input(i) { inputs[i] } else { Tensor { data: &[], ..inputs[i] } })
            .collect();
        let mut gradient = vec![f32::NAN; prediction.len()];
        let mut dx: Vec<Option<&mut [f32]>> = inputs.iter().map(|_| None).collect();
        dx[0] = Some(&mut gradient);
        let output = Tensor { dims: &[], data: &[] };
        let run = Run { device, training: true, seed: 0, step: 0, past: 0, node: 0 };
        let scratch = &mut scratch[..memory.backward];
        op.backward(&run, Backward { inputs: &read, output, saved, dy: &[dy], dx: &mut dx, scratch });
        let loss = *loss;
        assert!(loss == losses[1].0 || loss.is_nan() && losses[1].0.is_nan(), "training and inference give one loss");
        (loss, gradient)
    }

    #[test]
    fn nothing_that_counts_is_a_loss_of_zero() {
        let op = Elementwise::<SquaredError>::default();
        let (loss, gradient) = evaluate(&op, &[2, 1], [&[1.0, 2.0], &[0.0; 2]], Some(&[0.0; 2]), 1.0);
        assert_eq!((loss, gradient), (0.0, vec![0.0; 2]));
    }

    #[test]
    fn what_does_not_fit_is_refused_with_both_shapes() {
        let op = Elementwise::<SquaredError>::default();
        let (two, one, row) = (Shape::batched(&[2]), Shape::batched(&[1]), Shape::batched(&[]));
        assert_eq!(op.output_shape(&[two.clone(), two.clone(), row.clone()]), Ok(Shape::scalar()));
        assert_eq!(op.output_shape(&[one.clone(), row.clone()]), Ok(Shape::scalar()));
        for (inputs, parts) in [
            (vec![two.clone()], ["2 or 3", "got 1"]),
            (vec![two.clone(), one.clone()], ["expected [batch, 2]", "got [batch, 1]"]),
            (vec![two.clone(), row], ["expected [batch, 2]", "got [batch]"]),
            (vec![two.clone(), two.clone(), one], ["expected [batch]", "got [batch, 1]"]),
            (vec![Shape::scalar(), Shape::scalar(), Shape::scalar()], ["row weights", "got []"]),
        ] {
            let message = op.output_shape(&inputs).expect_err("it does not fit").to_string();
            assert!(parts.iter().all(|part| message.contains(part)), "{message}");
        }
    }

    #[test]
    fn settings_outside_their_range_are_refused() {
        let row = [Shape::batched(&[2]), Shape::batched(&[2])];
        for bad in [0.0, -1.0, f32::INFINITY, f32::NAN] {
            let ops: [(&str, &dyn Op); 5] = [
                ("delta", &Elementwise::from(Huber { delta: bad })),
                ("beta", &Elementwise::from(SmoothL1 { beta: bad })),
                ("positive_weight", &Elementwise::from(BinaryCrossEntropy { positive_weight: bad })),
                ("label_smoothing", &CrossEntropy { label_smoothing: bad - 0.5, ..CrossEntropy::default() }),
                ("class_weights", &CrossEntropy { class_weights: Some(vec![0.0, bad]), ..CrossEntropy::default() }),
            ];
            for (setting, op) in ops {
                let message = op.output_shape(&row).expect_err("out of range").to_string();
                assert!(message.contains(setting), "{message}");
            }
        }
    }

    #[test]
    fn settings_go_through_json() {
        let op = Elementwise { formula: Huber { delta: 0.5 }, reduction: Reduction::Sum };
        let attributes = op.attributes();
        let text = serde_json::to_string(&attributes).expect("an object");
        assert_eq!(text, r#"{"delta":0.5,"reduction":"sum"}"#);
        let read: Elementwise<Huber> = serde_json::from_str(&text).expect("the same object");
        assert_eq!(read, op);
        let plain = Elementwise::<SquaredError>::default().attributes();
        let read: Elementwise<SquaredError> =
            serde_json::from_value(serde_json::Value::Object(plain)).expect("the same object");
        assert_eq!(read, Elementwise::default());
    }
}
