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
    /// Classes, where a target is a probability for each; class labels of the data are made that.
    pub classes: Option<usize>,
}

impl Problem {
    /// Puts `loss` on the first output of `network`, whose first input takes the rows. Parameters keep their places.
    ///
    /// # Errors
    /// When the loss does not fit the network's output.
    pub fn new(network: &Graph, loss: &dyn LossLayer, weighted: bool) -> Result<Problem, BuildError> {
        Problem::build(network, loss, weighted, false)
    }

    /// The same for targets that can be mixed: probabilities of the classes instead of class labels.
    ///
    /// # Errors
    /// When the loss does not fit the network's output, or takes no such probabilities.
    pub fn of_mixtures(network: &Graph, loss: &dyn LossLayer, weighted: bool) -> Result<Problem, BuildError> {
        Problem::build(network, loss, weighted, true)
    }

    fn build(network: &Graph, loss: &dyn LossLayer, weighted: bool, mixtures: bool) -> Result<Problem, BuildError> {
        let (input, prediction) = (network.inputs()[0].value, network.outputs()[0]);
        let mut builder = network.clone().extend();
        let output = network.shape(prediction);
        let mut target_shape = loss.target_shape(output);
        let mut classes = None;
        if mixtures && target_shape.rank() + 1 == output.rank() {
            classes = output.last();
            target_shape = output.clone();
        }
        let target = builder.input("target", target_shape)?;
        let weight = if weighted { Some(builder.input("weight", Shape::batched(&[]))?) } else { None };
        let value = builder.scoped("loss", |builder| loss.add(builder, prediction, target, weight))?;
        let graph = Arc::new(builder.finish(&[prediction, value]));
        Ok(Problem { graph, input, target, weight, prediction, loss: value, classes })
    }
}
