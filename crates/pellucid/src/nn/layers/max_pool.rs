//! Max pooling: the greatest value of each window.

use super::pool::{option_unless, spread_over, written};
use crate::graph::{BuildError, GraphBuilder, ValueId};
use crate::nn::notation::{Item, NotationError, Reader};
use crate::nn::{Layer, Lowering};
use crate::ops;

/// y = the greatest value of each window: [batch, channels, height, width] or [batch, channels, length], with one number
/// for each axis behind the channels, or one that stands for each.
///
/// Notation: `maxpool 2`, `maxpool 3x3 stride=2 pad=1`, `maxpool 2 ceil`, `maxpool 3 dilation=2`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MaxPool {
    /// Size of a window; 2 by default.
    pub kernel: Vec<usize>,
    /// From one window to the next; the kernel where it is empty, which is the default.
    pub stride: Vec<usize>,
    /// Places before and behind the input that windows may cover, at most half of the kernel; 0 by default.
    pub padding: Vec<usize>,
    /// From one place of a window to the next; 1 by default.
    pub dilation: Vec<usize>,
    /// A last window that is cut off counts too; false by default.
    pub ceil_mode: bool,
}

impl Default for MaxPool {
    fn default() -> MaxPool {
        MaxPool { kernel: vec![2], stride: Vec::new(), padding: vec![0], dilation: vec![1], ceil_mode: false }
    }
}

impl Layer for MaxPool {
    fn build(&self, builder: &mut GraphBuilder, x: ValueId) -> Result<ValueId, BuildError> {
        let stride = if self.stride.is_empty() { &self.kernel } else { &self.stride };
        let lists = [&self.kernel[..], stride, &self.padding, &self.dilation];
        let mut lists = spread_over(builder, x, "maxpool", &lists)?.into_iter();
        let mut next = || lists.next().expect("as many as were given");
        let (kernel, stride, padding, dilation) = (next(), next(), next(), next());
        builder.add(ops::MaxPool { kernel, stride, padding, dilation, ceil_mode: self.ceil_mode }, &[x])
    }

    fn to_notation(&self) -> Option<Item> {
        if self.kernel.is_empty() {
            return None;
        }
        let mut item = Item::new("maxpool").with(written(&self.kernel));
        if !self.stride.is_empty() {
            item = option_unless(item, "stride", &self.stride, &self.kernel);
        }
        item = option_unless(item, "pad", &self.padding, &[0]);
        item = option_unless(item, "dilation", &self.dilation, &[1]);
        Some(if self.ceil_mode { item.with("ceil") } else { item })
    }

    fn takes_activation(&self) -> bool {
        true
    }
}

/// `maxpool KERNEL [ACTIVATION] [ceil] [stride=STRIDE] [pad=PADDING] [dilation=DILATION]`
pub(crate) fn max_pool<'a>(read: &mut Reader<'a>, _: &Lowering<'a>) -> Result<MaxPool, NotationError> {
    Ok(MaxPool {
        kernel: read.dimensions("kernel")?,
        stride: read.option_dimensions("stride", 1)?.unwrap_or_default(),
        padding: read.option_dimensions("pad", 0)?.unwrap_or(vec![0]),
        dilation: read.option_dimensions("dilation", 1)?.unwrap_or(vec![1]),
        ceil_mode: read.flag("ceil")?,
    })
}
