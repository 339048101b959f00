//! Convolution: every unit looks at a patch, and slides over the image.

use super::slide::{Slide, Start, Words};
use crate::graph::{BuildError, BuildProblem, GraphBuilder, ValueId};
use crate::nn::notation::{Item, NotationError, Reader};
use crate::nn::{Init, Layer, Lowering};
use crate::ops;

/// x [batch, in, height, width] → y [batch, channels, …], or over one axis [batch, in, length]: see [`ops::Conv`].
///
/// Parameters: `weight` [channels, in/groups, kernel…] and, unless there is none, `bias` of length `channels`.
/// Notation: `conv 32 3x3 same relu`, `conv 64 3x3 stride=2 pad=1`, `conv 8 5x5 pad=1x2x1x2 dilation=2 groups=4 nobias`
/// (padding as top, left, bottom, right); over one axis `conv1d 16 5 stride=2`.
#[derive(Clone, Debug)]
pub struct Conv {
    /// Axes that the kernel slides over, 1 or 2; 2 by default.
    pub axes: usize,
    /// Channels of the output, at least 1; 1 by default.
    pub channels: usize,
    /// How the kernel slides.
    pub slide: Slide,
    /// Groups of channels, a divisor of both numbers of channels; 1 by default.
    pub groups: usize,
    /// Adds a bias; true by default.
    pub bias: bool,
    /// Start of the weights; uniform within ±1/√fan_in by default, as in PyTorch, where every value of a patch counts.
    pub weight_init: Init,
    /// Start of the bias; uniform within ±1/√fan_in by default, as in PyTorch.
    pub bias_init: Init,
}

const WORDS: Words = ["conv1d", "conv"];

impl Default for Conv {
    /// One channel, 3×3.
    fn default() -> Conv {
        let (weight_init, bias_init) = (Init::Default, Init::Default);
        Conv { axes: 2, channels: 1, slide: Slide::default(), groups: 1, bias: true, weight_init, bias_init }
    }
}

impl Conv {
    fn start(&self) -> Start {
        Start { bias: self.bias, weight: self.weight_init, bias_init: self.bias_init }
    }
}

impl Layer for Conv {
    fn build(&self, builder: &mut GraphBuilder, x: ValueId) -> Result<ValueId, BuildError> {
        let &Conv { axes, channels, groups, .. } = self;
        if !(1..=2).contains(&axes) {
            return Err(builder.error(BuildProblem::Layer(format!("a convolution has 1 or 2 axes, not {axes}"))));
        }
        let fitted = self.slide.fit(builder, x, WORDS, axes)?;
        if groups == 0 || !fitted.channels.is_multiple_of(groups) || !channels.is_multiple_of(groups) {
            let (word, found) = (WORDS[axes - 1], fitted.channels);
            let message = format!(
                "'{word}' with {groups} groups needs multiples of that: {found} channels come in, {channels} go out"
            );
            return Err(builder.error(BuildProblem::Layer(message)));
        }
        let weight = [&[channels, fitted.channels / groups], &fitted.kernel[..]].concat();
        let inputs = self.start().parameters(builder, x, &weight, channels)?;
        let op = ops::Conv { stride: fitted.stride, padding: fitted.padding, dilation: fitted.dilation, groups };
        builder.add(op, &inputs)
    }

    fn to_notation(&self) -> Option<Item> {
        let item = Item::new(*WORDS.get(self.axes.checked_sub(1)?)?).with(self.channels);
        let mut item = self.slide.write(item, self.axes);
        if self.groups != 1 {
            item = item.option("groups", self.groups);
        }
        Some(self.start().write(item))
    }

    fn takes_activation(&self) -> bool {
        true
    }
}

fn read_axes<'a>(read: &mut Reader<'a>, context: &Lowering<'a>, axes: usize) -> Result<Conv, NotationError> {
    let channels = read.size("channels")?;
    let slide = Slide::read(read)?;
    let groups = read.option_size("groups", 1)?.unwrap_or(1);
    let Start { bias, weight, bias_init } = Start::read(read, context)?;
    Ok(Conv { axes, channels, slide, groups, bias, weight_init: weight, bias_init })
}

/// `conv CHANNELS KERNEL [ACTIVATION] [same | pad=PADDING] [stride=STRIDE] [dilation=DILATION] [groups=GROUPS] [nobias]
/// [init=INIT] [bias_init=INIT]`
pub(crate) fn conv<'a>(read: &mut Reader<'a>, context: &Lowering<'a>) -> Result<Conv, NotationError> {
    read_axes(read, context, 2)
}

/// `conv1d …`, as [`conv`].
pub(crate) fn conv1d<'a>(read: &mut Reader<'a>, context: &Lowering<'a>) -> Result<Conv, NotationError> {
    read_axes(read, context, 1)
}
