//! The layers of a network with their shapes and cost, for the terminal and the report.

use std::sync::Arc;

use pellucid::graph::Graph;
use pellucid::nn::{Loss, Summary, SummaryOptions, SummaryRow};
use pellucid::tensor::Shape;
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
    let batch = recipe.options.batch_size.rows(rows);
    step_summary(&recipe.graph, &recipe.loss, batch, optimizer_slabs(recipe))
}

/// What a training step of a network takes whose loss is not known: of all losses, as little differs as they keep themselves.
///
/// # Errors
/// A batch that is too large.
pub fn any_training_summary(graph: &Graph, batch: usize) -> Outcome<Summary> {
    step_summary(graph, &Loss::mse(), batch, 0)
}

fn step_summary(graph: &Graph, loss: &Loss, batch: usize, optimizer_slabs: usize) -> Outcome<Summary> {
    let problem = Problem::new(graph, loss, false)?;
    let options = SummaryOptions { batch, loss: Some(problem.loss), optimizer_slabs };
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

/// A line for each layer and one for all. Sizes and operations are those of one row; what stays for the backward pass is left
/// out where the summary is not of training.
pub fn network_table(summary: &Summary, screen: &Screen) -> String {
    let kept = summary.rows.iter().any(|row| row.kept_bytes > 0);
    let heads = [
        ("", Align::Right),
        ("layer", Align::Left),
        ("output", Align::Left),
        ("parameters", Align::Right),
        ("FLOPs", Align::Right),
        ("values", Align::Right),
        ("kept", Align::Right),
    ];
    let columns = if kept { heads.len() } else { heads.len() - 1 };
    let mut table = Table::new(&heads[..columns]).cutting(1);
    let mut line = |cells: [String; 7], ink: Option<Ink>| {
        table.inked_row(cells.into_iter().take(columns).map(|cell| (cell, ink)));
    };
    let batch = summary.batch.max(1) as u64;
    let of_row = |value: u64| short((value / batch) as f64);
    let bytes_of_row = |value: u64| bytes((value / batch) as usize);
    if let Some((_, shape)) = summary.inputs.first() {
        let values = bytes(size_of::<f32>() * shape.checked_elements(1).unwrap_or(0));
        let [empty, none, few, nothing] = [const { String::new() }; 4];
        line([empty, "input".to_string(), sizes(shape, screen), none, few, values, nothing], None);
    }
    for row in &summary.rows {
        let description = shorten(&row.description, DESCRIPTION_WIDTH, screen.unicode);
        let parameters = count(row.parameters as u64);
        let figures = (of_row(row.flops), bytes_of_row(row.output_bytes), bytes_of_row(row.kept_bytes));
        line(
            [row.label.clone(), description, sizes(&row.output, screen), parameters, figures.0, figures.1, figures.2],
            None,
        );
    }
    let frozen = summary.parameters - summary.trainable;
    let name = if frozen == 0 { "all".to_string() } else { format!("all ({} frozen)", count(frozen as u64)) };
    let sum = |part: fn(&SummaryRow) -> u64| summary.rows.iter().map(part).sum::<u64>();
    let (flops, values) = (of_row(sum(|row| row.flops)), bytes_of_row(sum(|row| row.output_bytes)));
    let (parameters, kept) = (count(summary.parameters as u64), bytes_of_row(sum(|row| row.kept_bytes)));
    line([String::new(), name, String::new(), parameters, flops, values, kept], Some(Ink::Strong));
    table.draw(screen)
}

/// The sizes of one row: `64×14×14`; those of a shape without a batch as they are.
fn sizes(shape: &Shape, screen: &Screen) -> String {
    match shape.sample() {
        Some(sample) if !sample.is_empty() => {
            sample.iter().map(usize::to_string).collect::<Vec<_>>().join(if screen.unicode { "×" } else { "x" })
        }
        _ => shape.to_string(),
    }
}

/// The layers for the report.
pub fn layer_rows(summary: &Summary) -> Vec<LayerRow> {
    let batch = summary.batch.max(1) as u64;
    let row = |row: &SummaryRow| LayerRow {
        layer: row.description.clone(),
        output: row.output.to_string(),
        parameters: row.parameters as u64,
        flops: row.flops / batch,
        values: row.output_bytes / batch,
        kept: row.kept_bytes / batch,
    };
    summary.rows.iter().map(row).collect()
}

#[cfg(test)]
mod tests {
    use pellucid::nn;

    use super::*;

    #[test]
    fn the_table_fits_eighty_columns_and_says_what_each_layer_keeps() {
        let line = "conv 32 3x3 same nobias -> batchnorm relu -> maxpool 2 -> residual(conv 32 3x3 same relu -> \
                    conv 32 3x3 same) relu -> global-avgpool -> dense 10";
        let graph = nn::network(line, &[3, 224, 224], None).expect("a network");
        let summary = any_training_summary(&graph, 16).expect("a small network");
        for width in [80, 120] {
            let screen = Screen { width, unicode: true, color: false, terminal: false };
            let table = network_table(&summary, &screen);
            assert!(table.lines().all(|line| console::measure_text_width(line) <= width), "{table}");
            for part in ["kept", "32×112×112", "conv 32 3x3", "6.42 MB", "global-avgpool"] {
                assert!(table.contains(part), "{part} is missing at {width} columns in:\n{table}");
            }
        }
        let ascii = Screen { width: 80, unicode: false, color: false, terminal: false };
        assert!(network_table(&summary, &ascii).contains("32x112x112"));
    }
}
