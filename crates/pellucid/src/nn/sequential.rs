//! Layers one behind the other.

use std::ops::Range;
use std::sync::Arc;

use super::Layer;
use super::notation::{Item, Network};
use crate::graph::{BuildError, BuildProblem, Graph, GraphBuilder, ValueId};
use crate::tensor::{Dim, Shape};

/// Name of the input of a graph that is made of one sequence.
pub const INPUT: &str = "input";

/// Layers one behind the other, numbered from 0 as PyTorch's `nn.Sequential` numbers its modules: an activation counts,
/// so that `dense 16 tanh -> dense 3` has the parameters `0.weight`, `0.bias`, `2.weight` and `2.bias`. A sequence inside a
/// layer (`residual`, a branch of `concat`) begins again from 0 within the layer's number: `1.0.weight`.
///
/// ```
/// use pellucid::nn::{Dense, Init, Sequential};
/// use pellucid::ops::Relu;
///
/// let network = Sequential::new()
///     .then(Dense { units: 128, weight_init: Init::HeNormal, ..Dense::default() })
///     .then(Relu)
///     .then(Dense { units: 10, bias: false, ..Dense::default() });
/// let graph = network.graph(&[784])?;
/// assert_eq!(graph.shape(graph.outputs()[0]).to_string(), "[batch, 10]");
/// # Ok::<(), pellucid::graph::BuildError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Sequential {
    entries: Vec<Entry>,
}

#[derive(Clone, Debug)]
struct Entry {
    layer: Arc<dyn Layer>,
    /// Where the layer stands in the text that it was read from.
    place: Option<Range<usize>>,
}

impl Sequential {
    /// No layer yet: the output is the input.
    pub fn new() -> Sequential {
        Sequential::default()
    }

    /// With one more layer at the end.
    pub fn then(self, layer: impl Layer + 'static) -> Sequential {
        self.then_shared(Arc::new(layer))
    }

    /// [`Sequential::then`] for a layer behind a pointer.
    pub fn then_shared(mut self, layer: Arc<dyn Layer>) -> Sequential {
        self.entries.push(Entry { layer, place: None });
        self
    }

    pub(super) fn push_read(&mut self, layer: Arc<dyn Layer>, place: Range<usize>) {
        self.entries.push(Entry { layer, place: Some(place) });
    }

    pub(super) fn append(&mut self, other: Sequential) {
        self.entries.extend(other.entries);
    }

    /// The layers in order.
    pub fn layers(&self) -> impl ExactSizeIterator<Item = &dyn Layer> {
        self.entries.iter().map(|entry| &*entry.layer)
    }

    /// A graph with one input, called `input` and of `input_shape` for each row of the batch, and one output.
    ///
    /// # Errors
    /// The first layer that does not fit, or an impossible shape of the input.
    pub fn graph(&self, input_shape: &[usize]) -> Result<Graph, BuildError> {
        let mut builder = GraphBuilder::new();
        let axes = [Dim::Batch].into_iter().chain(input_shape.iter().map(|&size| Dim::Fixed(size)));
        let shape = match Shape::new(axes) {
            Ok(shape) => shape,
            Err(error) => return Err(builder.error(BuildProblem::Layer(format!("shape of the input: {error}")))),
        };
        let x = builder.input(INPUT, shape)?;
        let y = self.build(&mut builder, x)?;
        Ok(builder.finish(&[y]))
    }

    /// The sequence as a line of notation in its one canonical form; `None` if it is empty or a layer has no word there.
    pub fn to_notation(&self) -> Option<Network> {
        let mut items: Vec<Item> = Vec::new();
        let mut before: Option<&dyn Layer> = None;
        for layer in self.layers() {
            let word = before.filter(|before| before.takes_activation()).and_then(|_| layer.as_activation());
            match word {
                Some(word) => {
                    let item = items.pop().expect("the item of the layer before");
                    items.push(item.with(word));
                }
                None => items.push(layer.to_notation()?),
            }
            before = Some(layer);
        }
        (!items.is_empty()).then(|| Network::new(items))
    }

    /// [`Layer::build_at`] for each layer in turn.
    pub(super) fn build_all(
        &self,
        builder: &mut GraphBuilder,
        x: ValueId,
        position: &mut usize,
    ) -> Result<ValueId, BuildError> {
        let mut value = x;
        for Entry { layer, place } in &self.entries {
            value = layer
                .build_at(builder, value, position)
                .map_err(|error| error.at(builder.shape(value), place.clone()))?;
        }
        Ok(value)
    }
}

impl Layer for Sequential {
    fn build(&self, builder: &mut GraphBuilder, x: ValueId) -> Result<ValueId, BuildError> {
        self.build_all(builder, x, &mut 0)
    }
}
