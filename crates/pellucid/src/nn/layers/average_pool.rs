//! Average pooling: the mean of each window.

use super::pool::{option_unless, spread_over, written};
use crate::graph::{BuildError, GraphBuilder, ValueId};
use crate::nn::notation::{Item, NotationError, Reader};
use crate::nn::{Layer, Lowering};
use crate::ops;

/// y = the mean of each window: [batch, channels, height, width] or [batch, channels, length], with one number for each
/// axis behind the channels, or one that stands for each.
///
/// Notation: `avgpool 2`, `avgpool 3x3 stride=2 pad=1`, `avgpool 3 pad=1 nopadcount ceil`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AveragePool {
    /// Size of a window; 2 by default.
    pub kernel: Vec<usize>,
    /// From one window to the next; the kernel where it is empty, which is the default.
    pub stride: Vec<usize>,
    /// Places before and behind the input that windows may cover, at most half of the kernel; 0 by default.
    pub padding: Vec<usize>,
    /// A last window that is cut off counts too; false by default.
    pub ceil_mode: bool,
    /// Padding counts as zeros; true by default, as in PyTorch.
    pub count_include_pad: bool,
}

impl Default for AveragePool {
    fn default() -> AveragePool {
        AveragePool { kernel: vec![2], stride: Vec::new(), padding: vec![0], ceil_mode: false, count_include_pad: true }
    }
}

impl Layer for AveragePool {
    fn build(&self, builder: &mut GraphBuilder, x: ValueId) -> Result<ValueId, BuildError> {
        let AveragePool { kernel, stride, padding, ceil_mode, count_include_pad } = self;
        let stride = if stride.is_empty() { kernel } else { stride };
        let mut lists = spread_over(builder, x, "avgpool", &[kernel, stride, padding])?.into_iter();
        let mut next = || lists.next().expect("as many as were given");
        let (kernel, stride, padding) = (next(), next(), next());
        let (ceil_mode, count_include_pad) = (*ceil_mode, *count_include_pad);
        builder.add(ops::AveragePool { kernel, stride, padding, ceil_mode, count_include_pad }, &[x])
    }

    fn to_notation(&self) -> Option<Item> {
        if self.kernel.is_empty() {
            return None;
        }
        let mut item = Item::new("avgpool").with(written(&self.kernel));
        if !self.stride.is_empty() {
            item = option_unless(item, "stride", &self.stride, &self.kernel);
        }
        item = option_unless(item, "pad", &self.padding, &[0]);
        for (word, given) in [("nopadcount", !self.count_include_pad), ("ceil", self.ceil_mode)] {
            item = if given { item.with(word) } else { item };
        }
        Some(item)
    }

    fn takes_activation(&self) -> bool {
        true
    }
}

/// `avgpool KERNEL [ACTIVATION] [ceil] [nopadcount] [stride=STRIDE] [pad=PADDING]`
pub(crate) fn average_pool<'a>(read: &mut Reader<'a>, _: &Lowering<'a>) -> Result<AveragePool, NotationError> {
    Ok(AveragePool {
        kernel: read.dimensions("kernel")?,
        stride: read.option_dimensions("stride", 1)?.unwrap_or_default(),
        padding: read.option_dimensions("pad", 0)?.unwrap_or(vec![0]),
        ceil_mode: read.flag("ceil")?,
        count_include_pad: !read.flag("nopadcount")?,
    })
}
