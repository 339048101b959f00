//! The table of ops: every op by its name, how it is read from attributes, and the cases that check it.

use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::check::Case;
use super::*;
use crate::suggest::nearest;

/// One op of a table.
#[derive(Clone, Copy, Debug)]
pub struct OpEntry {
    /// What [`Op::name`] gives.
    pub name: &'static str,
    /// Makes the op from what [`Op::attributes`] gave.
    pub from_attributes: fn(&Attributes) -> Result<Arc<dyn Op>, OpError>,
    /// Cases to check it on.
    pub cases: fn() -> Vec<Case>,
}

/// An op that cannot be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpError {
    /// The table has no op of this name.
    #[error("there is no op '{name}'{}", suggestion.as_ref().map(|name| format!("; did you mean '{name}'?")).unwrap_or_default())]
    Unknown {
        /// The name.
        name: String,
        /// The nearest name in the table.
        suggestion: Option<String>,
    },
    /// The attributes are not those of the op.
    #[error("attributes of {op}: {problem}")]
    Attributes {
        /// The op.
        op: String,
        /// What is wrong with them.
        problem: String,
    },
}

impl OpEntry {
    /// The entry of an op whose attributes are its fields: a unit struct, or one that refuses unknown fields.
    pub const fn of<T: Op + DeserializeOwned + 'static>(name: &'static str, cases: fn() -> Vec<Case>) -> OpEntry {
        OpEntry { name, from_attributes: from_fields::<T>, cases }
    }
}

/// Reads an op from its fields.
fn from_fields<T: Op + DeserializeOwned + 'static>(attributes: &Attributes) -> Result<Arc<dyn Op>, OpError> {
    let name = std::any::type_name::<T>().rsplit("::").next().unwrap_or_default().trim_end_matches('>');
    let error = |problem: String| OpError::Attributes { op: name.to_string(), problem };
    let fields = match attributes.keys().next() {
        Some(first) if size_of::<T>() == 0 => return Err(error(format!("it takes none, got '{first}'"))),
        None if size_of::<T>() == 0 => Value::Null,
        _ => Value::Object(attributes.clone()),
    };
    match serde_json::from_value::<T>(fields) {
        Ok(op) => Ok(Arc::new(op)),
        Err(problem) => Err(error(problem.to_string())),
    }
}

/// One line an op.
const STANDARD: &[OpEntry] = &[
    OpEntry::of::<AdaptiveAveragePool>("AdaptiveAveragePool", adaptive_average_pool::cases),
    OpEntry::of::<AdaptiveMaxPool>("AdaptiveMaxPool", adaptive_max_pool::cases),
    OpEntry::of::<Add>("Add", add::cases),
    OpEntry::of::<Attention>("Attention", attention::cases),
    OpEntry::of::<AveragePool>("AveragePool", average_pool::cases),
    OpEntry::of::<BatchNorm>("BatchNormalization", batch_norm::cases),
    OpEntry::of::<Celu>("Celu", celu::cases),
    OpEntry::of::<Concatenate>("Concat", concatenate::cases),
    OpEntry::of::<Conv>("Conv", conv::cases),
    OpEntry::of::<ConvTranspose>("ConvTranspose", conv_transpose::cases),
    OpEntry::of::<Dropout>("Dropout", dropout::cases),
    OpEntry::of::<Elu>("Elu", elu::cases),
    OpEntry::of::<Embedding>("Embedding", embedding::cases),
    OpEntry::of::<Exp>("Exp", exp::cases),
    OpEntry::of::<Flatten>("Flatten", flatten::cases),
    OpEntry::of::<Gelu>("Gelu", gelu::cases),
    OpEntry::of::<GeluTanh>("GeluTanh", gelu_tanh::cases),
    OpEntry::of::<Dense>("Gemm", dense::cases),
    OpEntry::of::<GlobalAveragePool>("GlobalAveragePool", global_average_pool::cases),
    OpEntry::of::<GlobalMaxPool>("GlobalMaxPool", global_max_pool::cases),
    OpEntry::of::<Glu>("Glu", glu::cases),
    OpEntry::of::<GroupNorm>("GroupNormalization", group_norm::cases),
    OpEntry::of::<Recurrent<Gru>>("GRU", recurrent::gru_cases),
    OpEntry::of::<HardSigmoid>("HardSigmoid", hard_sigmoid::cases),
    OpEntry::of::<HardSwish>("HardSwish", hard_swish::cases),
    OpEntry::of::<Identity>("Identity", identity::cases),
    OpEntry::of::<Last>("LastStep", last::cases),
    OpEntry::of::<LayerNorm>("LayerNormalization", layer_norm::cases),
    OpEntry::of::<LeakyRelu>("LeakyRelu", leaky_relu::cases),
    OpEntry::of::<LearntPositions>("LearntPositions", learnt_positions::cases),
    OpEntry::of::<LogSoftmax>("LogSoftmax", log_softmax::cases),
    OpEntry::of::<Recurrent<Lstm>>("LSTM", recurrent::lstm_cases),
    OpEntry::of::<MaxOverTime>("MaxOverTime", max_over_time::cases),
    OpEntry::of::<MaxPool>("MaxPool", max_pool::cases),
    OpEntry::of::<MeanOverTime>("MeanOverTime", mean_over_time::cases),
    OpEntry::of::<Mish>("Mish", mish::cases),
    OpEntry::of::<Multiply>("Mul", multiply::cases),
    OpEntry::of::<Pad>("Pad", pad::cases),
    OpEntry::of::<Prelu>("PRelu", prelu::cases),
    OpEntry::of::<Mean>("ReduceMean", mean::cases),
    OpEntry::of::<Sum>("ReduceSum", sum::cases),
    OpEntry::of::<Relu>("Relu", relu::cases),
    OpEntry::of::<Relu6>("Relu6", relu6::cases),
    OpEntry::of::<Reshape>("Reshape", reshape::cases),
    OpEntry::of::<RmsNorm>("RMSNormalization", rms_norm::cases),
    OpEntry::of::<Recurrent<Rnn>>("RNN", recurrent::rnn_cases),
    OpEntry::of::<RotaryEmbedding>("RotaryEmbedding", rotary_embedding::cases),
    OpEntry::of::<Selu>("Selu", selu::cases),
    OpEntry::of::<SequenceLengths>("SequenceLengths", sequence_lengths::cases),
    OpEntry::of::<Sigmoid>("Sigmoid", sigmoid::cases),
    OpEntry::of::<SinusoidalPositions>("SinusoidalPositions", sinusoidal_positions::cases),
    OpEntry::of::<Slice>("Slice", slice::cases),
    OpEntry::of::<Softmax>("Softmax", softmax::cases),
    OpEntry::of::<Softplus>("Softplus", softplus::cases),
    OpEntry::of::<Softsign>("Softsign", softsign::cases),
    OpEntry::of::<SpatialDropout>("SpatialDropout", stretch_dropout::cases::<2>),
    OpEntry::of::<StochasticDepth>("StochasticDepth", stretch_dropout::cases::<1>),
    OpEntry::of::<Subtract>("Sub", subtract::cases),
    OpEntry::of::<Silu>("Swish", silu::cases),
    OpEntry::of::<Tanh>("Tanh", tanh::cases),
    OpEntry::of::<Upsample>("Upsample", upsample::cases),
    OpEntry::of::<Arithmetic>("Arithmetic", general::arithmetic_cases),
    OpEntry::of::<Choose>("Where", general::choose_cases),
    OpEntry::of::<Elementwise>("Elementwise", general::elementwise_cases),
    OpEntry::of::<Lookup>("Lookup", general::lookup_cases),
    OpEntry::of::<MatMul>("MatMul", general::matmul_cases),
    OpEntry::of::<Reduce>("Reduce", general::reduce_cases),
    OpEntry::of::<Scatter>("Scatter", general::scatter_cases),
    OpEntry::of::<Spread>("Spread", general::spread_cases),
    OpEntry::of::<Take>("Take", general::take_cases),
    OpEntry::of::<Top>("Top", general::top_cases),
    OpEntry::of::<Transpose>("Transpose", general::transpose_cases),
    OpEntry::of::<loss::Elementwise<loss::AbsoluteError>>("AbsoluteErrorLoss", loss::absolute_error::cases),
    OpEntry::of::<loss::Elementwise<loss::BinaryCrossEntropyProbabilities>>(
        "BinaryCrossEntropyLoss",
        loss::binary_cross_entropy_probabilities::cases,
    ),
    OpEntry::of::<loss::Elementwise<loss::BinaryCrossEntropy>>(
        "BinaryCrossEntropyWithLogitsLoss",
        loss::binary_cross_entropy::cases,
    ),
    OpEntry::of::<loss::CrossEntropyProbabilities>("CrossEntropyLoss", loss::cross_entropy_probabilities::cases),
    OpEntry::of::<loss::Elementwise<loss::Hinge>>("HingeLoss", loss::hinge::cases),
    OpEntry::of::<loss::Elementwise<loss::Huber>>("HuberLoss", loss::huber::cases),
    OpEntry::of::<loss::Elementwise<loss::KlDivergence>>("KlDivergenceLoss", loss::kl_divergence::cases),
    OpEntry::of::<loss::Elementwise<loss::Poisson>>("PoissonLoss", loss::poisson::cases),
    OpEntry::of::<loss::Elementwise<loss::SmoothL1>>("SmoothL1Loss", loss::smooth_l1::cases),
    OpEntry::of::<loss::CrossEntropy>("SoftmaxCrossEntropyLoss", loss::cross_entropy::cases),
    OpEntry::of::<loss::Elementwise<loss::SquaredError>>("SquaredErrorLoss", loss::squared_error::cases),
];

/// Ops by name: those of this library, and a user's own.
#[derive(Clone, Debug)]
pub struct OpTable {
    entries: Vec<OpEntry>,
}

impl OpTable {
    /// The ops of this library.
    pub fn standard() -> OpTable {
        OpTable { entries: STANDARD.to_vec() }
    }

    /// With a further op, which takes the place of one with the same name.
    pub fn with(mut self, entry: OpEntry) -> OpTable {
        self.entries.retain(|other| other.name != entry.name);
        self.entries.push(entry);
        self
    }

    /// All entries.
    pub fn entries(&self) -> &[OpEntry] {
        &self.entries
    }

    /// The entry of this name.
    pub fn get(&self, name: &str) -> Option<&OpEntry> {
        self.entries.iter().find(|entry| entry.name == name)
    }

    /// The op of this name with these attributes. Their ranges are checked when it is added to a graph.
    pub fn op(&self, name: &str, attributes: &Attributes) -> Result<Arc<dyn Op>, OpError> {
        match self.get(name) {
            Some(entry) => (entry.from_attributes)(attributes),
            None => {
                let suggestion = nearest(name, self.entries.iter().map(|entry| entry.name)).map(str::to_string);
                Err(OpError::Unknown { name: name.to_string(), suggestion })
            }
        }
    }
}

impl Default for OpTable {
    fn default() -> OpTable {
        OpTable::standard()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::check::check_entry;

    #[test]
    fn every_op_passes_every_check() {
        let mut failures = Vec::new();
        for entry in OpTable::standard().entries() {
            failures.extend(check_entry(entry).err().unwrap_or_default());
        }
        let text: Vec<String> = failures.iter().map(|failure| failure.to_string()).collect();
        assert!(failures.is_empty(), "{} checks failed:\n{}", text.len(), text.join("\n"));
    }

    #[test]
    fn names_are_unique() {
        let mut names: Vec<&str> = STANDARD.iter().map(|entry| entry.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), STANDARD.len());
    }

    #[test]
    fn ops_are_read_from_attributes() {
        let table = OpTable::standard();
        let read = |name: &str, json: &str| table.op(name, &serde_json::from_str(json).expect("an object"));
        let leaky = read("LeakyRelu", r#"{"negative_slope": 0.2}"#).expect("an op");
        assert_eq!(leaky.attributes(), attributes_of(&LeakyRelu { negative_slope: 0.2 }));
        assert_eq!(serde_json::to_string(&leaky.attributes()).expect("JSON"), r#"{"negative_slope":0.2}"#);
        for (name, json, message) in [
            ("Reul", "{}", "there is no op 'Reul'; did you mean 'Relu'?"),
            ("Transformer", "{}", "there is no op 'Transformer'"),
            ("Relu", r#"{"alpha": 1}"#, "attributes of Relu: it takes none, got 'alpha'"),
            ("Elu", r#"{"beta": 1}"#, "attributes of Elu: unknown field `beta`, expected `alpha`"),
            ("Elu", r#"{"alpha": "1"}"#, "attributes of Elu: invalid type: string \"1\", expected f32"),
            ("Concat", "{}", "attributes of Concatenate: missing field `axis`"),
        ] {
            assert_eq!(read(name, json).expect_err("wrong").to_string(), message);
        }
    }

    #[test]
    fn a_users_own_op_is_found_and_may_replace_one() {
        let own = OpEntry { name: "Relu", from_attributes: |_| Ok(Arc::new(Tanh)), cases: Vec::new };
        let table = OpTable::standard().with(own).with(OpEntry { name: "Own", ..own });
        assert_eq!(table.entries().len(), STANDARD.len() + 1);
        for name in ["Relu", "Own"] {
            assert_eq!(table.op(name, &Attributes::new()).expect("an op").name(), "Tanh");
        }
    }
}
