//! `pellucid summary`.

use std::path::Path;

use pellucid::graph::Graph;
use pellucid::model::Model;
use pellucid::nn::notation::Network;
use pellucid::nn::{NetworkError, NetworkOptions, Summary, SummaryOptions};
use serde_json::json;

use crate::args::SummaryArgs;
use crate::error::{Failure, Outcome};
use crate::format::{count, short};
use crate::network_table::{any_training_summary, bytes, network_table};
use crate::run_folder::model_path;
use crate::say::Say;
use crate::trained::open_model;

/// Shows what a network is made of and what it costs.
pub fn run(arguments: &SummaryArgs) -> Outcome<()> {
    let say = Say::new(arguments.look);
    let path = Path::new(&arguments.network);
    let looks_like_file = arguments.network.ends_with(".safetensors") || path.exists();
    let (notation, graph, model) = if looks_like_file {
        let model = open_model(&model_path(path))?;
        (model.network.clone(), named_layers(&model), Some(model))
    } else {
        let (line, graph) = read_network(&arguments.network, arguments.input.as_deref())?;
        (Some(line), graph, None)
    };
    let batch = arguments.batch_size as usize;
    let summary = any_training_summary(&graph, batch)?;
    let inference = Summary::new(&graph, &SummaryOptions { batch, ..SummaryOptions::default() })?;
    if let Some(line) = &notation {
        say.result(&format!("{line}\n\n"))?;
    }
    say.result(&network_table(&summary, &say.screen))?;
    say.result("FLOPs, the values of the output and what is kept of them for training are those of one row.\n")?;
    let batch = count(summary.batch as u64);
    let mut facts = vec![
        ("parameters".to_string(), format!("{}, their gradients as much again", bytes(summary.parameter_bytes))),
        (format!("batch of {batch}, inference"), format!("{} of values", bytes(inference.arena_bytes))),
        (
            format!("batch of {batch}, training"),
            format!("{} of values and their gradients", bytes(summary.arena_bytes)),
        ),
        (format!("batch of {batch}, forward"), format!("{} FLOPs", short(inference.flops as f64))),
    ];
    if let Some(model) = &model {
        facts.extend(model_facts(model));
    }
    say.result(&format!("\n{}", say.facts(&facts)))?;
    let rows = summary.rows.iter().map(|row| {
        json!({
            "label": row.label, "layer": row.description, "output": row.output.to_string(),
            "parameters": row.parameters, "flops": row.flops,
            "output_bytes": row.output_bytes, "kept_bytes": row.kept_bytes,
        })
    });
    say.json(&json!({
        "network": notation,
        "input": summary.inputs.first().map(|(_, shape)| shape.to_string()),
        "layers": rows.collect::<Vec<_>>(),
        "batch": summary.batch,
        "parameters": summary.parameters,
        "trainable": summary.trainable,
        "parameter_bytes": summary.parameter_bytes,
        "arena_bytes": inference.arena_bytes,
        "training_arena_bytes": summary.arena_bytes,
        "flops": inference.flops,
        "task": model.as_ref().map(|model| model.task.name()),
        "weights_sha256": model.as_ref().map(Model::weights_sha256),
    }))
}

/// The graph of a model, its layers called as they are written where its notation gives the same parameters.
fn named_layers(model: &Model) -> Graph {
    let graph = &*model.graph;
    let shape = graph.shape(graph.inputs()[0].value).sample().map(|sample| sample.to_vec());
    let network = model.network.as_deref().and_then(|line| Network::parse(line).ok());
    let built = network.zip(shape).and_then(|(network, shape)| NetworkOptions::default().build(&network, &shape).ok());
    let shapes = |graph: &Graph| -> Vec<(String, String)> {
        let shape = |value| graph.shape(value).to_string();
        graph.parameters().iter().map(|parameter| (parameter.name.clone(), shape(parameter.value))).collect()
    };
    built.map(|built| built.graph).filter(|built| shapes(built) == shapes(graph)).unwrap_or_else(|| graph.clone())
}

fn read_network(text: &str, input: Option<&str>) -> Outcome<(String, Graph)> {
    let network = Network::parse(text).map_err(|error| Failure::notation(&error))?;
    let Some(input) = input else {
        return Err(Failure::new("the shape of a row is needed: give --input, such as --input 784 or --input 1x28x28"));
    };
    let built = NetworkOptions::default().build(&network, &read_shape(input)?).map_err(|error| match &error {
        NetworkError::Notation(error) => Failure::notation(error),
        NetworkError::Input(_) => Failure::new(error),
    })?;
    let line = built.layers.to_notation().map_or_else(|| text.to_string(), |network| network.to_string());
    Ok((line, built.graph))
}

/// `784`, `1x28x28`, `1,28,28`
fn read_shape(text: &str) -> Outcome<Vec<usize>> {
    let sizes: Option<Vec<usize>> =
        text.split(['x', ',', '×']).map(|size| size.trim().parse().ok().filter(|size| *size > 0)).collect();
    sizes.ok_or_else(|| Failure::new(format!("--input is a shape such as 784 or 1x28x28; got {text:?}")))
}

fn model_facts(model: &Model) -> Vec<(String, String)> {
    let mut facts = vec![("task".to_string(), model.task.name().to_string())];
    let classes = model.task.class_names();
    if !classes.is_empty() {
        const SHOWN: usize = 20;
        let more = if classes.len() > SHOWN { ", …" } else { "" };
        let shown = classes.iter().take(SHOWN).map(String::as_str).collect::<Vec<_>>().join(", ");
        facts.push(("classes".to_string(), format!("{shown}{more}")));
    }
    facts.push(("weights sha256".to_string(), model.weights_sha256()));
    facts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_are_read_as_people_write_them() {
        assert_eq!(read_shape("784").expect("a shape"), [784]);
        assert_eq!(read_shape("1x28x28").expect("a shape"), [1, 28, 28]);
        assert_eq!(read_shape("3, 4").expect("a shape"), [3, 4]);
        for text in ["", "0", "a", "1x", "-3"] {
            assert!(read_shape(text).is_err(), "{text:?}");
        }
    }
}
