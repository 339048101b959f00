//! Convolution of images, NCHW, in two dimensions; one dimension is height 1.
//!
//! y[n, o, i, j] = Σ_{c, k, l} w[o, c, k, l] · x[n, c + first(o), i·stride − padding + k·dilation, …], zero outside of x,
//! where output channel o belongs to group ⌊o / (out/groups)⌋, which sees its own input channels only. w is
//! [out, in/groups, kernel height, kernel width].
//!
//! Two algorithms, chosen by the sizes of a layer alone ([`Algorithm`]): the direct one, and fewer multiplications where a 3×3
//! kernel has channels enough (see `winograd`, also for its bits). What decides the bits of the direct one:
//!
//! * Forward: every output is one chain of fused multiply-adds over (c, k, l) in ascending order, starting from 0, zeros of
//!   the padding included, then the bias, then the epilogue.
//! * Gradient of the input: one chain over the output channels of the group, and for each of them over the kernel's rows
//!   and columns that reach the input place (kernel places ascending), zeros beyond the edge of the output included.
//! * Gradients of weights: see [`weight_gradient`]; of the bias: see [`bias_gradient`].
//!
//! Tiles, bands, threads and instruction sets only change who computes a value and when.
//!
//! The matrix of all patches is never made: a task copies a band of rows with the zeros of its padding (see `planes`), and
//! tiles read their patches there, every tap being the same memory begun at another place. Without padding they read the
//! image itself; a 1×1 convolution without stride is nothing but a matrix product over it, and with a stride over the places that
//! it looks at (see `thin`).

mod axis;
mod bias;
mod correlate;
mod dot_tile;
mod plan;
mod planes;
mod slots;
mod tap_tile;
#[cfg(test)]
mod tests;
mod thin;
mod tile;
mod weight_gradient;
mod weights;
mod winograd;

pub use bias::bias_gradient;

use crate::device::Device;
use crate::epilogue::InPlace;
use crate::gemm::{Matrix, PackedMatrix};
use axis::Axis;
use correlate::{Correlation, Values, WeightLayout, correlate};

/// How the sums of a convolution, and of the gradient of its input, are computed. It decides their bits, so it is chosen by
/// what every row of every batch has in common.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Algorithm {
    /// The quicker one for these channels and for this size of an image.
    #[default]
    BySize,
    /// One chain over all taps, for any convolution.
    Direct,
    /// F(2×2, 3×3) of Lavin and Gray, 2016: 16 multiplications for 36. Only with a kernel of 3×3, stride and dilation 1, and
    /// one group.
    Winograd,
}

/// Sizes of a convolution. Pairs are height and width.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conv {
    /// Images.
    pub batch: usize,
    /// Groups of channels, a divisor of both numbers of channels.
    pub groups: usize,
    /// Channels of x, of all groups.
    pub in_channels: usize,
    /// Channels of y, of all groups.
    pub out_channels: usize,
    /// Height and width of x.
    pub input: [usize; 2],
    /// Height and width of y. The padding at the end is what they need.
    pub output: [usize; 2],
    /// The kernel, at least 1.
    pub kernel: [usize; 2],
    /// Distance of the patches of neighbouring outputs, at least 1.
    pub stride: [usize; 2],
    /// Distance of the places of a patch, at least 1.
    pub dilation: [usize; 2],
    /// Zeros above and to the left of x.
    pub padding: [usize; 2],
    /// How it is computed.
    pub algorithm: Algorithm,
}

impl Conv {
    fn assert(&self, x: usize, w: usize, y: usize) {
        let &Conv { batch, groups, in_channels, out_channels, .. } = self;
        assert!(
            groups > 0 && in_channels.is_multiple_of(groups) && out_channels.is_multiple_of(groups),
            "whole groups"
        );
        let positive = |pair: [usize; 2]| pair[0] > 0 && pair[1] > 0;
        assert!(positive(self.kernel) && positive(self.stride) && positive(self.dilation), "kernel, stride, dilation");
        assert_eq!(x, batch * in_channels * self.input[0] * self.input[1], "x is [batch, in, height, width]");
        assert_eq!(w, self.weights(), "w is [out, in/groups, height, width]");
        assert_eq!(y, batch * out_channels * self.output[0] * self.output[1], "y is [batch, out, height, width]");
    }

    /// Number of weights.
    pub fn weights(&self) -> usize {
        self.out_channels * self.taps()
    }

    /// Products in the sum of an output: input channels of a group times places of the kernel.
    pub fn taps(&self) -> usize {
        self.in_channels / self.groups * self.kernel[0] * self.kernel[1]
    }

    /// Fused multiply-adds of the forward pass, those with the zeros of the padding included.
    pub fn multiply_adds(&self) -> usize {
        self.batch * self.out_channels * self.output[0] * self.output[1] * self.taps()
    }

    fn axis(&self, i: usize, forward: bool) -> Axis {
        let (kernel, dilation, padding) = (self.kernel[i], self.dilation[i], self.padding[i]);
        let (input, output, stride) = (self.input[i], self.output[i], self.stride[i]);
        let (source, target) = if forward { (input, output) } else { (output, input) };
        let (step, spread) = if forward { (stride, 1) } else { (1, stride) };
        Axis { source, target, step, spread, kernel, dilation, padding, forward }
    }

    /// Heights and widths of a convolution that looks at single places as one long row.
    fn flattened(&self) -> Conv {
        let single = self.kernel == [1, 1] && self.stride == [1, 1] && self.padding == [0, 0];
        if !single || self.input != self.output {
            return *self;
        }
        let size = [1, self.input[0] * self.input[1]];
        Conv { input: size, output: size, ..*self }
    }

    /// This convolution over the places that it looks at alone, if it looks at single places and passes some over: what lies
    /// between them would only be copied.
    fn thinned(&self, forward: bool) -> Option<Conv> {
        let single = self.kernel == [1, 1] && self.stride != [1, 1] && self.padding == [0, 0];
        let inside = (0..2).all(|i| self.output[i] > 0 && (self.output[i] - 1) * self.stride[i] < self.input[i]);
        (forward && single && inside).then_some(Conv { input: self.output, stride: [1, 1], ..*self })
    }

    fn correlation(&self, forward: bool) -> Correlation {
        let this = self.flattened();
        let (inner, outer) = (this.in_channels / this.groups, this.out_channels / this.groups);
        let (of_input, of_output) = (this.kernel[0] * this.kernel[1], this.taps());
        let (source_channels, target_channels) = if forward { (inner, outer) } else { (outer, inner) };
        let (source, target) = if forward { (of_input, of_output) } else { (of_output, of_input) };
        Correlation {
            batch: this.batch,
            groups: this.groups,
            source_channels,
            target_channels,
            height: this.axis(0, forward),
            width: this.axis(1, forward),
            weight: WeightLayout { group: outer * of_output, target, source },
        }
    }

    /// By fewer multiplications? Panics when those are asked for and cannot be.
    fn winograd(&self, of: &Correlation) -> bool {
        match self.algorithm {
            Algorithm::BySize => winograd::applies(of) && winograd::pays(of),
            Algorithm::Direct => false,
            Algorithm::Winograd => {
                assert!(winograd::applies(of), "a kernel of 3x3, stride 1, dilation 1, one group");
                true
            }
        }
    }

    fn scratch(&self, forward: bool) -> usize {
        if let Some(thinned) = self.thinned(forward) {
            return thin::values(&thinned) + thinned.scratch(true);
        }
        let of = self.correlation(forward);
        if self.winograd(&of) { winograd::scratch(&of) } else { correlate::scratch(&of) }
    }

    fn correlate(&self, device: &Device, forward: bool, values: Values, target: &mut [f32], scratch: &mut [f32]) {
        if let Some(thinned) = self.thinned(forward) {
            let (source, scratch) = scratch.split_at_mut(thin::values(&thinned));
            thin::thin(device, self, values.source, source);
            return thinned.correlate(device, true, Values { source, ..values }, target, scratch);
        }
        let of = self.correlation(forward);
        if self.winograd(&of) {
            winograd::correlate(device, &of, values, target, scratch);
        } else {
            correlate(device, &of, values, target, scratch);
        }
    }

    /// Rows of the packed weights, each with a value for every output channel.
    fn packed_rows(&self) -> usize {
        if self.winograd(&self.correlation(true)) { winograd::POINTS * self.in_channels } else { self.taps() }
    }
}

/// Number of f32 of scratch memory that [`forward`] may use.
pub fn forward_scratch(conv: &Conv) -> usize {
    conv.scratch(true)
}

/// The weights as [`forward`] reads them, for weights that do not change; `None` where there are several groups.
pub fn pack(device: &Device, conv: &Conv, w: &[f32]) -> Option<PackedMatrix> {
    let (of, k, n) = (conv.correlation(true), conv.packed_rows(), conv.out_channels);
    if conv.winograd(&of) {
        return Some(PackedMatrix::filled(k, n, |panels| winograd::transform(device, &of, w, panels)));
    }
    let matrix = Matrix { data: w, row_stride: 1, column_stride: k };
    (conv.groups == 1).then(|| PackedMatrix::new(device, k, n, matrix))
}

/// What is added to a convolution's sums and done to them.
#[derive(Clone, Copy, Default)]
pub struct After<'a> {
    /// One value for each channel of the result.
    pub bias: Option<&'a [f32]>,
    /// Applied to the finished values, bias included, while they are in the cache.
    pub epilogue: Option<&'a dyn InPlace>,
}

/// Weights as they are, or as [`pack`] gave them.
#[derive(Clone, Copy, Debug)]
pub enum Weights<'a> {
    /// [out, in/groups, kernel height, kernel width]
    Plain(&'a [f32]),
    /// The same, packed.
    Packed(&'a PackedMatrix),
}

/// y = x ∗ w (+ bias), then the epilogue.
///
/// Panics when a slice has another length than the sizes mean, or `scratch` is shorter than [`forward_scratch`].
pub fn forward(
    device: &Device,
    conv: &Conv,
    x: &[f32],
    weights: Weights,
    after: After,
    y: &mut [f32],
    scratch: &mut [f32],
) {
    let (w, packed): (&[f32], _) = match weights {
        Weights::Plain(w) => (w, None),
        Weights::Packed(packed) => {
            let sizes = (conv.packed_rows(), conv.out_channels, 1);
            assert_eq!((packed.k(), packed.n(), conv.groups), sizes, "packed weights");
            (&[], Some(packed.panels()))
        }
    };
    conv.assert(x.len(), if packed.is_some() { conv.weights() } else { w.len() }, y.len());
    let After { bias, epilogue } = after;
    assert!(bias.is_none_or(|bias| bias.len() == conv.out_channels), "one bias a channel");
    conv.correlate(device, true, Values { source: x, weight: w, packed, bias, epilogue }, y, scratch);
}

/// Number of f32 of scratch memory that [`input_gradient`] may use.
pub fn input_gradient_scratch(conv: &Conv) -> usize {
    conv.scratch(false)
}

/// dx = the gradient with respect to x, from `dy` = that with respect to y. This is also the transposed convolution, hence
/// bias and epilogue.
///
/// Panics when a slice has another length than the sizes mean, or `scratch` is shorter than [`input_gradient_scratch`].
pub fn input_gradient(
    device: &Device,
    conv: &Conv,
    dy: &[f32],
    w: &[f32],
    after: After,
    dx: &mut [f32],
    scratch: &mut [f32],
) {
    conv.assert(dx.len(), w.len(), dy.len());
    let After { bias, epilogue } = after;
    assert!(bias.is_none_or(|bias| bias.len() == conv.in_channels), "one bias a channel");
    let values = Values { source: dy, weight: w, packed: None, bias, epilogue };
    conv.correlate(device, false, values, dx, scratch);
}

/// Number of f32 of scratch memory that [`weight_gradient`] may use.
pub fn weight_gradient_scratch(conv: &Conv) -> usize {
    weight_gradient::scratch(&conv.flattened())
}

/// dw = the gradient with respect to w.
///
/// The batch is cut into blocks of images (at most eight, by size alone), each with sums of its own, which are added in the
/// order of the blocks. Within a block there are two ways, chosen by size: a sum for each weight, one chain over (image,
/// row, column); or sixteen sums, one for each column of y mod 16, each a chain over (image, row, column / 16), added as a
/// fixed tree at the very end.
///
/// Panics when a slice has another length than the sizes mean, or `scratch` is shorter than [`weight_gradient_scratch`].
pub fn weight_gradient(device: &Device, conv: &Conv, x: &[f32], dy: &[f32], dw: &mut [f32], scratch: &mut [f32]) {
    conv.assert(x.len(), dw.len(), dy.len());
    weight_gradient::weight_gradient(device, &conv.flattened(), x, dy, dw, scratch);
}
