//! Rows of a value replaced, or changed, by number: y = x but for y[b, i[b, j], :] = u[b, j, :] (or the sum with it, …), one after the other in
//! the order of j.
//!
//! Set: ∂L/∂x = dy where nothing was set, ∂L/∂u = dy of the row that it set last; sum: ∂L/∂x = dy, ∂L/∂u = dy of its row.

use serde::{Deserialize, Serialize};

use super::lookup::row;
use crate::ops::check::{Bound, Case, Input, Values};
use crate::ops::{Attributes, Backward, Forward, Op, Reads, Run, Sample, ShapeError, Sizes, attributes_of};
use crate::tensor::{Dim, Shape};

/// What becomes of a row that an update meets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ScatterMode {
    /// It is replaced.
    Set,
    /// The sum.
    Add,
    /// The product, without a gradient.
    Mul,
    /// The greater values, without a gradient.
    Max,
    /// The smaller values, without a gradient.
    Min,
}

/// x [batch, n, width], whole numbers i [batch, m] below n (others change nothing) and u [batch, m, width] → y [batch, n, width].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scatter {
    /// What becomes of a row that an update meets.
    pub mode: ScatterMode,
}

impl Op for Scatter {
    fn name(&self) -> &'static str {
        "Scatter"
    }

    fn attributes(&self) -> Attributes {
        attributes_of(self)
    }

    fn output_shape(&self, inputs: &[Shape]) -> Result<Shape, ShapeError> {
        let [x, indices, updates] = ShapeError::expect_inputs::<3>(inputs)?;
        let &[Dim::Batch, Dim::Fixed(1..), width @ Dim::Fixed(1..)] = x.axes() else {
            return Err(ShapeError::size("shape of the input", "[batch, n, width]", x));
        };
        let &[Dim::Batch, count @ Dim::Fixed(1..)] = indices.axes() else {
            return Err(ShapeError::size("shape of the numbers", "[batch, m]", indices));
        };
        let expected = Shape::new([Dim::Batch, count, width])?;
        if *updates != expected {
            return Err(ShapeError::size("shape of the updates", expected, updates));
        }
        Ok(x.clone())
    }

    fn reads(&self) -> Reads {
        Reads::inputs(&[1])
    }

    fn differentiable(&self, index: usize) -> bool {
        index != 1 && matches!(self.mode, ScatterMode::Set | ScatterMode::Add)
    }

    fn flops(&self, at: Sizes) -> u64 {
        at.input_elements(2) as u64
    }

    fn reference(&self, at: &Sample) -> Option<Vec<f64>> {
        let [n, width, count] = [at.dims[0][1], at.dims[0][2], at.dims[1][1]];
        let mut y = at.inputs[0].clone();
        for (place, &index) in at.inputs[1].iter().enumerate() {
            if !(0.0..n as f64).contains(&index) {
                continue;
            }
            for i in 0..width {
                let u = at.inputs[2][place * width + i];
                let y = &mut y[(place / count * n + index as usize) * width + i];
                *y = match self.mode {
                    ScatterMode::Set => u,
                    ScatterMode::Add => *y + u,
                    ScatterMode::Mul => *y * u,
                    ScatterMode::Max => y.max(u),
                    ScatterMode::Min => y.min(u),
                };
            }
        }
        Some(y)
    }

    fn forward(&self, _: &Run, pass: Forward) {
        let [x, indices, updates] = [pass.inputs[0], pass.inputs[1], pass.inputs[2]];
        let width = x.dims[2];
        pass.output.copy_from_slice(x.data);
        for (place, updates) in updates.data.chunks_exact(width).enumerate() {
            let Some(row) = row(indices.data, place, indices.data.len(), [x.dims[0], x.dims[1]]) else { continue };
            for (y, &u) in pass.output[row * width..][..width].iter_mut().zip(updates) {
                *y = match self.mode {
                    ScatterMode::Set => u,
                    ScatterMode::Add => *y + u,
                    ScatterMode::Mul => *y * u,
                    ScatterMode::Max => {
                        if *y >= u || y.is_nan() {
                            *y
                        } else {
                            u
                        }
                    }
                    ScatterMode::Min => {
                        if *y <= u || y.is_nan() {
                            *y
                        } else {
                            u
                        }
                    }
                };
            }
        }
    }

    fn backward(&self, _: &Run, pass: Backward) {
        let [x, indices] = [pass.inputs[0], pass.inputs[1]];
        let (width, rows) = (x.dims[2], indices.data.len());
        let of = |place: usize| row(indices.data, place, rows, [x.dims[0], x.dims[1]]);
        let [dx, _, du] = &mut pass.dx[..] else { return };
        let sets = self.mode == ScatterMode::Set;
        if let Some(dx) = dx {
            dx.copy_from_slice(pass.dy);
            for row in (0..rows).filter_map(of).filter(|_| sets) {
                dx[row * width..][..width].fill(0.0);
            }
        }
        if let Some(du) = du {
            for (place, du) in du.chunks_exact_mut(width).enumerate() {
                let row = of(place).filter(|_| !sets || !(place + 1..rows).any(|later| of(later) == of(place)));
                match row {
                    Some(row) => du.copy_from_slice(&pass.dy[row * width..][..width]),
                    None => du.fill(0.0),
                }
            }
        }
    }
}

/// What the checks run on.
pub(in crate::ops) fn cases() -> Vec<Case> {
    let of = |mode: ScatterMode, [n, width, count]: [usize; 3]| {
        let numbers = Input::new(Shape::batched(&[count]), Values::Labels(n as u32 + 1));
        let bound = Bound::magnitude(4.0, "sums and products of some updates").and_absolute(4.0);
        Case::new(Scatter { mode }, [Input::batched(&[n, width]), numbers, Input::batched(&[count, width])])
            .named(format!("{mode:?}, {count} updates of {n} rows of {width}"))
            .within(bound, bound)
            .refuses([Shape::batched(&[2, 2]), Shape::batched(&[2]), Shape::batched(&[2])], "shape of the updates")
            .refuses([Shape::batched(&[2, 2]), Shape::batched(&[2])], "takes 3 inputs, got 2")
    };
    use ScatterMode::*;
    [Set, Add, Mul, Max, Min].into_iter().flat_map(|mode| [of(mode, [5, 3, 4]), of(mode, [3, 1, 7])]).collect()
}
