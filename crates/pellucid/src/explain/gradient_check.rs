//! Backpropagation held against central differences in double precision.
//!
//! For places θ of the parameters and inputs of a whole network with its loss L, the engine's ∂L/∂θ (single precision, as it
//! trains) is compared with the five-point difference of L, computed in f64 from the references of the ops: the code of neither
//! backward pass nor kernel has a part in it. At a kink (max, relu) there is no derivative; such places are counted, not
//! compared.

use std::sync::Arc;

use kernels::device::Device;
use kernels::random::Stream;

use super::differentiable;
use super::double::{Double, NoReference};
use crate::graph::{Graph, Parameters, PlanError, PlanOptions, Session, Source, ValueId};

/// What to compare, and how closely.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GradientCheckOptions {
    /// Places of each parameter and input, drawn at random; all, if there are no more. 12 by default.
    pub places: usize,
    /// Most that a gradient may be off, in parts of its size; 1e-4 by default.
    pub relative: f64,
    /// Most that it may be off besides, in parts of the greatest gradient of its parameter or input (and at least of a tenth
    /// of the greatest of all): the rounding of long sums that cancel. 1e-5 by default.
    pub of_greatest: f64,
    /// Seed of the places, and of dropout.
    pub seed: u64,
}

impl Default for GradientCheckOptions {
    fn default() -> GradientCheckOptions {
        GradientCheckOptions { places: 12, relative: 1e-4, of_greatest: 1e-5, seed: 0 }
    }
}

/// The gradients of one parameter or input.
#[derive(Clone, Debug, PartialEq)]
pub struct GradientComparison {
    /// `0.weight`, `input x`.
    pub name: String,
    /// The layer that reads it first: its label and what it says of itself.
    pub layer: String,
    /// Places that were compared.
    pub compared: usize,
    /// Places that were not, as there is no derivative.
    pub kinks: usize,
    /// The place where backpropagation is furthest off in terms of what it may be.
    pub worst: Option<GradientAt>,
    /// Whether it is within what it may be off, there and everywhere.
    pub agrees: bool,
}

/// Both derivatives at one place.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GradientAt {
    /// Position among the values, in the order of the axes.
    pub place: usize,
    /// By backpropagation.
    pub backpropagated: f64,
    /// By differences.
    pub difference: f64,
    /// How far they are apart, in units of what they may be.
    pub excess: f64,
}

/// Why nothing could be compared.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GradientCheckError {
    /// An op is not known in double precision.
    #[error(transparent)]
    Reference(#[from] NoReference),
    /// The network is too large.
    #[error(transparent)]
    Plan(#[from] PlanError),
}

/// Compares the gradients of `loss`, a value of `graph`, at `parameters` for `rows` rows, whose values each input of the graph
/// has in `inputs`. Ops behave as in a training step.
///
/// # Errors
/// When an op has no reference, or the network is too large.
///
/// # Panics
/// When an input has another length.
pub fn check_gradients(
    graph: &Arc<Graph>,
    loss: ValueId,
    parameters: &Parameters,
    (rows, inputs): (usize, &[Vec<f32>]),
    device: &Arc<Device>,
    options: &GradientCheckOptions,
) -> Result<Vec<GradientComparison>, GradientCheckError> {
    let wanted = differentiable(graph);
    let mut session = Session::new(graph.clone(), device.clone(), parameters.clone(), options.seed);
    let plan = session.plan(&PlanOptions {
        batch: rows,
        loss: Some(loss),
        gradients_of: &wanted,
        ..PlanOptions::default()
    })?;
    for (input, values) in graph.inputs().iter().zip(inputs) {
        session.input_mut(plan, input.value).copy_from_slice(values);
    }
    session.forward(plan, 0);
    session.backward(plan, 0);
    let given = |value: ValueId| -> Vec<f64> {
        let single = match graph.value(value).source {
            Source::Input(index) => &inputs[index][..],
            Source::Parameter(index) => &parameters.values()[parameters.segments()[index].range.clone()],
            Source::Node(_) => unreachable!("only inputs and parameters are given"),
        };
        single.iter().map(|&value| f64::from(value)).collect()
    };
    let double = Double::forward(graph, rows, given, loss, (options.seed, 0))?;
    let gradients = wanted.iter().filter_map(|value| Some((*value, session.gradient(plan, *value)?)));
    let of_all = gradients.clone().map(|(_, gradient)| greatest(gradient)).fold(0.0, f64::max);
    let compare = |(value, gradient)| compare(&double, loss, (value, gradient), 0.1 * of_all, options);
    Ok(gradients.map(compare).collect::<Result<_, _>>()?)
}

fn greatest(gradient: &[f32]) -> f64 {
    gradient.iter().fold(0.0, |most, g| f64::max(most, f64::from(*g).abs()))
}

/// `least` is what the greatest gradient counts at least.
fn compare(
    double: &Double,
    loss: ValueId,
    (value, gradient): (ValueId, &[f32]),
    least: f64,
    options: &GradientCheckOptions,
) -> Result<GradientComparison, NoReference> {
    let graph = double.graph();
    let (name, layer) = names(graph, value);
    let scale = greatest(gradient).max(least);
    let mut found = GradientComparison { name, layer, compared: 0, kinks: 0, worst: None, agrees: true };
    for place in places(gradient.len(), value, options) {
        let backpropagated = f64::from(gradient[place]);
        let Some(difference) = double.difference(loss, value, place)? else {
            found.kinks += 1;
            continue;
        };
        let allowed = options.relative * difference.abs() + options.of_greatest * scale.max(difference.abs());
        let off = (backpropagated - difference).abs();
        // Both may be nothing but rounding where the loss does not depend on the place.
        let excess = if off <= f64::from(f32::MIN_POSITIVE) { 0.0 } else { off / allowed };
        found.compared += 1;
        found.agrees &= excess <= 1.0;
        if found.worst.is_none_or(|worst| excess > worst.excess || excess.is_nan()) {
            found.worst = Some(GradientAt { place, backpropagated, difference, excess });
        }
    }
    Ok(found)
}

/// Places of a value with `len` numbers: all, or as many as asked for, each once.
fn places(len: usize, value: ValueId, options: &GradientCheckOptions) -> Vec<usize> {
    if len <= options.places {
        return (0..len).collect();
    }
    let random = Stream::new(options.seed, value.index() as u32);
    let mut places = Vec::with_capacity(options.places);
    let mut drawn = (0..).map(|i| random.at(0).below(i, len as u32) as usize);
    while places.len() < options.places {
        let place = drawn.next().expect("numbers without end");
        if !places.contains(&place) {
            places.push(place);
        }
    }
    places.sort_unstable();
    places
}

fn names(graph: &Graph, value: ValueId) -> (String, String) {
    let name = match graph.value(value).source {
        Source::Input(index) => format!("input {}", graph.inputs()[index].name),
        Source::Parameter(index) => graph.parameters()[index].name.clone(),
        Source::Node(index) => graph.nodes()[index].label.clone(),
    };
    let reader = graph.nodes().iter().find(|node| node.inputs.contains(&value));
    let layer = reader.map_or(String::new(), |node| format!("{} {}", node.label, graph.words(node)));
    (name, layer)
}

#[cfg(test)]
mod tests {
    use kernels::simd::Isa;

    use super::*;
    use crate::nn::{self, Loss, LossLayer};
    use crate::ops::{Backward, Forward, Op, Reads, Run, Sample, ShapeError, Sizes};
    use crate::tensor::Shape;

    fn device() -> Arc<Device> {
        Arc::new(Device::new(Isa::best(), 2))
    }

    /// A network with a loss, both of `classes` classes, and `rows` rows of numbers.
    fn check(graph: Graph, classes: usize, rows: usize) -> Result<Vec<GradientComparison>, GradientCheckError> {
        let (input, prediction) = (graph.inputs()[0].value, graph.outputs()[0]);
        let mut builder = graph.extend();
        let target = builder.input("target", Shape::batched(&[])).expect("a name");
        let loss = Loss::cross_entropy().add(&mut builder, prediction, target, None).expect("a loss");
        let graph = Arc::new(builder.finish(&[prediction, loss]));
        let parameters = Parameters::initialise(&graph, &device(), 5);
        let len = graph.shape(input).dims(rows).iter().product();
        let values = (0..len).map(|i: usize| (i * 37 % 101) as f32 / 50.0 - 1.0).collect();
        let labels = (0..rows).map(|row| (row % classes) as f32).collect();
        check_gradients(
            &graph,
            loss,
            &parameters,
            (rows, &[values, labels]),
            &device(),
            &GradientCheckOptions::default(),
        )
    }

    #[test]
    fn networks_of_all_kinds_agree_with_differences_of_the_whole() {
        for (line, shape) in [
            ("dense 7 gelu -> layernorm -> dropout 0.3 -> dense 3", &[5][..]),
            ("conv 4 3x3 same -> batchnorm relu -> maxpool 2 -> spatial-dropout 0.2 -> flatten -> dense 3", &[2, 6, 6]),
            ("2 * gru 4 both -> last -> dense 3", &[5, 3]),
            ("transformer 8 heads 2 causal -> mean-time -> dense 3", &[4, 8]),
            ("residual(dense 6 relu -> dense 6) -> concat(dense 2, dense 3 tanh) -> dense 3", &[6]),
        ] {
            let found = check(nn::network(line, shape, None).expect("a network"), 3, 6).expect("known ops");
            assert!(found.len() >= 5, "{line}: {found:?}");
            for one in &found {
                assert!(one.agrees && one.compared > 0, "{line}: {one:?}");
            }
        }
    }

    /// y = x³, with half of its derivative if `is_wrong`, and with or without a reference.
    #[derive(Clone, Copy, Debug)]
    struct Cube {
        is_wrong: bool,
        is_known: bool,
    }

    impl Op for Cube {
        fn name(&self) -> &'static str {
            "Cube"
        }

        fn output_shape(&self, inputs: &[Shape]) -> Result<Shape, ShapeError> {
            ShapeError::expect_inputs::<1>(inputs).map(|[x]| x.clone())
        }

        fn reads(&self) -> Reads {
            Reads::INPUT
        }

        fn flops(&self, sizes: Sizes) -> u64 {
            2 * sizes.output_elements() as u64
        }

        fn reference(&self, at: &Sample) -> Option<Vec<f64>> {
            self.is_known.then(|| at.inputs[0].iter().map(|x| x * x * x).collect())
        }

        fn forward(&self, _: &Run, pass: Forward) {
            pass.output.iter_mut().zip(pass.inputs[0].data).for_each(|(y, x)| *y = x * x * x);
        }

        fn backward(&self, _: &Run, pass: Backward) {
            let Some(dx) = &mut pass.dx[0] else { return };
            let factor = if self.is_wrong { 1.5 } else { 3.0 };
            for ((dx, x), dy) in dx.iter_mut().zip(pass.inputs[0].data).zip(pass.dy) {
                *dx = factor * x * x * dy;
            }
        }
    }

    fn with_cube(cube: Cube) -> Result<Vec<GradientComparison>, GradientCheckError> {
        let network = nn::network("dense 4 tanh", &[3], None).expect("a network");
        let y = network.outputs()[0];
        let mut builder = network.extend();
        let y = builder.add(cube, &[y]).expect("it fits");
        check(builder.finish(&[y]), 4, 5)
    }

    #[test]
    fn a_wrong_derivative_of_a_users_op_is_caught_in_all_that_lies_before_it() {
        let right = with_cube(Cube { is_wrong: false, is_known: true }).expect("a reference");
        assert!(right.iter().all(|one| one.agrees), "{right:?}");
        let wrong = with_cube(Cube { is_wrong: true, is_known: true }).expect("a reference");
        assert_eq!(wrong.len(), 3);
        assert!(wrong.iter().all(|one| !one.agrees && one.worst.expect("compared").excess > 1000.0), "{wrong:?}");
        let error = with_cube(Cube { is_wrong: false, is_known: false }).expect_err("no reference").to_string();
        assert!(error.contains("Cube") && error.contains("Op::reference"), "{error}");
    }

    #[test]
    fn places_at_a_kink_are_counted_and_not_compared() {
        // All weights are 0: every unit stands at the kink.
        let network = nn::network("dense 4 relu -> dense 3", &[2], None).expect("a network");
        let (input, prediction) = (network.inputs()[0].value, network.outputs()[0]);
        let mut builder = network.extend();
        let target = builder.input("target", Shape::batched(&[])).expect("a name");
        let loss = Loss::cross_entropy().add(&mut builder, prediction, target, None).expect("a loss");
        let graph = Arc::new(builder.finish(&[prediction, loss]));
        let mut parameters = Parameters::zeros(&graph);
        parameters.get_mut("2.weight").expect("weights").fill(0.5);
        parameters.get_mut("2.weight").expect("weights")[..4].fill(-1.0);
        let inputs = [vec![1.0, 2.0], vec![0.0]];
        assert_eq!(graph.shape(input).dims(1).as_slice(), [1, 2]);
        let options = GradientCheckOptions::default();
        let found = check_gradients(&graph, loss, &parameters, (1, &inputs), &device(), &options).expect("known ops");
        let of = |name: &str| found.iter().find(|one| one.name == name).expect("compared");
        assert_eq!((of("0.bias").kinks, of("0.bias").compared), (4, 0));
        assert!(of("2.bias").agrees && of("2.bias").compared == 3);
    }
}
