//! From a network's outputs to metrics: outputs become probabilities or values in units, targets are laid beside them.

use std::sync::Arc;

use kernels::device::Device;
use kernels::reduce::argmax_rows;
use kernels::softmax::log_sum_exp;

use super::evaluate::{Evaluator, Outputs};
use super::{Part, Problem, TrainError, Windows};
use crate::data::{Dataset, Task, TaskKind};
use crate::graph::{Graph, Parameters, Session};
use crate::metrics::{
    BinaryMetrics, Detail, Metrics, MetricsError, MulticlassMetrics, MultilabelMetrics, RegressionMetrics, Report,
    Scores, TokenMetrics,
};
use crate::nn::{Link, LossLayer};

/// Runs a network over a part of the data: all metrics of the task, with the `loss` among them, and the outputs (but for
/// tokens).
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
    evaluate_windows(network, parameters, loss, task, part, Windows::Apart, device)
}

/// [`evaluate`] for windows of one sequence, gone through as they were in training (but from where they are).
///
/// # Errors
/// As [`evaluate`].
pub fn evaluate_windows(
    network: &Graph,
    parameters: &Parameters,
    loss: &dyn LossLayer,
    task: &Task,
    part: &Part,
    windows: Windows,
    device: &Arc<Device>,
) -> Result<(Report, Outputs), TrainError> {
    if part.rows.is_empty() {
        return Err(TrainError::NoRows);
    }
    let problem = Problem::new(network, loss, part.data.weights.is_some())?;
    part.check(&problem)?;
    let mut session = Session::new(problem.graph.clone(), device.clone(), parameters.clone(), 0);
    let evaluator = Evaluator::new(&mut session, &problem, part, windows)?;
    let mut outputs = Outputs::default();
    let judge = Judge { task, link: loss.link(), part, detail: Detail::Full };
    let report = judge.judge(&evaluator, &mut session, &problem, &mut outputs)?;
    Ok((report, outputs))
}

/// What outputs are judged as.
pub(super) struct Judge<'a> {
    pub task: &'a Task,
    pub link: Link,
    pub part: &'a Part<'a>,
    pub detail: Detail,
}

impl Judge<'_> {
    /// All metrics, `loss` first, over the rows of the evaluator, and the outputs but for tokens.
    pub fn judge(
        &self,
        evaluator: &Evaluator,
        session: &mut Session,
        problem: &Problem,
        outputs: &mut Outputs,
    ) -> Result<Report, TrainError> {
        let device = session.device().clone();
        outputs.values.clear();
        if let Task::Tokens { characters } = self.task {
            let mut tokens = TokenJudge { device: &device, characters, metrics: TokenMetrics::default(), rows: 0 };
            outputs.loss = evaluator.run(session, problem, self.part, |rows, logits| {
                tokens.update(self.part.data, rows, logits);
            })?;
            let (scores, rows) = (tokens.metrics.scores(), tokens.rows);
            return Ok(Report { scores: with_loss(outputs.loss, &scores), rows, ..Report::default() });
        }
        let values = &mut outputs.values;
        outputs.loss = evaluator.run(session, problem, self.part, |_, outputs| values.extend_from_slice(outputs))?;
        evaluator.in_order(values);
        let mut report = report(&device, (self.task, self.link), self.part, &outputs.values, self.detail)?;
        report.scores = with_loss(outputs.loss, &report.scores);
        Ok(report)
    }
}

/// Judges tokens batch by batch: all outputs of a text at once would fill the memory.
struct TokenJudge<'a> {
    device: &'a Device,
    characters: &'a [u32],
    metrics: TokenMetrics,
    rows: u64,
}

impl TokenJudge<'_> {
    /// Counts the `logits` [rows, steps, vocabulary] of these rows.
    fn update(&mut self, data: &Dataset, rows: &[u32], logits: &[f32]) {
        let vocabulary = self.characters.len();
        let count = logits.len() / vocabulary;
        let (mut sums, mut likeliest) = (vec![0.0; count], vec![0.0; count]);
        log_sum_exp(self.device, vocabulary, logits, &mut sums);
        argmax_rows(self.device, vocabulary, logits, &mut likeliest);
        let width = data.target_width;
        let targets = rows.iter().flat_map(|&row| &data.targets[row as usize * width..][..width]);
        for (step, &target) in targets.enumerate() {
            let token = target as usize;
            let log_probability = f64::from(logits[step * vocabulary + token]) - f64::from(sums[step]);
            self.metrics.update(self.characters[token], log_probability, likeliest[step] == target);
        }
        self.rows += rows.len() as u64;
    }
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

/// The metrics of a task whose rows have one output each.
///
/// Panics for tokens, which [`TokenMetrics`] judges.
fn metrics_of(task: &Task, detail: Detail) -> Box<dyn Metrics> {
    let width = task.output_width();
    match task.kind() {
        TaskKind::Binary => Box::new(BinaryMetrics::new(detail)),
        TaskKind::Multiclass => Box::new(MulticlassMetrics::new(width, detail)),
        TaskKind::Multilabel => Box::new(MultilabelMetrics::new(width, detail)),
        TaskKind::Regression => Box::new(RegressionMetrics::new(width, detail)),
        TaskKind::Tokens => panic!("tokens are judged one by one"),
    }
}

/// The names of what a run of this task can be judged by, `loss` first.
pub fn metric_names(task: &Task) -> Vec<String> {
    let scores = match task.kind() {
        TaskKind::Tokens => TokenMetrics::default().scores(),
        _ => metrics_of(task, Detail::Full).report().scores,
    };
    with_loss(0.0, &scores).iter().map(|(name, _)| name.to_string()).collect()
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
    judge: Judge,
    evaluator: &Evaluator,
    session: &mut Session,
    problem: &Problem,
    outputs: &mut Outputs,
    monitor: &str,
) -> Result<Scores, TrainError> {
    let Report { scores, .. } =
        Judge { detail: Detail::Running, ..judge }.judge(evaluator, session, problem, outputs)?;
    if scores.get(monitor).is_some() {
        return Ok(scores);
    }
    let (named, part) = ((judge.task, judge.link), judge.part);
    let full = report(&session.device().clone(), named, part, &outputs.values, Detail::Full)?;
    Ok(with_loss(outputs.loss, &full.scores))
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
            Task::Regression {
                targets: vec![TargetScaling { name: "y".to_string(), mean: 0.0, std: 1.0, log: false }],
            },
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
