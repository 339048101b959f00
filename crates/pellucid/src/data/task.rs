//! What is to be predicted: classes, labels or numbers, and how the network's outputs become them again.

use serde::{Deserialize, Serialize};

/// The kind of a task, without its names: for options and for messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TaskKind {
    /// One of two classes.
    Binary,
    /// One of several classes.
    Multiclass,
    /// Any number of labels at once.
    Multilabel,
    /// One or several numbers.
    Regression,
    /// The next token of a text, at every step.
    Tokens,
}

impl TaskKind {
    /// All kinds, in the order in which they are shown.
    pub const ALL: [TaskKind; 5] =
        [TaskKind::Binary, TaskKind::Multiclass, TaskKind::Multilabel, TaskKind::Regression, TaskKind::Tokens];

    /// `binary`, `multiclass`, `multilabel`, `regression` or `tokens`.
    pub fn name(self) -> &'static str {
        match self {
            TaskKind::Binary => "binary",
            TaskKind::Multiclass => "multiclass",
            TaskKind::Multilabel => "multilabel",
            TaskKind::Regression => "regression",
            TaskKind::Tokens => "tokens",
        }
    }

    /// The kind of that name, if there is one.
    pub fn from_name(name: &str) -> Option<TaskKind> {
        TaskKind::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// How one regression target was standardised: the network learns `(value - mean) / std`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TargetScaling {
    /// Name of the column.
    pub name: String,
    /// Mean over the training rows, in the target's units.
    pub mean: f64,
    /// Standard deviation (1/n) over the training rows, in the target's units; 1 for a constant target. Positive.
    pub std: f64,
    /// Mean and deviation are those of the logarithms, and the network learns these standardised; false by default.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub log: bool,
}

impl TargetScaling {
    /// What the network learns for `value`.
    pub fn standardise(&self, value: f64) -> f32 {
        let value = if self.log { libm::log(value) } else { value };
        ((value - self.mean) / self.std) as f32
    }

    /// The value in the target's own units for an output of the network.
    pub fn to_units(&self, output: f32) -> f64 {
        let value = f64::from(output) * self.std + self.mean;
        if self.log { libm::exp(value) } else { value }
    }
}

/// What is to be predicted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Task {
    /// One of two classes. The network has one output: the logit of the second class.
    Binary {
        /// Names; targets are 0 for the first and 1 for the second, which is the positive class of metrics.
        classes: [String; 2],
    },
    /// One of several classes. The network has one logit for each; targets are class indices.
    Multiclass {
        /// Names, in the order of the outputs.
        classes: Vec<String>,
    },
    /// Any number of labels at once. The network has one logit for each; targets are 0 or 1 for each.
    Multilabel {
        /// Names, in the order of the outputs.
        labels: Vec<String>,
    },
    /// One or several numbers. The network has one output for each, the standardised value.
    Regression {
        /// Name and scaling of each target, in the order of the outputs.
        targets: Vec<TargetScaling>,
    },
    /// The next token of a text, at every step of a sequence. The network has one logit for each token at each step; targets
    /// are the numbers of the tokens, one for each step.
    Tokens {
        /// How many characters each token of the vocabulary stands for, in the order of the outputs.
        characters: Vec<u32>,
    },
}

impl Task {
    /// To tell these classes apart, two or more.
    pub fn of_classes(classes: Vec<String>) -> Task {
        match <[String; 2]>::try_from(classes) {
            Ok(classes) => Task::Binary { classes },
            Err(classes) => Task::Multiclass { classes },
        }
    }

    /// The kind, without names.
    pub fn kind(&self) -> TaskKind {
        match self {
            Task::Binary { .. } => TaskKind::Binary,
            Task::Multiclass { .. } => TaskKind::Multiclass,
            Task::Multilabel { .. } => TaskKind::Multilabel,
            Task::Regression { .. } => TaskKind::Regression,
            Task::Tokens { .. } => TaskKind::Tokens,
        }
    }

    /// `binary`, `multiclass`, `multilabel`, `regression` or `tokens`.
    pub fn name(&self) -> &'static str {
        self.kind().name()
    }

    /// How many outputs the network needs: 1 for two classes, else the number of classes, labels or targets; of tokens, at each
    /// step.
    pub fn output_width(&self) -> usize {
        match self {
            Task::Binary { .. } => 1,
            Task::Multiclass { classes } => classes.len(),
            Task::Multilabel { labels } => labels.len(),
            Task::Regression { targets } => targets.len(),
            Task::Tokens { characters } => characters.len(),
        }
    }

    /// How many target values a row has: 1 for classes, else the number of labels or targets; of tokens, at each step.
    pub fn target_width(&self) -> usize {
        match self {
            Task::Binary { .. } | Task::Multiclass { .. } | Task::Tokens { .. } => 1,
            Task::Multilabel { .. } | Task::Regression { .. } => self.output_width(),
        }
    }

    /// Names of the classes or labels; empty for regression and tokens.
    pub fn class_names(&self) -> &[String] {
        match self {
            Task::Binary { classes } => classes,
            Task::Multiclass { classes } => classes,
            Task::Multilabel { labels } => labels,
            Task::Regression { .. } | Task::Tokens { .. } => &[],
        }
    }

    /// The class of one row's outputs (logits or probabilities' logits, `[output_width]`): for two classes the second
    /// where the logit is above 0, for several the first of the largest. `None` for labels and regression, and where
    /// an output is not a number.
    pub fn class_of(&self, outputs: &[f32]) -> Option<usize> {
        if outputs.iter().any(|output| output.is_nan()) {
            return None;
        }
        match self {
            Task::Binary { .. } => Some(usize::from(*outputs.first()? > 0.0)),
            Task::Multiclass { .. } => {
                let mut best = 0;
                for (class, output) in outputs.iter().enumerate() {
                    if *output > outputs[best] {
                        best = class;
                    }
                }
                Some(best)
            }
            Task::Multilabel { .. } | Task::Regression { .. } | Task::Tokens { .. } => None,
        }
    }

    /// Standardised values (outputs or targets), `[rows, output_width]`, in the targets' own units, in f64. Values of
    /// other tasks are passed on as they are.
    pub fn to_units(&self, values: &[f32]) -> Vec<f64> {
        match self {
            Task::Regression { targets } if !targets.is_empty() => {
                values.iter().enumerate().map(|(i, value)| targets[i % targets.len()].to_units(*value)).collect()
            }
            _ => values.iter().map(|value| f64::from(*value)).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| name.to_string()).collect()
    }

    #[test]
    fn widths_follow_from_the_kind() {
        let scaling = |name: &str| TargetScaling { name: name.into(), mean: 0.0, std: 1.0, log: false };
        let cases = [
            (Task::Binary { classes: ["no".into(), "yes".into()] }, "binary", 1, 1, 2),
            (Task::Multiclass { classes: names(&["a", "b", "c"]) }, "multiclass", 3, 1, 3),
            (Task::Multilabel { labels: names(&["x", "y"]) }, "multilabel", 2, 2, 2),
            (Task::Regression { targets: vec![scaling("u"), scaling("v")] }, "regression", 2, 2, 0),
            (Task::Tokens { characters: vec![1, 1, 3] }, "tokens", 3, 1, 0),
        ];
        for (task, name, outputs, targets, classes) in cases {
            assert_eq!(task.name(), name);
            assert_eq!(TaskKind::from_name(name), Some(task.kind()));
            assert_eq!(
                (task.output_width(), task.target_width(), task.class_names().len()),
                (outputs, targets, classes)
            );
            let json = serde_json::to_string(&task).expect("serialises");
            assert!(json.starts_with(&format!(r#"{{"kind":"{name}""#)), "{json}");
            assert_eq!(serde_json::from_str::<Task>(&json).expect("parses"), task);
        }
        assert_eq!(TaskKind::from_name("clustering"), None);
    }

    #[test]
    fn the_first_of_equal_classes_wins_and_nan_has_no_class() {
        let three = Task::Multiclass { classes: names(&["a", "b", "c"]) };
        assert_eq!(three.class_of(&[1.0, 3.0, 3.0]), Some(1));
        assert_eq!(three.class_of(&[1.0, f32::NAN, 3.0]), None);
        let two = Task::Binary { classes: ["no".into(), "yes".into()] };
        assert_eq!([-0.1, 0.0, 0.1].map(|logit| two.class_of(&[logit])), [Some(0), Some(0), Some(1)]);
    }

    #[test]
    fn standardised_targets_come_back_in_their_units() {
        let price = TargetScaling { name: "price".into(), mean: 100.0, std: 4.0, log: false };
        assert_eq!((price.standardise(106.0), price.to_units(1.5)), (1.5, 106.0));
        let growth = TargetScaling { name: "growth".into(), mean: 2.0, std: 0.5, log: true };
        assert!((growth.to_units(growth.standardise(20.0)) - 20.0).abs() < 1e-5);
        let age = TargetScaling { name: "age".into(), mean: -1.0, std: 2.0, log: false };
        let task = Task::Regression { targets: vec![price, age] };
        assert_eq!(task.to_units(&[1.0, 0.0, -1.0, 3.0]), [104.0, -1.0, 96.0, 5.0]);
    }
}
