//! What the rules of [`pellucid::diagnose`] find in a run, in words.

use std::sync::Arc;

use kernels::device::Device;
use pellucid::data::Task;
use pellucid::diagnose::{DataView, Finding, NetworkView, of_data, of_history, of_network};
use pellucid::graph::Parameters;
use pellucid::model::Preprocessing;
use pellucid::train::{History, Part};

use crate::error::Outcome;
use crate::prepare::{Prepared, class_shares};
use crate::recipe::Recipe;

/// What is found in the rows.
///
/// # Errors
/// Rows that cannot be read.
pub fn data_findings(prepared: &Prepared) -> Outcome<Vec<Finding>> {
    let names = match &prepared.preprocessing {
        Preprocessing::Table { pipeline } => pipeline.feature_names(),
        _ => Vec::new(),
    };
    let held_out: Vec<(&str, Part)> = prepared
        .parts()
        .into_iter()
        .filter(|(name, _)| *name != "train")
        .map(|(name, rows)| (name, rows.part()))
        .collect();
    // Windows of one sequence are alike by their nature.
    let is_sequence = matches!(prepared.preprocessing, Preprocessing::Text { .. } | Preprocessing::Series { .. });
    let held_out = if is_sequence { &[][..] } else { &held_out[..] };
    Ok(of_data(&DataView { train: &prepared.train.part(), held_out, task: &prepared.task, names: &names })?)
}

/// A look at the network of `recipe` with these parameters, fresh or trained.
pub fn network_view<'a>(
    prepared: &'a Prepared,
    recipe: &'a Recipe,
    (parameters, is_fresh): (&'a Parameters, bool),
    train: &'a Part<'a>,
    device: &'a Arc<Device>,
) -> NetworkView<'a> {
    NetworkView {
        network: &recipe.graph,
        loss: &recipe.loss,
        task: &prepared.task,
        parameters,
        is_fresh,
        train,
        optimizer: &recipe.options.optimizer,
        device,
    }
}

/// What is found in a finished run without going over all of its rows: the trained network and the epochs, and of tables the rows.
///
/// # Errors
/// Data that does not fit the network.
pub fn run_findings(
    prepared: &Prepared,
    recipe: &Recipe,
    (parameters, history): (&Parameters, &History),
    device: &Arc<Device>,
) -> Outcome<Vec<Finding>> {
    let is_table = matches!(prepared.preprocessing, Preprocessing::Table { .. });
    let mut findings = if is_table { data_findings(prepared)? } else { Vec::new() };
    let train = prepared.train.part();
    findings.extend(of_network(&network_view(prepared, recipe, (parameters, false), &train, device))?);
    findings.extend(of_history(history, loss_without(prepared, recipe), recipe.options.restore_best));
    Ok(findings)
}

/// The training loss of an answer that is always the same, where the loss is a plain one.
pub fn loss_without(prepared: &Prepared, recipe: &Recipe) -> Option<f64> {
    match (&prepared.task, recipe.loss.to_string().as_str()) {
        (Task::Binary { .. } | Task::Multiclass { .. }, "cross_entropy" | "binary_cross_entropy") => {
            let shares = class_shares(&prepared.task, &prepared.train);
            let all: usize = shares.iter().map(|(_, rows)| rows).sum();
            let part = |rows: &usize| *rows as f64 / all.max(1) as f64;
            Some(shares.iter().map(|(_, rows)| part(rows)).filter(|p| *p > 0.0).map(|p| -p * libm::log(p)).sum())
        }
        // Targets are standardised.
        (Task::Regression { .. }, "mse") => Some(1.0),
        _ => None,
    }
}

/// A finding in one sentence: `rare class: class yes: …; judge by …`.
pub fn sentence(finding: &Finding) -> String {
    format!("{}: {}: {}; {}", finding.rule.name(), finding.place, finding.message, finding.rule.remedy())
}
