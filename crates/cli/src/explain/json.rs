//! A training step as a document for other programs.

use pellucid::explain::Trace;
use serde_json::{Value, json};

/// Values up to which all are written.
const ALL: usize = 4096;

/// Every value, gradient and update of `trace`; of arrays of more than 4096 numbers norm and extremes alone.
pub fn trace_json(trace: &Trace) -> Value {
    let graph = &trace.graph;
    let inputs = graph.inputs().iter().map(|input| {
        json!({
            "name": input.name,
            "shape": graph.shape(input.value).dims(trace.rows).as_slice(),
            "values": numbers(trace.value(input.value)),
            "gradient": trace.gradient(input.value).map(numbers),
        })
    });
    let nodes = graph.nodes().iter().map(|node| {
        json!({
            "layer": node.label,
            "description": graph.description(&node.label),
            "op": node.op.name(),
            "formulas": node.op.formulas(),
            "shape": graph.shape(node.output).dims(trace.rows).as_slice(),
            "values": numbers(trace.value(node.output)),
            "gradient": trace.gradient(node.output).map(numbers),
        })
    });
    let parameters = graph.parameters().iter().enumerate().map(|(index, parameter)| {
        json!({
            "name": parameter.name,
            "shape": graph.shape(parameter.value).dims(1).as_slice(),
            "values": numbers(trace.value(parameter.value)),
            "gradient": trace.gradient(parameter.value).map(numbers),
            "updated": trace.updated(index).map(numbers),
        })
    });
    json!({
        "rows": trace.rows,
        "precision": if trace.is_double { "double" } else { "single" },
        "loss": trace.value(trace.loss)[0],
        "inputs": inputs.collect::<Vec<_>>(),
        "nodes": nodes.collect::<Vec<_>>(),
        "parameters": parameters.collect::<Vec<_>>(),
    })
}

fn numbers(values: &[f64]) -> Value {
    if values.len() <= ALL {
        return json!(values);
    }
    let [least, greatest] = [f64::min, f64::max].map(|pick| values.iter().copied().reduce(pick));
    json!({
        "count": values.len(),
        "norm": libm::sqrt(values.iter().map(|value| value * value).sum()),
        "least": least,
        "greatest": greatest,
    })
}
