//! Tokens as a transformer wants them: embedded, with positions.

use crate::graph::{BuildError, GraphBuilder, ValueId};
use crate::nn::notation::{Item, NotationError, Reader};
use crate::nn::{Embedding, Init, Layer, Lowering, Positions};

/// An embedding and learnt positions: tokens [batch, time] → [batch, time, width].
///
/// Both start normal with a standard deviation of 0.02, as in GPT-2: with PyTorch's embedding of standard deviation 1 the
/// blocks behind it, whose outputs are added to it, would hardly count at first. Parameters: `embedding.weight`
/// [vocabulary, width], `positions.weight` [context, width]. Notation: `tokens`, as wide as the transformer behind it, with the
/// vocabulary of the data; `tokens 128`; `tokens 65x128 context=512`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tokens {
    /// Number of tokens, at least 1.
    pub vocabulary: usize,
    /// Values of a token, at least 1.
    pub width: usize,
    /// Most steps of a sequence; by default those that the network is built for.
    pub context: Option<usize>,
}

impl Layer for Tokens {
    fn build(&self, builder: &mut GraphBuilder, x: ValueId) -> Result<ValueId, BuildError> {
        let weight_init = Init::Normal { mean: 0.0, std: 0.02 };
        let embedding = Embedding { weight_init, ..Embedding::new(self.vocabulary, self.width) };
        let positions = Positions::Learnt { context: self.context };
        let embedded = builder.scoped("embedding", |builder| embedding.build(builder, x))?;
        builder.scoped("positions", |builder| positions.build(builder, embedded))
    }

    fn to_notation(&self) -> Option<Item> {
        let item = Item::new("tokens").with([self.vocabulary, self.width].as_slice());
        Some(match self.context {
            Some(context) => item.option("context", context),
            None => item,
        })
    }
}

/// `tokens [WIDTH|VOCABULARYxWIDTH] [context=STEPS]`
pub(crate) fn tokens<'a>(read: &mut Reader<'a>, context: &Lowering<'a>) -> Result<Tokens, NotationError> {
    let (vocabulary, width) = match (super::embedding::sizes(read)?, context.transformer_behind()) {
        (Some((Some(vocabulary), width)), _) => (vocabulary, width),
        (Some((None, width)), _) | (None, Some(width)) => (context.vocabulary(read)?, width),
        (None, None) => {
            let error = read.error("'tokens' needs a width, unless a transformer behind it has one");
            return Err(error.suggest("as in tokens 128"));
        }
    };
    Ok(Tokens { vocabulary, width, context: read.option_size("context", 1)? })
}
