//! Convolution in one or two dimensions:
//! y[n, o, i, j] = b[o] + Σ_{c, k, l} w[o, c, k, l] · x[n, c, i·s + k·d − p, j·s + l·d − p].
//!
//! Shapes: x [batch, in, height, width], w [out, in/groups, kernel height, kernel width], b [out] → y [batch, out, …]; or
//! the same without heights. With several groups, output channels of group g see input channels of group g only; as many
//! groups as channels make it depthwise. Stride s, dilation d and padding p may differ between axes; the size of y is
//! ⌊(size + p before + p behind − d·(kernel − 1) − 1) / s⌋ + 1.
//!
//! With dy = ∂L/∂y: ∂L/∂x is dy spread by the stride and correlated with the kernel turned round; ∂L/∂w[o, c, k, l] =
//! Σ_{n, i, j} dy[n, o, i, j] · x[n, c, i·s + k·d − p, …]; ∂L/∂b = Σ_{n, i, j} dy.
//!
//! (Dumoulin and Visin, *A guide to convolution arithmetic for deep learning*, 2016, arXiv:1603.07285.)

use kernels::conv::{
    After, Weights, bias_gradient, forward, forward_scratch, input_gradient, input_gradient_scratch, pack,
    weight_gradient, weight_gradient_scratch,
};
use kernels::device::Device;
use kernels::gemm::PackedMatrix;

use super::check::{Bound, Case, Input, Values};
use super::convolution::{Settings, output};
use super::{Attributes, Backward, Forward, Memory, Op, Reads, Run, Sample, ShapeError, Sizes, attributes_of};
use crate::tensor::{Shape, Tensor};

/// Convolution with inputs x, w and, unless there is no bias, b.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Conv {
    /// From one patch to the next, one number for each axis (one or two), at least 1.
    pub stride: Vec<usize>,
    /// Zeros around x: before each axis, then behind each ([top, left, bottom, right] or [left, right]).
    pub padding: Vec<usize>,
    /// From one place of a patch to the next, one number for each axis, at least 1.
    pub dilation: Vec<usize>,
    /// Groups of channels, a divisor of both numbers of channels.
    pub groups: usize,
}

impl Conv {
    /// Over `axes` axes, every place a patch, without padding.
    pub fn new(axes: usize) -> Conv {
        Conv { stride: vec![1; axes], padding: vec![0; 2 * axes], dilation: vec![1; axes], groups: 1 }
    }

    fn settings(&self) -> Settings<'_> {
        let Conv { stride, padding, dilation, groups } = self;
        Settings { stride, padding, dilation, groups: *groups }
    }

    fn conv(&self, inputs: &[Tensor], y: &[usize]) -> kernels::conv::Conv {
        self.settings().conv(inputs[0].dims, inputs[1].dims, y)
    }
}

impl Op for Conv {
    fn name(&self) -> &'static str {
        "Conv"
    }

    fn attributes(&self) -> Attributes {
        attributes_of(self)
    }

    fn output_shape(&self, inputs: &[Shape]) -> Result<Shape, ShapeError> {
        let settings = self.settings();
        let sizes = settings.inputs(inputs, "[out, in/groups, kernel…]", |out, _| out)?;
        let ([out, inner], groups) = (sizes.weight, self.groups);
        if inner.checked_mul(groups) != Some(sizes.channels) {
            let expected = format!("{inner} in each of {groups} groups (as the weight {} has)", inputs[1]);
            return Err(ShapeError::size(
                "channels of the input",
                expected,
                format!("{} in {}", sizes.channels, inputs[0]),
            ));
        }
        if !out.is_multiple_of(groups) {
            let expected = format!("a multiple of the {groups} groups");
            return Err(ShapeError::size("output channels of the weight", expected, format!("{out} in {}", inputs[1])));
        }
        let mut size = Vec::new();
        for axis in 0..settings.axes() {
            let padded = sizes.size[axis] + self.padding[axis] + self.padding[axis + settings.axes()];
            let reach = self.dilation[axis] * (sizes.kernel[axis] - 1) + 1;
            if reach > padded {
                let name = settings.axis_name(axis);
                let expected =
                    format!("a {name} of at most {padded}, that of the input {} with its padding", inputs[0]);
                let found = format!("{reach} (weight {}, dilation {})", inputs[1], self.dilation[axis]);
                return Err(ShapeError::size("size of the kernel", expected, found));
            }
            size.push(settings.output_size(axis, sizes.size[axis], sizes.kernel[axis]));
        }
        output(out, &size)
    }

    fn reads(&self) -> Reads {
        Reads::inputs(&[0, 1])
    }

    fn memory(&self, at: Sizes, training: bool) -> Memory {
        let conv = self.settings().conv(at.inputs[0], at.inputs[1], at.output);
        let backward = || input_gradient_scratch(&conv).max(weight_gradient_scratch(&conv));
        Memory {
            saved: 0,
            forward: forward_scratch(&conv),
            backward: if training { backward() } else { 0 },
            ..Memory::default()
        }
    }

    fn flops(&self, at: Sizes) -> u64 {
        2 * self.settings().conv(at.inputs[0], at.inputs[1], at.output).multiply_adds() as u64
    }

    fn takes_epilogue(&self) -> bool {
        true
    }

    fn pack(&self, device: &Device, inputs: &[Tensor]) -> Option<PackedMatrix> {
        let (settings, x, weight) = (self.settings(), inputs[0].dims, inputs[1]);
        if weight.data.is_empty() {
            return None;
        }
        // How weights are packed depends on the size of the images.
        let size = (0..settings.axes()).map(|axis| settings.output_size(axis, x[2 + axis], weight.dims[2 + axis]));
        let y: Vec<usize> = [1, weight.dims[0]].into_iter().chain(size).collect();
        pack(device, &settings.conv(x, weight.dims, &y), weight.data)
    }

    fn folds_channels(&self, _: &Shape) -> bool {
        true
    }

    fn formulas(&self) -> Option<[&'static str; 2]> {
        Some([
            "y[o, i, j] = Σ x[c, i + k, j + l] w[o, c, k, l] + b[o]",
            "∂L/∂x = dy turned back through w, ∂L/∂w = Σ x dy over the places, ∂L/∂b = Σ dy",
        ])
    }

    fn reference(&self, at: &Sample) -> Option<Vec<f64>> {
        Some(reference(self, at))
    }

    fn forward(&self, run: &Run, pass: Forward) {
        let conv = self.conv(pass.inputs, pass.dims);
        let weights = pass.packed.map_or(Weights::Plain(pass.inputs[1].data), Weights::Packed);
        let after = After { bias: pass.inputs.get(2).map(|bias| bias.data), epilogue: pass.epilogue };
        forward(run.device, &conv, pass.inputs[0].data, weights, after, pass.output, pass.scratch);
    }

    fn backward(&self, run: &Run, pass: Backward) {
        let conv = self.conv(pass.inputs, pass.output.dims);
        let [x, weight] = [pass.inputs[0].data, pass.inputs[1].data];
        if let Some(db) = pass.dx.get_mut(2).and_then(Option::as_mut) {
            bias_gradient(run.device, conv.batch, pass.dy, db);
        }
        if let Some(dw) = &mut pass.dx[1] {
            weight_gradient(run.device, &conv, x, pass.dy, dw, pass.scratch);
        }
        if let Some(dx) = &mut pass.dx[0] {
            input_gradient(run.device, &conv, pass.dy, weight, After::default(), dx, pass.scratch);
        }
    }
}

/// The output by plain loops.
fn reference(op: &Conv, at: &Sample) -> Vec<f64> {
    let conv = op.settings().conv(&at.dims[0], &at.dims[1], at.output_dims);
    let (inner, outer) = (conv.in_channels / conv.groups, conv.out_channels / conv.groups);
    let [rows, columns] = conv.input;
    let mut y = Vec::new();
    for n in 0..conv.batch {
        for o in 0..conv.out_channels {
            for i in 0..conv.output[0] {
                for j in 0..conv.output[1] {
                    let mut sum = at.inputs.get(2).map_or(0.0, |bias| bias[o]);
                    for c in 0..inner {
                        for k in 0..conv.kernel[0] {
                            for l in 0..conv.kernel[1] {
                                let row = (i * conv.stride[0] + k * conv.dilation[0]).wrapping_sub(conv.padding[0]);
                                let column = (j * conv.stride[1] + l * conv.dilation[1]).wrapping_sub(conv.padding[1]);
                                if row < rows && column < columns {
                                    let channel = n * conv.in_channels + o / outer * inner + c;
                                    let weight = ((o * inner + c) * conv.kernel[0] + k) * conv.kernel[1] + l;
                                    sum +=
                                        at.inputs[1][weight] * at.inputs[0][(channel * rows + row) * columns + column];
                                }
                            }
                        }
                    }
                    y.push(sum);
                }
            }
        }
    }
    y
}

/// What the checks run on.
pub(super) fn cases() -> Vec<Case> {
    let of = |name: &str, op: Conv, sample: &[usize], weight: &[usize], with_bias: bool| {
        let mut inputs = vec![Input::batched(sample), Input::fixed(weight)];
        inputs.extend(with_bias.then(|| Input::fixed(&weight[..1])));
        // The longest sum is the gradient of a bias or of a weight, over the largest batch and all places.
        let places =
            3 * sample[1..].iter().zip(&op.padding).map(|(size, padding)| size + 2 * padding + 2).product::<usize>();
        let terms = weight.iter().product::<usize>().max(places);
        let bound = Bound::magnitude(0.5 * (terms + 9) as f64, "half a unit for each of the terms of a sum");
        let [x, w, b] = [Shape::batched(sample), Shape::fixed(weight), Shape::fixed(&weight[..1])];
        let other = if sample.len() == 2 { Shape::batched(&[2, 8, 8]) } else { Shape::batched(&[2, 8]) };
        let wider = [&[sample[0] + op.groups], &sample[1..]].concat();
        Case::new(op, inputs)
            .named(name)
            .batches([1, 3])
            .within(bound, bound)
            .refuses([x.clone()], "takes 2 or 3 inputs, got 1")
            .refuses([other, w.clone()], "shape of the input: expected [batch, channels, ")
            .refuses([x.clone(), b.clone()], "shape of the weight: expected [out, in/groups, kernel…]")
            .refuses([Shape::batched(&wider), w.clone()], "channels of the input: expected ")
            .refuses([x, w, Shape::fixed(&[weight[0] + 1])], "shape of the bias")
    };
    // F(2×2, 3×3) is within ε/2 · (channels + 11) of a sum of magnitudes (see the kernel, whose own tests compute that sum). A
    // channel counts in it for at most 64, 8 along either axis, times the greatest weight, here 1, times the greatest value:
    // here 1, or |dy|. The sums of the other gradients are direct.
    let by_tiles = |case: Case, channels: usize| {
        let tiles = 0.5 * (channels + 11) as f64 * 64.0 * channels as f64;
        let bound =
            Bound { reason: "half a unit for each rounding on the way of a tile", ..case.value.and_absolute(tiles) };
        let inputs = case.inputs.iter().map(|input| Input { values: Values::Uniform(-1.0, 1.0), ..input.clone() });
        Case { inputs: inputs.collect(), ..case }.within(bound, bound)
    };
    let plain = Conv::new(2);
    let same = Conv { padding: vec![1; 4], ..plain.clone() };
    let line = Conv::new(1);
    vec![
        of("1x1", plain.clone(), &[3, 4, 5], &[4, 3, 1, 1], true),
        of("1x1 stride 2", Conv { stride: vec![2; 2], ..plain.clone() }, &[3, 5, 4], &[2, 3, 1, 1], true),
        of("3x3", plain.clone(), &[2, 6, 5], &[3, 2, 3, 3], true)
            .refuses(
                [Shape::batched(&[2, 2, 5]), Shape::fixed(&[3, 2, 3, 3])],
                "size of the kernel: expected a height of at most 2",
            )
            .refuses(
                [Shape::batched(&[2, 6, 2]), Shape::fixed(&[3, 2, 3, 3])],
                "[batch, 2, 6, 2] with its padding, got 3 (weight [3, 2, 3, 3]",
            ),
        of("3x3 same", same.clone(), &[2, 7, 9], &[20, 2, 3, 3], true),
        of("without bias", same.clone(), &[1, 5, 5], &[3, 1, 3, 3], false),
        of("stride leaves rows over", Conv { stride: vec![2, 3], ..same.clone() }, &[2, 8, 9], &[3, 2, 3, 3], true),
        of(
            "dilation",
            Conv { dilation: vec![2, 3], padding: vec![2, 3, 2, 3], ..plain.clone() },
            &[2, 6, 7],
            &[3, 2, 3, 3],
            true,
        ),
        of("asymmetric padding", Conv { padding: vec![0, 2, 1, 3], ..plain.clone() }, &[2, 5, 4], &[3, 2, 2, 4], true),
        of("kernel as large as the input", plain.clone(), &[2, 4, 3], &[5, 2, 4, 3], true),
        of("groups", Conv { groups: 2, ..same.clone() }, &[4, 5, 6], &[6, 2, 3, 3], true).refuses(
            [Shape::batched(&[4, 5, 6]), Shape::fixed(&[5, 2, 3, 3])],
            "output channels of the weight: expected a multiple of the 2 groups",
        ),
        of("depthwise", Conv { groups: 5, stride: vec![2; 2], ..same.clone() }, &[5, 7, 18], &[10, 1, 3, 3], true),
        of("wide", Conv { dilation: vec![1, 2], ..same.clone() }, &[17, 6, 15], &[18, 17, 3, 3], true),
        by_tiles(of("3x3 by tiles", same.clone(), &[17, 8, 7], &[18, 17, 3, 3], true), 18),
        by_tiles(
            of(
                "3x3 by tiles, asymmetric",
                Conv { padding: vec![0, 2, 1, 3], ..same },
                &[16, 7, 9],
                &[17, 16, 3, 3],
                false,
            ),
            17,
        ),
        of("line", line.clone(), &[3, 11], &[4, 3, 3], true)
            .refuses([Shape::batched(&[3, 2]), Shape::fixed(&[4, 3, 3])], "a length of at most 2"),
        of(
            "line, all settings",
            Conv { stride: vec![2], padding: vec![3, 1], dilation: vec![2], groups: 2 },
            &[4, 20],
            &[6, 2, 3],
            true,
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_out_of_range_are_refused_in_words() {
        let (x, w) = (Shape::batched(&[2, 5, 5]), Shape::fixed(&[3, 2, 3, 3]));
        let plain = Conv::new(2);
        for (op, text) in [
            (Conv { stride: vec![0, 1], ..plain.clone() }, "stride must be 2 whole numbers from 1 to 2147483648"),
            (Conv { padding: vec![1, 1], ..plain.clone() }, "padding must be 4 whole numbers from 0"),
            (Conv { dilation: vec![1, usize::MAX], ..plain.clone() }, "dilation must be 2 whole numbers"),
            (Conv { groups: 0, ..plain.clone() }, "groups must be 1 whole numbers from 1"),
            (Conv { stride: vec![1; 3], ..plain.clone() }, "stride must be one number an axis, for one axis or two"),
            (Conv { stride: vec![], ..plain.clone() }, "stride must be one number an axis"),
        ] {
            let error = op.output_shape(&[x.clone(), w.clone()]).expect_err("refused").to_string();
            assert!(error.contains(text), "{error}");
        }
        let wide = Conv { padding: vec![1 << 31; 4], ..plain };
        assert!(wide.output_shape(&[x, w]).expect_err("too many values").to_string().contains("more than"));
    }
}
