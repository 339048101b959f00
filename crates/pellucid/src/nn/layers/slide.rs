//! What the convolution layers share: how a kernel slides, and how that is written.

use std::sync::Arc;

use super::pool::{spread, written};
use crate::graph::{BuildError, BuildProblem, GraphBuilder, Role, ValueId};
use crate::nn::notation::{Item, NotationError, Reader};
use crate::nn::{Fans, Init, Lowering};

/// Zeros around the input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Padding {
    /// As many as make the output as large as the input divided by the stride (rounded up); an odd one stands behind.
    Same,
    /// One number for all sides; one for both sides of each axis; or one for each side, first those before each axis, then
    /// those behind: `[top, left, bottom, right]`.
    Sides(Vec<usize>),
}

/// How a kernel slides; one number of a list stands for each axis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slide {
    /// Size of the kernel; 3 by default.
    pub kernel: Vec<usize>,
    /// From one patch to the next, at least 1; 1 by default.
    pub stride: Vec<usize>,
    /// Zeros around the input; none by default.
    pub padding: Padding,
    /// From one place of a patch to the next, at least 1; 1 by default.
    pub dilation: Vec<usize>,
}

impl Default for Slide {
    fn default() -> Slide {
        Slide { kernel: vec![3], stride: vec![1], padding: Padding::Sides(vec![0]), dilation: vec![1] }
    }
}

/// [`Slide`] for some input: a number for each axis, and padding before each axis, then behind each.
pub(super) struct Fitted {
    pub channels: usize,
    pub kernel: Vec<usize>,
    pub stride: Vec<usize>,
    pub padding: Vec<usize>,
    pub dilation: Vec<usize>,
}

/// The words of a layer over one axis and over two, for its messages.
pub(super) type Words = [&'static str; 2];

impl Slide {
    /// For `x`, over `axes` axes behind the channels.
    pub(super) fn fit(
        &self,
        builder: &GraphBuilder,
        x: ValueId,
        words: Words,
        axes: usize,
    ) -> Result<Fitted, BuildError> {
        let word = words[axes - 1];
        let shape = builder.shape(x);
        let Some(sample) = shape.sample().filter(|sample| sample.len() == axes + 1) else {
            let form = if axes == 1 { "[batch, channels, length]" } else { "[batch, channels, height, width]" };
            let error = builder.error(BuildProblem::Layer(format!("'{word}' needs {form}, here is {shape}")));
            let other = words[2 - axes];
            return Err(match shape.rank() {
                2 => error.suggest("put a 'reshape' before it, as in reshape 1x28x28"),
                rank if rank == 5 - axes && other != word => error.suggest(format!("write '{other}'")),
                _ => error,
            });
        };
        let fitted = |name: &str, sizes: &[usize]| {
            let message = || format!("{name} of '{word}' has {} numbers, it slides over {axes}", sizes.len());
            spread(sizes, axes).ok_or_else(|| builder.error(BuildProblem::Layer(message())))
        };
        let kernel = fitted("kernel", &self.kernel)?;
        let (stride, dilation) = (fitted("stride", &self.stride)?, fitted("dilation", &self.dilation)?);
        let padding = match &self.padding {
            Padding::Sides(sides) if sides.len() == 2 * axes => sides.clone(),
            Padding::Sides(sides) => fitted("padding", sides)?.repeat(2),
            Padding::Same => {
                let zeros = |axis: usize| {
                    let (size, stride) = (sample[axis + 1], stride[axis].max(1));
                    let reach = dilation[axis].saturating_mul(kernel[axis].saturating_sub(1)).saturating_add(1);
                    (size.div_ceil(stride).saturating_sub(1) * stride).saturating_add(reach).saturating_sub(size)
                };
                let before = (0..axes).map(|axis| zeros(axis) / 2);
                before.chain((0..axes).map(|axis| zeros(axis).div_ceil(2))).collect()
            }
        };
        Ok(Fitted { channels: sample[0], kernel, stride, padding, dilation })
    }

    /// The kernel and the options behind it.
    pub(super) fn write(&self, item: Item, axes: usize) -> Item {
        let mut item = item.with(spread(&self.kernel, axes).as_deref().unwrap_or(&self.kernel));
        if written(&self.stride) != [1] {
            item = item.option("stride", written(&self.stride));
        }
        match &self.padding {
            Padding::Same => item = item.with("same"),
            Padding::Sides(sides) if written(sides) != [0] => item = item.option("pad", written(sides)),
            Padding::Sides(_) => {}
        }
        if written(&self.dilation) != [1] {
            item = item.option("dilation", written(&self.dilation));
        }
        item
    }

    /// `KERNEL [same | pad=PADDING] [stride=STRIDE] [dilation=DILATION]`
    pub(super) fn read(read: &mut Reader<'_>) -> Result<Slide, NotationError> {
        let kernel = read.dimensions("kernel")?;
        let stride = read.option_dimensions("stride", 1)?.unwrap_or(vec![1]);
        let dilation = read.option_dimensions("dilation", 1)?.unwrap_or(vec![1]);
        let sides = read.option_dimensions("pad", 0)?;
        let padding = match (read.flag("same")?, sides) {
            (true, Some(_)) => return Err(read.error("'same' and 'pad' both say what the padding is; drop one")),
            (true, None) => Padding::Same,
            (false, sides) => Padding::Sides(sides.unwrap_or(vec![0])),
        };
        Ok(Slide { kernel, stride, padding, dilation })
    }
}

/// Whether there is a bias, and how parameters start.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Start {
    pub bias: bool,
    pub weight: Init,
    pub bias_init: Init,
}

impl Start {
    /// `[nobias] [init=INIT] [bias_init=INIT]`
    pub fn read<'a>(read: &mut Reader<'a>, context: &Lowering<'a>) -> Result<Start, NotationError> {
        let bias = !read.flag("nobias")?;
        let weight = context.init(read, "init")?.unwrap_or(context.default_init());
        let bias_init = match context.bias_init(read, "bias_init")? {
            Some(_) if !bias => return Err(read.error("'nobias' leaves nothing that bias_init could start")),
            given => given.unwrap_or(context.default_bias_init()),
        };
        Ok(Start { bias, weight, bias_init })
    }

    pub fn write(&self, mut item: Item) -> Item {
        if !self.bias {
            item = item.with("nobias");
        }
        if self.weight != Init::Default {
            item = item.option("init", self.weight.to_word());
        }
        if self.bias && self.bias_init != Init::Default {
            item = item.option("bias_init", self.bias_init.to_word());
        }
        item
    }

    /// Adds `weight` of these sizes, and `bias` of `outputs` values if there is one; gives them behind `x`.
    pub fn parameters(
        &self,
        builder: &mut GraphBuilder,
        x: ValueId,
        weight: &[usize],
        outputs: usize,
    ) -> Result<Vec<ValueId>, BuildError> {
        let mut inputs = vec![x, builder.sized_parameter("weight", weight, Role::Weight, Arc::new(self.weight))?];
        if self.bias {
            let init = match self.bias_init.of_bias(Fans::of(weight)) {
                Ok(init) => Arc::new(init),
                Err(error) => return Err(builder.error(BuildProblem::Layer(error.to_string()))),
            };
            inputs.push(builder.sized_parameter("bias", &[outputs], Role::Bias, init)?);
        }
        Ok(inputs)
    }
}
