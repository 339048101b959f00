//! Rotary positions: the pairs of values of each query and key are turned by an angle that grows with the position, so that
//! a product of two depends on the distance of their steps.
//!
//! Shapes: x [batch, time, values] → y as x. Of each step p (counted from the beginning of the sequence, whatever the
//! window), the first `heads` vectors of `size` values are turned: with i < size/2 and φ = p · base^(-2i/size),
//!
//! - yᵢ = xᵢ cos φ - xᵢ₊ₛ sin φ, yᵢ₊ₛ = xᵢ₊ₛ cos φ + xᵢ sin φ, where s = size/2
//! - ∂L/∂x is dy turned back, by -φ.
//!
//! Values behind these vectors stay as they are: of queries, keys and values side by side, the first two thirds are turned.
//!
//! Su, Lu, Pan, Wen and Liu, "RoFormer: enhanced transformer with rotary position embedding", 2021, with the halves of a vector
//! as pairs, as GPT-NeoX and LLaMA have it.

use kernels::device::Device;
use kernels::positions::{Turn, angles, turn};

use super::check::{Bound, Case, Input};
use super::{Attributes, Backward, Forward, Memory, Op, Reads, Run, Sample, ShapeError, Sizes, attributes_of};
use crate::tensor::{Dim, Shape};

/// Turns the first vectors of each step by the angles of its position.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RotaryEmbedding {
    /// Vectors of a step that are turned, from its beginning: the heads of the queries and those of the keys.
    pub heads: usize,
    /// Values of a vector, an even number.
    pub size: usize,
    /// The slowest pair turns once in about 2π · base steps; 10000 by default.
    #[serde(default = "usual_base")]
    pub base: f32,
}

fn usual_base() -> f32 {
    1e4
}

impl RotaryEmbedding {
    /// For `heads` vectors of `size` values, with the usual base.
    pub fn new(heads: usize, size: usize) -> RotaryEmbedding {
        RotaryEmbedding { heads, size, base: usual_base() }
    }

    fn angles(&self, at: Sizes) -> usize {
        at.output[1] * self.size
    }

    /// Turns `x` [batch, time, values] by the angles of its steps, or back.
    fn turn(&self, run: &Run, dims: &[usize], back: bool, scratch: &mut [f32], x: &mut [f32]) {
        let device: &Device = run.device;
        let (sines, cosines) = scratch.split_at_mut(dims[1] * self.size / 2);
        let frequency = |pair: usize| {
            libm::pow(f64::from(self.base), -2.0 * pair as f64 / self.size as f64) / std::f64::consts::TAU
        };
        angles(device, self.size / 2, frequency, run.past, sines, cosines);
        turn(device, Turn { width: dims[2], heads: self.heads, size: self.size, back }, sines, cosines, x);
    }
}

impl Op for RotaryEmbedding {
    fn name(&self) -> &'static str {
        "RotaryEmbedding"
    }

    fn attributes(&self) -> Attributes {
        attributes_of(self)
    }

    fn output_shape(&self, inputs: &[Shape]) -> Result<Shape, ShapeError> {
        let [x] = ShapeError::expect_inputs::<1>(inputs)?;
        ShapeError::expect_setting("base", self.base, "a number above 1", |base| base > 1.0)?;
        let &[Dim::Batch, Dim::Fixed(1..), Dim::Fixed(values)] = x.axes() else {
            return Err(ShapeError::size("shape of the input", "[batch, time, values]", x));
        };
        if self.size == 0 || !self.size.is_multiple_of(2) {
            let expected = "an even number from 2 on".to_string();
            return Err(ShapeError::Setting { name: "size of a head", expected, found: self.size.to_string() });
        }
        if self.heads.checked_mul(self.size).is_none_or(|turned| turned > values) {
            let expected = format!("at least {} heads of {}", self.heads, self.size);
            return Err(ShapeError::size("values of a step", expected, values));
        }
        Ok(x.clone())
    }

    fn reads(&self) -> Reads {
        Reads::NOTHING
    }

    fn memory(&self, at: Sizes, training: bool) -> Memory {
        let angles = self.angles(at);
        Memory { forward: angles, backward: if training { angles } else { 0 }, ..Memory::default() }
    }

    fn ignores_padding(&self, _: usize) -> bool {
        true
    }

    fn flops(&self, at: Sizes) -> u64 {
        3 * (at.output[0] * at.output[1] * self.heads * self.size) as u64
    }

    fn in_place(&self) -> bool {
        true
    }

    fn reference(&self, at: &Sample) -> Option<Vec<f64>> {
        let (x, time, values) = (&at.inputs[0], at.dims[0][1], at.dims[0][2]);
        let turned = |i: usize| {
            let (step, value) = (i / values % time, i % values);
            if value >= self.heads * self.size {
                return x[i];
            }
            let (pair, half) = (value % self.size % (self.size / 2), self.size / 2);
            let angle = step as f64 * libm::pow(f64::from(self.base), -2.0 * pair as f64 / self.size as f64);
            let other = if value % self.size < half { -x[i + half] } else { x[i - half] };
            x[i] * libm::cos(angle) + other * libm::sin(angle)
        };
        Some((0..x.len()).map(turned).collect())
    }

    fn forward(&self, run: &Run, pass: Forward) {
        let x = pass.inputs[0].data;
        if !x.is_empty() {
            pass.output.copy_from_slice(x);
        }
        self.turn(run, pass.dims, false, pass.scratch, pass.output);
    }

    fn backward(&self, run: &Run, pass: Backward) {
        let Some(dx) = &mut pass.dx[0] else { return };
        if !pass.dy.is_empty() {
            dx.copy_from_slice(pass.dy);
        }
        self.turn(run, pass.output.dims, true, pass.scratch, dx);
    }
}

/// What the checks run on.
pub(super) fn cases() -> Vec<Case> {
    let bound = Bound::relative(2.0, "two products, and angles of a unit or so").and_absolute(4.0);
    let of = |time: usize, values: usize, heads: usize, size: usize| {
        Case::new(RotaryEmbedding::new(heads, size), [Input::batched(&[time, values])])
            .named(format!("{time} steps of {values}, {heads} of {size}"))
            .within(bound, bound)
            .refuses([Shape::batched(&[values])], "shape of the input: expected [batch, time, values]")
            .refuses([Shape::batched(&[time, heads * size - 1])], "values of a step: expected at least")
            .refuses([], "takes 1 inputs, got 0")
    };
    vec![of(1, 2, 1, 2), of(7, 20, 3, 6), of(40, 96, 2, 32), of(5, 68, 2, 34)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_out_of_range_are_refused() {
        let x = [Shape::batched(&[4, 12])];
        for (op, message) in [
            (RotaryEmbedding::new(2, 3), "size of a head must be an even number from 2 on, but it is 3"),
            (RotaryEmbedding::new(2, 0), "size of a head must be an even number from 2 on, but it is 0"),
            (RotaryEmbedding::new(4, 4), "values of a step: expected at least 4 heads of 4, got 12"),
            (RotaryEmbedding { base: 1.0, ..RotaryEmbedding::new(1, 4) }, "base must be a number above 1, but it is 1"),
        ] {
            assert_eq!(op.output_shape(&x).expect_err("a wrong setting").to_string(), message);
        }
    }
}
