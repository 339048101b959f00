//! What changes the parameters: an optimiser that takes a batch at a time, or L-BFGS, which asks for the loss of all rows
//! as often as it likes.

use serde_json::Value;

use super::{FitOptions, TrainError};
use crate::graph::{Graph, Segment};
use crate::optim::{Minimiser, OptimError, Optimizer, OptimizerConfig};

pub(super) enum Updater {
    /// One gradient, one update.
    Batches(Optimizer),
    /// L-BFGS, and a place for the parameters while the session holds those that are tried.
    Whole { minimiser: Box<Minimiser>, parameters: Vec<f32> },
}

impl Updater {
    /// The updater that `options` ask for; `whole` says whether a batch holds all rows.
    pub fn new(options: &FitOptions, graph: &Graph, segments: &[Segment], whole: bool) -> Result<Updater, TrainError> {
        let OptimizerConfig::Lbfgs(config) = &options.optimizer else {
            let optimizer = Optimizer::new(&options.optimizer, segments, &options.groups)?;
            return Ok(Updater::Batches(optimizer));
        };
        let refuse = |message: &str| Err(TrainError::Settings(message.to_string()));
        if !whole {
            return refuse("lbfgs needs all rows in every update; choose the batch size full");
        }
        if options.clipping.is_some() {
            return refuse("lbfgs measures its steps by the gradients as they are; leave clipping out");
        }
        if !options.augmentation.is_none() {
            return refuse(
                "lbfgs needs the same loss at the same parameters, which augmentation does not give; leave it out",
            );
        }
        if graph.nodes().iter().any(|node| node.op.is_random()) {
            return refuse(
                "lbfgs needs the same loss at the same parameters, which dropout does not give; leave it out",
            );
        }
        let minimiser = Box::new(Minimiser::new(config, segments, &options.groups)?);
        Ok(Updater::Whole { minimiser, parameters: Vec::new() })
    }

    /// All that the next update depends on, besides the settings: named slabs and a document.
    pub fn state(&self) -> (Vec<(&'static str, &[f32])>, Value) {
        match self {
            Updater::Batches(optimizer) => optimizer.state(),
            Updater::Whole { minimiser, .. } => minimiser.state(),
        }
    }

    /// Takes the state of [`Updater::state`].
    pub fn restore<E: From<OptimError>>(
        &mut self,
        counters: &Value,
        fill: impl FnMut(&'static str, &mut [f32]) -> Result<(), E>,
    ) -> Result<(), E> {
        match self {
            Updater::Batches(optimizer) => optimizer.restore(counters, fill),
            Updater::Whole { minimiser, .. } => minimiser.restore(counters, fill),
        }
    }
}
