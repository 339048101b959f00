//! What a trained network is worth: metrics of each part of the data, and the rows that it gets wrong.

use std::sync::Arc;

use pellucid::data::{Table, Task, TaskKind};
use pellucid::graph::{Graph, Parameters};
use pellucid::metrics::{Report as Measured, Scores};
use pellucid::nn::{Loss, LossLayer};
use pellucid::train::{Outputs, Windows, evaluate_windows, readable};

use crate::classes::{ClassScores, Confusion};
use crate::error::Outcome;
use crate::format::{number, shorten};
use crate::plot::Residuals;
use crate::prepare::Rows;
use crate::report::{Mistake, Pictures};
use crate::terminal::{Screen, class_table, confusion_matrix, scores_table};
use kernels::device::Device;

/// A network with what is needed to judge it.
pub struct Judge<'a> {
    /// The network.
    pub graph: &'a Graph,
    /// Its parameters.
    pub parameters: &'a Parameters,
    /// The loss that it learnt.
    pub loss: &'a Loss,
    /// What it predicts.
    pub task: &'a Task,
    /// How its rows are gone through.
    pub windows: Windows,
    /// What computes.
    pub device: &'a Arc<Device>,
}

/// What was measured on a part of the data.
#[derive(Clone, Debug)]
pub struct Judged {
    /// Name of the part.
    pub part: &'static str,
    /// Metrics and more.
    pub measured: Measured,
    /// Probabilities or values in units, `[rows, width]`.
    pub readable: Vec<f32>,
}

impl Judge<'_> {
    /// Runs the network over `rows`.
    ///
    /// # Errors
    /// Data that does not fit the network.
    pub fn judge(&self, part: &'static str, rows: &Rows) -> Outcome<Judged> {
        let (measured, Outputs { values, .. }) = evaluate_windows(
            self.graph,
            self.parameters,
            self.loss,
            self.task,
            &rows.part(),
            self.windows,
            self.device,
        )?;
        let mut outputs = values;
        readable(self.device, (self.task, self.loss.link()), &mut outputs);
        Ok(Judged { part, measured, readable: outputs })
    }
}

impl Judged {
    /// The metrics.
    pub fn scores(&self) -> &Scores {
        &self.measured.scores
    }

    /// Predictions and targets of the first output of a regression, in units.
    pub fn residuals(&self, task: &Task, rows: &Rows) -> Option<Residuals> {
        let Task::Regression { targets } = task else { return None };
        let width = targets.len();
        let target = rows.rows.iter().map(|&row| targets[0].to_units(rows.data.targets[row as usize * width]));
        let predicted = self.readable.iter().step_by(width).map(|value| f64::from(*value));
        Some(Residuals {
            target_name: targets[0].name.clone(),
            predicted: predicted.collect(),
            target: target.collect(),
        })
    }

    /// The `most` worst mistakes: wrong classes of which the model was surest, or the values furthest off.
    pub fn mistakes(&self, task: &Task, rows: &Rows, most: usize) -> Vec<Mistake> {
        let width = task.output_width();
        let mut found: Vec<(f64, usize, Mistake)> = Vec::new();
        for (at, (outputs, &row)) in self.readable.chunks_exact(width).zip(&rows.rows).enumerate() {
            let target = rows.data.targets[row as usize * rows.data.target_width];
            let wrong = match task {
                Task::Binary { .. } | Task::Multiclass { .. } => wrong_class(task, outputs, target as usize),
                // Far-off values are the mistakes of a regression; labels have several at once and are left to the table.
                Task::Regression { targets } => {
                    let (truth, predicted) = (targets[0].to_units(target), f64::from(outputs[0]));
                    let mistake = Mistake { truth: number(truth), predicted: number(predicted), ..Mistake::default() };
                    Some(((predicted - truth).abs(), mistake))
                }
                Task::Multilabel { .. } | Task::Tokens { .. } => None,
            };
            if let Some((how_wrong, mistake)) = wrong {
                found.push((how_wrong, at, mistake));
            }
        }
        found.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        found.truncate(most);
        let pictures = Pictures::of(&rows.data);
        let shown = |(_, at, mistake): (f64, usize, Mistake)| {
            let row = rows.rows[at];
            let picture = pictures.and_then(|pictures| pictures.row(row));
            let text = rows.cells.as_ref().map_or(String::new(), |(table, lines)| row_text(table, lines[row as usize]));
            Mistake { picture, text, ..mistake }
        };
        found.into_iter().map(shown).collect()
    }

    /// Scores of each class, with names.
    pub fn classes(&self, names: &[String]) -> Vec<ClassScores> {
        ClassScores::named(&self.measured.per_class, names)
    }

    /// The confusion matrix, with names.
    pub fn confusion(&self, names: &[String]) -> Option<Confusion> {
        self.measured.confusion.as_ref().map(|matrix| Confusion::named(matrix, names))
    }
}

/// The mistake of a row whose most probable class is not the true one, and how sure the model was.
fn wrong_class(task: &Task, outputs: &[f32], truth: usize) -> Option<(f64, Mistake)> {
    let names = task.class_names();
    let (class, probability) = predicted_class(task, outputs);
    (class != truth).then(|| {
        let (truth, predicted) = (names[truth].clone(), names[class].clone());
        (probability, Mistake { truth, predicted, probability: Some(probability), ..Mistake::default() })
    })
}

/// The metric by which models of a task are told apart where nothing is said.
pub fn usual_metric(kind: TaskKind) -> &'static str {
    match kind {
        TaskKind::Binary | TaskKind::Multiclass => "accuracy",
        TaskKind::Multilabel => "f1_micro",
        TaskKind::Regression => "r2",
        TaskKind::Tokens => "perplexity",
    }
}

/// The predicted class of one row of probabilities, and its probability.
pub fn predicted_class(task: &Task, outputs: &[f32]) -> (usize, f64) {
    match task {
        Task::Binary { .. } => {
            let second = f64::from(outputs[0]);
            if second >= 0.5 { (1, second) } else { (0, 1.0 - second) }
        }
        _ => {
            let mut best = 0;
            for (class, output) in outputs.iter().enumerate() {
                if *output > outputs[best] {
                    best = class;
                }
            }
            (best, f64::from(outputs[best]))
        }
    }
}

/// A row of a table in words: `age = 39, workclass = Private`.
fn row_text(table: &Table, row: u32) -> String {
    const SHOWN: usize = 6;
    let cell =
        |column: usize| format!("{} = {}", table.names()[column], shorten(table.cell(row as usize, column), 30, true));
    let mut text = (0..table.columns().min(SHOWN)).map(cell).collect::<Vec<_>>().join(", ");
    if table.columns() > SHOWN {
        text.push_str(", …");
    }
    text
}

/// The scores that say something of their own: of many classes the micro averages are the accuracy again, and those
/// weighted by class stand below the table of classes.
fn telling(scores: &Scores, task: &Task) -> Scores {
    let mut shown = Scores::new();
    let again = |name: &str| name.ends_with("_micro") || name.ends_with("_weighted");
    let kept = scores.iter().filter(|(name, _)| !(matches!(task, Task::Multiclass { .. }) && again(name)));
    kept.for_each(|(name, value)| shown.set(name, value));
    shown
}

/// What is shown of judged parts: metrics side by side, then classes and confusion of the last part, which is the one held
/// out longest.
pub fn results(judged: &[Judged], task: &Task, screen: &Screen) -> String {
    let shown: Vec<(&str, Scores)> = judged.iter().map(|one| (one.part, telling(one.scores(), task))).collect();
    let parts: Vec<(&str, &Scores)> = shown.iter().map(|(part, scores)| (*part, scores)).collect();
    let mut out = scores_table(&parts, screen);
    let Some(last) = judged.last() else { return out };
    let names = task.class_names();
    let classes = last.classes(names);
    if !classes.is_empty() {
        out.push_str(&format!("\n{} rows by class\n", last.part));
        out.push_str(&class_table(&classes, screen));
    }
    if let Some(matrix) = last.confusion(names) {
        out.push('\n');
        out.push_str(&confusion_matrix(&matrix, screen));
    }
    out
}

/// The metrics of each part, as `--json` shows them: an empty object for a part without rows.
pub fn metrics_json(judged: &[Judged]) -> serde_json::Value {
    let mut metrics = serde_json::json!({"train": {}, "validation": {}, "test": {}});
    for one in judged {
        metrics[one.part] = serde_json::json!(one.scores());
    }
    metrics
}
