//! Scaled dot-product attention of many heads: each step's query takes the mean of the values that it sees, weighted by
//! softmax(q·k / √size) over their keys.
//!
//! Shapes: x [batch, time, 3·width], queries, keys and values side by side → y [batch, time, width]; or, if keys and values are
//! those of another sequence (`cross`), q [batch, time, width] and kv [batch, other, 2·width]. Head h has the values from
//! h·width/heads on of each. Where sequences differ in length, a last input, lengths [batch], says how many steps of the keys
//! are real; nobody looks at the others.
//!
//! With P the weights of a head and dP = dY·Vᵀ: dV = Pᵀ·dY, dS = P ⊙ (dP - D), where D is the sum of dY ⊙ Y over the values,
//! dQ = dS·K / √size, dK = dSᵀ·Q / √size. Scores are there block by block only (`kernels::attention`); the forward pass saves
//! the logarithm of the sum of exponentials of each query and head.
//!
//! At inference, windows of a long sequence follow each other where the plan carries: kept are keys and values of `context`
//! steps, in a ring, those of step t in place t mod `context`. In training each window stands alone: attention does not look
//! back at the one before.
//!
//! Vaswani et al., "Attention is all you need", 2017.

use kernels::attention::{Attention as Kernel, AttentionGradient, Earlier, Heads, MAX_SIZE, Sight, Wanted};

use super::check::{Bound, Case, Input, Values};
use super::{Attributes, Backward, Forward, Memory, Op, Reads, Run, Sample, ShapeError, Sizes, attributes_of};
use crate::tensor::{Dim, Shape, Tensor};

/// Steps at most that attention looks back over.
const MAX_CONTEXT: usize = 1 << 20;

/// Attention with the input x, or q and kv; and lengths, if sequences differ in length.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attention {
    /// Number of heads; divides the width. A head has at most 512 values.
    pub heads: usize,
    /// Causal: steps that a query looks back over, its own included, from 1 to 2²⁰. Without, it sees all steps of the
    /// sequence, later ones too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<usize>,
    /// Keys and values are those of another sequence; false by default.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cross: bool,
}

/// [batch, time, values]: the sizes of the last two.
fn sequence(x: &Shape) -> Result<(usize, usize), ShapeError> {
    match x.axes() {
        &[Dim::Batch, Dim::Fixed(time @ 1..), Dim::Fixed(values @ 1..)] => Ok((time, values)),
        _ => Err(ShapeError::size("shape of the input", "[batch, time, values]", x)),
    }
}

impl Attention {
    /// The inputs besides lengths.
    fn sources(&self) -> usize {
        if self.cross { 2 } else { 1 }
    }

    /// Time steps of the queries and of the keys, and the width.
    fn sizes(&self, inputs: &[&[usize]]) -> (usize, usize, usize) {
        let (x, other) = (inputs[0], inputs[self.sources() - 1]);
        (x[1], other[1], if self.cross { x[2] } else { x[2] / 3 })
    }

    fn kernel<'a>(&self, inputs: &[Tensor<'a>], earlier: Option<Earlier<'a>>) -> Kernel<'a> {
        let (x, other) = (inputs[0], inputs[self.sources() - 1]);
        let (queries, keys, width) = self.sizes(&[x.dims, inputs[self.sources() - 1].dims]);
        // Keys begin behind the queries, if they lie beside them.
        let (first, step) = if self.cross { (0, 2 * width) } else { (width, 3 * width) };
        let from = |offset: usize| Heads { data: other.data.get(offset..).unwrap_or(&[]), sequence: keys * step, step };
        Kernel {
            sequences: x.dims[0],
            heads: self.heads,
            size: width / self.heads,
            queries,
            keys,
            sight: self.context.map_or(Sight::All, Sight::Back),
            lengths: inputs.get(self.sources()).map(|lengths| lengths.data),
            q: Heads { data: x.data, sequence: queries * x.dims[2], step: x.dims[2] },
            k: from(first),
            v: from(first + width),
            earlier,
        }
    }
}

impl Op for Attention {
    fn name(&self) -> &'static str {
        "Attention"
    }

    fn attributes(&self) -> Attributes {
        attributes_of(self)
    }

    fn output_shape(&self, inputs: &[Shape]) -> Result<Shape, ShapeError> {
        let (x, kv, lengths) = match (inputs, self.cross) {
            ([x], false) => (x, None, None),
            ([x, lengths], false) => (x, None, Some(lengths)),
            ([q, kv], true) => (q, Some(kv), None),
            ([q, kv, lengths], true) => (q, Some(kv), Some(lengths)),
            _ => {
                let expected = if self.cross { "2 or 3" } else { "1 or 2" };
                return Err(ShapeError::InputCount { expected, found: inputs.len() });
            }
        };
        let (_, values) = sequence(x)?;
        let width = match kv {
            None if values.is_multiple_of(3) => values / 3,
            None => return Err(ShapeError::size("values of a step", "queries, keys and values of one width", values)),
            Some(kv) => {
                let (_, found) = sequence(kv)?;
                if found != 2 * values {
                    return Err(ShapeError::size("values of a step of the keys", 2 * values, found));
                }
                values
            }
        };
        let Attention { heads, context, .. } = *self;
        if heads == 0 || !width.is_multiple_of(heads) || width / heads > MAX_SIZE {
            let expected = format!("a divisor of the width {width}, for heads of at most {MAX_SIZE} values");
            return Err(ShapeError::Setting { name: "heads", expected, found: heads.to_string() });
        }
        if context.is_some_and(|context| !(1..=MAX_CONTEXT).contains(&context) || self.cross) {
            let expected = if self.cross { "left out for another sequence" } else { "from 1 to 1048576" };
            let found = context.map_or(String::new(), |context| context.to_string());
            return Err(ShapeError::Setting { name: "context", expected: expected.to_string(), found });
        }
        if let Some(lengths) = lengths.filter(|lengths| **lengths != Shape::batched(&[])) {
            return Err(ShapeError::size("shape of the lengths", Shape::batched(&[]), lengths));
        }
        Ok(x.with_last(width))
    }

    fn reads(&self) -> Reads {
        Reads::inputs(&[0, 1, 2]).and_output()
    }

    fn differentiable(&self, index: usize) -> bool {
        index < self.sources()
    }

    fn memory(&self, at: Sizes, training: bool) -> Memory {
        let (queries, _, width) = self.sizes(at.inputs);
        let batch = at.inputs[0][0];
        let sums = if training { batch * self.heads * queries } else { 0 };
        let carried = self.context.map_or(0, |context| batch * context * 2 * width);
        Memory { saved: sums, forward: 0, backward: sums, carried }
    }

    fn ignores_padding(&self, inputs: usize) -> bool {
        self.context.is_some() || inputs > self.sources()
    }

    fn flops(&self, at: Sizes) -> u64 {
        let (queries, keys, width) = self.sizes(at.inputs);
        let pairs = match self.context.map(|context| context.min(keys)) {
            Some(most) => most * (most + 1) / 2 + (keys - most) * most,
            None => queries * keys,
        };
        4 * at.inputs[0][0] as u64 * pairs as u64 * width as u64
    }

    fn reference(&self, at: &Sample) -> Option<Vec<f64>> {
        Some(reference(self, at))
    }

    fn forward(&self, run: &Run, pass: Forward) {
        let carried = pass.carried;
        let places = self.context.filter(|_| !run.training && !carried.is_empty());
        let (_, steps, width) = self.sizes(&[pass.inputs[0].dims, pass.inputs[self.sources() - 1].dims]);
        let earlier = places.map(|places| {
            let of = |data| Heads { data, sequence: places * 2 * width, step: 2 * width };
            Earlier { keys: of(&carried[..]), values: of(&carried[width..]), places, past: run.past }
        });
        self.kernel(pass.inputs, earlier).forward(run.device, pass.output, pass.saved);
        let Some(places) = places else { return };
        let x = pass.inputs[0].data;
        for (ring, window) in carried.chunks_exact_mut(places * 2 * width).zip(x.chunks_exact(steps * 3 * width)) {
            for (step, row) in window.chunks_exact(3 * width).enumerate().skip(steps.saturating_sub(places)) {
                ring[(run.past + step) % places * 2 * width..][..2 * width].copy_from_slice(&row[width..]);
            }
        }
    }

    fn backward(&self, run: &Run, pass: Backward) {
        let wanted = match pass.dx {
            [Some(dq), Some(dk_dv), ..] => Wanted::Apart { dq: Some(dq), dk_dv: Some(dk_dv) },
            [None, Some(dk_dv), ..] => Wanted::Apart { dq: None, dk_dv: Some(dk_dv) },
            [Some(dq), ..] if self.cross => Wanted::Apart { dq: Some(dq), dk_dv: None },
            [Some(dx), ..] => Wanted::Stacked(dx),
            _ => return,
        };
        let (y, dy, log_sums, scratch) = (pass.output.data, pass.dy, pass.saved, pass.scratch);
        self.kernel(pass.inputs, None).backward(run.device, AttentionGradient { y, dy, log_sums, scratch, wanted });
    }
}

/// The plainest attention there is, of one batch; `kv` are keys and values side by side, behind `offset` values.
fn reference(op: &Attention, at: &Sample) -> Vec<f64> {
    let (x, other) = (&at.inputs[0], &at.inputs[op.sources() - 1]);
    let dims: Vec<&[usize]> = at.dims.iter().map(|dims| dims.as_slice()).collect();
    let (queries, keys, width) = op.sizes(&dims);
    let (query_step, key_step) = (at.dims[0][2], at.dims[op.sources() - 1][2]);
    let (of_keys, size) = (key_step - 2 * width, width / op.heads);
    let mut y = Vec::with_capacity(at.output_dims.iter().product());
    for batch in 0..at.dims[0][0] {
        let real = at.inputs.get(op.sources()).map_or(keys, |lengths| lengths[batch] as usize);
        for i in 0..queries {
            let (first, end) = match op.context {
                Some(context) => ((i + 1).saturating_sub(context), real.min(i + 1)),
                None => (0, real),
            };
            for place in 0..width {
                let head = place / size * size;
                let query = &x[(batch * queries + i) * query_step + head..][..size];
                let row = |j: usize| &other[(batch * keys + j) * key_step + of_keys..];
                let score = |j: usize| -> f64 { query.iter().zip(&row(j)[head..]).map(|(q, k)| q * k).sum() };
                let scores: Vec<f64> = (first..end).map(|j| score(j) / (size as f64).sqrt()).collect();
                let greatest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                let weights: Vec<f64> = scores.iter().map(|score| libm::exp(score - greatest)).collect();
                let sum: f64 = weights.iter().sum();
                let value = |(n, weight): (usize, &f64)| weight / sum * row(first + n)[width + place];
                y.push(weights.iter().enumerate().map(value).sum());
            }
        }
    }
    y
}

/// What the checks run on.
pub(super) fn cases() -> Vec<Case> {
    let value = Bound::relative(8.0, "scores of some units, of which each has a sum of products").and_absolute(16.0);
    let gradient = Bound::relative(16.0, "that of the weights twice, and sums over the steps").and_absolute(64.0);
    let lengths = |time: usize| {
        let choice = [1, time.div_ceil(2), time].map(|length| length as f32);
        Input::new(Shape::batched(&[]), Values::Choice(choice.to_vec()))
    };
    let of = |name: &str, op: Attention, inputs: Vec<Input>| {
        Case::new(op, inputs).named(name).batches([1, 3]).within(value, gradient)
    };
    let own = |heads: usize, context: Option<usize>, time: usize, width: usize, padded: bool| {
        let op = Attention { heads, context, cross: false };
        let mut inputs = vec![Input::batched(&[time, 3 * width])];
        inputs.extend(padded.then(|| lengths(time)));
        let x = Shape::batched(&[time, 3 * width]);
        of(&format!("{time} steps, {context:?}{}", if padded { ", padded" } else { "" }), op, inputs)
            .refuses([Shape::batched(&[time])], "shape of the input: expected [batch, time, values]")
            .refuses([x.with_last(3 * width + 1)], "values of a step: expected queries, keys and values of one width")
            .refuses([x.with_last(3 * (heads * MAX_SIZE + heads))], "heads must be a divisor of the width")
            .refuses([x.clone(), x.clone()], "shape of the lengths: expected [batch]")
            .refuses([x.clone(), x.clone(), x], "takes 1 or 2 inputs, got 3")
    };
    let other = |queries: usize, keys: usize, padded: bool| {
        let op = Attention { heads: 2, context: None, cross: true };
        let (q, kv) = (Shape::batched(&[queries, 6]), Shape::batched(&[keys, 12]));
        let mut inputs = vec![Input::batched(&[queries, 6]), Input::batched(&[keys, 12])];
        inputs.extend(padded.then(|| lengths(keys)));
        of(&format!("{queries} steps, {keys} of another sequence, padded {padded}"), op, inputs)
            .refuses([q.clone()], "takes 2 or 3 inputs, got 1")
            .refuses([q.clone(), q.clone()], "values of a step of the keys: expected 12, got 6")
            .refuses([q.clone(), kv.clone(), q], "shape of the lengths: expected [batch]")
    };
    vec![
        own(1, None, 1, 1, false),
        own(3, None, 5, 12, false),
        own(3, Some(5), 5, 12, false),
        own(2, Some(3), 20, 6, true),
        own(1, None, 7, 17, true),
        own(2, Some(70), 70, 4, false),
        other(4, 9, false),
        other(9, 4, true),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_out_of_range_are_refused() {
        let x = [Shape::batched(&[4, 36])];
        let of = |heads, context| Attention { heads, context, cross: false }.output_shape(&x);
        assert_eq!(of(3, Some(2)), Ok(Shape::batched(&[4, 12])));
        for (heads, context, message) in [
            (0, None, "heads must be a divisor of the width 12, for heads of at most 512 values, but it is 0"),
            (5, None, "heads must be a divisor of the width 12, for heads of at most 512 values, but it is 5"),
            (3, Some(0), "context must be from 1 to 1048576, but it is 0"),
            (3, Some(1 << 21), "context must be from 1 to 1048576, but it is 2097152"),
        ] {
            assert_eq!(of(heads, context).expect_err("a wrong setting").to_string(), message);
        }
        let cross = Attention { heads: 2, context: Some(3), cross: true };
        let error = cross.output_shape(&[Shape::batched(&[4, 6]), Shape::batched(&[4, 12])]);
        assert!(error.expect_err("no order").to_string().starts_with("context must be left out"), "causal");
    }
}
