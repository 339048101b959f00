//! Transposed convolution in one or two dimensions: every input value adds the kernel, times itself, to a patch of the
//! output. It is the gradient of [`super::Conv`] with respect to its input:
//! y[n, o, i·s + k·d − p, j·s + l·d − p] += Σ_c w[c, o, k, l] · x[n, c, i, j], and then b[o].
//!
//! Shapes: x [batch, in, height, width], w [in, out/groups, kernel height, kernel width], b [out] → y [batch, out, …] of
//! the size (size − 1)·s − p before − p behind + d·(kernel − 1) + 1 + output padding; or the same without heights.
//!
//! With dy = ∂L/∂y: ∂L/∂x is the convolution of dy with w; ∂L/∂w is that of the convolution's weight, x and dy having
//! changed places; ∂L/∂b = Σ_{n, i, j} dy.
//!
//! (Zeiler, Krishnan, Taylor and Fergus, "Deconvolutional networks", CVPR 2010; Dumoulin and Visin, 2016.)

use kernels::conv::{
    After, Weights, bias_gradient, forward, forward_scratch, input_gradient, input_gradient_scratch, weight_gradient,
    weight_gradient_scratch,
};

use super::check::{Bound, Case, Input};
use super::convolution::{Settings, output};
use super::{Attributes, Backward, Forward, Memory, Op, Reads, Run, Sample, ShapeError, Sizes, attributes_of};
use crate::tensor::{Shape, Tensor};

/// Transposed convolution with inputs x, w and, unless there is no bias, b.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConvTranspose {
    /// From one patch of the output to the next, one number for each axis (one or two), at least 1.
    pub stride: Vec<usize>,
    /// What is cut off the output: before each axis, then behind each ([top, left, bottom, right] or [left, right]).
    pub padding: Vec<usize>,
    /// What is added behind each axis of the output, less than the stride or the dilation: of the sizes that a convolution
    /// leads to the size of x, it chooses one.
    pub output_padding: Vec<usize>,
    /// From one place of a patch to the next, one number for each axis, at least 1.
    pub dilation: Vec<usize>,
    /// Groups of channels, a divisor of both numbers of channels.
    pub groups: usize,
}

impl ConvTranspose {
    /// Over `axes` axes, patches at every place, nothing cut off.
    pub fn new(axes: usize) -> ConvTranspose {
        let (one, none) = (vec![1; axes], vec![0; axes]);
        ConvTranspose {
            stride: one.clone(),
            padding: vec![0; 2 * axes],
            output_padding: none,
            dilation: one,
            groups: 1,
        }
    }

    fn settings(&self) -> Settings<'_> {
        let ConvTranspose { stride, padding, dilation, groups, output_padding: _ } = self;
        Settings { stride, padding, dilation, groups: *groups }
    }

    /// The convolution that leads from y to x.
    fn conv(&self, inputs: &[Tensor], y: &[usize]) -> kernels::conv::Conv {
        self.settings().conv(y, inputs[1].dims, inputs[0].dims)
    }
}

impl Op for ConvTranspose {
    fn name(&self) -> &'static str {
        "ConvTranspose"
    }

    fn attributes(&self) -> Attributes {
        attributes_of(self)
    }

    fn output_shape(&self, inputs: &[Shape]) -> Result<Shape, ShapeError> {
        let (settings, groups) = (self.settings(), self.groups);
        let sizes = settings.inputs(inputs, "[in, out/groups, kernel…]", |_, outer| outer.saturating_mul(groups))?;
        let [inner, outer] = sizes.weight;
        if inner != sizes.channels {
            let expected = format!("{inner} (as the weight {} has)", inputs[1]);
            return Err(ShapeError::size(
                "channels of the input",
                expected,
                format!("{} in {}", sizes.channels, inputs[0]),
            ));
        }
        if !inner.is_multiple_of(groups) {
            let expected = format!("a multiple of the {groups} groups");
            return Err(ShapeError::size("channels of the input", expected, format!("{inner} in {}", inputs[0])));
        }
        let axes = settings.axes();
        let right = |axis: usize| self.output_padding[axis] < self.stride[axis].max(self.dilation[axis]);
        if self.output_padding.len() != axes || !(0..axes).all(right) {
            let expected = format!("{axes} whole numbers, each less than the stride or the dilation of its axis");
            let found = format!("{:?}", self.output_padding);
            return Err(ShapeError::Setting { name: "output_padding", expected, found });
        }
        let mut size = Vec::new();
        for axis in 0..axes {
            let reach = self.dilation[axis] * (sizes.kernel[axis] - 1) + 1;
            let full = (sizes.size[axis] - 1) * self.stride[axis] + reach + self.output_padding[axis];
            let cut = self.padding[axis] + self.padding[axis + axes];
            if cut >= full {
                let name = settings.axis_name(axis);
                let expected = format!(
                    "less than the {name} of the whole output, {full} (input {}, weight {})",
                    inputs[0], inputs[1]
                );
                return Err(ShapeError::size("padding", expected, cut));
            }
            size.push(full - cut);
        }
        output(outer.saturating_mul(groups), &size)
    }

    fn reads(&self) -> Reads {
        Reads::inputs(&[0, 1])
    }

    fn memory(&self, at: Sizes, training: bool) -> Memory {
        let conv = self.settings().conv(at.output, at.inputs[1], at.inputs[0]);
        let backward = forward_scratch(&conv).max(weight_gradient_scratch(&conv));
        Memory {
            saved: 0,
            forward: input_gradient_scratch(&conv),
            backward: if training { backward } else { 0 },
            ..Memory::default()
        }
    }

    fn flops(&self, at: Sizes) -> u64 {
        2 * self.settings().conv(at.output, at.inputs[1], at.inputs[0]).multiply_adds() as u64
    }

    fn takes_epilogue(&self) -> bool {
        true
    }

    fn reference(&self, at: &Sample) -> Option<Vec<f64>> {
        Some(reference(self, at))
    }

    fn forward(&self, run: &Run, pass: Forward) {
        let conv = self.conv(pass.inputs, pass.dims);
        let [x, weight] = [pass.inputs[0].data, pass.inputs[1].data];
        let after = After { bias: pass.inputs.get(2).map(|bias| bias.data), epilogue: pass.epilogue };
        input_gradient(run.device, &conv, x, weight, after, pass.output, pass.scratch);
    }

    fn backward(&self, run: &Run, pass: Backward) {
        let conv = self.conv(pass.inputs, pass.output.dims);
        let [x, weight] = [pass.inputs[0].data, pass.inputs[1].data];
        if let Some(db) = pass.dx.get_mut(2).and_then(Option::as_mut) {
            bias_gradient(run.device, conv.batch, pass.dy, db);
        }
        if let Some(dw) = &mut pass.dx[1] {
            weight_gradient(run.device, &conv, pass.dy, x, dw, pass.scratch);
        }
        if let Some(dx) = &mut pass.dx[0] {
            forward(run.device, &conv, pass.dy, Weights::Plain(weight), After::default(), dx, pass.scratch);
        }
    }
}

/// The output by plain loops: every input value adds its patch.
fn reference(op: &ConvTranspose, at: &Sample) -> Vec<f64> {
    let conv = op.settings().conv(at.output_dims, &at.dims[1], &at.dims[0]);
    let (inner, outer) = (conv.out_channels / conv.groups, conv.in_channels / conv.groups);
    let [rows, columns] = conv.input;
    let plane = rows * columns;
    let bias = |i: usize| at.inputs.get(2).map_or(0.0, |bias| bias[i / plane % conv.in_channels]);
    let mut y: Vec<f64> = (0..conv.batch * conv.in_channels * plane).map(bias).collect();
    let mut values = at.inputs[0].iter();
    for n in 0..conv.batch {
        for c in 0..conv.out_channels {
            for i in 0..conv.output[0] {
                for j in 0..conv.output[1] {
                    let x = values.next().expect("a value for each place");
                    for o in 0..outer {
                        for k in 0..conv.kernel[0] {
                            for l in 0..conv.kernel[1] {
                                let row = (i * conv.stride[0] + k * conv.dilation[0]).wrapping_sub(conv.padding[0]);
                                let column = (j * conv.stride[1] + l * conv.dilation[1]).wrapping_sub(conv.padding[1]);
                                if row < rows && column < columns {
                                    let channel = n * conv.in_channels + c / inner * outer + o;
                                    let weight = ((c * outer + o) * conv.kernel[0] + k) * conv.kernel[1] + l;
                                    y[(channel * rows + row) * columns + column] += x * at.inputs[1][weight];
                                }
                            }
                        }
                    }
                }
            }
        }
    }
    y
}

/// What the checks run on.
pub(super) fn cases() -> Vec<Case> {
    let of = |name: &str, op: ConvTranspose, sample: &[usize], weight: &[usize], with_bias: bool| {
        let outputs = weight[1] * op.groups;
        let mut inputs = vec![Input::batched(sample), Input::fixed(weight)];
        inputs.extend(with_bias.then(|| Input::fixed(&[outputs])));
        // The longest sum is the gradient of a bias, over the largest batch and all places.
        let size = |(axis, size): (usize, &usize)| size * op.stride[axis] + op.dilation[axis] * weight[axis + 2] + 2;
        let places = 3 * sample[1..].iter().enumerate().map(size).product::<usize>();
        let terms = weight.iter().product::<usize>().max(places);
        let bound = Bound::magnitude(0.5 * (terms + 9) as f64, "half a unit for each of the terms of a sum");
        let [x, w, b] = [Shape::batched(sample), Shape::fixed(weight), Shape::fixed(&[outputs])];
        let other = if sample.len() == 2 { Shape::batched(&[2, 8, 8]) } else { Shape::batched(&[2, 8]) };
        let wider = [&[sample[0] + 1], &sample[1..]].concat();
        Case::new(op, inputs)
            .named(name)
            .batches([1, 3])
            .within(bound, bound)
            .refuses([x.clone()], "takes 2 or 3 inputs, got 1")
            .refuses([other, w.clone()], "shape of the input: expected [batch, channels, ")
            .refuses([x.clone(), b.clone()], "shape of the weight: expected [in, out/groups, kernel…]")
            .refuses([Shape::batched(&wider), w.clone()], "channels of the input: expected ")
            .refuses([x, w, Shape::fixed(&[outputs + 1])], "shape of the bias")
    };
    let plain = ConvTranspose::new(2);
    let double = ConvTranspose { stride: vec![2; 2], ..plain.clone() };
    let padded = ConvTranspose { padding: vec![1; 4], output_padding: vec![1; 2], ..double.clone() };
    vec![
        of("1x1", plain.clone(), &[3, 4, 5], &[3, 4, 1, 1], true),
        of("3x3", plain.clone(), &[2, 4, 3], &[2, 3, 3, 3], true),
        of("2x2 stride 2", double.clone(), &[3, 4, 5], &[3, 2, 2, 2], true),
        of("3x3 stride 2 pad 1 out 1", padded.clone(), &[2, 5, 4], &[2, 20, 3, 3], true),
        of("gaps", ConvTranspose { stride: vec![3, 4], ..plain.clone() }, &[2, 3, 4], &[2, 3, 2, 1], true),
        of("dilation", ConvTranspose { dilation: vec![2, 3], ..double }, &[2, 4, 3], &[2, 3, 3, 2], false),
        of("asymmetric", ConvTranspose { padding: vec![0, 2, 1, 0], ..plain.clone() }, &[2, 4, 5], &[2, 3, 3, 4], true)
            .refuses(
                [Shape::batched(&[2, 1, 5]), Shape::fixed(&[2, 3, 1, 4])],
                "padding: expected less than the height of the whole output, 1",
            ),
        of("groups", ConvTranspose { groups: 2, ..padded.clone() }, &[4, 3, 4], &[4, 3, 3, 3], true).refuses(
            [Shape::batched(&[3, 3, 4]), Shape::fixed(&[3, 3, 3, 3])],
            "channels of the input: expected a multiple of the 2 groups",
        ),
        of("depthwise", ConvTranspose { groups: 3, ..padded }, &[3, 4, 9], &[3, 1, 3, 3], true),
        of("line", ConvTranspose { stride: vec![2], ..ConvTranspose::new(1) }, &[4, 7], &[4, 3, 4], true),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_output_padding_must_be_less_than_the_stride() {
        let inputs = [Shape::batched(&[2, 5, 5]), Shape::fixed(&[2, 3, 3, 3])];
        for output_padding in [vec![2, 0], vec![0], vec![usize::MAX; 2]] {
            let op = ConvTranspose { stride: vec![2; 2], output_padding, ..ConvTranspose::new(2) };
            let error = op.output_shape(&inputs).expect_err("refused").to_string();
            assert!(error.contains("output_padding must be 2 whole numbers, each less than the stride"), "{error}");
        }
    }
}
