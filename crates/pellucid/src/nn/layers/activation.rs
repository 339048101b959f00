//! Activations: every element-wise op is a layer as it stands, and has a word in the notation.

use std::sync::Arc;

use crate::graph::{BuildError, GraphBuilder, ValueId};
use crate::nn::notation::{Item, Value, Word};
use crate::nn::{Layer, Prelu};
use crate::ops::{self, Attributes, Op};

/// How an activation is written: as a layer with numbers (`leaky_relu 0.02`), or behind another layer as one word
/// (`dense 8 leaky_relu:0.02`). Numbers left out have their defaults.
#[derive(Clone, Copy, Debug)]
pub struct ActivationWord {
    /// The word of the notation.
    pub word: &'static str,
    /// The name of the op that it is; empty for a layer that knows its own word.
    pub op: &'static str,
    /// The numbers in their order: the op's attribute, and the default.
    pub settings: &'static [(&'static str, f64)],
    /// Makes the layer from as many numbers as there are settings.
    pub layer: fn(&[f64]) -> Arc<dyn Layer>,
}

/// All of them.
pub(crate) const ACTIVATIONS: &[ActivationWord] = &[
    plain("exp", "Exp", |_| Arc::new(ops::Exp)),
    plain("gelu", "Gelu", |_| Arc::new(ops::Gelu)),
    plain("gelu_tanh", "GeluTanh", |_| Arc::new(ops::GeluTanh)),
    plain("glu", "Glu", |_| Arc::new(ops::Glu)),
    plain("hard_sigmoid", "HardSigmoid", |_| Arc::new(ops::HardSigmoid)),
    plain("hard_swish", "HardSwish", |_| Arc::new(ops::HardSwish)),
    plain("log_softmax", "LogSoftmax", |_| Arc::new(ops::LogSoftmax)),
    plain("mish", "Mish", |_| Arc::new(ops::Mish)),
    plain("relu", "Relu", |_| Arc::new(ops::Relu)),
    plain("relu6", "Relu6", |_| Arc::new(ops::Relu6)),
    plain("selu", "Selu", |_| Arc::new(ops::Selu)),
    plain("sigmoid", "Sigmoid", |_| Arc::new(ops::Sigmoid)),
    plain("silu", "Swish", |_| Arc::new(ops::Silu)),
    plain("softmax", "Softmax", |_| Arc::new(ops::Softmax)),
    plain("softsign", "Softsign", |_| Arc::new(ops::Softsign)),
    plain("tanh", "Tanh", |_| Arc::new(ops::Tanh)),
    with_numbers("channel_prelu", "", &[("slope", 0.25)], |n| {
        Arc::new(Prelu { slope: n[0] as f32, per_channel: true })
    }),
    with_numbers("prelu", "", &[("slope", 0.25)], |n| Arc::new(Prelu { slope: n[0] as f32, per_channel: false })),
    with_numbers("celu", "Celu", &[("alpha", 1.0)], |n| Arc::new(ops::Celu { alpha: n[0] as f32 })),
    with_numbers("elu", "Elu", &[("alpha", 1.0)], |n| Arc::new(ops::Elu { alpha: n[0] as f32 })),
    with_numbers("leaky_relu", "LeakyRelu", &[("negative_slope", 0.01)], |n| {
        Arc::new(ops::LeakyRelu { negative_slope: n[0] as f32 })
    }),
    with_numbers("softplus", "Softplus", &[("beta", 1.0), ("threshold", 20.0)], |n| {
        Arc::new(ops::Softplus { beta: n[0] as f32, threshold: n[1] as f32 })
    }),
];

const fn plain(word: &'static str, op: &'static str, layer: fn(&[f64]) -> Arc<dyn Layer>) -> ActivationWord {
    ActivationWord { word, op, settings: &[], layer }
}

const fn with_numbers(
    word: &'static str,
    op: &'static str,
    settings: &'static [(&'static str, f64)],
    layer: fn(&[f64]) -> Arc<dyn Layer>,
) -> ActivationWord {
    ActivationWord { word, op, settings, layer }
}

/// Every element-wise op is a layer.
impl<F: ops::Activation> Layer for F {
    fn build(&self, builder: &mut GraphBuilder, x: ValueId) -> Result<ValueId, BuildError> {
        builder.add(*self, &[x])
    }

    fn to_notation(&self) -> Option<Item> {
        self.as_activation().map(layer_item)
    }

    fn as_activation(&self) -> Option<Word> {
        word_of(Op::name(self), &Op::attributes(self))
    }
}

/// Ops that are no function of single values but stand where activations do.
macro_rules! activation_layers {
    ($($op:ty),*) => {$(
        impl Layer for $op {
            fn build(&self, builder: &mut GraphBuilder, x: ValueId) -> Result<ValueId, BuildError> {
                builder.add(*self, &[x])
            }

            fn to_notation(&self) -> Option<Item> {
                self.as_activation().map(layer_item)
            }

            fn as_activation(&self) -> Option<Word> {
                word_of(self.name(), &self.attributes())
            }
        }
    )*};
}

activation_layers!(ops::Glu, ops::LogSoftmax, ops::Softmax);

/// The word that stands for the op `name` with these attributes: default numbers at the end are left out.
fn word_of(name: &str, attributes: &Attributes) -> Option<Word> {
    let known = ACTIVATIONS.iter().find(|known| known.op == name)?;
    let of = |name: &str| attributes.get(name).and_then(|value| value.as_f64()).map(|value| digits(value as f32));
    let mut numbers: Vec<f64> =
        known.settings.iter().map(|(attribute, default)| of(attribute).unwrap_or(*default)).collect();
    while numbers.last().is_some_and(|last| *last == known.settings[numbers.len() - 1].1) {
        numbers.pop();
    }
    Some(Word::new(known.word, &numbers))
}

/// The word as a layer of its own: its numbers stand apart.
pub(crate) fn layer_item(word: Word) -> Item {
    word.numbers().iter().fold(Item::new(word.name()), |item, &number| item.with(Value::from(number)))
}

/// The number with the shortest decimal digits that are this f32: those that people wrote.
///
/// # Panics
/// If it is infinite or NaN, for which there is no notation.
pub(crate) fn digits(value: f32) -> f64 {
    value.to_string().parse().expect("digits of a number")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::Sequential;

    #[test]
    fn every_word_is_the_op_that_it_names_and_comes_back() {
        for known in ACTIVATIONS {
            let defaults: Vec<f64> = known.settings.iter().map(|(_, default)| *default).collect();
            let layer = (known.layer)(&defaults);
            assert_eq!(layer.as_activation(), Some(Word::new(known.word, &[])), "{}", known.word);
            let graph = Sequential::new().then_shared(layer).graph(&[4]).expect("four values fit any of them");
            let name = graph.nodes()[0].op.name();
            assert!(name == known.op || (known.op.is_empty() && name == "PRelu"), "{}: {name}", known.word);
            // Every setting reaches an attribute of its own (or the learnt slope), and comes back in its place.
            for changed in 0..defaults.len() {
                let mut numbers = defaults.clone();
                numbers[changed] += 0.5;
                let word = (known.layer)(&numbers).as_activation().expect("a word");
                assert_eq!(word.numbers(), &numbers[..=changed], "{}", known.word);
            }
        }
    }
}
