//! A network in double precision: every value from the reference of its op ([`crate::ops::Op::reference`]), every gradient by
//! the chain rule.
//!
//! Forward: y = f(x₁, x₂, …) of each node, in order. Backward, from the loss to the front: with dy = ∂L/∂y of a node,
//!
//! * ∂L/∂x\[i\] = Σ_j dy\[j\] · ∂y\[j\]/∂x\[i\], summed over the nodes that read x,
//! * ∂y/∂x\[i\] ≈ (8 (y₁ - y₋₁) - (y₂ - y₋₂)) / 12h, where y_k is y with k·h added to x\[i\]: off by about h⁴ and 10⁻¹⁶ / h.
//!
//! Where a function has a kink within 2h, h is made smaller; at the kink itself there is no derivative, and the convention of
//! the engine (relu'(0) = 0) counts: its own single-precision gradient is taken.

use crate::graph::{Graph, Node, Source, ValueId};
use crate::ops::{Op, Sample, Sizes};
use crate::tensor::{Dims, Purpose};

/// h of the five-point formula.
const STEP: f64 = 2e-4;
/// How often h is made [`SHRINK`] times smaller in order to get between two kinks.
const TRIES: u32 = 6;
const SHRINK: f64 = 8.0;
/// Runs of a reference for one try.
const RUNS: u64 = 7;

/// All values of a network for some rows.
#[derive(Clone, Debug)]
pub struct Double<'g> {
    graph: &'g Graph,
    dims: Vec<Dims>,
    /// Nodes that the last value depends on.
    live: Vec<bool>,
    values: Vec<Vec<f64>>,
    seed: u64,
    step: u64,
}

/// An op that has no reference.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("layer {layer}: the op {op} is not known in double precision; give it an Op::reference")]
pub struct NoReference {
    /// The layer.
    pub layer: String,
    /// The op.
    pub op: &'static str,
}

impl<'g> Double<'g> {
    /// Computes `last` and all that it depends on, for `batch` rows. `given` has, by value, all inputs and parameters; random
    /// numbers (dropout) are those of the training step `step` with `seed`.
    ///
    /// # Errors
    /// When an op on the way has no reference.
    ///
    /// # Panics
    /// When an input or parameter is missing or has another length.
    pub fn forward(
        graph: &'g Graph,
        batch: usize,
        given: impl Fn(ValueId) -> Vec<f64>,
        last: ValueId,
        (seed, step): (u64, u64),
    ) -> Result<Double<'g>, NoReference> {
        let ids = (0..graph.value_count() as u32).map(ValueId);
        let dims: Vec<Dims> = ids.clone().map(|value| graph.shape(value).dims(batch)).collect();
        let live = live_nodes(graph, last);
        let mut values: Vec<Vec<f64>> = vec![Vec::new(); graph.value_count()];
        for value in ids.filter(|value| !matches!(graph.value(*value).source, Source::Node(_))) {
            values[value.index()] = given(value);
            assert_eq!(
                values[value.index()].len(),
                dims[value.index()].iter().product::<usize>(),
                "values of {value:?}"
            );
        }
        let mut double = Double { graph, dims, live, values, seed, step };
        for index in 0..graph.nodes().len() {
            if double.live[index] {
                double.values[graph.nodes()[index].output.index()] = double.run(index, &double.inputs(index))?;
            }
        }
        Ok(double)
    }

    /// The network.
    pub fn graph(&self) -> &'g Graph {
        self.graph
    }

    /// The numbers of a value, in the order of its axes.
    pub fn value(&self, value: ValueId) -> &[f64] {
        &self.values[value.index()]
    }

    /// Floating-point operations that [`Double::gradients`] takes, about: with the number of parameters the cost grows as its
    /// square.
    pub fn cost(graph: &Graph, batch: usize, last: ValueId) -> u64 {
        let live = live_nodes(graph, last);
        let of_node = |node: &Node| {
            let dims: Vec<Dims> = node.inputs.iter().map(|input| graph.shape(*input).dims(batch)).collect();
            let inputs: Vec<&[usize]> = dims.iter().map(|dims| dims.as_slice()).collect();
            let output = graph.shape(node.output).dims(batch);
            let sizes = Sizes { inputs: &inputs, output: &output };
            let run = node.op.flops(sizes) + sizes.output_elements() as u64 + inputs_elements(&sizes);
            let places = if is_elementwise(node.op.as_ref()) { 1 } else { inputs_elements(&sizes) };
            RUNS.saturating_mul(places).saturating_mul(run)
        };
        graph
            .nodes()
            .iter()
            .zip(&live)
            .filter(|(_, live)| **live)
            .map(|(node, _)| of_node(node))
            .fold(0, u64::saturating_add)
    }

    /// The gradients of `loss`, a single number, by all values that it depends on and that can have one. `at_kink` gives the
    /// gradient of the value and place where an op has no derivative.
    ///
    /// # Errors
    /// When an op has no reference.
    pub fn gradients(
        &self,
        loss: ValueId,
        at_kink: impl Fn(ValueId, usize) -> f64,
    ) -> Result<Vec<Option<Vec<f64>>>, NoReference> {
        let mut gradients: Vec<Option<Vec<f64>>> = vec![None; self.graph.value_count()];
        gradients[loss.index()] = Some(vec![1.0]);
        for (index, node) in self.graph.nodes().iter().enumerate().rev().filter(|(index, _)| self.live[*index]) {
            let Some(dy) = gradients[node.output.index()].clone() else { continue };
            for (input, &value) in node.inputs.iter().enumerate() {
                if !node.op.differentiable(input) || node.op.state().contains(&input) {
                    continue;
                }
                let dx = self.vector_jacobian(index, input, &dy, |place| at_kink(value, place))?;
                match &mut gradients[value.index()] {
                    Some(sum) => sum.iter_mut().zip(dx).for_each(|(sum, dx)| *sum += dx),
                    none => *none = Some(dx),
                }
            }
        }
        Ok(gradients)
    }

    /// The derivative of `loss` by one place of an input or parameter, from the whole network with that place moved; `None` at
    /// a kink.
    ///
    /// # Errors
    /// When an op has no reference.
    pub fn difference(&self, loss: ValueId, value: ValueId, place: usize) -> Result<Option<f64>, NoReference> {
        let behind = self.behind(value);
        let mut moved = self.clone();
        let mut at = |step: f64| -> Result<Vec<f64>, NoReference> {
            moved.values[value.index()][place] = self.values[value.index()][place] + step;
            for index in (0..behind.len()).filter(|index| behind[*index]) {
                let output = self.graph.nodes()[index].output;
                moved.values[output.index()] = moved.run(index, &moved.inputs(index))?;
            }
            Ok(moved.value(loss).to_vec())
        };
        Ok(slopes(&mut at, 1)?[0])
    }

    /// Live nodes that depend on `value`.
    fn behind(&self, value: ValueId) -> Vec<bool> {
        let mut depends = vec![false; self.graph.value_count()];
        depends[value.index()] = true;
        let mut depends_on = |node: &Node| {
            let any = node.inputs.iter().any(|input| depends[input.index()]);
            depends[node.output.index()] |= any;
            any
        };
        self.graph.nodes().iter().zip(&self.live).map(|(node, live)| depends_on(node) && *live).collect()
    }

    fn inputs(&self, node: usize) -> Vec<Vec<f64>> {
        self.graph.nodes()[node].inputs.iter().map(|input| self.values[input.index()].clone()).collect()
    }

    fn run(&self, index: usize, inputs: &[Vec<f64>]) -> Result<Vec<f64>, NoReference> {
        let node = &self.graph.nodes()[index];
        let dims: Vec<Dims> = node.inputs.iter().map(|input| self.dims[input.index()].clone()).collect();
        let random = Purpose::Node(index).stream(self.seed).at(self.step);
        let output_dims = &self.dims[node.output.index()];
        let output = node.op.reference(&Sample { inputs, dims: &dims, output_dims, random });
        output.ok_or_else(|| NoReference { layer: node.label.clone(), op: node.op.name() })
    }

    /// dy·∂y/∂x of one node, for all places of one input.
    fn vector_jacobian(
        &self,
        index: usize,
        input: usize,
        dy: &[f64],
        at_kink: impl Fn(usize) -> f64,
    ) -> Result<Vec<f64>, NoReference> {
        let x = self.inputs(index);
        let mut moved = x.clone();
        let places = x[input].len();
        if is_elementwise(self.graph.nodes()[index].op.as_ref()) {
            // Each output depends on its own input alone, so all places are moved at once.
            let mut at = |step: f64| {
                moved[input].iter_mut().zip(&x[input]).for_each(|(moved, x)| *moved = x + step);
                self.run(index, &moved)
            };
            let slopes = slopes(&mut at, places)?;
            let of_place =
                |(place, slope): (usize, &Option<f64>)| slope.map_or_else(|| at_kink(place), |slope| dy[place] * slope);
            return Ok(slopes.iter().enumerate().map(of_place).collect());
        }
        let mut dx = Vec::with_capacity(places);
        for place in 0..places {
            let mut at = |step: f64| {
                moved[input][place] = x[input][place] + step;
                self.run(index, &moved)
            };
            let slopes = slopes(&mut at, dy.len())?;
            moved[input][place] = x[input][place];
            let weighted =
                slopes.iter().zip(dy).map(|(slope, dy)| if *dy == 0.0 { Some(0.0) } else { slope.map(|s| s * dy) });
            dx.push(weighted.sum::<Option<f64>>().unwrap_or_else(|| at_kink(place)));
        }
        Ok(dx)
    }
}

/// Nodes that `last` depends on.
fn live_nodes(graph: &Graph, last: ValueId) -> Vec<bool> {
    let mut wanted = vec![false; graph.value_count()];
    wanted[last.index()] = true;
    let mut live = vec![false; graph.nodes().len()];
    for (index, node) in graph.nodes().iter().enumerate().rev() {
        live[index] = wanted[node.output.index()];
        if live[index] {
            node.inputs.iter().for_each(|input| wanted[input.index()] = true);
        }
    }
    live
}

fn inputs_elements(sizes: &Sizes) -> u64 {
    (0..sizes.inputs.len()).map(|input| sizes.input_elements(input) as u64).sum()
}

/// Output i depends on input i alone.
fn is_elementwise(op: &dyn Op) -> bool {
    op.function().is_some()
}

/// The derivatives of the `outputs` results of `at` at 0; `None` at a kink.
fn slopes<E>(at: &mut impl FnMut(f64) -> Result<Vec<f64>, E>, outputs: usize) -> Result<Vec<Option<f64>>, E> {
    let mut found: Vec<Option<f64>> = vec![None; outputs];
    let mut step = STEP;
    let here = at(0.0)?;
    for _ in 0..TRIES {
        let mut pair = |step: f64| Ok((at(-step)?, at(step)?));
        let (near, one, two) = (pair(step / 2.0)?, pair(step)?, pair(2.0 * step)?);
        for (i, found) in found.iter_mut().enumerate().filter(|(_, found)| found.is_none()) {
            let bend = |(below, above): &(Vec<f64>, Vec<f64>), step: f64| (above[i] - 2.0 * here[i] + below[i]) / step;
            let (narrow, middle, wide) = (bend(&near, step / 2.0), bend(&one, step), bend(&two, 2.0 * step));
            let slope = |below: f64, above: f64| (above - below) / (2.0 * step);
            let [inner, outer] = [slope(one.0[i], one.1[i]), slope(two.0[i], two.1[i]) / 2.0];
            // How much the slopes to both sides differ is in proportion to the step, or to its cube, where the function is smooth;
            // it stays as it is at a kink, and leaps where a kink comes into reach. What is tiny says nothing.
            let tiny = 4e-15 * here[i].abs() / step + 1e-6 * (inner.abs() + outer.abs());
            let is_flat = [narrow, middle, wide].iter().all(|bend| bend.abs() <= tiny);
            let is_steady = |smaller: f64, larger: f64| (0.1..=0.75).contains(&(smaller / larger).abs());
            if is_flat || (is_steady(narrow, middle) && is_steady(middle, wide)) {
                *found = Some((4.0 * inner - outer) / 3.0);
            }
        }
        if found.iter().all(Option::is_some) {
            break;
        }
        step /= SHRINK;
    }
    Ok(found)
}
