//! A layer that does not know its own word: it is printed as it was read.

use std::sync::Arc;

use super::activation::layer_item;
use crate::graph::{BuildError, GraphBuilder, ValueId};
use crate::nn::Layer;
use crate::nn::notation::{Item, Value, Word};

/// A layer with what it was read from.
#[derive(Clone, Debug)]
pub(crate) struct Written {
    layer: Arc<dyn Layer>,
    item: Item,
    word: Option<Word>,
}

impl Written {
    /// A layer as `item`, once, of whose words `keep` picks those that are its own.
    pub(crate) fn layer(layer: Arc<dyn Layer>, item: &Item, keep: impl Fn(&str) -> bool) -> Written {
        let mut own = item.branches().iter().cloned().fold(Item::new(item.word()), Item::branch);
        for argument in item.arguments() {
            own = match (argument.key(), argument.value()) {
                (Some(key), value) => own.option(key, value.clone()),
                (None, Value::Word(word)) if !keep(word.name()) => own,
                (None, value) => own.with(value.clone()),
            };
        }
        Written { layer, item: own, word: None }
    }

    /// An activation as a word.
    pub(crate) fn activation(layer: Arc<dyn Layer>, word: Word) -> Written {
        Written { layer, item: layer_item(word.clone()), word: Some(word) }
    }
}

impl Layer for Written {
    fn build(&self, builder: &mut GraphBuilder, x: ValueId) -> Result<ValueId, BuildError> {
        self.layer.build(builder, x)
    }

    fn build_at(&self, builder: &mut GraphBuilder, x: ValueId, position: &mut usize) -> Result<ValueId, BuildError> {
        self.layer.build_at(builder, x, position)
    }

    fn to_notation(&self) -> Option<Item> {
        Some(self.item.clone())
    }

    fn as_activation(&self) -> Option<Word> {
        self.word.clone()
    }

    fn takes_activation(&self) -> bool {
        self.layer.takes_activation()
    }
}
