//! Attention of many heads: every step looks at the steps that matter to it.

use std::sync::Arc;

use crate::graph::{BuildError, BuildProblem, GraphBuilder, Role, ValueId};
use crate::nn::notation::{Item, NotationError, Reader};
use crate::nn::{Dense, Init, Layer, Lowering};
use crate::ops;
use crate::tensor::{Dim, Shape};

/// Multi-head attention of a sequence to itself: x [batch, time, width] → y as x. See [`ops::Attention`]; padded steps are not
/// looked at.
///
/// Parameters, as in PyTorch: `in_proj_weight` [3·width, width] and `in_proj_bias`, which make queries, keys and values;
/// `out_proj.weight` [width, width] and `out_proj.bias`. Notation: `attention heads 4`, `attention heads 4 causal`, with
/// `rotary` and `context=64` if wanted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MultiHeadAttention {
    /// Number of heads; divides the width.
    pub heads: usize,
    /// A step sees those before it and itself; false by default: all.
    pub causal: bool,
    /// Where causal, steps that each looks back over, its own included; by default those that the network is built for.
    pub context: Option<usize>,
    /// Queries and keys are turned by their positions ([`ops::RotaryEmbedding`]); false by default.
    pub rotary: bool,
    /// Start of the weights that make queries, keys and values; by default as in PyTorch, Xavier's uniform one.
    pub weight_init: Init,
    /// Start of the weights of the output; by default as in PyTorch.
    pub out_init: Init,
}

impl MultiHeadAttention {
    /// So many heads, all else by default.
    pub fn new(heads: usize) -> MultiHeadAttention {
        let (weight_init, out_init) = (Init::XavierUniform { gain: 1.0 }, Init::Default);
        MultiHeadAttention { heads, causal: false, context: None, rotary: false, weight_init, out_init }
    }

    /// Attention of `x` [batch, time, width] to another sequence, `memory` [batch, other, width], of which `lengths` [batch] says
    /// how many steps are real, if they differ. Parameters: `q_proj_weight` [width, width], `kv_proj_weight` [2·width, width] with
    /// the keys first, `q_proj_bias`, `kv_proj_bias`, and those of `out_proj`.
    ///
    /// # Errors
    /// If a shape does not fit.
    pub fn build_across(
        &self,
        builder: &mut GraphBuilder,
        x: ValueId,
        memory: ValueId,
        lengths: Option<ValueId>,
    ) -> Result<ValueId, BuildError> {
        let (_, width) = self.sizes(builder, x)?;
        let q = self.project(builder, "q", width, x)?;
        let kv = self.project(builder, "kv", 2 * width, memory)?;
        let op = ops::Attention { heads: self.heads, context: None, cross: true };
        let inputs: Vec<ValueId> = [q, kv].into_iter().chain(lengths).collect();
        let y = builder.add(op, &inputs)?;
        self.output(builder, width, y)
    }

    /// Time steps and width of `x`.
    fn sizes(&self, builder: &GraphBuilder, x: ValueId) -> Result<(usize, usize), BuildError> {
        let problem = match builder.shape(x).axes() {
            &[Dim::Batch, Dim::Fixed(time), Dim::Fixed(width)]
                if self.heads > 0 && width.is_multiple_of(self.heads) =>
            {
                return Ok((time, width));
            }
            [Dim::Batch, _, Dim::Fixed(width)] => {
                format!("attention of {} heads needs a width that they divide, but it is {width}", self.heads)
            }
            _ => "attention needs sequences, [batch, time, width]".to_string(),
        };
        Err(builder.error(BuildProblem::Layer(problem)))
    }

    /// A projection of `x` to `units` values a step.
    fn project(&self, builder: &mut GraphBuilder, name: &str, units: usize, x: ValueId) -> Result<ValueId, BuildError> {
        let features = builder.shape(x).last().unwrap_or(1);
        let init = Arc::new(self.weight_init);
        let weight = builder.sized_parameter(&format!("{name}_proj_weight"), &[units, features], Role::Weight, init)?;
        let (shape, zeros) = (Shape::fixed(&[units]), Arc::new(Init::Zeros));
        let bias = builder.parameter(&format!("{name}_proj_bias"), shape, Role::Bias, zeros)?;
        builder.add(ops::Dense, &[x, weight, bias])
    }

    fn output(&self, builder: &mut GraphBuilder, width: usize, y: ValueId) -> Result<ValueId, BuildError> {
        let dense = Dense { units: width, bias: true, weight_init: self.out_init, bias_init: Init::Zeros };
        builder.scoped("out_proj", |builder| dense.build(builder, y))
    }
}

impl Layer for MultiHeadAttention {
    fn build(&self, builder: &mut GraphBuilder, x: ValueId) -> Result<ValueId, BuildError> {
        let MultiHeadAttention { heads, causal, context, rotary, .. } = *self;
        let (time, width) = self.sizes(builder, x)?;
        let mut stacked = self.project(builder, "in", 3 * width, x)?;
        if rotary {
            stacked = builder.add(ops::RotaryEmbedding::new(2 * heads, width / heads), &[stacked])?;
        }
        let context = causal.then(|| context.unwrap_or(time));
        let inputs: Vec<ValueId> = [stacked].into_iter().chain(builder.lengths()).collect();
        let y = builder.add(ops::Attention { heads, context, cross: false }, &inputs)?;
        self.output(builder, width, y)
    }

    fn to_notation(&self) -> Option<Item> {
        let plain = MultiHeadAttention::new(self.heads);
        if (self.weight_init, self.out_init) != (plain.weight_init, plain.out_init) {
            return None;
        }
        Some(self.write(Item::new("attention")))
    }
}

impl MultiHeadAttention {
    /// Adds heads and sight to an item.
    pub(super) fn write(&self, item: Item) -> Item {
        let mut item = item.with("heads").with(self.heads);
        for (word, given) in [("causal", self.causal), ("rotary", self.rotary)] {
            if given {
                item = item.with(word);
            }
        }
        match self.context {
            Some(context) => item.option("context", context),
            None => item,
        }
    }

    /// `heads HEADS [causal] [rotary] [context=STEPS]`
    pub(super) fn read<'a>(read: &mut Reader<'a>) -> Result<MultiHeadAttention, NotationError> {
        let word = read.item().word();
        let Some(heads) = read.size_behind("heads")? else {
            let error = read.error(format!("'{word}' needs a number of heads"));
            return Err(error.suggest(format!("as in {word} {}heads 4", if word == "attention" { "" } else { "128 " })));
        };
        let causal = read.flag("causal")?;
        let rotary = read.flag("rotary")?;
        let context = read.option_size("context", 1)?;
        if context.is_some() && !causal {
            return Err(read.error("'context' limits how far 'causal' attention looks back").suggest("add 'causal'"));
        }
        Ok(MultiHeadAttention { causal, rotary, context, ..MultiHeadAttention::new(heads) })
    }
}

/// `attention heads HEADS [causal] [rotary] [context=STEPS]`
pub(crate) fn attention<'a>(read: &mut Reader<'a>, _: &Lowering<'a>) -> Result<MultiHeadAttention, NotationError> {
    MultiHeadAttention::read(read)
}
