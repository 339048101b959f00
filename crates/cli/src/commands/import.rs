//! `pellucid import`: a network in ONNX becomes a model.

use serde_json::json;

use crate::args::ImportArgs;
use crate::error::Outcome;
use crate::format::count;
use crate::onnx::{model, open};
use crate::say::Say;

/// Reads the network and writes the model.
pub fn run(arguments: &ImportArgs) -> Outcome<()> {
    let say = Say::new(arguments.look);
    let imported = open(&arguments.network, &arguments.inputs, false)?;
    let name = arguments.network.display().to_string();
    let model = model(imported, &name)?;
    let sum = model.save(&arguments.out)?;
    let shape = |value| model.graph.shape(value).to_string();
    let facts = [
        ("input".to_string(), shape(model.graph.inputs()[0].value)),
        ("output".to_string(), shape(model.graph.outputs()[0])),
        ("layers".to_string(), count(model.graph.nodes().len() as u64)),
        ("parameters".to_string(), count(model.parameters.count() as u64)),
        ("task".to_string(), model.task.name().to_string()),
        ("model".to_string(), arguments.out.display().to_string()),
    ];
    say.result(&say.facts(&facts))?;
    say.json(&json!({
        "model": arguments.out.display().to_string(),
        "input": facts[0].1, "output": facts[1].1,
        "layers": model.graph.nodes().len(), "parameters": model.parameters.count(),
        "task": model.task.name(), "weights_sha256": sum,
    }))
}
