//! Sinusoidal positions: each step gets a pattern of sines and cosines of its position added, of wavelengths from 2π to
//! 2π · 10000.
//!
//! Shapes: x [batch, time, width] → y as x. At position p, counted from the beginning of the sequence, whatever the window:
//!
//! - y₂ᵢ = x₂ᵢ + sin(p · 10000^(-2i/width)), y₂ᵢ₊₁ = x₂ᵢ₊₁ + cos(p · 10000^(-2i/width))
//! - ∂L/∂x = dy
//!
//! (Vaswani et al., "Attention is all you need", 2017, section 3.5.)

use kernels::binary;
use kernels::positions::angles;

use super::check::{Bound, Case, Input};
use super::{Backward, Forward, Memory, Op, Reads, Run, Sample, ShapeError, Sizes};
use crate::tensor::{Dim, Shape};

const BASE: f64 = 1e4;

/// Adds sines and cosines of the position.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct SinusoidalPositions;

impl Op for SinusoidalPositions {
    fn name(&self) -> &'static str {
        "SinusoidalPositions"
    }

    fn output_shape(&self, inputs: &[Shape]) -> Result<Shape, ShapeError> {
        let [x] = ShapeError::expect_inputs::<1>(inputs)?;
        match x.axes() {
            [Dim::Batch, Dim::Fixed(1..), Dim::Fixed(1..)] => Ok(x.clone()),
            _ => Err(ShapeError::size("shape of the input", "[batch, time, width]", x)),
        }
    }

    fn reads(&self) -> Reads {
        Reads::NOTHING
    }

    /// Angles, and the pattern.
    fn memory(&self, at: Sizes, _: bool) -> Memory {
        let (time, width) = (at.output[1], at.output[2]);
        Memory { forward: time * (2 * width.div_ceil(2) + width), ..Memory::default() }
    }

    fn ignores_padding(&self, _: usize) -> bool {
        true
    }

    fn flops(&self, at: Sizes) -> u64 {
        at.output_elements() as u64
    }

    fn in_place(&self) -> bool {
        true
    }

    fn reference(&self, at: &Sample) -> Option<Vec<f64>> {
        let (time, width) = (at.dims[0][1], at.dims[0][2]);
        let pattern = |i: usize| {
            let (position, value) = ((i / width % time) as f64, i % width);
            let angle = position * libm::pow(BASE, -((value / 2 * 2) as f64) / width as f64);
            if value % 2 == 0 { libm::sin(angle) } else { libm::cos(angle) }
        };
        Some(at.inputs[0].iter().enumerate().map(|(i, x)| x + pattern(i)).collect())
    }

    fn forward(&self, run: &Run, pass: Forward) {
        let (time, width) = (pass.dims[1], pass.dims[2]);
        let pairs = width.div_ceil(2);
        let (both, pattern) = pass.scratch.split_at_mut(2 * time * pairs);
        let (sines, cosines) = both.split_at_mut(time * pairs);
        let frequency = |pair: usize| libm::pow(BASE, -2.0 * pair as f64 / width as f64) / std::f64::consts::TAU;
        angles(run.device, pairs, frequency, run.past, sines, cosines);
        for (i, value) in pattern.iter_mut().enumerate() {
            let at = i / width * pairs + i % width / 2;
            *value = if i % width % 2 == 0 { sines[at] } else { cosines[at] };
        }
        match pass.inputs[0].data {
            [] => binary::zip_row_in_place(run.device, binary::Add, pass.output, pattern),
            x => binary::zip_row(run.device, binary::Add, x, pattern, pass.output),
        }
    }

    fn backward(&self, _: &Run, pass: Backward) {
        let Some(dx) = pass.dx[0].as_mut().filter(|_| !pass.dy.is_empty()) else { return };
        dx.copy_from_slice(pass.dy);
    }
}

/// What the checks run on.
pub(super) fn cases() -> Vec<Case> {
    let of = |time: usize, width: usize| {
        let value = Bound::ROUNDED.and_absolute(4.0);
        Case::new(SinusoidalPositions, [Input::batched(&[time, width])])
            .named(format!("{time} steps of {width}"))
            .within(value, Bound::EXACT)
            .refuses([Shape::batched(&[width])], "shape of the input: expected [batch, time, width]")
            .refuses([], "takes 1 inputs, got 0")
    };
    vec![of(1, 1), of(5, 6), of(7, 5), of(40, 64)]
}
