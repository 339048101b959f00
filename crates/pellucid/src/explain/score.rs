//! A score of a network as a number that can be differentiated.

use std::sync::Arc;

use crate::graph::{Graph, Source, ValueId};
use crate::ops::{Multiply, Sum};
use crate::tensor::{Dims, Shape};

/// A network at inference, all parameters frozen, with the sum of chosen scores at its end.
pub(super) struct ScoreGraph {
    pub graph: Arc<Graph>,
    /// What each score counts, `[batch, classes]`.
    pub chosen: ValueId,
    /// Σ chosen · score, `[batch]`: a single number for a batch of one.
    pub score: ValueId,
}

/// The scores of `graph` (what goes into the op that makes probabilities of them, if it ends in one), and their sizes in a row.
pub(super) fn scores(graph: &Graph) -> (ValueId, Dims) {
    let output = graph.outputs()[0];
    let scores = match graph.value(output).source {
        Source::Node(node) => {
            let node = &graph.nodes()[node];
            let makes_probabilities = matches!(node.op.name(), "Softmax" | "LogSoftmax" | "Sigmoid");
            if makes_probabilities { node.inputs[0] } else { output }
        }
        _ => output,
    };
    (scores, graph.shape(scores).sample().unwrap_or_default())
}

impl ScoreGraph {
    /// For the scores of `graph`, which are `[batch, classes]`.
    pub fn new(graph: &Graph) -> ScoreGraph {
        let (scores, classes) = scores(graph);
        let mut network = graph.clone().at_inference();
        network.freeze(true, |_| true);
        let mut builder = network.extend();
        let fits = "a name of its own, and shapes that fit";
        let chosen = builder.input("explain.chosen", Shape::batched(&classes)).expect(fits);
        let products = builder.add(Multiply, &[scores, chosen]).expect(fits);
        let score = builder.add(Sum, &[products]).expect(fits);
        ScoreGraph { graph: Arc::new(builder.finish(&[score])), chosen, score }
    }
}

/// Chooses the score of one class; a single score counts for class 1, and negative for class 0.
pub(super) fn choose(chosen: &mut [f32], class: usize) {
    match (chosen.len(), class) {
        (1, 0) => chosen[0] = -1.0,
        (1, 1) => chosen[0] = 1.0,
        _ => {
            chosen.fill(0.0);
            chosen[class] = 1.0;
        }
    }
}
