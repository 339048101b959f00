//! `pellucid summary`.

use pellucid::model::Model;
use pellucid::nn::{Summary, SummaryOptions};
use serde_json::json;

use crate::args::SummaryArgs;
use crate::error::Outcome;
use crate::format::{count, short};
use crate::network_table::{any_training_summary, bytes, network_table};
use crate::say::Say;
use crate::trained::{Opened, open_network};

/// Shows what a network is made of and what it costs.
pub fn run(arguments: &SummaryArgs) -> Outcome<()> {
    let say = Say::new(arguments.look);
    let Opened { notation, graph, model } = open_network(&arguments.network, arguments.input.as_deref())?;
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
