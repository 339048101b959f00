//! The layers of a network with their shapes and cost, for the terminal and the report.

use std::sync::Arc;

use pellucid::graph::Graph;
use pellucid::nn::{Summary, SummaryOptions};
use pellucid::train::Problem;

use crate::error::Outcome;
use crate::format::{count, short, shorten};
use crate::recipe::Recipe;
use crate::report::LayerRow;
use crate::terminal::{Align, Ink, Screen, Table};

/// Columns for what a layer says of itself: a residual block repeats all that is in it.
const DESCRIPTION_WIDTH: usize = 44;

/// What a training step of the recipe takes, for a training part of `rows`.
///
/// # Errors
/// A batch that is too large.
pub fn training_summary(recipe: &Recipe, rows: usize) -> Outcome<Summary> {
    let problem = Problem::new(&recipe.graph, &recipe.loss, false)?;
    let options = SummaryOptions {
        batch: recipe.options.batch_size.rows(rows),
        loss: Some(problem.loss),
        optimizer_slabs: optimizer_slabs(recipe),
    };
    let graph = Arc::unwrap_or_clone(problem.graph);
    let mut summary = Summary::new(&graph, &options)?;
    // The loss is no layer of the network.
    summary.rows.retain(|row| row.label != "loss");
    Ok(summary)
}

/// Numbers that the optimiser keeps for each parameter.
fn optimizer_slabs(recipe: &Recipe) -> usize {
    let options = &recipe.options;
    let parameters = pellucid::graph::Parameters::zeros(&recipe.graph);
    let optimizer = pellucid::optim::Optimizer::new(&options.optimizer, parameters.segments(), &options.groups);
    optimizer.map_or(0, |optimizer| optimizer.state().0.len())
}

/// `parameters 33.3 kB, gradients and optimiser 100 kB, values of a batch of 32 50 kB`
pub fn memory_words(summary: &Summary) -> String {
    let learning = summary.parameter_bytes + summary.optimizer_bytes;
    format!(
        "{} parameters, {} gradients and optimiser, {} for a batch of {}",
        bytes(summary.parameter_bytes),
        bytes(learning),
        bytes(summary.arena_bytes),
        count(summary.batch as u64)
    )
}

/// `812 B`, `33.3 kB`, `1.20 MB` (powers of a thousand).
pub fn bytes(value: usize) -> String {
    let text = short(value as f64);
    match text.chars().last() {
        Some(unit) if unit.is_alphabetic() => format!("{} {unit}B", &text[..text.len() - 1]),
        _ => format!("{text} B"),
    }
}

/// A line for each layer and one for all.
pub fn network_table(summary: &Summary, screen: &Screen) -> String {
    let heads = [
        ("", Align::Right),
        ("layer", Align::Left),
        ("output", Align::Left),
        ("parameters", Align::Right),
        ("FLOPs per row", Align::Right),
    ];
    let mut table = Table::new(&heads);
    let batch = summary.batch.max(1) as u64;
    for (_, shape) in &summary.inputs {
        if table.is_empty() {
            table.row([String::new(), "input".to_string(), shape.to_string(), String::new(), String::new()]);
        }
    }
    for row in &summary.rows {
        let figures = [count(row.parameters as u64), short((row.flops / batch) as f64)];
        let [parameters, flops] = figures;
        let description = shorten(&row.description, DESCRIPTION_WIDTH, screen.unicode);
        table.row([row.label.clone(), description, row.output.to_string(), parameters, flops]);
    }
    let frozen = summary.parameters - summary.trainable;
    let name = if frozen == 0 { "all".to_string() } else { format!("all ({} frozen)", count(frozen as u64)) };
    let flops: u64 = summary.rows.iter().map(|row| row.flops).sum();
    let cells = [String::new(), name, String::new(), count(summary.parameters as u64), short((flops / batch) as f64)];
    table.inked_row(cells.map(|cell| (cell, Some(Ink::Strong))));
    table.draw(screen)
}

/// The layers for the report.
pub fn layer_rows(graph: &Graph) -> Vec<LayerRow> {
    let Ok(summary) = Summary::new(graph, &SummaryOptions::default()) else { return Vec::new() };
    let row = |row: &pellucid::nn::SummaryRow| LayerRow {
        layer: row.description.clone(),
        output: row.output.to_string(),
        parameters: row.parameters as u64,
        flops: row.flops,
    };
    summary.rows.iter().map(row).collect()
}
