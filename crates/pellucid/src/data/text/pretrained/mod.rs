//! Tokenizers of others: read from a `tokenizer.json`, the layout of Hugging Face's library, or from a `vocab.txt`.
//!
//! A text goes through them in steps: added tokens are found, the rest is normalised, cut, and each piece becomes tokens; a
//! document gets a frame (`[CLS] … [SEP]`). What a file asks for and is not known here is an error, never left out silently.

mod added;
mod bytes;
mod character;
mod frame;
mod model;
mod normalizer;
mod pattern;
mod pre_tokenizer;

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use self::added::{AddedToken, Finder};
use self::frame::{Frame, PostProcessor};
use self::model::Model;
use self::normalizer::Normalizer;
use self::pre_tokenizer::PreTokenizer;

/// Bytes of the largest file that is read.
const LARGEST: u64 = 128 << 20;
/// How many times as long a text may become by normalisation.
const MOST_GROWTH: usize = 64;
/// Steps of cutting, at most.
const MOST_STEPS: usize = 16;
/// What padding is called, where the file does not say.
const PADDING: [&str; 2] = ["[PAD]", "<pad>"];

/// A tokenizer that another program learnt. Copies share it; as JSON it is in the layout of `tokenizer.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Value", into = "Value")]
pub struct PretrainedTokenizer(Arc<Steps>);

#[derive(Debug, PartialEq)]
struct Steps {
    layout: Layout,
    /// Added tokens that are looked for in the text, and in the normalised text.
    added: [Finder; 2],
    frame: Frame,
    padding: Option<u32>,
    /// Each token by its number; empty where there is none.
    tokens: Vec<String>,
    /// Pieces are bytes written as characters.
    byte_level: bool,
}

/// The parts of the file that are used.
#[derive(Debug, PartialEq, Serialize)]
struct Layout {
    truncation: Option<Truncation>,
    padding: Option<Padding>,
    added_tokens: Vec<AddedToken>,
    normalizer: Option<Normalizer>,
    pre_tokenizer: Option<PreTokenizer>,
    post_processor: Option<PostProcessor>,
    model: Model,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Truncation {
    max_length: usize,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Padding {
    pad_id: u32,
}

/// Why a file holds no tokenizer that can be used.
#[derive(Debug, thiserror::Error)]
pub enum TokenizerError {
    /// It cannot be read.
    #[error("{path}: {source}")]
    Read {
        /// The file.
        path: String,
        /// Why not.
        source: std::io::Error,
    },
    /// It is too large.
    #[error("{path} has {bytes} bytes; tokenizers of more than {LARGEST} are not read")]
    Large {
        /// The file.
        path: String,
        /// Its size.
        bytes: u64,
    },
    /// A part of it does not hold together, or is not known here.
    #[error(
        "{path}: {message}; give a tokenizer.json as Hugging Face's library writes it, or a vocab.txt of word pieces"
    )]
    Part {
        /// The file.
        path: String,
        /// What is wrong, and in which part.
        message: String,
    },
}

impl TryFrom<Value> for PretrainedTokenizer {
    type Error = String;
    fn try_from(document: Value) -> Result<PretrainedTokenizer, String> {
        let Value::Object(mut parts) = document else { return Err("it is no JSON object".to_string()) };
        if !parts.contains_key("model") {
            return Err("there is no part \"model\"".to_string());
        }
        name_model(&mut parts);
        Ok(PretrainedTokenizer(Arc::new(Steps::new(Layout {
            truncation: part(&mut parts, "truncation")?,
            padding: part(&mut parts, "padding")?,
            added_tokens: part::<Option<_>>(&mut parts, "added_tokens")?.unwrap_or_default(),
            normalizer: part(&mut parts, "normalizer")?,
            pre_tokenizer: part(&mut parts, "pre_tokenizer")?,
            post_processor: part(&mut parts, "post_processor")?,
            model: part(&mut parts, "model")?,
        })?)))
    }
}

impl From<PretrainedTokenizer> for Value {
    fn from(tokenizer: PretrainedTokenizer) -> Value {
        serde_json::to_value(&tokenizer.0.layout).expect("parts of a tokenizer are JSON")
    }
}

/// A part of the file; absent is null.
fn part<T: DeserializeOwned>(parts: &mut Map<String, Value>, name: &str) -> Result<T, String> {
    let value = parts.remove(name).unwrap_or_default();
    serde_json::from_value(value).map_err(|error| format!("{name}: {error}"))
}

/// Older files do not say what their model is.
fn name_model(parts: &mut Map<String, Value>) {
    let Some(Value::Object(model)) = parts.get_mut("model") else { return };
    if !model.contains_key("type") {
        let kind = match () {
            () if model.contains_key("merges") => "BPE",
            () if model.contains_key("unk_id") => "Unigram",
            () if model.contains_key("continuing_subword_prefix") => "WordPiece",
            () => "WordLevel",
        };
        model.insert("type".to_string(), kind.into());
    }
}

impl Steps {
    fn new(layout: Layout) -> Result<Steps, String> {
        let Layout { truncation, padding, added_tokens, normalizer, pre_tokenizer, post_processor, model } = &layout;
        model.check().map_err(|message| format!("model: {message}"))?;
        let (times, more) = normalizer.as_ref().map_or((1, 0), Normalizer::growth);
        if times > MOST_GROWTH || more > MOST_GROWTH {
            return Err(format!("normalizer: a text could become {times} times as long and {more} bytes longer"));
        }
        let steps = pre_tokenizer.as_ref().map_or(Vec::new(), PreTokenizer::steps);
        let byte_levels = steps.iter().filter(|step| matches!(step, PreTokenizer::ByteLevel { .. })).count();
        if steps.len() > MOST_STEPS || byte_levels > 1 {
            return Err(format!("pre_tokenizer: {} steps, {byte_levels} of them ByteLevel, are too many", steps.len()));
        }
        let added = added_tokens.iter().map(|token| (token.content.as_str(), token.id));
        let known = model.vocabulary().numbers.iter().map(|(token, id)| (token.as_str(), *id));
        let all: Vec<(&str, u32)> = known.chain(added).collect();
        let tokens = by_number(&all)?;
        let frame = post_processor.as_ref().map_or(Ok(Frame::default()), PostProcessor::frame);
        let frame = frame.map_err(|message| format!("post_processor: {message}"))?;
        let numbers = frame.iter().flatten().chain(padding.as_ref().map(|padding| &padding.pad_id));
        if let Some(strange) = numbers.into_iter().find(|id| **id as usize >= tokens.len()) {
            return Err(format!("post_processor or padding: there is no token {strange}"));
        }
        let room = frame.iter().map(Vec::len).sum();
        if truncation.as_ref().is_some_and(|truncation| truncation.max_length <= room) {
            return Err(format!("truncation: max_length leaves no token beside the {room} of post_processor"));
        }
        let numbers: HashMap<&str, u32> = all.into_iter().collect();
        let named = PADDING.iter().find_map(|name| numbers.get(name).copied());
        let (padding, byte_level) = (padding.as_ref().map(|padding| padding.pad_id).or(named), byte_levels == 1);
        let added = [false, true].map(|normalized| Finder::new(added_tokens, normalized, normalizer.as_ref()));
        Ok(Steps { added, frame, padding, tokens, byte_level, layout })
    }
}

/// The tokens in the order of their numbers.
fn by_number(all: &[(&str, u32)]) -> Result<Vec<String>, String> {
    let most = all.iter().map(|(_, id)| *id as usize + 1).max().unwrap_or(0);
    if most == 0 {
        return Err("model: vocab is empty".to_string());
    }
    // Some files leave numbers out; a file without end of them would cost memory.
    if most > 2 * all.len() + 1024 {
        return Err(format!("model: token number {} of only {} tokens is too large", most - 1, all.len()));
    }
    let mut tokens = vec![String::new(); most];
    all.iter().for_each(|(token, id)| tokens[*id as usize] = token.to_string());
    Ok(tokens)
}

/// What a `vocab.txt` stands for: BERT's word pieces, a line for each. Lower case is made unless a token has upper case.
fn of_vocabulary(text: &str) -> Result<Value, String> {
    let lines = text.strip_suffix('\n').unwrap_or(text).split('\n').map(|line| line.strip_suffix('\r').unwrap_or(line));
    let tokens: Vec<&str> = lines.collect();
    let numbers: BTreeMap<&str, usize> = tokens.iter().copied().zip(0..).collect();
    let special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"];
    let known = |name: &str| numbers.get(name).copied();
    let [Some(unknown), Some(cls), Some(sep)] = ["[UNK]", "[CLS]", "[SEP]"].map(known) else {
        return Err("it is no JSON, and no line of it is [UNK], [CLS] or [SEP]".to_string());
    };
    let is_special = |token: &str| token.starts_with('[') && token.ends_with(']');
    let cased = tokens.iter().any(|token| !is_special(token) && token.chars().any(char::is_uppercase));
    let added = special.iter().filter_map(|name| {
        let id = known(name)?;
        Some(json!({"id": id, "content": name, "single_word": false, "lstrip": false, "rstrip": false,
            "normalized": false, "special": true}))
    });
    Ok(json!({
        "added_tokens": added.collect::<Vec<_>>(),
        "normalizer": {"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true,
            "strip_accents": null, "lowercase": !cased},
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {"type": "BertProcessing", "sep": ["[SEP]", sep], "cls": ["[CLS]", cls]},
        "model": {"type": "WordPiece", "vocab": numbers, "unk_token": tokens[unknown],
            "continuing_subword_prefix": "##", "max_input_chars_per_word": 100},
    }))
}

impl PretrainedTokenizer {
    /// Reads a `tokenizer.json`, or a `vocab.txt`.
    ///
    /// # Errors
    /// A file that cannot be read, is no tokenizer, or asks for what is not known here; with the part.
    pub fn open(path: &Path) -> Result<PretrainedTokenizer, TokenizerError> {
        let name = || path.display().to_string();
        let failed = |source| TokenizerError::Read { path: name(), source };
        let bytes = std::fs::metadata(path).map_err(failed)?.len();
        if bytes > LARGEST {
            return Err(TokenizerError::Large { path: name(), bytes });
        }
        let text = std::fs::read(path).map_err(failed)?;
        PretrainedTokenizer::parse(&text).map_err(|message| TokenizerError::Part { path: name(), message })
    }

    /// The tokenizer that the bytes of a file stand for.
    ///
    /// # Errors
    /// As [`PretrainedTokenizer::open`].
    pub fn parse(file: &[u8]) -> Result<PretrainedTokenizer, String> {
        let text = std::str::from_utf8(file)
            .map_err(|error| format!("byte {} of it is not UTF-8", error.valid_up_to()))?
            .trim_start_matches('\u{feff}');
        let document = match text.trim_start().starts_with('{') {
            true => serde_json::from_str(text).map_err(|error| error.to_string())?,
            false => of_vocabulary(text)?,
        };
        PretrainedTokenizer::try_from(document)
    }

    /// How many tokens there are: one more than the greatest number.
    pub fn vocabulary(&self) -> usize {
        self.0.tokens.len()
    }

    /// The token of padding, if there is one.
    pub fn padding(&self) -> Option<u32> {
        self.0.padding
    }

    /// What is put before and behind the tokens of a document.
    pub fn frame(&self) -> [&[u32]; 2] {
        self.0.frame.each_ref().map(Vec::as_slice)
    }

    /// Tokens of a document at most, its frame included, if the file says so.
    pub fn most(&self) -> Option<usize> {
        self.0.layout.truncation.as_ref().map(|truncation| truncation.max_length)
    }

    /// What tokens are, for people.
    pub fn what(&self) -> &'static str {
        self.0.layout.model.what()
    }

    /// The tokens of a text, without a frame.
    pub fn encode(&self, text: &str) -> Vec<u32> {
        let Steps { layout, added: [before, behind], .. } = &*self.0;
        let mut tokens = Vec::new();
        let mut known: HashMap<String, Vec<u32>> = HashMap::new();
        for (range, token) in before.split(text) {
            if let Some(token) = token {
                tokens.push(token);
                continue;
            }
            let begins = range.start == 0;
            let normalised = match &layout.normalizer {
                Some(normalizer) => normalizer.apply(Cow::Borrowed(&text[range])),
                None => Cow::Borrowed(&text[range]),
            };
            for (range, token) in behind.split(&normalised) {
                if let Some(token) = token {
                    tokens.push(token);
                    continue;
                }
                let first = begins && range.start == 0;
                let whole = vec![Cow::Borrowed(&normalised[range])];
                let pieces = match &layout.pre_tokenizer {
                    Some(pre_tokenizer) => pre_tokenizer.cut(whole, first),
                    None => whole,
                };
                for piece in pieces.iter().filter(|piece| !piece.is_empty()) {
                    if !known.contains_key(&**piece) {
                        known.insert(piece.to_string(), layout.model.encode(piece));
                    }
                    tokens.extend_from_slice(&known[&**piece]);
                }
            }
        }
        tokens
    }

    /// The bytes of every token, in order; one after the other they are the text, or, where words are told apart by white space
    /// that is not kept, the words with single spaces.
    pub fn bytes(&self) -> Vec<Vec<u8>> {
        let Steps { layout, tokens, byte_level, .. } = &*self.0;
        let mut all: Vec<Vec<u8>> = tokens.iter().map(|token| layout.model.bytes(token, *byte_level)).collect();
        layout.added_tokens.iter().for_each(|token| all[token.id as usize] = token.content.clone().into());
        all
    }
}

#[cfg(test)]
mod tests;
