//! Folding for inference: a factor and a shift of each channel (batch normalisation, or a product and a sum with a value for each)
//! become part of the weights before it.
//!
//! With y = W x + b and z = a y + c for each channel, z = (a W) x + (a b + c): one pass less. The products a W are rounded,
//! so results differ in their last digits from those of the graph as it was trained.

use std::collections::HashMap;
use std::sync::Arc;

use kernels::device::Device;

use super::{Graph, GraphBuilder, Initialise, Node, Parameters, Role, Source, ValueId};
use crate::ops::ChannelAffine;
use crate::tensor::{Dims, Shape, Tensor};

/// `graph` and `parameters` with every [`crate::ops::Op::channel_affine`] folded that can be: directly behind an op that
/// [`crate::ops::Op::folds_channels`], whose output and parameters nobody else reads. `None` when there is none.
pub fn fold_channels(graph: &Graph, parameters: &Parameters) -> Option<(Graph, Parameters)> {
    let folded = fold_once(graph, parameters)?;
    // Of several behind each other one is folded at a time.
    Some(fold_channels(&folded.0, &folded.1).unwrap_or(folded))
}

fn fold_once(graph: &Graph, parameters: &Parameters) -> Option<(Graph, Parameters)> {
    let folds = find(graph, parameters);
    if folds.is_empty() { None } else { Some(rebuild(graph, parameters, &folds)) }
}

/// An affine node to be left out, by the position of the node that takes it over.
type Folds = HashMap<usize, (usize, ChannelAffine)>;

fn find(graph: &Graph, parameters: &Parameters) -> Folds {
    let readers = graph.readers();
    let mut folds = Folds::new();
    for (index, node) in graph.nodes.iter().enumerate() {
        let Some(affine) = affine_of(graph, parameters, node) else { continue };
        let Source::Node(before) = graph.value(node.inputs[0]).source else { continue };
        let producer = &graph.nodes[before];
        if folds.values().any(|(left_out, _)| *left_out == before) {
            continue;
        }
        let own =
            |value: &ValueId| readers[value.index()] == 1 && matches!(graph.value(*value).source, Source::Parameter(_));
        let learnt = producer.inputs.len() >= 2 && producer.inputs[1..].iter().all(own);
        if learnt && readers[producer.output.index()] == 1 && producer.op.folds_channels(graph.shape(producer.output)) {
            folds.insert(before, (index, affine));
        }
    }
    folds
}

fn affine_of(graph: &Graph, parameters: &Parameters, node: &Node) -> Option<ChannelAffine> {
    let dims: Vec<Dims> = node.inputs.iter().map(|&input| graph.shape(input).dims(1)).collect();
    let data = |input: ValueId| match graph.value(input).source {
        Source::Parameter(i) => &parameters.values()[parameters.segments()[i].range.clone()],
        _ => &[],
    };
    let tensors: Vec<Tensor> =
        node.inputs.iter().zip(&dims).map(|(&input, dims)| Tensor { dims, data: data(input) }).collect();
    node.op.channel_affine(&tensors)
}

/// Nobody asks for new values of a graph that is for inference.
#[derive(Debug)]
struct Given;

impl Initialise for Given {
    fn fill(&self, _: &Device, _: u64, _: usize, _: &[usize], _: &mut [f32]) {}
}

fn rebuild(graph: &Graph, parameters: &Parameters, folds: &Folds) -> (Graph, Parameters) {
    let left_out: HashMap<usize, usize> = folds.iter().map(|(&before, &(index, _))| (index, before)).collect();
    let still_read = |value: ValueId| {
        let reads = |(index, node): (usize, &Node)| !left_out.contains_key(&index) && node.inputs.contains(&value);
        graph.nodes.iter().enumerate().any(reads) || graph.outputs.contains(&value)
    };
    let mut builder = GraphBuilder::new();
    // The new value of each old one; what only folded nodes read has none.
    let mut new: Vec<Option<ValueId>> = Vec::with_capacity(graph.value_count());
    let mut written: Vec<(String, Vec<f32>)> = Vec::new();
    let values_of = |name: &str| parameters.get(name).expect("a parameter of the graph").to_vec();
    for index in 0..graph.value_count() {
        let id = ValueId(index as u32);
        let value = match graph.value(id).source {
            Source::Input(i) => Some(builder.input(&graph.inputs[i].name, graph.shape(id).clone()).expect("as before")),
            Source::Parameter(_) if !still_read(id) => None,
            Source::Parameter(i) => {
                let old = &graph.parameters[i];
                written.push((old.name.clone(), values_of(&old.name)));
                Some(parameter(&mut builder, &old.name, graph.shape(id).clone(), old.role))
            }
            Source::Node(i) if left_out.contains_key(&i) => new[graph.nodes[i].inputs[0].index()],
            Source::Node(i) => {
                let node = &graph.nodes[i];
                let mut inputs: Vec<ValueId> =
                    node.inputs.iter().map(|input| new[input.index()].expect("values that are read")).collect();
                if let Some((_, affine)) = folds.get(&i) {
                    let name_of = |position: usize| match graph.value(node.inputs[position]).source {
                        Source::Parameter(i) => graph.parameters[i].name.clone(),
                        _ => unreachable!("weights are parameters"),
                    };
                    let weight = name_of(1);
                    scale_rows(values_named(&mut written, &weight), &affine.scale);
                    let bias = if inputs.len() > 2 {
                        name_of(2)
                    } else {
                        // A name that no layer gives.
                        let name = format!("{weight}.shift");
                        let shape = Shape::fixed(&[affine.shift.len()]);
                        inputs.push(parameter(&mut builder, &name, shape, Role::Bias));
                        written.push((name.clone(), vec![0.0; affine.shift.len()]));
                        name
                    };
                    let values = values_named(&mut written, &bias);
                    for ((value, scale), shift) in values.iter_mut().zip(&affine.scale).zip(&affine.shift) {
                        *value = (f64::from(*value) * f64::from(*scale) + f64::from(*shift)) as f32;
                    }
                }
                let add = |builder: &mut GraphBuilder| builder.add_shared(node.op.clone(), &inputs);
                let added = if node.label.is_empty() { add(&mut builder) } else { builder.scoped(&node.label, add) };
                Some(added.expect("shapes are as before"))
            }
        };
        new.push(value);
    }
    let outputs: Vec<ValueId> = graph.outputs.iter().map(|output| new[output.index()].expect("outputs stay")).collect();
    let graph = builder.finish(&outputs);
    let mut parameters = Parameters::zeros(&graph);
    for (name, values) in written {
        parameters.get_mut(&name).expect("a parameter of the new graph").copy_from_slice(&values);
    }
    (graph, parameters)
}

fn parameter(builder: &mut GraphBuilder, name: &str, shape: Shape, role: Role) -> ValueId {
    builder.parameter(name, shape, role, Arc::new(Given)).expect("a name of its own")
}

fn values_named<'a>(written: &'a mut [(String, Vec<f32>)], name: &str) -> &'a mut Vec<f32> {
    &mut written.iter_mut().find(|(other, _)| other == name).expect("parameters come before who reads them").1
}

/// Multiplies row c of `values`, of which there are as many as factors, by factor c.
fn scale_rows(values: &mut [f32], scale: &[f32]) {
    let width = values.len() / scale.len().max(1);
    for (row, scale) in values.chunks_mut(width.max(1)).zip(scale) {
        row.iter_mut().for_each(|value| *value *= scale);
    }
}

#[cfg(test)]
mod tests {
    use kernels::simd::Isa;

    use super::super::{PlanOptions, Session};
    use super::*;
    use crate::nn::network;
    use crate::ops::{Arithmetic, Operation};

    fn outputs(graph: &Graph, parameters: &Parameters, rows: usize) -> Vec<f32> {
        let device = Arc::new(Device::new(Isa::best(), 1));
        let mut session = Session::new(Arc::new(graph.clone()), device, parameters.clone(), 0);
        let (input, output) = (graph.inputs()[0].value, graph.outputs()[0]);
        let plan =
            session.plan(&PlanOptions { batch: rows, outputs: &[output], ..Default::default() }).expect("a plan");
        for (i, x) in session.input_mut(plan, input).iter_mut().enumerate() {
            *x = (i * 37 % 101) as f32 / 50.0 - 1.0;
        }
        session.forward(plan, 0);
        session.value(plan, output).to_vec()
    }

    /// Parameters none of which is at its start.
    fn stirred(graph: &Graph) -> Parameters {
        let mut parameters = Parameters::initialise(graph, &Device::new(Isa::best(), 1), 3);
        for (i, value) in parameters.values_mut().iter_mut().enumerate() {
            *value += (i * 29 % 17) as f32 / 40.0;
        }
        parameters
    }

    #[test]
    fn a_folded_network_gives_the_same_values_with_fewer_nodes() {
        for (text, nodes) in [
            ("dense 7 -> batchnorm relu -> dense 5 nobias -> batchnorm -> dense 3", 4),
            // The sum is read twice, so only the branch can be folded; the first one follows no dense layer.
            ("batchnorm -> residual(dense 6 nobias -> batchnorm relu) -> batchnorm -> dense 3 softmax", 7),
        ] {
            let graph = network(text, &[6], None).expect("a network");
            let parameters = stirred(&graph);
            let (folded, folded_parameters) = fold_channels(&graph, &parameters).expect("something to fold");
            assert_eq!(folded.nodes().len(), nodes, "{text}");
            let (plain, folded) = (outputs(&graph, &parameters, 5), outputs(&folded, &folded_parameters, 5));
            let largest = plain.iter().fold(0.0f32, |most, value| most.max(value.abs()));
            for (plain, folded) in plain.iter().zip(&folded) {
                assert!((plain - folded).abs() <= 1e-5 * largest, "{text}: {plain} {folded}");
            }
        }
    }

    #[test]
    fn products_and_sums_behind_each_other_are_folded_into_what_comes_before_them() {
        let line = network("batchnorm", &[3, 4, 4], None).expect("a network");
        let mut value = line.outputs()[0];
        let mut builder = line.extend();
        for (i, operation) in [Operation::Mul, Operation::Add, Operation::Sub].into_iter().enumerate() {
            let y = parameter(&mut builder, &format!("y{i}"), Shape::fixed(&[3, 1, 1]), Role::Weight);
            value = builder.add_shared(Arc::new(Arithmetic { operation }), &[value, y]).expect("shapes that fit");
        }
        // One value for each column is none for each channel.
        let y = parameter(&mut builder, "y", Shape::fixed(&[4]), Role::Weight);
        let last = Arc::new(Arithmetic { operation: Operation::Mul });
        value = builder.add_shared(last, &[value, y]).expect("shapes that fit");
        let graph = builder.finish(&[value]);
        let parameters = stirred(&graph);
        let (folded, folded_parameters) = fold_channels(&graph, &parameters).expect("something to fold");
        assert_eq!(folded.nodes().len(), 2);
        let (plain, folded) = (outputs(&graph, &parameters, 5), outputs(&folded, &folded_parameters, 5));
        let largest = plain.iter().fold(0.0f32, |most, value| most.max(value.abs()));
        assert!(plain.iter().zip(&folded).all(|(plain, folded)| (plain - folded).abs() <= 1e-6 * largest));
    }

    #[test]
    fn nothing_is_folded_where_another_reads_the_values() {
        for text in
            ["dense 7 relu -> dense 3", "dense 6 relu -> batchnorm -> dense 3", "dense 6 -> residual(batchnorm)"]
        {
            let graph = network(text, &[6], None).expect("a network");
            assert!(fold_channels(&graph, &stirred(&graph)).is_none(), "{text}");
        }
    }
}
