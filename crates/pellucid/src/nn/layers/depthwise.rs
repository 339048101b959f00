//! Depthwise convolution: every channel has kernels of its own, and sees no other.

use super::slide::{Slide, Start, Words};
use crate::graph::{BuildError, BuildProblem, GraphBuilder, ValueId};
use crate::nn::notation::{Item, NotationError, Reader};
use crate::nn::{Init, Layer, Lowering};
use crate::ops;

/// x [batch, channels, height, width] → y [batch, channels · multiplier, …]: [`ops::Conv`] with as many groups as
/// channels.
///
/// Parameters: `weight` [channels · multiplier, 1, kernel…] and, unless there is none, `bias`. Notation:
/// `depthwise 3x3 same relu`, `depthwise 3x3 stride=2 pad=1 multiplier=2 nobias`.
#[derive(Clone, Debug)]
pub struct Depthwise {
    /// How the kernel slides.
    pub slide: Slide,
    /// Output channels for each input channel, at least 1; 1 by default.
    pub multiplier: usize,
    /// Adds a bias; true by default.
    pub bias: bool,
    /// Start of the weights; uniform within ±1/√fan_in by default, as in PyTorch, where every value of a patch counts.
    pub weight_init: Init,
    /// Start of the bias; uniform within ±1/√fan_in by default, as in PyTorch.
    pub bias_init: Init,
}

const WORDS: Words = ["depthwise", "depthwise"];

impl Default for Depthwise {
    /// 3×3.
    fn default() -> Depthwise {
        let (weight_init, bias_init) = (Init::Default, Init::Default);
        Depthwise { slide: Slide::default(), multiplier: 1, bias: true, weight_init, bias_init }
    }
}

impl Depthwise {
    fn start(&self) -> Start {
        Start { bias: self.bias, weight: self.weight_init, bias_init: self.bias_init }
    }
}

impl Layer for Depthwise {
    fn build(&self, builder: &mut GraphBuilder, x: ValueId) -> Result<ValueId, BuildError> {
        let fitted = self.slide.fit(builder, x, WORDS, 2)?;
        let Some(channels) = fitted.channels.checked_mul(self.multiplier).filter(|&channels| channels > 0) else {
            let message = format!("'depthwise' with {} times {} channels", self.multiplier, fitted.channels);
            return Err(builder.error(BuildProblem::Layer(message)));
        };
        let weight = [&[channels, 1], &fitted.kernel[..]].concat();
        let inputs = self.start().parameters(builder, x, &weight, channels)?;
        let (stride, padding, dilation) = (fitted.stride, fitted.padding, fitted.dilation);
        builder.add(ops::Conv { stride, padding, dilation, groups: fitted.channels }, &inputs)
    }

    fn to_notation(&self) -> Option<Item> {
        let mut item = self.slide.write(Item::new("depthwise"), 2);
        if self.multiplier != 1 {
            item = item.option("multiplier", self.multiplier);
        }
        Some(self.start().write(item))
    }

    fn takes_activation(&self) -> bool {
        true
    }
}

/// `depthwise KERNEL [ACTIVATION] [same | pad=PADDING] [stride=STRIDE] [dilation=DILATION] [multiplier=MULTIPLIER] [nobias]
/// [init=INIT] [bias_init=INIT]`
pub(crate) fn depthwise<'a>(read: &mut Reader<'a>, context: &Lowering<'a>) -> Result<Depthwise, NotationError> {
    let slide = Slide::read(read)?;
    let multiplier = read.option_size("multiplier", 1)?.unwrap_or(1);
    let Start { bias, weight, bias_init } = Start::read(read, context)?;
    Ok(Depthwise { slide, multiplier, bias, weight_init: weight, bias_init })
}
