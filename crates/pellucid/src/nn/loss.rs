//! Losses by name: what a network is trained to make small.

use std::fmt::Debug;
use std::sync::Arc;

use kernels::device::Device;
use kernels::softmax;
use kernels::unary;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::graph::{BuildError, BuildProblem, Graph, GraphBuilder, Source, ValueId};
use crate::ops::loss::{
    AbsoluteError, BinaryCrossEntropy, BinaryCrossEntropyProbabilities, CrossEntropy, CrossEntropyProbabilities,
    ElementLoss, Elementwise, Hinge, Huber, KlDivergence, Poisson, Reduction, SmoothL1, SquaredError,
};
use crate::ops::{Exp, Op, ShapeError, Sigmoid};
use crate::suggest::nearest;
use crate::tensor::Shape;

/// What can stand at the end of a network to be made small. A program's own loss is as good as those of [`Loss`].
///
/// ```
/// use pellucid::graph::{BuildError, GraphBuilder, ValueId};
/// use pellucid::nn::{Link, Loss, LossLayer};
/// use pellucid::tensor::Shape;
///
/// /// The squared error of probabilities (Brier), ten times.
/// #[derive(Debug)]
/// struct TenBrier;
///
/// impl LossLayer for TenBrier {
///     fn add(
///         &self,
///         builder: &mut GraphBuilder,
///         prediction: ValueId,
///         target: ValueId,
///         weights: Option<ValueId>,
///     ) -> Result<ValueId, BuildError> {
///         // Any ops of one's own can stand here; their output is one number.
///         Loss::mse().add(builder, prediction, target, weights)
///     }
///     fn target_shape(&self, prediction: &Shape) -> Shape {
///         prediction.clone()
///     }
///     fn link(&self) -> Link {
///         Link::Probabilities
///     }
/// }
///
/// let mut builder = GraphBuilder::new();
/// let prediction = builder.input("prediction", Shape::batched(&[3]))?;
/// let target = builder.input("target", TenBrier.target_shape(builder.shape(prediction)))?;
/// let loss = TenBrier.add(&mut builder, prediction, target, None)?;
/// assert_eq!(builder.shape(loss), &Shape::scalar());
/// # Ok::<(), BuildError>(())
/// ```
pub trait LossLayer: Debug + Send + Sync {
    /// Adds the loss of `prediction`, a single number, within the current scope of the builder. `weights` are those of
    /// the rows, `[batch]`.
    ///
    /// # Errors
    /// If shapes or settings do not fit.
    fn add(
        &self,
        builder: &mut GraphBuilder,
        prediction: ValueId,
        target: ValueId,
        weights: Option<ValueId>,
    ) -> Result<ValueId, BuildError>;

    /// The shape of the target for a prediction of this shape.
    fn target_shape(&self, prediction: &Shape) -> Shape;

    /// What the loss takes the outputs of the network for.
    fn link(&self) -> Link;
}

/// What the outputs of a network are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Link {
    /// Any numbers, which a sigmoid or a softmax makes probabilities.
    Logits,
    /// Probabilities.
    Probabilities,
    /// Logarithms of probabilities.
    LogProbabilities,
    /// The values themselves, or scores.
    Values,
    /// Logarithms of the values: expected counts of a Poisson regression.
    LogValues,
}

impl Link {
    /// Turns the outputs of a network, [rows, width], into what people read: probabilities or values. Logits of classes
    /// that exclude each other (`exclusive`, more than one) go through a softmax, other logits through a sigmoid.
    pub fn to_readable(self, device: &Device, exclusive: bool, width: usize, outputs: &mut [f32]) {
        match self {
            Link::Logits if exclusive && width > 1 => {
                let logits = outputs.to_vec();
                softmax::softmax(device, width, &logits, outputs);
            }
            Link::Logits => unary::forward_in_place(device, Sigmoid, outputs),
            Link::LogProbabilities | Link::LogValues => unary::forward_in_place(device, Exp, outputs),
            Link::Probabilities | Link::Values => (),
        }
    }

    /// Notices an activation at the end of a network that does not go with the loss: a softmax before a loss that
    /// applies one itself, or none before a loss of probabilities. Such a network trains, but badly. Ops that are not
    /// known here pass.
    ///
    /// # Errors
    /// Says what the network ends in, and what to do.
    pub fn check_output(self, graph: &Graph, prediction: ValueId) -> Result<(), OutputMismatch> {
        let Some(last) = last_op(graph, prediction) else { return Ok(()) };
        let misfits: &[&str] = match self {
            Link::Logits => &["Softmax", "Sigmoid", "Relu", "Tanh"],
            Link::Probabilities => &["Gemm", "LogSoftmax", "Relu", "Tanh"],
            Link::LogProbabilities => &["Gemm", "Softmax", "Sigmoid", "Relu", "Tanh"],
            Link::Values | Link::LogValues => &[],
        };
        if misfits.contains(&last) { Err(OutputMismatch { link: self, last }) } else { Ok(()) }
    }
}

/// The name of the op that computes `value`, those left out that only change the shape.
fn last_op(graph: &Graph, mut value: ValueId) -> Option<&'static str> {
    while let Source::Node(node) = graph.value(value).source {
        let node = &graph.nodes()[node];
        if !node.op.is_view(false) {
            return Some(node.op.name());
        }
        value = node.inputs[0];
    }
    None
}

/// A network ends in something that does not go with its loss.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the network ends in {last}, but {}", advice(*link))]
pub struct OutputMismatch {
    /// What the loss takes the outputs for.
    pub link: Link,
    /// Name of the op at the end of the network.
    pub last: &'static str,
}

fn advice(link: Link) -> &'static str {
    match link {
        Link::Logits => {
            "the loss takes logits and applies its own softmax or sigmoid; let the network end in a dense layer without \
             activation (or choose the loss of that name with _probabilities)"
        }
        Link::Probabilities => {
            "the loss takes probabilities; end the network in softmax or sigmoid (or choose the loss of that name without \
             _probabilities, which takes the outputs as they are)"
        }
        Link::LogProbabilities => "the loss takes logarithms of probabilities; end the network in log_softmax",
        Link::Values | Link::LogValues => "the loss takes values",
    }
}

/// The losses that have a name. As text `huber:0.8` ([`Loss::parse`]), as JSON `{"name": "huber", "delta": 0.8}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "snake_case")]
pub enum Loss {
    /// `mse`: mean squared error, for values; `sum_of_squares` is its sum.
    Mse(Elementwise<SquaredError>),
    /// `mae`: mean absolute error, for values with outliers.
    Mae(Elementwise<AbsoluteError>),
    /// `huber`: quadratic near the target, linear far away.
    Huber(Elementwise<Huber>),
    /// `smooth_l1`: the Huber loss divided by its delta.
    SmoothL1(Elementwise<SmoothL1>),
    /// `hinge`: for scores of two classes; the targets are -1 and 1.
    Hinge(Elementwise<Hinge>),
    /// `poisson`: for counts.
    Poisson(Elementwise<Poisson>),
    /// `kl`: from log-probabilities to target probabilities.
    Kl(Elementwise<KlDivergence>),
    /// `binary_cross_entropy`: from logits, for two classes or any number of labels.
    BinaryCrossEntropy(Elementwise<BinaryCrossEntropy>),
    /// `binary_cross_entropy_probabilities`: the same from probabilities.
    BinaryCrossEntropyProbabilities(Elementwise<BinaryCrossEntropyProbabilities>),
    /// `cross_entropy`: from logits, for several classes.
    CrossEntropy(CrossEntropy),
    /// `cross_entropy_probabilities`: the same from probabilities.
    CrossEntropyProbabilities(CrossEntropyProbabilities),
}

/// A loss as it is written: its name, its settings, and the one of them that may stand without its name.
struct Entry {
    name: &'static str,
    settings: &'static [&'static str],
    first: Option<&'static str>,
}

const fn entry(name: &'static str, settings: &'static [&'static str], first: Option<&'static str>) -> Entry {
    Entry { name, settings, first }
}

const TABLE: [Entry; 12] = [
    entry("mse", &["reduction"], None),
    entry(SUM_OF_SQUARES, &[], None),
    entry("mae", &["reduction"], None),
    entry("huber", &["delta", "reduction"], Some("delta")),
    entry("smooth_l1", &["beta", "reduction"], Some("beta")),
    entry("hinge", &["reduction"], None),
    entry("poisson", &["log_input", "reduction"], None),
    entry("kl", &["reduction"], None),
    entry("binary_cross_entropy", &["positive_weight", "reduction"], Some("positive_weight")),
    entry("binary_cross_entropy_probabilities", &["reduction"], None),
    entry(
        "cross_entropy",
        &["label_smoothing", "class_weights", "ignored_label", "reduction"],
        Some("label_smoothing"),
    ),
    entry("cross_entropy_probabilities", &["reduction"], None),
];

/// The other name of `mse:reduction=sum`.
const SUM_OF_SQUARES: &str = "sum_of_squares";

/// Short names of settings.
const SHORT: [(&str, &str); 3] =
    [("smoothing", "label_smoothing"), ("weights", "class_weights"), ("ignore", "ignored_label")];

/// What is wrong with a loss as it is written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LossError {
    /// No loss of that name.
    #[error("there is no loss '{found}'; {}", hint(found, &Loss::names().collect::<Vec<_>>()))]
    UnknownName {
        /// The name.
        found: String,
    },
    /// No setting of that name.
    #[error("the loss {loss} has no setting '{found}'; {}", hint(found, known))]
    UnknownSetting {
        /// The loss.
        loss: &'static str,
        /// The name of the setting.
        found: String,
        /// The settings that it has.
        known: &'static [&'static str],
    },
    /// A setting that is there twice.
    #[error("the setting {setting} of the loss {loss} is there twice")]
    Repeated {
        /// The loss.
        loss: &'static str,
        /// The setting.
        setting: &'static str,
    },
    /// A value that a setting cannot have.
    #[error("the loss {loss} cannot have '{found}': {reason}")]
    Value {
        /// The loss.
        loss: &'static str,
        /// All settings as they were written.
        found: String,
        /// What a value should be.
        reason: String,
    },
}

fn hint(found: &str, known: &[&str]) -> String {
    match (nearest(found, known.iter().copied()), known) {
        (Some(near), _) => format!("did you mean '{near}'?"),
        (None, []) => "it has none".to_string(),
        (None, _) => format!("there are {}", known.join(", ")),
    }
}

impl Loss {
    /// Mean squared error.
    pub fn mse() -> Loss {
        Loss::Mse(Elementwise::default())
    }

    /// Sum of the squared errors.
    pub fn sum_of_squares() -> Loss {
        Loss::Mse(Elementwise { reduction: Reduction::Sum, ..Elementwise::default() })
    }

    /// Binary cross-entropy from logits.
    pub fn binary_cross_entropy() -> Loss {
        Loss::BinaryCrossEntropy(Elementwise::default())
    }

    /// Cross-entropy from logits.
    pub fn cross_entropy() -> Loss {
        Loss::CrossEntropy(CrossEntropy::default())
    }

    /// The names of all losses.
    pub fn names() -> impl Iterator<Item = &'static str> {
        TABLE.iter().map(|entry| entry.name)
    }

    /// Reads a loss as it is written in a command line: a name, and after a colon settings with commas between them:
    /// `mse`, `huber:0.8`, `cross_entropy:smoothing=0.1,class_weights=1/2.5/1`, `mae:reduction=sum`.
    ///
    /// # Errors
    /// Names what is not known, with the nearest known name, or the value that does not fit.
    ///
    /// ```
    /// use pellucid::nn::Loss;
    ///
    /// assert_eq!(Loss::parse("cross_entropy"), Ok(Loss::cross_entropy()));
    /// let error = Loss::parse("cross_entrpy").unwrap_err();
    /// assert_eq!(error.to_string(), "there is no loss 'cross_entrpy'; did you mean 'cross_entropy'?");
    /// ```
    pub fn parse(text: &str) -> Result<Loss, LossError> {
        let (name, settings) = text.split_once(':').unwrap_or((text, ""));
        let entry = TABLE.iter().find(|entry| entry.name == name.trim());
        let entry = entry.ok_or_else(|| LossError::UnknownName { found: name.trim().to_string() })?;
        let mut fields = Map::new();
        for (position, setting) in settings.split(',').map(str::trim).filter(|setting| !setting.is_empty()).enumerate()
        {
            let (key, value) = match (setting.split_once('='), entry.first) {
                (Some((key, value)), _) => (entry.setting(key.trim())?, value.trim()),
                (None, Some(first)) if position == 0 => (first, setting),
                (None, _) => (entry.setting(setting)?, ""),
            };
            if fields.insert(key.to_string(), json(key, value)).is_some() {
                return Err(LossError::Repeated { loss: entry.name, setting: key });
            }
        }
        let (loss, found) = (entry.name, settings.trim());
        let fault = |reason: String| LossError::Value { loss, found: found.to_string(), reason };
        if loss == SUM_OF_SQUARES {
            return Ok(Loss::sum_of_squares());
        }
        fields.insert("name".to_string(), loss.into());
        let loss: Loss = serde_json::from_value(Value::Object(fields)).map_err(|error| fault(error.to_string()))?;
        loss.check().map_err(|reason| fault(reason.to_string()))?;
        Ok(loss)
    }

    /// The name of the loss, without its settings.
    pub fn name(&self) -> &'static str {
        match self {
            Loss::Mse(_) => "mse",
            Loss::Mae(_) => "mae",
            Loss::Huber(_) => "huber",
            Loss::SmoothL1(_) => "smooth_l1",
            Loss::Hinge(_) => "hinge",
            Loss::Poisson(_) => "poisson",
            Loss::Kl(_) => "kl",
            Loss::BinaryCrossEntropy(_) => "binary_cross_entropy",
            Loss::BinaryCrossEntropyProbabilities(_) => "binary_cross_entropy_probabilities",
            Loss::CrossEntropy(_) => "cross_entropy",
            Loss::CrossEntropyProbabilities(_) => "cross_entropy_probabilities",
        }
    }

    /// The op that computes it.
    pub fn op(&self) -> Arc<dyn Op> {
        match self {
            Loss::Mse(op) => Arc::new(*op),
            Loss::Mae(op) => Arc::new(*op),
            Loss::Huber(op) => Arc::new(*op),
            Loss::SmoothL1(op) => Arc::new(*op),
            Loss::Hinge(op) => Arc::new(*op),
            Loss::Poisson(op) => Arc::new(*op),
            Loss::Kl(op) => Arc::new(*op),
            Loss::BinaryCrossEntropy(op) => Arc::new(*op),
            Loss::BinaryCrossEntropyProbabilities(op) => Arc::new(*op),
            Loss::CrossEntropy(op) => Arc::new(op.clone()),
            Loss::CrossEntropyProbabilities(op) => Arc::new(op.clone()),
        }
    }

    /// Refuses settings outside their range.
    fn check(&self) -> Result<(), ShapeError> {
        match self {
            Loss::Huber(op) => op.formula.check(),
            Loss::SmoothL1(op) => op.formula.check(),
            Loss::BinaryCrossEntropy(op) => op.formula.check(),
            Loss::CrossEntropy(op) => op.check(),
            _ => Ok(()),
        }
    }

    fn has_classes(&self) -> bool {
        matches!(self, Loss::CrossEntropy(_) | Loss::CrossEntropyProbabilities(_))
    }
}

impl LossLayer for Loss {
    fn add(
        &self,
        builder: &mut GraphBuilder,
        prediction: ValueId,
        target: ValueId,
        weights: Option<ValueId>,
    ) -> Result<ValueId, BuildError> {
        if self.has_classes() && builder.shape(prediction).last() == Some(1) {
            let problem = format!(
                "{} needs an output for each class, at least 2, but the network has 1, which it would always find right; \
                 for two classes with one output take binary_cross_entropy",
                self.name()
            );
            return Err(builder.error(BuildProblem::Layer(problem)));
        }
        let inputs: Vec<ValueId> = [prediction, target].into_iter().chain(weights).collect();
        builder.add_shared(self.op(), &inputs)
    }

    /// For cross-entropy that of class labels, all axes but the last; for other losses that of the prediction. (Soft
    /// targets of cross-entropy, which have the shape of the prediction, are taken as well.)
    fn target_shape(&self, prediction: &Shape) -> Shape {
        match prediction.axes().split_last() {
            Some((_, rows)) if self.has_classes() => Shape::new(rows.iter().copied()).expect("a part of a valid shape"),
            _ => prediction.clone(),
        }
    }

    fn link(&self) -> Link {
        match self {
            Loss::Mse(_) | Loss::Mae(_) | Loss::Huber(_) | Loss::SmoothL1(_) | Loss::Hinge(_) => Link::Values,
            Loss::Poisson(op) => {
                if op.formula.log_input {
                    Link::LogValues
                } else {
                    Link::Values
                }
            }
            Loss::Kl(_) => Link::LogProbabilities,
            Loss::BinaryCrossEntropy(_) | Loss::CrossEntropy(_) => Link::Logits,
            Loss::BinaryCrossEntropyProbabilities(_) | Loss::CrossEntropyProbabilities(_) => Link::Probabilities,
        }
    }
}

impl std::str::FromStr for Loss {
    type Err = LossError;
    fn from_str(text: &str) -> Result<Loss, LossError> {
        Loss::parse(text)
    }
}

impl std::fmt::Display for Loss {
    /// The line that [`Loss::parse`] reads, settings at their defaults left out.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let fields = |loss: &Loss| serde_json::to_value(loss).expect("a loss is JSON");
        let default = Loss::parse(self.name()).expect("every loss has its name");
        let (all, default) = (fields(self), fields(&default));
        f.write_str(self.name())?;
        let mut separator = ':';
        let entry = TABLE.iter().find(|entry| entry.name == self.name()).expect("every loss is in the table");
        for setting in entry.settings.iter().filter(|setting| all[**setting] != default[**setting]) {
            write!(f, "{separator}{setting}={}", written(&all[*setting]))?;
            separator = ',';
        }
        Ok(())
    }
}

/// A value of a setting as [`json`] reads it.
fn written(value: &Value) -> String {
    match value {
        Value::Array(values) => values.iter().map(written).collect::<Vec<_>>().join("/"),
        Value::String(text) => text.clone(),
        // Settings are f32: their own shortest text, not that of the f64 between.
        value => match value.as_f64().map(|wide| (wide, wide as f32)) {
            Some((wide, number)) if f64::from(number) == wide => number.to_string(),
            _ => value.to_string(),
        },
    }
}

impl Entry {
    fn setting(&self, found: &str) -> Result<&'static str, LossError> {
        let full = SHORT.iter().find(|(short, _)| *short == found).map_or(found, |(_, full)| full);
        let known = self.settings;
        let unknown = || LossError::UnknownSetting { loss: self.name, found: found.to_string(), known };
        known.iter().copied().find(|name| *name == full).ok_or_else(unknown)
    }
}

/// The value of a setting as JSON: a list with `/` between the numbers, a number, a truth value, or a word.
fn json(key: &str, value: &str) -> Value {
    let one = |text: &str| match text.trim() {
        "true" => Value::Bool(true),
        "false" => Value::Bool(false),
        text => match (text.parse::<i64>(), text.parse::<f64>()) {
            (Ok(whole), _) => whole.into(),
            (_, Ok(number)) if number.is_finite() => number.into(),
            _ => text.into(),
        },
    };
    if key == "class_weights" { value.split('/').map(one).collect() } else { one(value) }
}

#[cfg(test)]
mod tests {
    use kernels::simd::Isa;

    use super::*;
    use crate::ops::Relu;

    #[test]
    fn a_loss_comes_back_from_its_line() {
        for text in [
            "mse",
            "sum_of_squares",
            "huber:0.8",
            "smooth_l1:beta=0.25,reduction=sum",
            "poisson:log_input=false",
            "binary_cross_entropy:positive_weight=2.5",
            "cross_entropy",
            "cross_entropy:smoothing=0.1,class_weights=1/2.5/0.3,ignored_label=-1",
            "cross_entropy_probabilities",
        ] {
            let loss = Loss::parse(text).expect(text);
            assert_eq!(Loss::parse(&loss.to_string()), Ok(loss), "{text}");
        }
        assert_eq!(Loss::parse("huber:1").expect("a loss").to_string(), "huber");
        let smoothed = Loss::parse("cross_entropy:0.1,class_weights=1/0.3").expect("a loss");
        assert_eq!(smoothed.to_string(), "cross_entropy:label_smoothing=0.1,class_weights=1/0.3");
        assert_eq!(Loss::sum_of_squares().to_string(), "mse:reduction=sum");
    }

    #[test]
    fn losses_are_read_as_they_are_written() {
        let huber = |delta| Loss::Huber(Elementwise::from(Huber { delta }));
        let smooth = |label_smoothing| CrossEntropy { label_smoothing, ..CrossEntropy::default() };
        for (text, expected) in [
            ("mse", Loss::mse()),
            (" mse : ", Loss::mse()),
            ("sum_of_squares", Loss::sum_of_squares()),
            ("mse:reduction=sum", Loss::sum_of_squares()),
            ("huber", huber(1.0)),
            ("huber:0.8", huber(0.8)),
            ("huber:delta=2", huber(2.0)),
            ("poisson:log_input=false", Loss::Poisson(Elementwise::from(Poisson { log_input: false }))),
            ("kl", Loss::Kl(Elementwise { formula: KlDivergence {}, reduction: Reduction::BatchMean })),
            (
                "binary_cross_entropy: 3",
                Loss::BinaryCrossEntropy(Elementwise::from(BinaryCrossEntropy { positive_weight: 3.0 })),
            ),
            ("cross_entropy:smoothing=0.1", Loss::CrossEntropy(smooth(0.1))),
            (
                "cross_entropy:0.1, class_weights=1/2.5/1,ignore=-100, reduction=batchmean",
                Loss::CrossEntropy(CrossEntropy {
                    class_weights: Some(vec![1.0, 2.5, 1.0]),
                    ignored_label: Some(-100),
                    reduction: Reduction::BatchMean,
                    ..smooth(0.1)
                }),
            ),
        ] {
            assert_eq!(text.parse::<Loss>(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn every_loss_has_its_name_and_goes_through_json() {
        for name in Loss::names() {
            let loss = Loss::parse(name).expect("a known loss");
            let expected = if name == SUM_OF_SQUARES { "mse" } else { name };
            assert_eq!(loss.name(), expected);
            let text = serde_json::to_string(&loss).expect("an object");
            assert!(text.starts_with(&format!(r#"{{"name":"{expected}""#)), "{text}");
            assert_eq!(serde_json::from_str::<Loss>(&text).expect("the same object"), loss);
            if name != SUM_OF_SQUARES {
                let bare = format!(r#"{{"name":"{name}"}}"#);
                assert_eq!(serde_json::from_str::<Loss>(&bare).expect("a name is enough"), loss, "{name}");
                let unknown = format!(r#"{{"name":"{name}","no_such_setting":1}}"#);
                let error = serde_json::from_str::<Loss>(&unknown).expect_err("no such setting").to_string();
                assert!(error.contains("no_such_setting"), "{error}");
            }
        }
    }

    #[test]
    fn what_is_wrong_is_said_with_a_way_out() {
        for (text, parts) in [
            ("crossentropy", ["no loss 'crossentropy'", "did you mean 'cross_entropy'"]),
            ("", ["no loss ''", "mse, sum_of_squares, mae"]),
            ("huber:dleta=2", ["no setting 'dleta'", "did you mean 'delta'"]),
            ("sum_of_squares:x=2", ["no setting 'x'", "it has none"]),
            ("mse:2", ["no setting '2'", "there are reduction"]),
            ("huber:1,delta=2", ["delta", "twice"]),
            ("huber:0", ["cannot have '0'", "delta: expected a finite number above 0"]),
            ("huber:wide", ["cannot have 'wide'", "f32"]),
            ("huber:nan", ["cannot have 'nan'", "f32"]),
            ("mse:reduction=none", ["cannot have 'reduction=none'", "`mean`"]),
            ("cross_entropy:smoothing=1.5", ["label_smoothing", "from 0 to 1"]),
            ("cross_entropy:weights=1/-1", ["class_weights", "0 or more"]),
            ("cross_entropy:weights=", ["cannot have", "f32"]),
        ] {
            let message = Loss::parse(text).expect_err("a mistake").to_string();
            assert!(parts.iter().all(|part| message.contains(part)), "{text}: {message}");
        }
    }

    #[test]
    fn targets_have_the_shape_that_the_loss_takes() {
        for name in Loss::names() {
            let loss = Loss::parse(name).expect("a known loss");
            for shape in [Shape::batched(&[3]), Shape::batched(&[4, 3])] {
                let mut builder = GraphBuilder::new();
                let prediction = builder.input("prediction", shape.clone()).expect("a new name");
                let target = builder.input("target", loss.target_shape(&shape)).expect("a new name");
                let weights = builder.input("weights", Shape::batched(&[])).expect("a new name");
                for weights in [None, Some(weights)] {
                    let value = loss.add(&mut builder, prediction, target, weights).expect("it fits");
                    assert_eq!(builder.shape(value), &Shape::scalar(), "{name}");
                }
            }
        }
    }

    #[test]
    fn one_output_for_classes_is_refused() {
        let mut builder = GraphBuilder::new();
        let prediction = builder.input("prediction", Shape::batched(&[1])).expect("a new name");
        let target = builder.input("target", Shape::batched(&[])).expect("a new name");
        let error = Loss::cross_entropy().add(&mut builder, prediction, target, None).expect_err("one class");
        assert!(error.to_string().contains("take binary_cross_entropy"), "{error}");
        assert!(Loss::binary_cross_entropy().add(&mut builder, prediction, target, None).is_ok());
    }

    #[test]
    fn an_activation_that_does_not_go_with_the_loss_is_noticed() {
        let ending = |op: Arc<dyn Op>| {
            let mut builder = GraphBuilder::new();
            let x = builder.input("x", Shape::batched(&[3])).expect("a new name");
            let y = builder.add_shared(op, &[x]).expect("it fits");
            (builder.finish(&[y]), x, y)
        };
        let check = |loss: &str, (graph, _, y): &(Graph, ValueId, ValueId)| {
            Loss::parse(loss).expect("a known loss").link().check_output(graph, *y)
        };
        let (sigmoid, relu) = (ending(Arc::new(Sigmoid)), ending(Arc::new(Relu)));
        let error = check("binary_cross_entropy", &sigmoid).expect_err("twice a sigmoid").to_string();
        assert!(error.contains("ends in Sigmoid") && error.contains("_probabilities"), "{error}");
        for fitting in ["mse", "binary_cross_entropy_probabilities", "hinge"] {
            assert_eq!(check(fitting, &sigmoid), Ok(()), "{fitting}");
        }
        for other in ["cross_entropy", "cross_entropy_probabilities", "kl"] {
            let error = check(other, &relu).expect_err("no logits, no probabilities").to_string();
            assert!(error.contains("ends in Relu"), "{error}");
        }
        assert_eq!(Link::Logits.check_output(&relu.0, relu.1), Ok(()), "an input can be anything");
    }

    #[test]
    fn outputs_become_what_people_read() {
        let device = Device::new(Isa::scalar(), 1);
        let read = |link: Link, exclusive, width, outputs: &[f32]| {
            let mut outputs = outputs.to_vec();
            link.to_readable(&device, exclusive, width, &mut outputs);
            outputs
        };
        assert_eq!(read(Link::Logits, true, 2, &[3.0, 3.0, 0.0, 1000.0]), [0.5, 0.5, 0.0, 1.0]);
        assert_eq!(read(Link::Logits, true, 1, &[0.0, 1000.0]), [0.5, 1.0]);
        assert_eq!(read(Link::Logits, false, 2, &[0.0, -1000.0]), [0.5, 0.0]);
        assert_eq!(read(Link::LogProbabilities, true, 2, &[0.0, f32::NEG_INFINITY]), [1.0, 0.0]);
        assert_eq!(read(Link::LogValues, false, 1, &[0.0]), [1.0]);
        for link in [Link::Probabilities, Link::Values] {
            assert_eq!(read(link, true, 2, &[0.25, 0.75]), [0.25, 0.75]);
        }
    }
}
