//! Transposed convolution: every place of the input adds a patch to a larger output.

use super::slide::{Padding, Slide, Start, Words};
use crate::graph::{BuildError, BuildProblem, GraphBuilder, ValueId};
use crate::nn::layers::pool::{spread, written};
use crate::nn::notation::{Item, NotationError, Reader};
use crate::nn::{Init, Layer, Lowering};
use crate::ops;

/// x [batch, in, height, width] → y [batch, channels, …], or over one axis: see [`ops::ConvTranspose`].
///
/// Parameters: `weight` [in, channels/groups, kernel…] and, unless there is none, `bias` of length `channels`.
/// Notation: `conv-transpose 16 2x2 stride=2 relu`, `conv-transpose 16 3x3 stride=2 pad=1 output_pad=1`; over one axis
/// `conv1d-transpose 8 4 stride=2`. Padding cuts the output.
#[derive(Clone, Debug)]
pub struct ConvTranspose {
    /// Axes that the kernel slides over, 1 or 2; 2 by default.
    pub axes: usize,
    /// Channels of the output, at least 1; 1 by default.
    pub channels: usize,
    /// How the kernel slides over the output; its padding cannot be [`Padding::Same`].
    pub slide: Slide,
    /// Added behind each axis of the output, less than the stride or the dilation; 0 by default.
    pub output_padding: Vec<usize>,
    /// Groups of channels, a divisor of both numbers of channels; 1 by default.
    pub groups: usize,
    /// Adds a bias; true by default.
    pub bias: bool,
    /// Start of the weights; uniform within ±1/√fan by default with fan = channels/groups · kernel, as in PyTorch.
    pub weight_init: Init,
    /// Start of the bias; uniform within the same limits by default, as in PyTorch.
    pub bias_init: Init,
}

const WORDS: Words = ["conv1d-transpose", "conv-transpose"];

impl Default for ConvTranspose {
    /// One channel, 3×3.
    fn default() -> ConvTranspose {
        ConvTranspose {
            axes: 2,
            channels: 1,
            slide: Slide::default(),
            output_padding: vec![0],
            groups: 1,
            bias: true,
            weight_init: Init::Default,
            bias_init: Init::Default,
        }
    }
}

impl ConvTranspose {
    fn start(&self) -> Start {
        Start { bias: self.bias, weight: self.weight_init, bias_init: self.bias_init }
    }
}

impl Layer for ConvTranspose {
    fn build(&self, builder: &mut GraphBuilder, x: ValueId) -> Result<ValueId, BuildError> {
        let &ConvTranspose { axes, channels, groups, .. } = self;
        let problem = |text: String| BuildProblem::Layer(text);
        if !(1..=2).contains(&axes) {
            return Err(builder.error(problem(format!("a convolution has 1 or 2 axes, not {axes}"))));
        }
        let word = WORDS[axes - 1];
        if self.slide.padding == Padding::Same {
            return Err(builder.error(problem(format!("'{word}' takes no 'same'; give pad, which cuts the output"))));
        }
        let fitted = self.slide.fit(builder, x, WORDS, axes)?;
        let Some(output_padding) = spread(&self.output_padding, axes) else {
            let text =
                format!("output_pad of '{word}' has {} numbers, it slides over {axes}", self.output_padding.len());
            return Err(builder.error(problem(text)));
        };
        let inner = fitted.channels;
        if groups == 0 || !inner.is_multiple_of(groups) || !channels.is_multiple_of(groups) {
            let text = format!(
                "'{word}' with {groups} groups needs multiples of that: {inner} channels come in, {channels} go out"
            );
            return Err(builder.error(problem(text)));
        }
        let weight = [&[inner, channels / groups], &fitted.kernel[..]].concat();
        let inputs = self.start().parameters(builder, x, &weight, channels)?;
        let (stride, padding, dilation) = (fitted.stride, fitted.padding, fitted.dilation);
        builder.add(ops::ConvTranspose { stride, padding, output_padding, dilation, groups }, &inputs)
    }

    fn to_notation(&self) -> Option<Item> {
        let item = Item::new(*WORDS.get(self.axes.checked_sub(1)?)?).with(self.channels);
        let mut item = self.slide.write(item, self.axes);
        if written(&self.output_padding) != [0] {
            item = item.option("output_pad", written(&self.output_padding));
        }
        if self.groups != 1 {
            item = item.option("groups", self.groups);
        }
        Some(self.start().write(item))
    }

    fn takes_activation(&self) -> bool {
        true
    }
}

fn read_axes<'a>(read: &mut Reader<'a>, context: &Lowering<'a>, axes: usize) -> Result<ConvTranspose, NotationError> {
    let channels = read.size("channels")?;
    let slide = Slide::read(read)?;
    let output_padding = read.option_dimensions("output_pad", 0)?.unwrap_or(vec![0]);
    let groups = read.option_size("groups", 1)?.unwrap_or(1);
    let Start { bias, weight, bias_init } = Start::read(read, context)?;
    Ok(ConvTranspose { axes, channels, slide, output_padding, groups, bias, weight_init: weight, bias_init })
}

/// `conv-transpose CHANNELS KERNEL [ACTIVATION] [pad=PADDING] [stride=STRIDE] [dilation=DILATION] [output_pad=PADDING]
/// [groups=GROUPS] [nobias] [init=INIT] [bias_init=INIT]`
pub(crate) fn conv_transpose<'a>(
    read: &mut Reader<'a>,
    context: &Lowering<'a>,
) -> Result<ConvTranspose, NotationError> {
    read_axes(read, context, 2)
}

/// `conv1d-transpose …`, as [`conv_transpose`].
pub(crate) fn conv1d_transpose<'a>(
    read: &mut Reader<'a>,
    context: &Lowering<'a>,
) -> Result<ConvTranspose, NotationError> {
    read_axes(read, context, 1)
}
