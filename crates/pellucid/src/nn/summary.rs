//! What a network costs before anything runs: values, parameters, operations and memory, layer by layer.

use std::collections::HashMap;

use crate::graph::{Graph, Parameters, Plan, PlanError, PlanOptions, Role, Source, ValueId, exchange_max};
use crate::tensor::Shape;

/// What the summary is for.
#[derive(Clone, Debug)]
pub struct SummaryOptions {
    /// Rows of a batch; 1 by default.
    pub batch: usize,
    /// The loss: with it the memory is that of training. None by default.
    pub loss: Option<ValueId>,
    /// How many numbers an optimiser keeps for each parameter (2 for Adam); 0 by default.
    pub optimizer_slabs: usize,
}

impl Default for SummaryOptions {
    fn default() -> SummaryOptions {
        SummaryOptions { batch: 1, loss: None, optimizer_slabs: 0 }
    }
}

/// A network in numbers. Bytes and operations are those of a batch of [`Summary::batch`] rows.
#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    /// Rows of the batch.
    pub batch: usize,
    /// Name and shape of each input.
    pub inputs: Vec<(String, Shape)>,
    /// The layers in the order in which they run.
    pub rows: Vec<SummaryRow>,
    /// Number of parameters, running statistics left out.
    pub parameters: usize,
    /// Those that are trained.
    pub trainable: usize,
    /// Bytes of the parameters; their gradients take as much again in training.
    pub parameter_bytes: usize,
    /// Bytes of the optimiser's state.
    pub optimizer_bytes: usize,
    /// Bytes of the arena: all values and gradients of a step, laid over each other by lifetime.
    pub arena_bytes: usize,
    /// Floating-point operations of a forward pass, a fused multiply-add counted as two.
    pub flops: u64,
}

/// One layer: the nodes of one label, one behind the other.
#[derive(Clone, Debug, PartialEq)]
pub struct SummaryRow {
    /// Its dotted number, with which the names of its parameters begin: `0`, `1.2`. Empty for nodes outside of any layer.
    pub label: String,
    /// As it is written in the notation, or else the names of its ops.
    pub description: String,
    /// The shape of what comes out.
    pub output: Shape,
    /// Number of parameters. One that several layers share is counted for the first of them.
    pub parameters: usize,
    /// Floating-point operations of the forward pass.
    pub flops: u64,
    /// Bytes of its output, before they are laid over others. In training its gradient takes as much again for a while.
    pub output_bytes: u64,
    /// Bytes that stay from the forward to the backward pass: values that the backward pass looks at, and what ops save for it.
    /// 0 without a loss.
    pub kept_bytes: u64,
}

impl Summary {
    /// Counts a graph. With a loss the memory is that of the graph as the fit loop runs it, which pools before it rectifies.
    ///
    /// # Errors
    /// If there is no plan for this batch: no rows, or values that are too large.
    pub fn new(graph: &Graph, options: &SummaryOptions) -> Result<Summary, PlanError> {
        let parameters = Parameters::zeros(graph);
        let outputs = graph.outputs();
        let planned = PlanOptions { batch: options.batch, outputs, loss: options.loss, ..PlanOptions::default() };
        let plan = Plan::new(graph, &parameters, &planned)?;
        let mut flops = vec![0; graph.nodes().len()];
        for cost in plan.costs() {
            flops[cost.node] = cost.flops;
        }
        let exchanged = exchange_max(graph.clone());
        let trained = Plan::new(&exchanged, &parameters, &planned)?;
        // By label: an exchange leaves a layer its nodes, though not their order.
        let mut kept: HashMap<&str, u64> = HashMap::new();
        for cost in trained.costs() {
            *kept.entry(layer(&exchanged, &exchanged.nodes()[cost.node].label)).or_default() += cost.kept;
        }
        let mut rows = rows(graph, options.batch, &flops);
        rows.iter_mut().for_each(|row| row.kept_bytes = kept.remove(row.label.as_str()).unwrap_or(0));
        let slab = size_of_val(parameters.values());
        let learnt = || parameters.segments().iter().filter(|segment| segment.role != Role::Statistic);
        let input = |input: &crate::graph::Input| (input.name.clone(), graph.shape(input.value).clone());
        Ok(Summary {
            batch: options.batch,
            inputs: graph.inputs().iter().map(input).collect(),
            rows,
            parameters: learnt().map(|segment| segment.range.len()).sum(),
            trainable: learnt().filter(|segment| !segment.frozen).map(|segment| segment.range.len()).sum(),
            parameter_bytes: slab,
            optimizer_bytes: options.optimizer_slabs * slab,
            arena_bytes: if options.loss.is_some() { trained.arena_bytes() } else { plan.arena_bytes() },
            flops: flops.iter().sum(),
        })
    }
}

/// The layer that a label belongs to: the innermost that says what it is, as the parts of a transformer block do not; else itself.
fn layer<'a>(graph: &Graph, label: &'a str) -> &'a str {
    let mut layer = label;
    while graph.description(layer).is_none() {
        match layer.rsplit_once('.') {
            Some((around, _)) => layer = around,
            None => return label,
        }
    }
    layer
}

fn rows(graph: &Graph, batch: usize, flops: &[u64]) -> Vec<SummaryRow> {
    let mut counted = vec![false; graph.parameters().len()];
    let mut rows: Vec<SummaryRow> = Vec::new();
    for (number, node) in graph.nodes().iter().enumerate() {
        let mut own = 0;
        for &input in &node.inputs {
            if let Source::Parameter(index) = graph.value(input).source
                && !std::mem::replace(&mut counted[index], true)
                && graph.parameters()[index].role != Role::Statistic
            {
                own += elements(graph.shape(input), 1);
            }
        }
        let output = graph.shape(node.output).clone();
        let output_bytes = (size_of::<f32>() * elements(&output, batch)) as u64;
        let label = layer(graph, &node.label);
        let described = graph.description(label);
        match rows.last_mut().filter(|row| row.label == label) {
            Some(row) => {
                if described.is_none() {
                    row.description.push_str(" + ");
                    row.description.push_str(node.op.name());
                }
                row.parameters += own;
                row.flops += flops[number];
                (row.output, row.output_bytes) = (output, output_bytes);
            }
            None => rows.push(SummaryRow {
                label: label.to_string(),
                description: described.unwrap_or(node.op.name()).to_string(),
                output,
                parameters: own,
                flops: flops[number],
                output_bytes,
                kept_bytes: 0,
            }),
        }
    }
    rows
}

/// Number of values; the plan has refused what has too many.
fn elements(shape: &Shape, batch: usize) -> usize {
    shape.checked_elements(batch).unwrap_or(usize::MAX / size_of::<f32>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::{Dense, Loss, LossLayer, Residual, Sequential, network};
    use crate::ops::{Dropout, Relu};

    #[test]
    fn what_stays_for_the_backward_pass_is_counted_for_each_layer() {
        let line = "conv 4 3x3 same relu -> maxpool 2 -> conv 6 3x3 same -> batchnorm relu -> flatten -> dense 2";
        let plain = network(line, &[1, 8, 8], None).expect("a network");
        let without = Summary::new(&plain, &SummaryOptions { batch: 3, ..SummaryOptions::default() }).expect("a plan");
        assert!(without.rows.iter().all(|row| row.kept_bytes == 0), "nothing is kept at inference");
        let prediction = plain.outputs()[0];
        let mut builder = plain.extend();
        let target = builder.input("target", Shape::batched(&[2])).expect("a new name");
        let loss =
            builder.scoped("loss", |builder| Loss::mse().add(builder, prediction, target, None)).expect("a loss");
        let graph = builder.finish(&[prediction, loss]);
        let options = SummaryOptions { batch: 3, loss: Some(loss), ..SummaryOptions::default() };
        let summary = Summary::new(&graph, &options).expect("a plan");
        let kept: Vec<u64> = summary.rows.iter().map(|row| row.kept_bytes).collect();
        let row = 4 * 3;
        // An activation is a layer of its own. The first convolution's output goes to the pooling alone, which notes the place
        // of each greatest value; ReLU of what was pooled is the input of the second convolution. Batch normalisation looks at
        // its input again and has two statistics for each channel; its rectified output is the input of the dense layer.
        let expected = [0, row * 64, row * 64, row * 96, row * 96 + 4 * 12, 0, 0, row * 2];
        assert_eq!(kept[..8], expected, "{:?}", summary.rows);
        assert!(summary.arena_bytes as u64 >= kept.iter().sum::<u64>());
        assert!(summary.arena_bytes > without.arena_bytes);
    }

    #[test]
    fn layers_are_counted_one_by_one() {
        let inner = Sequential::new().then(Dense { units: 16, ..Dense::default() }).then(Relu);
        let network = Sequential::new()
            .then(Dense { units: 16, ..Dense::default() })
            .then(Dropout { rate: 0.5 })
            .then(Residual::new(inner))
            .then(Dense { units: 3, bias: false, ..Dense::default() });
        let mut graph = network.graph(&[8]).expect("sizes that fit");
        graph.freeze(true, |name| name == "0.bias");
        let options = SummaryOptions { batch: 10, optimizer_slabs: 2, ..SummaryOptions::default() };
        let summary = Summary::new(&graph, &options).expect("a plan");
        let seen: Vec<(&str, &str, String, usize)> = summary
            .rows
            .iter()
            .map(|row| (row.label.as_str(), row.description.as_str(), row.output.to_string(), row.parameters))
            .collect();
        let [wide, narrow] = ["[batch, 16]", "[batch, 3]"].map(String::from);
        let expected = [
            ("0", "dense 16", wide.clone(), 8 * 16 + 16),
            ("1", "dropout 0.5", wide.clone(), 0),
            ("2.0", "dense 16", wide.clone(), 16 * 16 + 16),
            ("2.1", "relu", wide.clone(), 0),
            ("2", "residual(dense 16 relu)", wide, 0),
            ("3", "dense 3 nobias", narrow, 3 * 16),
        ];
        assert_eq!(seen, expected);
        assert_eq!(summary.parameters, 144 + 272 + 48);
        assert_eq!(summary.trainable, summary.parameters - 16);
        assert!(summary.parameter_bytes >= 4 * summary.parameters && summary.parameter_bytes.is_multiple_of(64));
        assert_eq!(summary.optimizer_bytes, 2 * summary.parameter_bytes);
        // Products: 2·rows·in·out; dropout and relu: one operation a value; the sum too.
        assert_eq!(summary.rows[0].flops, 2 * 10 * 8 * 16);
        assert_eq!(summary.rows[3].flops, 160);
        assert_eq!(summary.flops, summary.rows.iter().map(|row| row.flops).sum::<u64>());
        assert_eq!(summary.rows[5].output_bytes, 4 * 10 * 3);
        assert_eq!(summary.inputs[0].1.to_string(), "[batch, 8]");
        assert!(summary.arena_bytes > 0);
        assert_eq!(Summary::new(&graph, &SummaryOptions { batch: 0, ..options }), Err(PlanError::EmptyBatch));
    }
}
