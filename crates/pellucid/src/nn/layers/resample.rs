//! Padding and up-sampling.

use super::activation::digits;
use super::pool::{spread_over, written};
use crate::graph::{BuildError, GraphBuilder, ValueId};
use crate::nn::notation::{Item, NotationError, Reader};
use crate::nn::{Layer, Lowering};
use crate::ops::{self, PadMode, UpsampleMode};

/// A border on both sides of the last one or two axes.
///
/// Notation: `pad 1`, `pad 1x2 reflect`, `pad 2 replicate`, `pad 1 value=0.5`.
#[derive(Clone, Debug, PartialEq)]
pub struct Pad {
    /// Places on each side of each axis behind the channels, or one number for each.
    pub size: Vec<usize>,
    /// What the border holds.
    pub mode: PadMode,
    /// The value of a constant border.
    pub value: f32,
}

/// The last one or two axes become longer by whole factors.
///
/// Notation: `upsample 2`, `upsample 2x3 linear`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upsample {
    /// How many times as long each axis behind the channels becomes, or one number for each.
    pub factor: Vec<usize>,
    /// What lies between two values.
    pub mode: UpsampleMode,
}

impl Layer for Pad {
    fn build(&self, builder: &mut GraphBuilder, x: ValueId) -> Result<ValueId, BuildError> {
        let before = spread_over(builder, x, "pad", &[&self.size])?.swap_remove(0);
        builder.add(ops::Pad { after: before.clone(), before, mode: self.mode, value: self.value }, &[x])
    }

    fn to_notation(&self) -> Option<Item> {
        if self.size.is_empty() {
            return None;
        }
        let item = Item::new("pad").with(written(&self.size));
        Some(match self.mode {
            PadMode::Constant if self.value == 0.0 => item,
            PadMode::Constant => item.option("value", digits(self.value)),
            PadMode::Reflect => item.with("reflect"),
            PadMode::Replicate => item.with("replicate"),
        })
    }
}

impl Layer for Upsample {
    fn build(&self, builder: &mut GraphBuilder, x: ValueId) -> Result<ValueId, BuildError> {
        let factor = spread_over(builder, x, "upsample", &[&self.factor])?.swap_remove(0);
        builder.add(ops::Upsample { factor, mode: self.mode }, &[x])
    }

    fn to_notation(&self) -> Option<Item> {
        if self.factor.is_empty() {
            return None;
        }
        let item = Item::new("upsample").with(written(&self.factor));
        Some(if self.mode == UpsampleMode::Linear { item.with("linear") } else { item })
    }
}

/// `pad SIZE [reflect | replicate] [value=VALUE]`
pub(crate) fn pad<'a>(read: &mut Reader<'a>, _: &Lowering<'a>) -> Result<Pad, NotationError> {
    let size = read.dimensions("size")?;
    let mode = match read.word("border", &["reflect", "replicate"])? {
        Some(word) if word.name == "reflect" => PadMode::Reflect,
        Some(_) => PadMode::Replicate,
        None => PadMode::Constant,
    };
    let value = read.option_number("value")?;
    if value.is_some() && mode != PadMode::Constant {
        return Err(read.error("a border that repeats the input has no value of its own"));
    }
    Ok(Pad { size, mode, value: value.unwrap_or(0.0) as f32 })
}

/// `upsample FACTOR [linear]`
pub(crate) fn upsample<'a>(read: &mut Reader<'a>, _: &Lowering<'a>) -> Result<Upsample, NotationError> {
    let factor = read.dimensions("factor")?;
    let mode = if read.flag("linear")? { UpsampleMode::Linear } else { UpsampleMode::Nearest };
    Ok(Upsample { factor, mode })
}
