//! Blocks of a transformer: attention, then a feed-forward network for each step, each added to what came in.

use crate::graph::{BuildError, BuildProblem, GraphBuilder, ValueId};
use crate::nn::layers::digits;
use crate::nn::notation::{Item, NotationError, Reader};
use crate::nn::{Dense, Init, Layer, LayerNorm, Lowering, MultiHeadAttention};
use crate::ops;

/// A block of an encoder, or, causal, of a language model: x [batch, time, width] → y as x.
///
/// With the normalisation first (the default; Xiong et al., "On layer normalization in the transformer architecture", 2020):
/// h = x + attention(norm1(x)), y = h + linear2(gelu(linear1(norm2(h)))); with `postnorm`, as in the first transformers,
/// h = norm1(x + attention(x)), y = norm2(h + linear2(gelu(linear1(h)))). Behind the last block of a network of the first kind
/// a `layernorm` does well.
///
/// Parameters are named as in PyTorch's `nn.TransformerEncoderLayer`: `self_attn.in_proj_weight`, `self_attn.in_proj_bias`,
/// `self_attn.out_proj.…`, `linear1.…`, `linear2.…`, `norm1.…`, `norm2.…`. They start as in GPT-2 (Radford et al., "Language
/// models are unsupervised multitask learners", 2019): weights normal with a standard deviation of 0.02, those of the two
/// layers whose outputs are added (`out_proj`, `linear2`) divided by √(2·depth), so that the sum of all blocks does not grow
/// with their number; biases 0. PyTorch's own start (Xavier's) has no such division.
///
/// Dropout, where there is any, is behind attention, behind the activation and behind the feed-forward network; not on the
/// weights of attention, which are never there as a whole.
///
/// Notation: `transformer 128 heads 4 causal`, with `postnorm`, `rotary`, `mlp=512`, `context=64`, `eps=1e-12`, `dropout=0.1` if wanted;
/// `6 * transformer …` has the depth 6.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Transformer {
    /// Values of a step.
    pub width: usize,
    /// Its attention.
    pub attention: MultiHeadAttention,
    /// The rest.
    pub block: Block,
}

/// A block of a decoder: causal attention to the sequence itself, attention to the output of an encoder, feed-forward network.
///
/// It has two inputs, so it is no [`Layer`] and has no word in the notation; see [`TransformerDecoder::build`]. Parameters are
/// named as in PyTorch's `nn.TransformerDecoderLayer`, except that those of the second attention, `multihead_attn`, are
/// those of [`MultiHeadAttention::build_across`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TransformerDecoder {
    /// The attention to the sequence itself; causal by default.
    pub attention: MultiHeadAttention,
    /// The rest.
    pub block: Block,
}

/// What the blocks of encoder and decoder have in common.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Block {
    /// Units of the hidden layer of the feed-forward network; four times the width by default.
    pub mlp: Option<usize>,
    /// Normalise sums, and not what goes into attention and feed-forward network; false by default.
    pub postnorm: bool,
    /// Added to the variance by the normalisations; 1e-5 by default.
    pub eps: f32,
    /// Probability that a value is dropped in training, 0 to 1; 0 by default.
    pub dropout: f32,
    /// Blocks of the network that follow each other, 1 by default: for the start of the weights.
    pub depth: usize,
}

impl Default for Block {
    fn default() -> Block {
        Block { mlp: None, postnorm: false, eps: ops::LayerNorm::default().eps, dropout: 0.0, depth: 1 }
    }
}

/// Start of the weights.
const STD: f32 = 0.02;

impl Block {
    fn init(&self) -> Init {
        Init::Normal { mean: 0.0, std: STD }
    }

    /// Start of the weights whose outputs are added to what came in.
    fn added_init(&self) -> Init {
        Init::Normal { mean: 0.0, std: (f64::from(STD) / (2.0 * self.depth.max(1) as f64).sqrt()) as f32 }
    }

    fn attention(&self, attention: &MultiHeadAttention) -> MultiHeadAttention {
        MultiHeadAttention { weight_init: self.init(), out_init: self.added_init(), ..*attention }
    }

    fn dropped(&self, builder: &mut GraphBuilder, x: ValueId) -> Result<ValueId, BuildError> {
        if self.dropout == 0.0 { Ok(x) } else { builder.add(ops::Dropout { rate: self.dropout }, &[x]) }
    }

    /// x with what `part` makes of it, and the normalisation `norm` before or behind.
    fn with(
        &self,
        builder: &mut GraphBuilder,
        norm: &str,
        x: ValueId,
        part: impl FnOnce(&mut GraphBuilder, ValueId) -> Result<ValueId, BuildError>,
    ) -> Result<ValueId, BuildError> {
        let layer = LayerNorm(ops::LayerNorm { eps: self.eps });
        let normalised = |builder: &mut GraphBuilder, x| builder.scoped(norm, |builder| layer.build(builder, x));
        let inner = if self.postnorm { x } else { normalised(builder, x)? };
        let made = part(builder, inner)?;
        let made = self.dropped(builder, made)?;
        let sum = builder.add(ops::Add, &[x, made])?;
        if self.postnorm { normalised(builder, sum) } else { Ok(sum) }
    }

    fn feed_forward(&self, builder: &mut GraphBuilder, x: ValueId) -> Result<ValueId, BuildError> {
        let width = builder.shape(x).last().unwrap_or(1);
        let dense = |units: usize, weight_init: Init| Dense { units, bias: true, weight_init, bias_init: Init::Zeros };
        let first = dense(self.mlp.unwrap_or(4 * width), self.init());
        let hidden = builder.scoped("linear1", |builder| first.build(builder, x))?;
        let hidden = builder.add(ops::Gelu, &[hidden])?;
        let hidden = self.dropped(builder, hidden)?;
        let second = dense(width, self.added_init());
        builder.scoped("linear2", |builder| second.build(builder, hidden))
    }
}

impl Transformer {
    /// A block with all else by default.
    pub fn new(width: usize, heads: usize) -> Transformer {
        Transformer { width, attention: MultiHeadAttention::new(heads), block: Block::default() }
    }
}

impl Layer for Transformer {
    fn build(&self, builder: &mut GraphBuilder, x: ValueId) -> Result<ValueId, BuildError> {
        let (shape, width) = (builder.shape(x), self.width);
        if shape.rank() != 3 || shape.last() != Some(width) {
            let message =
                format!("a transformer of width {width} needs sequences, [batch, time, {width}], not {shape}");
            let advice = match shape.last().filter(|_| shape.rank() == 3) {
                Some(found) => format!("write 'transformer {found}', or put 'dense {width} ->' before it"),
                None => "put 'tokens ->' before it for tokens".to_string(),
            };
            return Err(builder.error(BuildProblem::Layer(message)).suggest(advice));
        }
        let block = &self.block;
        let attention = block.attention(&self.attention);
        let h = block.with(builder, "norm1", x, |builder, x| {
            builder.scoped("self_attn", |builder| attention.build(builder, x))
        })?;
        block.with(builder, "norm2", h, |builder, h| block.feed_forward(builder, h))
    }

    fn to_notation(&self) -> Option<Item> {
        let mut item = self.attention.write(Item::new("transformer").with(self.width));
        if self.block.postnorm {
            item = item.with("postnorm");
        }
        if let Some(mlp) = self.block.mlp.filter(|&mlp| mlp != 4 * self.width) {
            item = item.option("mlp", mlp);
        }
        if self.block.eps != Block::default().eps {
            item = item.option("eps", digits(self.block.eps));
        }
        if self.block.dropout != 0.0 {
            item = item.option("dropout", digits(self.block.dropout));
        }
        Some(item)
    }
}

impl TransformerDecoder {
    /// A block with all else by default.
    pub fn new(heads: usize) -> TransformerDecoder {
        let attention = MultiHeadAttention { causal: true, ..MultiHeadAttention::new(heads) };
        TransformerDecoder { attention, block: Block::default() }
    }

    /// Adds the block behind `x` [batch, time, width], with `memory` [batch, other, width], the output of an encoder, of which
    /// `lengths` [batch] says how many steps are real, if they differ.
    ///
    /// # Errors
    /// If a shape does not fit.
    pub fn build(
        &self,
        builder: &mut GraphBuilder,
        x: ValueId,
        memory: ValueId,
        lengths: Option<ValueId>,
    ) -> Result<ValueId, BuildError> {
        let block = &self.block;
        let own = block.attention(&self.attention);
        let across = block.attention(&MultiHeadAttention::new(self.attention.heads));
        let h = block
            .with(builder, "norm1", x, |builder, x| builder.scoped("self_attn", |builder| own.build(builder, x)))?;
        let h = block.with(builder, "norm2", h, |builder, h| {
            builder.scoped("multihead_attn", |builder| across.build_across(builder, h, memory, lengths))
        })?;
        block.with(builder, "norm3", h, |builder, h| block.feed_forward(builder, h))
    }
}

/// `transformer WIDTH heads HEADS [causal] [rotary] [postnorm] [mlp=UNITS] [context=STEPS] [eps=EPS] [dropout=RATE]`
pub(crate) fn transformer<'a>(read: &mut Reader<'a>, context: &Lowering<'a>) -> Result<Transformer, NotationError> {
    let attention = MultiHeadAttention::read(read)?;
    let width = read.size("width")?;
    let dropout = read.option_number("dropout")?.unwrap_or(0.0);
    if !(0.0..=1.0).contains(&dropout) {
        return Err(read.error(format!("dropout of 'transformer' must be a rate from 0 to 1, not {dropout}")));
    }
    let block = Block {
        mlp: read.option_size("mlp", 1)?,
        postnorm: read.flag("postnorm")?,
        eps: read.option_number("eps")?.map_or(Block::default().eps, |eps| eps as f32),
        dropout: dropout as f32,
        depth: context.repeated(),
    };
    Ok(Transformer { width, attention, block })
}
