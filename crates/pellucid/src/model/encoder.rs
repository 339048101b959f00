//! Encoders of texts that others trained, such as BERT (Devlin et al., "BERT: pre-training of deep bidirectional transformers",
//! 2019): a folder with `config.json`, weights and a tokenizer, as Hugging Face's `transformers` and `sentence-transformers` write
//! it. They become a line of notation and its parameters; from there on nothing is special about them.
//!
//! A document is one segment here. So the embedding of its segment, which BERT adds at every step, is added to the embeddings
//! of the positions when they are read.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::weights::{Weights, WeightsError};
use crate::graph::Parameters;

/// A folder that was opened: everything but the values of its weights was read and checked.
#[derive(Debug)]
pub struct Encoder {
    config: Config,
    weights: Weights,
    /// What stands before the names of all tensors: `bert.`, or nothing.
    prefix: String,
    /// Rows of the position embeddings that stand for no position.
    unused_positions: usize,
    tokenizer: PathBuf,
    pooling: Pooling,
    most: Option<usize>,
}

/// How the steps of a document become one row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pooling {
    /// Their mean; the default.
    #[default]
    Mean,
    /// The first one, that of `[CLS]`.
    First,
    /// The greatest of each value.
    Max,
}

impl FromStr for Pooling {
    type Err = String;
    fn from_str(text: &str) -> Result<Pooling, String> {
        match text {
            "mean" => Ok(Pooling::Mean),
            "first" => Ok(Pooling::First),
            "max" => Ok(Pooling::Max),
            _ => Err(format!("pooling is mean, first or max, got '{text}'")),
        }
    }
}

impl fmt::Display for Pooling {
    /// The layer of the notation.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Pooling::Mean => "mean-time",
            Pooling::First => "first",
            Pooling::Max => "max-time",
        })
    }
}

/// What `config.json` says, by its names.
#[derive(Clone, Debug, Deserialize)]
struct Config {
    model_type: String,
    hidden_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    intermediate_size: usize,
    max_position_embeddings: usize,
    vocab_size: usize,
    hidden_act: String,
    #[serde(default = "usual_eps")]
    layer_norm_eps: f64,
    #[serde(default)]
    hidden_dropout_prob: f64,
    pad_token_id: Option<usize>,
    position_embedding_type: Option<String>,
    #[serde(default)]
    is_decoder: bool,
}

fn usual_eps() -> f64 {
    1e-12
}

/// What `1_Pooling/config.json` says.
#[derive(Default, Deserialize)]
#[serde(default)]
struct PoolingConfig {
    pooling_mode_cls_token: bool,
    pooling_mode_mean_tokens: bool,
    pooling_mode_max_tokens: bool,
}

/// What `sentence_bert_config.json` says.
#[derive(Deserialize)]
struct SentenceConfig {
    max_seq_length: Option<usize>,
}

/// Why a folder holds no encoder that can be used.
#[derive(Debug, thiserror::Error)]
pub enum EncoderError {
    /// A file cannot be read.
    #[error("{path}: {source}")]
    Read {
        /// The file.
        path: String,
        /// Why not.
        source: std::io::Error,
    },
    /// A file says what is not known here, or does not hold together.
    #[error("{path}: {message}")]
    Config {
        /// The file.
        path: String,
        /// What is wrong, and what is known.
        message: String,
    },
    /// None of the files that one is needed of.
    #[error("{folder} has none of {names}; give the whole folder of the encoder")]
    Missing {
        /// The folder.
        folder: String,
        /// The files.
        names: String,
    },
    /// The weights.
    #[error(transparent)]
    Weights(#[from] WeightsError),
}

/// Files of weights, the first that is there.
const WEIGHTS: [&str; 3] = ["model.safetensors", "model.safetensors.index.json", "pytorch_model.bin"];
/// Files of tokenizers, the first that is there.
const TOKENIZERS: [&str; 2] = ["tokenizer.json", "vocab.txt"];
/// The file that says what the encoder is.
const CONFIG: &str = "config.json";

/// The last part of the name of the embeddings of tokens.
const TOKENS: &str = "embeddings.word_embeddings.weight";
const POSITIONS: &str = "embeddings.position_embeddings.weight";
const SEGMENTS: &str = "embeddings.token_type_embeddings.weight";

/// A parameter of a block, below its number, and the tensors that are joined to it, below theirs, with their shapes.
struct Part {
    parameter: &'static str,
    tensors: &'static [&'static str],
    shape: Vec<usize>,
}

impl Config {
    /// The parameters of a block.
    fn block(&self) -> Vec<Part> {
        let (width, mlp) = (self.hidden_size, self.intermediate_size);
        let part = |parameter, tensors, shape: &[usize]| Part { parameter, tensors, shape: shape.to_vec() };
        vec![
            part(
                "self_attn.in_proj_weight",
                &["attention.self.query.weight", "attention.self.key.weight", "attention.self.value.weight"],
                &[width, width],
            ),
            part(
                "self_attn.in_proj_bias",
                &["attention.self.query.bias", "attention.self.key.bias", "attention.self.value.bias"],
                &[width],
            ),
            part("self_attn.out_proj.weight", &["attention.output.dense.weight"], &[width, width]),
            part("self_attn.out_proj.bias", &["attention.output.dense.bias"], &[width]),
            part("norm1.weight", &["attention.output.LayerNorm.weight"], &[width]),
            part("norm1.bias", &["attention.output.LayerNorm.bias"], &[width]),
            part("linear1.weight", &["intermediate.dense.weight"], &[mlp, width]),
            part("linear1.bias", &["intermediate.dense.bias"], &[mlp]),
            part("linear2.weight", &["output.dense.weight"], &[width, mlp]),
            part("linear2.bias", &["output.dense.bias"], &[width]),
            part("norm2.weight", &["output.LayerNorm.weight"], &[width]),
            part("norm2.bias", &["output.LayerNorm.bias"], &[width]),
        ]
    }

    /// Refuses what would be computed otherwise than it was trained.
    fn check(&self) -> Result<(), String> {
        if !["bert", "roberta", "xlm-roberta", "camembert"].contains(&self.model_type.as_str()) {
            return Err(format!("model_type is {:?}; known are encoders such as bert and roberta", self.model_type));
        }
        if self.hidden_act != "gelu" {
            return Err(format!("hidden_act is {:?}; known is gelu", self.hidden_act));
        }
        if self.position_embedding_type.as_deref().is_some_and(|kind| kind != "absolute") {
            return Err("position_embedding_type is not absolute, which alone is known".to_string());
        }
        if self.is_decoder {
            return Err("is_decoder is true; known are encoders".to_string());
        }
        let sizes = [self.hidden_size, self.num_hidden_layers, self.num_attention_heads, self.intermediate_size];
        if sizes.contains(&0) {
            return Err("a size is 0".to_string());
        }
        if !(self.layer_norm_eps > 0.0 && self.layer_norm_eps < 1.0 && (0.0..1.0).contains(&self.hidden_dropout_prob)) {
            return Err("layer_norm_eps and hidden_dropout_prob are numbers from 0 to 1".to_string());
        }
        Ok(())
    }

    /// The place of the first block in the line.
    fn first_block(&self) -> usize {
        if self.hidden_dropout_prob > 0.0 { 3 } else { 2 }
    }
}

impl Encoder {
    /// True for folders that look like one of an encoder.
    pub fn is_at(folder: &Path) -> bool {
        folder.join(CONFIG).is_file()
    }

    /// Opens a folder: `config.json`, the weights (`model.safetensors`, its index, or `pytorch_model.bin`), the tokenizer
    /// (`tokenizer.json` or `vocab.txt`), and, if they are there, `1_Pooling/config.json` and `sentence_bert_config.json`.
    ///
    /// # Errors
    /// A file that is missing or cannot be read; an encoder of a kind that is not known; weights that are missing or of another
    /// shape than `config.json` says.
    pub fn open(folder: &Path) -> Result<Encoder, EncoderError> {
        let config: Config = json(&folder.join(CONFIG))?;
        let wrong = |message| EncoderError::Config { path: folder.join(CONFIG).display().to_string(), message };
        config.check().map_err(wrong)?;
        let unused_positions = match (config.model_type.as_str(), config.pad_token_id) {
            ("bert", _) => 0,
            // Those of padding, and those before it.
            (_, padding) => padding.unwrap_or(1).saturating_add(1),
        };
        if unused_positions >= config.max_position_embeddings {
            return Err(wrong("max_position_embeddings leaves no position".to_string()));
        }
        let pooling = folder.join("1_Pooling").join(CONFIG);
        let pooling = if pooling.is_file() { pooling_of(&pooling)? } else { Pooling::default() };
        let sentences = folder.join("sentence_bert_config.json");
        let most = match sentences.is_file() {
            true => json::<SentenceConfig>(&sentences)?.max_seq_length,
            false => None,
        };
        let tokenizer = first_of(folder, &TOKENIZERS)?;
        let weights = Weights::open(&first_of(folder, &WEIGHTS)?)?;
        let name = weights.tensors().iter().map(|tensor| &tensor.name).find(|name| name.ends_with(TOKENS));
        let prefix = name.map(|name| name[..name.len() - TOKENS.len()].to_string()).unwrap_or_default();
        let encoder = Encoder { config, weights, prefix, unused_positions, tokenizer, pooling, most };
        encoder.check_tensors()?;
        Ok(encoder)
    }

    /// The file of its tokenizer.
    pub fn tokenizer(&self) -> &Path {
        &self.tokenizer
    }

    /// Tokens of a document, at most, if the folder says so.
    pub fn most(&self) -> Option<usize> {
        self.most
    }

    /// Tokens that it has positions for.
    pub fn positions(&self) -> usize {
        self.config.max_position_embeddings - self.unused_positions
    }

    /// How it makes one row of the steps, if nothing else is said.
    pub fn pooling(&self) -> Pooling {
        self.pooling
    }

    /// How many tokens it knows.
    pub fn vocabulary(&self) -> usize {
        self.config.vocab_size
    }

    /// The network: tokens [batch, time] → [batch, width]. It has room for `vocabulary` tokens, if those are more than it knows
    /// (a token of padding may be one).
    pub fn line(&self, vocabulary: usize, pooling: Pooling) -> String {
        let Config { hidden_size: width, num_attention_heads: heads, intermediate_size: mlp, .. } = self.config;
        let Config { num_hidden_layers: blocks, layer_norm_eps: eps, hidden_dropout_prob: rate, .. } = self.config;
        let vocabulary = vocabulary.max(self.config.vocab_size);
        let context = self.positions();
        let (dropout, dropped) = match rate > 0.0 {
            true => (format!("dropout {rate} -> "), format!(" dropout={rate}")),
            false => (String::new(), String::new()),
        };
        format!(
            "tokens {vocabulary}x{width} context={context} -> layernorm eps={eps:e} -> {dropout}\
             {blocks} * transformer {width} heads {heads} postnorm mlp={mlp} eps={eps:e}{dropped} -> {pooling}"
        )
    }

    /// The place of a tensor; the scale and shift of a normalisation have other names in older files.
    fn find(&self, name: &str) -> Option<usize> {
        let tensors = self.weights.tensors();
        let place = |name: String| tensors.iter().position(|tensor| tensor.name == name);
        let older = || {
            let stem = name.strip_suffix("LayerNorm.weight").map(|stem| format!("{stem}LayerNorm.gamma"));
            stem.or(name.strip_suffix("LayerNorm.bias").map(|stem| format!("{stem}LayerNorm.beta")))
        };
        let whole = |name: &str| format!("{}{name}", self.prefix);
        place(whole(name)).or_else(|| older().and_then(|older| place(whole(&older))))
    }

    /// The place of a tensor of this shape.
    fn expect(&self, name: &str, shape: &[usize]) -> Result<usize, EncoderError> {
        let path = || self.weights.file().map_or(String::new(), |path| path.display().to_string());
        let message = match self.find(name) {
            None => format!("there is no tensor `{}{name}` {shape:?}, which {CONFIG} asks for", self.prefix),
            Some(place) => {
                let found = &self.weights.tensors()[place].shape;
                if found == shape {
                    return Ok(place);
                }
                format!("`{}{name}` is {found:?}, but {shape:?} by {CONFIG}", self.prefix)
            }
        };
        Err(EncoderError::Config { path: path(), message })
    }

    /// All tensors are there, in their shapes; in the order of the layers, so that a number of them that no file holds is
    /// found out soon.
    fn check_tensors(&self) -> Result<(), EncoderError> {
        let Config { hidden_size: width, .. } = self.config;
        self.expect(TOKENS, &[self.config.vocab_size, width])?;
        self.expect(POSITIONS, &[self.config.max_position_embeddings, width])?;
        for name in ["embeddings.LayerNorm.weight", "embeddings.LayerNorm.bias"] {
            self.expect(name, &[width])?;
        }
        let parts = self.config.block();
        for block in 0..self.config.num_hidden_layers {
            for part in &parts {
                for tensor in part.tensors {
                    self.expect(&format!("encoder.layer.{block}.{tensor}"), &part.shape)?;
                }
            }
        }
        Ok(())
    }

    /// Reads the weights into the parameters of a network that begins with [`Encoder::line`]. Tokens that only the network knows
    /// get zeros.
    ///
    /// # Errors
    /// Values that cannot be read; parameters of another network.
    pub fn load(&mut self, parameters: &mut Parameters) -> Result<(), EncoderError> {
        let Config { hidden_size: width, vocab_size, max_position_embeddings: positions, .. } = self.config;
        let tokens = self.expect(TOKENS, &[vocab_size, width])?;
        let mut values = self.weights.read(tokens)?;
        let room = parameters.get("0.embedding.weight").map_or(0, <[f32]>::len);
        values.resize(room.max(values.len()), 0.0);
        self.write(parameters, "0.embedding.weight", &values)?;
        let place = self.expect(POSITIONS, &[positions, width])?;
        let mut values = self.weights.read(place)?.split_off(self.unused_positions * width);
        if let Some(place) = self.find(SEGMENTS) {
            let segments = self.weights.read(place)?;
            for row in values.chunks_exact_mut(width) {
                row.iter_mut().zip(&segments).for_each(|(position, segment)| *position += segment);
            }
        }
        self.write(parameters, "0.positions.weight", &values)?;
        for kind in ["weight", "bias"] {
            let place = self.expect(&format!("embeddings.LayerNorm.{kind}"), &[width])?;
            let values = self.weights.read(place)?;
            self.write(parameters, &format!("1.{kind}"), &values)?;
        }
        let (parts, first) = (self.config.block(), self.config.first_block());
        for block in 0..self.config.num_hidden_layers {
            for part in &parts {
                let mut values = Vec::new();
                for tensor in part.tensors {
                    let place = self.expect(&format!("encoder.layer.{block}.{tensor}"), &part.shape)?;
                    values.extend(self.weights.read(place)?);
                }
                self.write(parameters, &format!("{}.{}", first + block, part.parameter), &values)?;
            }
        }
        Ok(())
    }

    fn write(&self, parameters: &mut Parameters, name: &str, values: &[f32]) -> Result<(), EncoderError> {
        match parameters.get_mut(name).filter(|target| target.len() == values.len()) {
            Some(target) => {
                target.copy_from_slice(values);
                Ok(())
            }
            None => Err(EncoderError::Config {
                path: self.weights.file().map_or(String::new(), |path| path.display().to_string()),
                message: format!("{} values do not become the parameter {name} of the network", values.len()),
            }),
        }
    }
}

fn pooling_of(path: &Path) -> Result<Pooling, EncoderError> {
    let PoolingConfig { pooling_mode_cls_token, pooling_mode_mean_tokens, pooling_mode_max_tokens } = json(path)?;
    match (pooling_mode_mean_tokens, pooling_mode_cls_token, pooling_mode_max_tokens) {
        (true, false, false) => Ok(Pooling::Mean),
        (false, true, false) => Ok(Pooling::First),
        (false, false, true) => Ok(Pooling::Max),
        _ => {
            let message = "one of mean, cls and max is known, alone".to_string();
            Err(EncoderError::Config { path: path.display().to_string(), message })
        }
    }
}

fn first_of(folder: &Path, names: &[&str]) -> Result<PathBuf, EncoderError> {
    let there = names.iter().map(|name| folder.join(name)).find(|path| path.is_file());
    there.ok_or_else(|| EncoderError::Missing { folder: folder.display().to_string(), names: names.join(", ") })
}

/// Bytes of a file of settings that are read.
const LARGEST: u64 = 1 << 20;

fn json<T: DeserializeOwned>(path: &Path) -> Result<T, EncoderError> {
    let name = || path.display().to_string();
    let failed = |source| EncoderError::Read { path: name(), source };
    let wrong = |message| EncoderError::Config { path: name(), message };
    if std::fs::metadata(path).map_err(failed)?.len() > LARGEST {
        return Err(wrong(format!("it has more than {LARGEST} bytes; that is no file of settings")));
    }
    let bytes = std::fs::read(path).map_err(failed)?;
    serde_json::from_slice(&bytes).map_err(|error| wrong(error.to_string()))
}
