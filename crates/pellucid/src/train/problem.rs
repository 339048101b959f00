//! A network with a loss on it: the graph that is trained.

use std::sync::Arc;

use crate::graph::{BuildError, Graph, ValueId};
use crate::nn::LossLayer;
use crate::tensor::Shape;

/// The values of a training graph that the fit loop fills and reads.
#[derive(Clone, Debug)]
pub struct Problem {
    /// Network and loss.
    pub graph: Arc<Graph>,
    /// Inputs of a row.
    pub input: ValueId,
    /// Targets of a row.
    pub target: ValueId,
    /// Weight of a row, if rows are weighted.
    pub weight: Option<ValueId>,
    /// Output of the network.
    pub prediction: ValueId,
    /// The loss.
    pub loss: ValueId,
}

impl Problem {
    /// Puts `loss` on the first output of `network`, whose first input takes the rows. Parameters keep their places.
    ///
    /// # Errors
    /// When the loss does not fit the network's output.
    pub fn new(network: &Graph, loss: &dyn LossLayer, weighted: bool) -> Result<Problem, BuildError> {
        let (input, prediction) = (network.inputs()[0].value, network.outputs()[0]);
        let mut builder = network.clone().extend();
        let target_shape = loss.target_shape(network.shape(prediction));
        let target = builder.input("target", target_shape)?;
        let weight = if weighted { Some(builder.input("weight", Shape::batched(&[]))?) } else { None };
        let value = builder.scoped("loss", |builder| loss.add(builder, prediction, target, weight))?;
        let graph = Arc::new(builder.finish(&[prediction, value]));
        Ok(Problem { graph, input, target, weight, prediction, loss: value })
    }
}
