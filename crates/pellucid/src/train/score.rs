//! From a network's outputs to metrics: outputs become probabilities or values in units, targets are laid beside them.

use std::sync::Arc;

use kernels::device::Device;

use super::evaluate::{Evaluator, Outputs};
use super::{Part, Problem, TrainError};
use crate::data::{Task, TaskKind};
use crate::graph::{Graph, Parameters, Session};
use crate::metrics::{
    BinaryMetrics, Detail, Metrics, MetricsError, MulticlassMetrics, MultilabelMetrics, RegressionMetrics, Report,
    Scores,
};
use crate::nn::{Link, LossLayer};

/// Runs a network over a part of the data: all metrics of the task, with the `loss` among them, and the outputs.
///
/// # Errors
/// When data, network and loss do not fit each other.
pub fn evaluate(
    network: &Graph,
    parameters: &Parameters,
    loss: &dyn LossLayer,
    task: &Task,
    part: &Part,
    device: &Arc<Device>,
) -> Result<(Report, Outputs), TrainError> {
    if part.rows.is_empty() {
        return Err(TrainError::NoRows);
    }
    let problem = Problem::new(network, loss, part.data.weights.is_some())?;
    part.check(&problem)?;
    let mut session = Session::new(problem.graph.clone(), device.clone(), parameters.clone(), 0);
    let evaluator = Evaluator::new(&mut session, &problem, part.rows.len())?;
    let mut outputs = Outputs::default();
    evaluator.run(&mut session, &problem, part, &mut outputs)?;
    let mut report = report(device, (task, loss.link()), part, &outputs.values, Detail::Full)?;
    report.scores = with_loss(outputs.loss, &report.scores);
    Ok((report, outputs))
}

/// The metrics of a task for the outputs of a network, whose meaning the link says.
///
/// # Errors
/// When the outputs are not as many as rows and task need.
pub fn report(
    device: &Device,
    (task, link): (&Task, Link),
    part: &Part,
    outputs: &[f32],
    detail: Detail,
) -> Result<Report, MetricsError> {
    let width = task.output_width();
    let mut metrics = metrics_of(task, detail);
    const ROWS: usize = 1024;
    let (data, target_width) = (part.data, part.data.target_width);
    let mut targets = Vec::with_capacity(ROWS * target_width);
    let mut predicted = Vec::with_capacity(ROWS * width);
    let mut weights = Vec::new();
    for (rows, outputs) in part.rows.chunks(ROWS).zip(outputs.chunks(ROWS * width.max(1))) {
        targets.clear();
        predicted.clear();
        weights.clear();
        for &row in rows {
            targets.extend_from_slice(&data.targets[row as usize * target_width..][..target_width]);
        }
        predicted.extend_from_slice(outputs);
        readable(device, (task, link), &mut predicted);
        if let Task::Regression { targets: scalings } = task {
            in_units(scalings, &mut targets);
        }
        if let Some(all) = &data.weights {
            weights.extend(rows.iter().map(|&row| all[row as usize]));
        }
        metrics.update(&targets, &predicted, data.weights.as_ref().map(|_| weights.as_slice()))?;
    }
    Ok(metrics.report())
}

fn metrics_of(task: &Task, detail: Detail) -> Box<dyn Metrics> {
    let width = task.output_width();
    match task.kind() {
        TaskKind::Binary => Box::new(BinaryMetrics::new(detail)),
        TaskKind::Multiclass => Box::new(MulticlassMetrics::new(width, detail)),
        TaskKind::Multilabel => Box::new(MultilabelMetrics::new(width, detail)),
        TaskKind::Regression => Box::new(RegressionMetrics::new(width, detail)),
    }
}

/// The names of what a run of this task can be judged by, `loss` first.
pub fn metric_names(task: &Task) -> Vec<String> {
    let report = metrics_of(task, Detail::Full).report();
    with_loss(0.0, &report.scores).iter().map(|(name, _)| name.to_string()).collect()
}

/// Replaces the outputs of a network, [rows, width], by what people read: probabilities, or values in units.
pub fn readable(device: &Device, (task, link): (&Task, Link), outputs: &mut [f32]) {
    link.to_readable(device, task.kind() == TaskKind::Multiclass, task.output_width(), outputs);
    if let Task::Regression { targets } = task {
        in_units(targets, outputs);
    }
}

fn in_units(targets: &[crate::data::TargetScaling], values: &mut [f32]) {
    for row in values.chunks_exact_mut(targets.len()) {
        row.iter_mut().zip(targets).for_each(|(value, target)| *value = target.to_units(*value) as f32);
    }
}

/// The class that the outputs of one row say; none for labels and numbers.
pub(super) fn class_of(task: &Task, link: Link, outputs: &[f32]) -> Option<usize> {
    match (task.kind(), link) {
        (TaskKind::Binary, Link::Logits) | (TaskKind::Multiclass, _) => task.class_of(outputs),
        (TaskKind::Binary, _) if !outputs[0].is_nan() => Some(usize::from(outputs[0] >= 0.5)),
        _ => None,
    }
}

/// Metrics of an epoch: `loss` first, then what is cheap, and `monitor` whatever it costs.
pub(super) fn epoch_scores(
    device: &Device,
    (task, link): (&Task, Link),
    part: &Part,
    outputs: &Outputs,
    monitor: &str,
) -> Result<Scores, MetricsError> {
    let mut scores = report(device, (task, link), part, &outputs.values, Detail::Running)?.scores;
    if monitor != "loss" && scores.get(monitor).is_none() {
        scores = report(device, (task, link), part, &outputs.values, Detail::Full)?.scores;
    }
    Ok(with_loss(outputs.loss, &scores))
}

fn with_loss(loss: f64, scores: &Scores) -> Scores {
    let mut all = Scores::new();
    all.set("loss", loss);
    scores.iter().for_each(|(name, value)| all.set(name, value));
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::TargetScaling;

    #[test]
    fn the_names_are_those_that_rows_are_judged_by() {
        let words = |words: &[&str]| words.iter().map(|word| word.to_string()).collect::<Vec<_>>();
        for task in [
            Task::Binary { classes: ["no", "yes"].map(String::from) },
            Task::Multiclass { classes: words(&["a", "b", "c"]) },
            Task::Multilabel { labels: words(&["old", "red"]) },
            Task::Regression { targets: vec![TargetScaling { name: "y".to_string(), mean: 0.0, std: 1.0 }] },
        ] {
            let mut metrics = metrics_of(&task, Detail::Full);
            for (target, output) in [(0.0, 0.25), (1.0, 0.5), (0.0, 0.125)] {
                let (targets, outputs) = (vec![target; task.target_width()], vec![output; task.output_width()]);
                metrics.update(&targets, &outputs, None).expect("rows of the task");
            }
            let judged = with_loss(0.5, &metrics.report().scores);
            assert_eq!(metric_names(&task), judged.iter().map(|(name, _)| name).collect::<Vec<_>>());
            assert!(metric_names(&task).len() > 4 && metric_names(&task)[0] == "loss", "{task:?}");
        }
    }
}
