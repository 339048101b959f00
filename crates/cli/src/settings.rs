//! The settings of a run. Flags of `train`, keys of a `run.toml` and the saved `config.toml` are this one structure, so
//! they cannot drift apart.

use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use clap::Args;
use pellucid::data::Fold;
use pellucid::train::BatchSize;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::{Failure, Outcome};
use crate::tune::TuneOptions;

/// Settings of a run; what is absent is chosen from the data (see [`defaults`](crate::defaults)).
#[derive(Args, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Settings {
    /// Data set: a name, or a file (in a run.toml only; else the argument DATA).
    #[arg(skip)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<String>,

    /// Column to predict: a name, or an index from 0, negative from the end. May be given several times [default: the last]
    #[arg(long, short = 't', value_name = "COLUMN", value_delimiter = ',', allow_hyphen_values = true, help_heading = DATA)]
    #[serde(deserialize_with = "one_or_many", skip_serializing_if = "Vec::is_empty")]
    pub target: Vec<String>,
    /// Test rows from a file of their own
    #[arg(long, value_name = "FILE", help_heading = DATA)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub test: Option<PathBuf>,
    /// Validation rows: a file, or a share of the training rows from 0 to 1
    #[arg(long, value_name = "FILE|FRACTION", help_heading = DATA)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub validation: Option<Validation>,
    /// Which part of the rows is for validation, the others being learnt from: 2/5 is the second of five. With --time, fold i learns
    /// from the first i of one part more, and is judged by the next
    #[arg(long, value_name = "I/K", conflicts_with = "validation", help_heading = DATA)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fold: Option<Fold>,
    /// Column that says which rows of a table belong together (the same patient, the same house): they come into the same part,
    /// and the column is no input
    #[arg(long, value_name = "COLUMN", allow_hyphen_values = true, help_heading = DATA)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub groups: Option<String>,
    /// Share of the rows to set apart for the final test, where there is no test part [default: 0.2]
    #[arg(long, value_name = "FRACTION", help_heading = DATA)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub test_fraction: Option<f64>,
    /// Column with the weight of each row
    #[arg(long, value_name = "COLUMN", allow_hyphen_values = true, help_heading = DATA)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weights: Option<String>,
    /// binary, multiclass, multilabel or regression [default: from the target]
    #[arg(long, value_name = "TASK", help_heading = DATA)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task: Option<String>,
    /// What separates the fields of a file: a character, or tab, comma, semicolon, space, pipe [default: detected]
    #[arg(long, value_name = "CHAR", help_heading = DATA)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delimiter: Option<String>,
    /// Whether the first line holds names: yes or no [default: detected]
    #[arg(long, value_name = "YES|NO", help_heading = DATA)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub header: Option<YesNo>,
    /// Texts that stand for a missing value, separated by commas [default: ?, NA, N/A, NaN, null, None, … and the empty text]
    #[arg(long, value_name = "LIST", value_delimiter = ',', allow_hyphen_values = true, help_heading = DATA)]
    #[serde(deserialize_with = "one_or_many", skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<String>,
    /// Folder with the files of mnist, fashion-mnist or cifar10 [default: a cache, filled by download]
    #[arg(long, value_name = "DIR", help_heading = DATA)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data_dir: Option<PathBuf>,
    /// Size of pictures: the side of a square, or WIDTHxHEIGHT [default: their own if it is one and small, else up to 64]
    #[arg(long, value_name = "N|WxH", help_heading = DATA)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<PictureSize>,
    /// Channels of pictures: 1 (grey) or 3 (colour) [default: grey if all are]
    #[arg(long, value_name = "1|3", value_parser = clap::value_parser!(u8).range(1..=3), help_heading = DATA)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channels: Option<u8>,
    /// Memory for pictures, such as 500MB or 8GB; more are decoded again whenever they are used; for texts in files the most [default: 2GB]
    #[arg(long, value_name = "BYTES", help_heading = DATA)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<Memory>,
    /// Leave out pictures and texts that cannot be read, and classes without one
    #[arg(long, help_heading = DATA)]
    #[serde(skip_serializing_if = "is_false")]
    pub skip_bad: bool,
    /// Column of texts, if each row of a table is a document of which its target is to be said
    #[arg(long, value_name = "COLUMN", allow_hyphen_values = true, help_heading = DATA)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// What a text is divided into: characters, bytes, words, words:N (the N most frequent), bpe or bpe:N (byte pairs) [default: characters; with --text words:20000]
    #[arg(long, value_name = "KIND", help_heading = DATA)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens: Option<String>,
    /// Tokens as another program learnt them: a tokenizer.json as Hugging Face's library writes it, or a vocab.txt of word pieces
    #[arg(long, value_name = "FILE", conflicts_with = "tokens", help_heading = DATA)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokenizer: Option<PathBuf>,
    /// Column that says which sequence a line belongs to, if the lines of a table are steps of sequences that are told apart by their target
    #[arg(long, value_name = "COLUMN", allow_hyphen_values = true, help_heading = DATA)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Makes a table a series: steps of its target to forecast from the steps before
    #[arg(long, value_name = "N", help_heading = DATA)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub horizon: Option<usize>,
    /// Columns of a series that are known in advance (a calendar, a price, a weather forecast): a forecast sees them at its own
    /// steps too. Lines at the end whose target is empty are that future
    #[arg(long, value_name = "COLUMN", value_delimiter = ',', allow_hyphen_values = true, help_heading = DATA)]
    #[serde(deserialize_with = "one_or_many", skip_serializing_if = "Vec::is_empty")]
    pub known: Vec<String>,
    /// Column with the times of a series [default: the first of dates], of the steps of sequences [default: none], or of the rows
    /// of a table, the last of which are set apart then
    #[arg(long, value_name = "COLUMN", allow_hyphen_values = true, help_heading = DATA)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time: Option<String>,
    /// Steps of a season of a series, for comparison and for the default window; 1 for none [default: from the times: 12 for months, 7 for days, …]
    #[arg(long, value_name = "N", help_heading = DATA)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub season: Option<usize>,
    /// Tokens of a text that are learnt from at a time [default: 128] or of a document at most [default: 256], or steps of a series that a forecast sees [default: two seasons and one] or of a sequence at most [default: 512]
    #[arg(long, value_name = "N", help_heading = DATA)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub window: Option<usize>,
    /// Rows of a generated data set
    #[arg(long, value_name = "N", help_heading = DATA)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rows: Option<usize>,
    /// Noise of a generated data set
    #[arg(long, value_name = "X", help_heading = DATA)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub noise: Option<f64>,

    /// Settings that do well on well-known data, for what no other flag says: cifar10, mnist, mnist-fast
    #[arg(long, value_name = "NAME", help_heading = NETWORK)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recipe: Option<String>,
    /// Begin with this trained model: its layers before the last dense one, its preprocessing. Or with a network of others in
    /// .onnx: what comes before its last weights. Or with the weights of others (.safetensors, .pt, .pth, .npz) for the network
    /// --net. Or, for documents, with an encoder such as BERT: a folder of config.json, model.safetensors and tokenizer.json
    #[arg(long, value_name = "MODEL|ONNX|WEIGHTS|FOLDER", help_heading = NETWORK)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<PathBuf>,
    /// Layers in the place of the last dense one of --from; or keep, for all layers of the model [default: dense]
    #[arg(long, value_name = "NOTATION|keep", help_heading = NETWORK)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub head: Option<String>,
    /// How an encoder of texts makes one row of all steps: mean, first or max [default: as its folder says, or mean]
    #[arg(long, value_name = "NAME", help_heading = NETWORK)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pooling: Option<String>,
    /// Names of weights made names of parameters: FROM=TO with *, or a beginning to drop, separated by commas: "module.,
    /// features.*=*"
    #[arg(long, value_name = "RULES", help_heading = NETWORK)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rename: Option<String>,
    /// Take weights in their order, whatever their names, if all shapes agree
    #[arg(long, conflicts_with = "rename", help_heading = NETWORK)]
    #[serde(skip_serializing_if = "is_false")]
    pub in_order: bool,
    /// Begin anew with parameters for which --from has no weights or others in shape, instead of ending with an error
    #[arg(long, help_heading = NETWORK)]
    #[serde(skip_serializing_if = "is_false")]
    pub lenient: bool,
    /// The network, such as "dense 128 relu -> dropout 0.2 -> dense 10"; the last layer may be left to the data
    #[arg(long, value_name = "NOTATION", help_heading = NETWORK)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub net: Option<String>,
    /// How weights begin, for layers that do not say: he_normal, xavier_uniform, uniform:-0.5:0.5, …
    #[arg(long, value_name = "INIT", help_heading = NETWORK)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub init: Option<String>,
    /// How biases begin, for layers that do not say: zeros, constant:0.1, …
    #[arg(long, value_name = "INIT", help_heading = NETWORK)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bias_init: Option<String>,
    /// Whether the first convolution begins with the filters that whiten the patches of the training pictures, and stays so: yes or
    /// no [default: no]. It has two filters for each value of a patch at most, as conv 24 2x2 nobias for colours
    #[arg(long, value_name = "YES|NO", help_heading = NETWORK)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub whiten: Option<YesNo>,
    /// Parameters that stay as they are: by pattern ("0.*", "*.bias"), by the numbers of their layers (0..3 is 0, 1 and 2;
    /// ..3 and 3.. too), or backbone, all that comes --from a model. May be given several times
    #[arg(long, value_name = "PATTERN", value_delimiter = ',', help_heading = NETWORK)]
    #[serde(deserialize_with = "one_or_many", skip_serializing_if = "Vec::is_empty")]
    pub freeze: Vec<String>,
    /// File in which what frozen layers make of the rows is kept, for further runs on them [default: features.safetensors in the
    /// folder of the run]
    #[arg(long, value_name = "FILE", help_heading = NETWORK)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub features: Option<PathBuf>,
    /// Epochs after which nothing is frozen any more [default: never]
    #[arg(long, value_name = "N", help_heading = NETWORK)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thaw: Option<usize>,
    /// Learning rate of each layer as a share of that of the layer behind it, from 0 to 1: what is learnt first is changed
    /// least [default: 1]
    #[arg(long, value_name = "X", help_heading = NETWORK)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate_decay: Option<f64>,
    /// Learning rates of parameters by pattern, as multiples of that of all: "*.bias=64". The first that fits holds. May be
    /// given several times
    #[arg(long, value_name = "PATTERN=FACTOR", value_delimiter = ',', help_heading = NETWORK)]
    #[serde(deserialize_with = "one_or_many", skip_serializing_if = "Vec::is_empty")]
    pub rates: Vec<String>,

    /// Passes over the training rows, at most
    #[arg(long, value_name = "N", help_heading = TRAINING)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub epochs: Option<usize>,
    /// Rows of one update: a number, or full
    #[arg(long, value_name = "N|full", help_heading = TRAINING)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch_size: Option<BatchSize>,
    /// Optimiser with its settings: adam, sgd:momentum=0.9,nesterov, lbfgs, …
    #[arg(long, value_name = "NAME[:SETTINGS]", help_heading = TRAINING)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub optimizer: Option<String>,
    /// Learning rate
    #[arg(long, value_name = "X", allow_hyphen_values = true, help_heading = TRAINING)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lr: Option<f64>,
    /// How the learning rate changes: constant, cosine, one_cycle, step:30:0.1, …
    #[arg(long, value_name = "NAME[:SETTINGS]", help_heading = TRAINING)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schedule: Option<String>,
    /// Loss: cross_entropy, binary_cross_entropy, mse, mae, huber:1, … [default: from the task]
    #[arg(long, value_name = "NAME[:SETTINGS]", help_heading = TRAINING)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub loss: Option<String>,
    /// Weights of the classes in the loss: balanced, or CLASS:WEIGHT,…
    #[arg(long, value_name = "balanced|LIST", help_heading = TRAINING)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub class_weights: Option<String>,
    /// Share of the target spread over all classes, 0 to 1
    #[arg(long, value_name = "X", help_heading = TRAINING)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label_smoothing: Option<f64>,
    /// What is done to training pictures at random: "flip, crop 4, rotate 15, scale 0.9..1.1, shear 5, shift 2, elastic 1.5,
    /// brightness 0.2, contrast 0.2, cutout 8, mixup 0.2, cutmix 1, border reflect", or none; lengths in pixels [default: "flip, crop 2" for colours, else none]
    #[arg(long, value_name = "LIST", help_heading = TRAINING)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub augment: Option<String>,
    /// Whether each window of a text goes on where the one before it ended: yes or no [default: yes with recurrent layers alone]
    #[arg(long, value_name = "YES|NO", help_heading = TRAINING)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub carry: Option<YesNo>,
    /// Decoupled weight decay (weights only, not biases)
    #[arg(long, value_name = "X", help_heading = TRAINING)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight_decay: Option<f64>,
    /// L1 penalty (weights only)
    #[arg(long, value_name = "X", help_heading = TRAINING)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub l1: Option<f64>,
    /// L2 penalty, added to the gradient (weights only)
    #[arg(long, value_name = "X", help_heading = TRAINING)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub l2: Option<f64>,
    /// Largest norm of all gradients together
    #[arg(long, value_name = "X", help_heading = TRAINING, conflicts_with = "clip_value")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clip_norm: Option<f64>,
    /// Largest size of each gradient
    #[arg(long, value_name = "X", help_heading = TRAINING)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clip_value: Option<f64>,
    /// Epochs without improvement on the validation part after which the run ends
    #[arg(long, value_name = "N", help_heading = TRAINING, conflicts_with = "no_early_stopping")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub patience: Option<usize>,
    /// Run all epochs and keep the last weights
    #[arg(long, help_heading = TRAINING)]
    #[serde(skip_serializing_if = "is_false")]
    pub no_early_stopping: bool,
    /// Validation metric that early stopping watches
    #[arg(long, value_name = "METRIC", help_heading = TRAINING, conflicts_with = "no_early_stopping")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub monitor: Option<String>,
    /// Seed of split, initial weights, order and dropout: the same seed gives the same bits [default: 0]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(..=i64::MAX as u64), help_heading = TRAINING)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,

    /// Threads [default: one for each processor]. The result does not depend on it
    #[arg(long, value_name = "N", help_heading = RUN)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threads: Option<usize>,
    /// Instruction set: avx512, avx2, neon or scalar [default: the fastest]. The result does not depend on it
    #[arg(long, value_name = "NAME", help_heading = RUN)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub isa: Option<String>,
    /// Folder of the run [default: runs/NAME-N]
    #[arg(long, value_name = "DIR", help_heading = RUN)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub out: Option<PathBuf>,
    /// Updates between checkpoints, besides those at the end of an epoch
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..), help_heading = RUN)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checkpoint_every: Option<u64>,

    /// How `tune` searches (in a run.toml only).
    #[arg(skip)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tune: Option<TuneOptions>,
    /// What `tune` searches (in a run.toml only).
    #[arg(skip)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub space: Option<serde_json::Map<String, serde_json::Value>>,
}

const DATA: &str = "Data";
const NETWORK: &str = "Network";
const TRAINING: &str = "Training";
const RUN: &str = "Run";

fn is_false(value: &bool) -> bool {
    !value
}

/// Where validation rows come from.
#[derive(Clone, Debug, PartialEq)]
pub enum Validation {
    /// A share of the training rows.
    Fraction(f64),
    /// A file of their own.
    File(PathBuf),
}

impl FromStr for Validation {
    type Err = String;
    fn from_str(text: &str) -> Result<Validation, String> {
        match text.parse::<f64>() {
            Ok(share) if (0.0..1.0).contains(&share) => Ok(Validation::Fraction(share)),
            Ok(_) => Err("a share is at least 0 and below 1".to_string()),
            Err(_) => Ok(Validation::File(PathBuf::from(text))),
        }
    }
}

impl Serialize for Validation {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Validation::Fraction(share) => serializer.serialize_f64(*share),
            Validation::File(path) => path.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Validation {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Validation, D::Error> {
        Scalar::deserialize(deserializer)?.text().parse().map_err(serde::de::Error::custom)
    }
}

/// Height and width of pictures, written `64` or `WIDTHxHEIGHT`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PictureSize(pub [usize; 2]);

impl FromStr for PictureSize {
    type Err = String;
    fn from_str(text: &str) -> Result<PictureSize, String> {
        let (width, height) = text.split_once(['x', '×']).unwrap_or((text, text));
        let side = |text: &str| text.trim().parse().ok().filter(|side| (1..=4096).contains(side));
        match (side(height), side(width)) {
            (Some(height), Some(width)) => Ok(PictureSize([height, width])),
            _ => Err("it is a side, or WIDTHxHEIGHT, in pixels from 1 to 4096".to_string()),
        }
    }
}

impl Serialize for PictureSize {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let [height, width] = self.0;
        if height == width {
            serializer.serialize_u64(height as u64)
        } else {
            serializer.collect_str(&format_args!("{width}x{height}"))
        }
    }
}

impl<'de> Deserialize<'de> for PictureSize {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<PictureSize, D::Error> {
        Scalar::deserialize(deserializer)?.text().parse().map_err(serde::de::Error::custom)
    }
}

/// A number of bytes, written `500MB`, `8GB` or without a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory(pub u64);

impl FromStr for Memory {
    type Err = String;
    fn from_str(text: &str) -> Result<Memory, String> {
        let number = text.trim_end_matches(|symbol: char| symbol.is_ascii_alphabetic());
        let shift = match text[number.len()..].to_ascii_lowercase().as_str() {
            "" | "b" => Some(0),
            "k" | "kb" | "kib" => Some(10),
            "m" | "mb" | "mib" => Some(20),
            "g" | "gb" | "gib" => Some(30),
            "t" | "tb" | "tib" => Some(40),
            _ => None,
        };
        let bytes = shift.and_then(|shift| number.trim().parse::<u64>().ok()?.checked_mul(1 << shift));
        bytes.map(Memory).ok_or_else(|| "it is a number of bytes, such as 500MB or 8GB".to_string())
    }
}

impl Serialize for Memory {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(self.0)
    }
}

impl<'de> Deserialize<'de> for Memory {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Memory, D::Error> {
        Scalar::deserialize(deserializer)?.text().parse().map_err(serde::de::Error::custom)
    }
}

/// `yes` or `no`; `true` and `false` too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct YesNo(pub bool);

impl FromStr for YesNo {
    type Err = String;
    fn from_str(text: &str) -> Result<YesNo, String> {
        match text {
            "yes" | "true" => Ok(YesNo(true)),
            "no" | "false" => Ok(YesNo(false)),
            _ => Err("it is yes or no".to_string()),
        }
    }
}

impl Serialize for YesNo {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bool(self.0)
    }
}

impl<'de> Deserialize<'de> for YesNo {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<YesNo, D::Error> {
        Scalar::deserialize(deserializer)?.text().parse().map_err(serde::de::Error::custom)
    }
}

/// A single value of a file, whatever its type.
#[derive(Deserialize)]
#[serde(untagged)]
enum Scalar {
    Bool(bool),
    Whole(i64),
    Number(f64),
    Text(String),
}

impl Scalar {
    fn text(self) -> String {
        match self {
            Scalar::Bool(value) => value.to_string(),
            Scalar::Whole(value) => value.to_string(),
            Scalar::Number(value) => value.to_string(),
            Scalar::Text(value) => value,
        }
    }
}

/// `target = "price"`, `target = -1` or `target = ["a", "b"]`.
fn one_or_many<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Written {
        Many(Vec<Scalar>),
        One(Scalar),
    }
    Ok(match Written::deserialize(deserializer)? {
        Written::Many(values) => values.into_iter().map(Scalar::text).collect(),
        Written::One(value) => vec![value.text()],
    })
}

/// The error with its place; of an unknown key the nearest known one instead of all.
fn explained(error: &toml::de::Error) -> String {
    let text = error.to_string();
    let parts: Vec<&str> = error.message().split('`').collect();
    match parts.as_slice() {
        ["unknown field ", unknown, ", expected one of ", rest @ ..] => {
            let known = rest.iter().step_by(2).copied();
            let Some(near) = pellucid::suggest::nearest(unknown, known) else { return text };
            text.replace(error.message(), &format!("there is no setting {unknown}; did you mean {near}?"))
        }
        _ => text,
    }
}

impl Settings {
    /// With `change`, `name=value` as in a `run.toml`.
    ///
    /// # Errors
    /// Without `=`, or when there is no such setting or value.
    pub fn changed(self, change: &str) -> Outcome<Settings> {
        let Some((name, value)) = change.split_once('=') else {
            return Err(Failure::new(format!("a change is NAME=VALUE, such as lr=1e-4; got '{change}'")));
        };
        let (name, value) = (name.trim(), value.trim());
        // Numbers and words that TOML knows stand as they are, others in quotes.
        let plain = Settings::parse(&format!("{name} = {value}"));
        let quoted = || Settings::parse(&format!("{name} = {}", toml::Value::String(value.to_string())));
        Ok(plain.or_else(|_| quoted())?.over(self))
    }

    /// Reads a `run.toml`. Relative paths in it are taken from its own folder if something is there, else from the
    /// current one.
    ///
    /// # Errors
    /// A file that cannot be read, is no TOML, or has a key or value that no setting has; with its place.
    pub fn read(path: &Path) -> Outcome<Settings> {
        let text = fs::read_to_string(path).map_err(|error| Failure::new(format!("{}: {error}", path.display())))?;
        let mut settings = Settings::parse(&text)
            .map_err(|error| Failure::new(format!("{}: {}", path.display(), error.message().trim_end())))?;
        let folder = path.parent().unwrap_or(Path::new(""));
        let beside = |path: &mut PathBuf| {
            let there = folder.join(&*path);
            if path.is_relative() && there.exists() {
                *path = there;
            }
        };
        let Settings { test, validation, data_dir, tokenizer, from, data, .. } = &mut settings;
        test.iter_mut().chain(data_dir).chain(tokenizer).chain(from).for_each(beside);
        if let Some(Validation::File(path)) = validation {
            beside(path);
        }
        if let Some(data) = data.as_mut().filter(|data| pellucid::data::sources::find(data).is_err()) {
            let mut path = PathBuf::from(&*data);
            beside(&mut path);
            *data = path.to_string_lossy().into_owned();
        }
        Ok(settings)
    }

    /// Reads settings from TOML text.
    ///
    /// # Errors
    /// No TOML, or a key or value that no setting has.
    pub fn parse(text: &str) -> Outcome<Settings> {
        let settings: Settings = toml::from_str(text).map_err(|error| Failure::new(explained(&error)))?;
        if settings.clip_norm.is_some() && settings.clip_value.is_some() {
            return Err(Failure::new("clip-norm and clip-value exclude each other; remove one"));
        }
        if settings.fold.is_some() && settings.validation.is_some() {
            return Err(Failure::new("fold and validation exclude each other; remove one"));
        }
        if settings.tokens.is_some() && settings.tokenizer.is_some() {
            return Err(Failure::new("tokens and tokenizer exclude each other; remove one"));
        }
        if settings.no_early_stopping && (settings.patience.is_some() || settings.monitor.is_some()) {
            return Err(Failure::new("no-early-stopping excludes patience and monitor; remove one"));
        }
        Ok(settings)
    }

    /// The settings as TOML text.
    pub fn to_toml(&self) -> String {
        toml::to_string(self).expect("settings are numbers, texts and lists")
    }

    /// These settings where they say something, those of `file` elsewhere. What contradicts a setting of these is dropped
    /// from `file`.
    pub fn over(self, mut file: Settings) -> Settings {
        if self.no_early_stopping {
            (file.patience, file.monitor) = (None, None);
        }
        if self.patience.is_some() || self.monitor.is_some() {
            file.no_early_stopping = false;
        }
        if self.clip_norm.is_some() || self.clip_value.is_some() {
            (file.clip_norm, file.clip_value) = (None, None);
        }
        if self.validation.is_some() {
            file.fold = None;
        }
        if self.fold.is_some() {
            file.validation = None;
        }
        if self.tokens.is_some() || self.tokenizer.is_some() {
            (file.tokens, file.tokenizer) = (None, None);
        }
        if self.test.is_some() {
            file.test_fraction = None;
        }
        if self.test_fraction.is_some() {
            file.test = None;
        }
        // What a setting serialises to is there only where something was said.
        let as_map = |settings: &Settings| match serde_json::to_value(settings) {
            Ok(serde_json::Value::Object(map)) => map,
            _ => unreachable!("settings are a map"),
        };
        let mut all = as_map(&file);
        all.extend(as_map(&self));
        serde_json::from_value(all.into()).expect("settings come back as they went")
    }

    /// The first setting given that only pictures in files know (and, of texts in files, the last).
    pub fn picture_setting(&self) -> Option<&'static str> {
        let given =
            [("--size", self.size.is_some()), ("--channels", self.channels.is_some()), ("--skip-bad", self.skip_bad)];
        given.into_iter().find(|(_, given)| *given).map(|(flag, _)| flag)
    }

    /// The first setting given that only texts know.
    pub fn text_setting(&self) -> Option<&'static str> {
        let given = [
            ("--tokens", self.tokens.is_some()),
            ("--tokenizer", self.tokenizer.is_some()),
            ("--carry", self.carry.is_some()),
        ];
        given.into_iter().find(|(_, given)| *given).map(|(flag, _)| flag)
    }

    /// The first setting given that only series know.
    pub fn series_setting(&self) -> Option<&'static str> {
        let given = [
            ("--horizon", self.horizon.is_some()),
            ("--season", self.season.is_some()),
            ("--known", !self.known.is_empty()),
        ];
        given.into_iter().find(|(_, given)| *given).map(|(flag, _)| flag)
    }

    /// The first setting given that only runs --from a model or weights know.
    pub fn transfer_setting(&self) -> Option<&'static str> {
        let given = [("--head", self.head.is_some()), ("--pooling", self.pooling.is_some())];
        given.into_iter().find(|(_, given)| *given).map(|(flag, _)| flag).or(self.weights_setting())
    }

    /// The first setting given that only weights of others know.
    pub fn weights_setting(&self) -> Option<&'static str> {
        let given = [("--rename", self.rename.is_some()), ("--in-order", self.in_order), ("--lenient", self.lenient)];
        given.into_iter().find(|(_, given)| *given).map(|(flag, _)| flag)
    }

    /// Whether the first convolution begins as a whitening.
    pub fn whitens(&self) -> bool {
        self.whiten == Some(YesNo(true))
    }

    /// The seed; 0 unless set.
    pub fn seed(&self) -> u64 {
        self.seed.unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Flags {
        #[command(flatten)]
        settings: Settings,
    }

    fn flags(arguments: &[&str]) -> Settings {
        Flags::try_parse_from(["train"].iter().chain(arguments)).expect("flags").settings
    }

    #[test]
    fn every_flag_is_a_key_of_the_file_under_the_same_name() {
        use clap::CommandFactory;
        let command = Flags::command();
        let names: Vec<&str> = command.get_arguments().filter_map(|argument| argument.get_long()).collect();
        assert!(names.len() > 30);
        for name in names.into_iter().filter(|name| *name != "help") {
            let tried = ["1", "0.5", "\"1\"", "true", "\"full\"", "\"2/5\""].iter().any(|value| {
                toml::from_str::<Settings>(&format!("{name} = {value}")).is_ok_and(|read| read != Settings::default())
            });
            assert!(tried, "{name} is no key");
        }
    }

    #[test]
    fn settings_come_back_from_their_toml() {
        let settings = flags(&[
            "--target",
            "-1,price",
            "--validation",
            "0.25",
            "--header",
            "no",
            "--batch-size",
            "full",
            "--lr",
            "1e-3",
            "--missing",
            "?,-",
            "--freeze",
            "0.*",
            "--rates",
            "*.bias=64,3.*=0.1",
            "--whiten",
            "yes",
            "--seed",
            "7",
            "--no-early-stopping",
            "--net",
            "dense 3",
        ]);
        assert_eq!(settings.target, ["-1", "price"]);
        assert_eq!(settings.header, Some(YesNo(false)));
        assert_eq!(Settings::parse(&settings.to_toml()).expect("reads"), settings);
        let loose = Settings::parse("target = -1\nvalidation = \"rows.csv\"\nheader = \"yes\"\nbatch-size = 32")
            .expect("reads");
        assert_eq!(loose.target, ["-1"]);
        assert_eq!(loose.validation, Some(Validation::File("rows.csv".into())));
        assert_eq!((loose.header, loose.batch_size), (Some(YesNo(true)), Some(BatchSize::Rows(32))));
    }

    #[test]
    fn sizes_and_memory_are_read_as_people_write_them() {
        assert_eq!("64".parse(), Ok(PictureSize([64, 64])));
        assert_eq!("32x24".parse(), Ok(PictureSize([24, 32])));
        assert_eq!("500MB".parse(), Ok(Memory(500 << 20)));
        assert_eq!(("2g".parse(), "7".parse()), (Ok(Memory(2 << 30)), Ok(Memory(7))));
        for wrong in ["", "0", "3x", "5000", "x", "-1", "1x2x3"] {
            assert!(wrong.parse::<PictureSize>().is_err(), "{wrong}");
        }
        for wrong in ["", "MB", "1.5GB", "3 elephants", "99999999999TB"] {
            assert!(wrong.parse::<Memory>().is_err(), "{wrong}");
        }
        let settings = flags(&["--size", "32x24", "--memory", "1GB", "--channels", "3", "--skip-bad"]);
        assert_eq!(Settings::parse(&settings.to_toml()).expect("reads"), settings);
    }

    #[test]
    fn flags_win_over_the_file() {
        let file =
            Settings::parse("epochs = 5\nlr = 0.1\nno-early-stopping = true\ntarget = [\"a\", \"b\"]\nclip-norm = 1.0");
        let both = flags(&["--epochs", "9", "--patience", "3", "--clip-value", "2"]).over(file.expect("reads"));
        assert_eq!((both.epochs, both.lr, both.patience, both.no_early_stopping), (Some(9), Some(0.1), Some(3), false));
        assert_eq!((both.clip_norm, both.clip_value), (None, Some(2.0)));
        assert_eq!(both.target, ["a", "b"]);
    }

    #[test]
    fn mistakes_in_a_file_are_named_with_their_place() {
        let message = Settings::parse("epochs = 5\nlearning = 3").unwrap_err().message().to_string();
        assert!(message.contains("line 2") && message.contains("unknown field `learning`"), "{message}");
        let message = Settings::parse("epoch = 5").unwrap_err().message().to_string();
        assert!(message.contains("line 1") && message.ends_with("did you mean epochs?\n"), "{message:?}");
        let message = Settings::parse("batch-size = 0").unwrap_err().message().to_string();
        assert!(message.contains("a batch size is a number from 1 or 'full'"), "{message}");
        let message = Settings::parse("clip-norm = 1.0\nclip-value = 1.0").unwrap_err().message().to_string();
        assert!(message.contains("exclude each other"), "{message}");
    }
}
