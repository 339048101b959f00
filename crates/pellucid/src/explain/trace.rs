//! One training step taken apart: every value, every gradient, and what an update makes of each parameter.
//!
//! Small networks are computed in double precision ([`Double`]), so that a textbook's digits can be followed to the ninth; in
//! larger ones the numbers are those that the engine trains with.

use std::sync::Arc;

use kernels::device::Device;

use super::differentiable;
use super::double::{Double, NoReference};
use crate::graph::{Graph, Parameters, PlanError, PlanOptions, Session, Source, ValueId};
use crate::optim::{Groups, OptimError, Optimizer, OptimizerConfig};

/// Floating-point operations that the gradients in double precision may take: about a second.
const DOUBLE_COST: u64 = 500_000_000;

/// What to take apart.
#[derive(Clone, Copy, Debug)]
pub struct TraceOptions<'a> {
    /// Rows of the batch.
    pub rows: usize,
    /// The values of each input of the graph, in order: rows, targets.
    pub inputs: &'a [Vec<f64>],
    /// The values of each parameter of the graph, in order.
    pub parameters: &'a [Vec<f64>],
    /// What updates the parameters, from a fresh state.
    pub optimizer: &'a OptimizerConfig,
}

/// The numbers of one training step.
#[derive(Clone, Debug)]
pub struct Trace {
    /// Network and loss, as they behave at inference: without dropout, batch normalisation by its running values.
    pub graph: Arc<Graph>,
    /// The loss.
    pub loss: ValueId,
    /// Rows of the batch.
    pub rows: usize,
    /// Whether the numbers have double precision.
    pub is_double: bool,
    values: Vec<Vec<f64>>,
    gradients: Vec<Option<Vec<f64>>>,
    updated: Vec<Option<Vec<f64>>>,
}

/// Why a step could not be taken apart.
#[derive(Debug, thiserror::Error)]
pub enum TraceError {
    /// The network is too large.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The optimiser.
    #[error(transparent)]
    Optimizer(#[from] OptimError),
}

impl Trace {
    /// Takes a step of `graph` apart, whose `loss` is a single number.
    ///
    /// # Errors
    /// A network that is too large, or an optimiser that needs more than one gradient.
    ///
    /// # Panics
    /// When an input or parameter has another length.
    pub fn new(graph: Graph, loss: ValueId, options: &TraceOptions, device: &Arc<Device>) -> Result<Trace, TraceError> {
        let graph = Arc::new(graph.at_inference());
        let mut trace = single(graph, loss, options, device)?;
        if Double::cost(&trace.graph, options.rows, loss) <= DOUBLE_COST {
            // Without a reference of every op, the engine's numbers stay.
            if let Ok((values, gradients)) = double(&trace, options) {
                (trace.values, trace.gradients, trace.is_double) = (values, gradients, true);
                trace.update_in_double(options);
            }
        }
        Ok(trace)
    }

    /// The numbers of a value, in the order of its axes, rows first.
    pub fn value(&self, value: ValueId) -> &[f64] {
        &self.values[value.index()]
    }

    /// The derivative of the loss by each number of a value, where it has one.
    pub fn gradient(&self, value: ValueId) -> Option<&[f64]> {
        self.gradients[value.index()].as_deref()
    }

    /// What the update makes of the parameter with this position in the graph; `None` for a frozen one.
    pub fn updated(&self, parameter: usize) -> Option<&[f64]> {
        self.updated[parameter].as_deref()
    }

    /// Plain gradient descent is w - η g in any precision; other updates stay the engine's.
    fn update_in_double(&mut self, options: &TraceOptions) {
        let OptimizerConfig::Sgd(sgd) = options.optimizer else { return };
        if !sgd.is_plain() {
            return;
        }
        for (index, parameter) in self.graph.parameters().iter().enumerate() {
            let gradient = self.gradients[parameter.value.index()].as_ref();
            let (Some(updated), Some(gradient)) = (self.updated[index].as_mut(), gradient) else { continue };
            for ((new, old), g) in updated.iter_mut().zip(&options.parameters[index]).zip(gradient) {
                *new = old - sgd.lr * g;
            }
        }
    }
}

/// The engine's numbers.
fn single(graph: Arc<Graph>, loss: ValueId, options: &TraceOptions, device: &Arc<Device>) -> Result<Trace, TraceError> {
    let mut parameters = Parameters::zeros(&graph);
    let (segments, slab) = parameters.split_mut();
    for (segment, values) in segments.iter().zip(options.parameters) {
        narrow(values, &mut slab[segment.range.clone()]);
    }
    let mut session = Session::new(graph.clone(), device.clone(), parameters, 0);
    let plan = session.plan(&PlanOptions {
        batch: options.rows,
        loss: Some(loss),
        gradients_of: &differentiable(&graph),
        keep_all: true,
        ..PlanOptions::default()
    })?;
    for (input, values) in graph.inputs().iter().zip(options.inputs) {
        narrow(values, session.input_mut(plan, input.value));
    }
    session.forward(plan, 0);
    session.backward(plan, 0);
    let ids = (0..graph.value_count() as u32).map(ValueId);
    let values = ids.clone().map(|value| wide(session.value(plan, value))).collect();
    let gradients = ids.map(|value| session.gradient(plan, value).map(wide)).collect();
    let mut optimizer = Optimizer::new(options.optimizer, session.parameters().segments(), &Groups::default())?;
    let (parameters, slab) = session.parameters_and_gradients();
    optimizer.update(device, options.optimizer.learning_rate(), parameters.values_mut(), slab);
    let updated = |segment: &crate::graph::Segment| {
        (!segment.frozen).then(|| wide(&session.parameters().values()[segment.range.clone()]))
    };
    let updated = session.parameters().segments().iter().map(updated).collect();
    Ok(Trace { graph, loss, rows: options.rows, is_double: false, values, gradients, updated })
}

type Numbers = (Vec<Vec<f64>>, Vec<Option<Vec<f64>>>);

/// The same in double precision; at kinks the engine's gradients.
fn double(trace: &Trace, options: &TraceOptions) -> Result<Numbers, NoReference> {
    let graph = &*trace.graph;
    let given = |value: ValueId| match graph.value(value).source {
        Source::Input(index) => options.inputs[index].clone(),
        Source::Parameter(index) => options.parameters[index].clone(),
        Source::Node(_) => unreachable!("only inputs and parameters are given"),
    };
    let double = Double::forward(graph, options.rows, given, trace.loss, (0, 0))?;
    let at_kink = |value: ValueId, place: usize| trace.gradient(value).map_or(0.0, |gradient| gradient[place]);
    let gradients = double.gradients(trace.loss, at_kink)?;
    let ids = (0..graph.value_count() as u32).map(ValueId);
    Ok((ids.map(|value| double.value(value).to_vec()).collect(), gradients))
}

fn wide(values: &[f32]) -> Vec<f64> {
    values.iter().map(|&value| f64::from(value)).collect()
}

fn narrow(values: &[f64], target: &mut [f32]) {
    assert_eq!(values.len(), target.len(), "as many values as the network has");
    target.iter_mut().zip(values).for_each(|(target, value)| *target = *value as f32);
}

#[cfg(test)]
mod tests {
    use kernels::simd::Isa;

    use super::*;
    use crate::nn::{self, Loss};
    use crate::train::Problem;

    fn device() -> Arc<Device> {
        Arc::new(Device::new(Isa::best(), 2))
    }

    fn sgd(rate: &str) -> OptimizerConfig {
        OptimizerConfig::parse(&format!("sgd:lr={rate}")).expect("an optimiser")
    }

    /// Mazur, "A step by step backpropagation example", 2015.
    #[test]
    fn the_worked_example_comes_out_to_nine_digits() {
        let network = nn::network("dense 2 sigmoid -> dense 2 sigmoid", &[2], None).expect("a network");
        let problem = Problem::new(&network, &Loss::mse(), false).expect("a loss");
        let parameters = [vec![0.15, 0.20, 0.25, 0.30], vec![0.35; 2], vec![0.40, 0.45, 0.50, 0.55], vec![0.60; 2]];
        let inputs = [vec![0.05, 0.10], vec![0.01, 0.99]];
        let optimizer = sgd("0.5");
        let options = TraceOptions { rows: 1, inputs: &inputs, parameters: &parameters, optimizer: &optimizer };
        let trace = Trace::new((*problem.graph).clone(), problem.loss, &options, &device()).expect("a small network");
        assert!(trace.is_double);
        let nine = |value: f64| format!("{value:.9}");
        // The mean over two outputs is half the sum of their squares.
        assert_eq!(nine(trace.value(problem.loss)[0]), "0.298371109");
        let outputs: Vec<String> = trace.value(problem.prediction).iter().map(|value| nine(*value)).collect();
        assert_eq!(outputs, ["0.751365070", "0.772928465"]);
        let updated =
            |parameter: usize| trace.updated(parameter).expect("trained").iter().map(|w| nine(*w)).collect::<Vec<_>>();
        assert_eq!(updated(2), ["0.358916480", "0.408666186", "0.511301270", "0.561370121"]);
        assert_eq!(updated(0), ["0.149780716", "0.199561432", "0.249751144", "0.299502287"]);
    }

    #[test]
    fn both_precisions_agree_and_a_kink_has_the_slope_of_the_engine() {
        let line = "dense 3 relu -> dropout 0.5 -> dense 2";
        let network = nn::network(line, &[2], None).expect("a network");
        let problem = Problem::new(&network, &Loss::cross_entropy(), false).expect("a loss");
        // The first unit's sum is 0: its slope is 0 by convention, and 1/2 by differences.
        let first = vec![1.0, -1.0, 0.3, 0.2, -0.5, 0.1];
        let parameters = [first, vec![0.0; 3], vec![0.4, -0.2, 0.7, 0.1, 0.9, -0.3], vec![0.0, 0.1]];
        let inputs = [vec![1.0, 1.0], vec![1.0]];
        let optimizer = sgd("0.1");
        let options = TraceOptions { rows: 1, inputs: &inputs, parameters: &parameters, optimizer: &optimizer };
        let trace = Trace::new((*problem.graph).clone(), problem.loss, &options, &device()).expect("a small network");
        let engine = single(trace.graph.clone(), trace.loss, &options, &device()).expect("a small network");
        assert!(trace.is_double && !engine.is_double);
        for value in (0..trace.graph.value_count() as u32).map(ValueId) {
            let close = |a: &[f64], b: &[f64]| a.iter().zip(b).all(|(a, b)| (a - b).abs() <= 1e-6 * (1.0 + b.abs()));
            assert!(close(trace.value(value), engine.value(value)), "value {value:?}");
            match (trace.gradient(value), engine.gradient(value)) {
                (Some(a), Some(b)) => assert!(close(a, b), "gradient of {value:?}: {a:?}, {b:?}"),
                (a, b) => assert_eq!(a.is_some(), b.is_some(), "gradient of {value:?}"),
            }
        }
        assert_eq!(trace.gradient(trace.graph.parameters()[0].value).expect("trained")[..2], [0.0, 0.0]);
    }

    #[test]
    fn other_optimisers_and_large_networks_have_the_numbers_of_the_engine() {
        let network = nn::network("dense 400 tanh -> dense 1", &[300], None).expect("a network");
        let problem = Problem::new(&network, &Loss::mse(), false).expect("a loss");
        let parameters: Vec<Vec<f64>> = [120_000, 400, 400, 1]
            .iter()
            .map(|len| (0..*len).map(|i| (i * 37 % 101) as f64 / 5e3 - 0.01).collect())
            .collect();
        let inputs = [(0..300).map(|i| f64::from(i % 7) / 7.0).collect(), vec![2.0]];
        let optimizer = OptimizerConfig::parse("adam:lr=0.01").expect("an optimiser");
        let options = TraceOptions { rows: 1, inputs: &inputs, parameters: &parameters, optimizer: &optimizer };
        let trace = Trace::new((*problem.graph).clone(), problem.loss, &options, &device()).expect("a network");
        assert!(!trace.is_double);
        // The first step of Adam has the size of the rate.
        let moved = (trace.updated(3).expect("trained")[0] - parameters[3][0]).abs();
        assert!((moved - 0.01).abs() < 1e-6, "{moved}");
    }
}
