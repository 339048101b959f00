//! What a layer is.

use std::fmt::Debug;

use super::notation::{Item, Word};
use crate::graph::{BuildError, GraphBuilder, ValueId};

/// A piece of a network with one input and one output. It adds nodes to a graph and names their parameters; it computes
/// no numbers and holds none.
///
/// ```
/// use pellucid::graph::{BuildError, GraphBuilder, ValueId};
/// use pellucid::nn::{Dense, Layer, Sequential};
/// use pellucid::ops::Relu;
///
/// /// A dense layer of as many units as it has inputs, and its activation.
/// #[derive(Debug)]
/// struct Square;
///
/// impl Layer for Square {
///     fn build(&self, builder: &mut GraphBuilder, x: ValueId) -> Result<ValueId, BuildError> {
///         let units = builder.shape(x).last().unwrap_or(1);
///         let y = Dense { units, ..Dense::default() }.build(builder, x)?;
///         builder.add(Relu, &[y])
///     }
/// }
///
/// let graph = Sequential::new().then(Square).then(Square).graph(&[3])?;
/// let names: Vec<&str> = graph.parameters().iter().map(|parameter| parameter.name.as_str()).collect();
/// assert_eq!(names, ["0.weight", "0.bias", "1.weight", "1.bias"]);
/// # Ok::<(), BuildError>(())
/// ```
pub trait Layer: Debug + Send + Sync {
    /// Adds the layer's nodes behind `x`, within the current scope of the builder, and gives their output.
    ///
    /// # Errors
    /// If the shape of `x` or a setting does not fit.
    fn build(&self, builder: &mut GraphBuilder, x: ValueId) -> Result<ValueId, BuildError>;

    /// [`Layer::build`] as number `position` of a sequence: the scope is called by the number, and the next layer has
    /// the next one. Another behaviour is for layers that dissolve into several of the sequence.
    ///
    /// # Errors
    /// As [`Layer::build`].
    fn build_at(&self, builder: &mut GraphBuilder, x: ValueId, position: &mut usize) -> Result<ValueId, BuildError> {
        let number = *position;
        *position += 1;
        builder.scoped(number, |builder| {
            if let Some(item) = self.to_notation() {
                builder.describe(item.to_string());
            }
            self.build(builder, x)
        })
    }

    /// How the layer is written in a line of notation; `None` if it has no word there.
    fn to_notation(&self) -> Option<Item> {
        None
    }

    /// The layer as a word behind another one (`dense 8 relu`), if it can be that.
    fn as_activation(&self) -> Option<Word> {
        None
    }

    /// Whether an activation may be written behind this layer's arguments.
    fn takes_activation(&self) -> bool {
        false
    }
}
