//! Embedding: a row of learnt values for each token.

use std::sync::Arc;

use crate::graph::{BuildError, GraphBuilder, Role, ValueId};
use crate::nn::notation::{Item, NotationError, Reader};
use crate::nn::{Init, Layer, Lowering};
use crate::ops;

/// Tokens [batch, …], whole numbers from 0 below `vocabulary` → [batch, …, width].
///
/// Parameter: `weight` [vocabulary, width]. Notation: `embedding 65x64`, vocabulary and width; `embedding 64`, the
/// vocabulary being that of the data; `embedding 64 init=normal:0:0.02`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Embedding {
    /// Number of tokens, at least 1.
    pub vocabulary: usize,
    /// Values of a token, at least 1.
    pub width: usize,
    /// Start of the weights; normal with a standard deviation of 1 by default, as in PyTorch.
    pub weight_init: Init,
}

impl Embedding {
    /// The start of the weights where nothing is said.
    pub const INIT: Init = Init::Normal { mean: 0.0, std: 1.0 };

    /// With the usual start of the weights.
    pub fn new(vocabulary: usize, width: usize) -> Embedding {
        Embedding { vocabulary, width, weight_init: Embedding::INIT }
    }
}

impl Layer for Embedding {
    fn build(&self, builder: &mut GraphBuilder, x: ValueId) -> Result<ValueId, BuildError> {
        let dims = [self.vocabulary, self.width];
        let weight = builder.sized_parameter("weight", &dims, Role::Weight, Arc::new(self.weight_init))?;
        builder.add(ops::Embedding, &[x, weight])
    }

    fn to_notation(&self) -> Option<Item> {
        let item = Item::new("embedding").with([self.vocabulary, self.width].as_slice());
        Some(if self.weight_init == Embedding::INIT { item } else { item.option("init", self.weight_init.to_word()) })
    }
}

/// `embedding WIDTH|VOCABULARYxWIDTH [init=INIT]`
pub(crate) fn embedding<'a>(read: &mut Reader<'a>, context: &Lowering<'a>) -> Result<Embedding, NotationError> {
    let (vocabulary, width) = match sizes(read)? {
        Some((Some(vocabulary), width)) => (vocabulary, width),
        Some((None, width)) => (context.vocabulary(read)?, width),
        None => return Err(read.error("'embedding' needs a width").suggest("as in embedding 64")),
    };
    let weight_init = match context.init(read, "init")?.unwrap_or(context.default_init()) {
        Init::Default => Embedding::INIT,
        init => init,
    };
    Ok(Embedding { vocabulary, width, weight_init })
}

/// `WIDTH|VOCABULARYxWIDTH`, if it stands there: the vocabulary, if it is written out, and the width.
pub(super) fn sizes(read: &mut Reader) -> Result<Option<(Option<usize>, usize)>, NotationError> {
    match read.optional_dimensions("width")?.as_deref() {
        None => Ok(None),
        Some(&[width]) => Ok(Some((None, width))),
        Some(&[vocabulary, width]) => Ok(Some((Some(vocabulary), width))),
        Some(sizes) => {
            let (word, found) = (read.item().word(), sizes.len());
            let message = format!("'{word}' takes a width, or vocabulary and width, here are {found} sizes");
            Err(read.error(message).suggest(format!("as in {word} 65x64")))
        }
    }
}
