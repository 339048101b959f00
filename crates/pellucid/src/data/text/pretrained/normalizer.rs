//! What is done to a text before it is cut.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization;

use super::character::{is_accent, is_control, is_ideograph, is_mark};
use super::pattern::Pattern;

/// A step, as the file has it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type")]
pub(super) enum Normalizer {
    /// That of BERT: each of the four if it is on; accents go with upper case where nothing is said of them.
    #[serde(rename = "BertNormalizer")]
    Bert {
        /// Control characters are left out, white space becomes spaces.
        clean_text: bool,
        /// Spaces around ideographs.
        handle_chinese_chars: bool,
        strip_accents: Option<bool>,
        lowercase: bool,
    },
    #[serde(rename = "NFC")]
    Composed,
    #[serde(rename = "NFD")]
    Decomposed,
    #[serde(rename = "NFKC")]
    CompatiblyComposed,
    #[serde(rename = "NFKD")]
    CompatiblyDecomposed,
    Lowercase,
    /// Leaves out marks; accents are such once the text is decomposed.
    StripAccents,
    /// Leaves out white space at the ends.
    Strip {
        strip_left: bool,
        strip_right: bool,
    },
    Replace {
        pattern: Search,
        content: String,
    },
    Prepend {
        prepend: String,
    },
    Sequence {
        normalizers: Vec<Normalizer>,
    },
}

/// What is looked for: a text, or a pattern.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(into = "Written", try_from = "Written")]
pub(super) struct Search {
    written: Written,
    pattern: Option<Pattern>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Written {
    String(String),
    Regex(String),
}

impl From<Search> for Written {
    fn from(search: Search) -> Written {
        search.written
    }
}

impl TryFrom<Written> for Search {
    type Error = String;
    fn try_from(written: Written) -> Result<Search, String> {
        let pattern = match &written {
            Written::String(text) if text.is_empty() => return Err("an empty text is looked for".to_string()),
            Written::String(_) => None,
            Written::Regex(text) => Some(Pattern::new(text)?),
        };
        Ok(Search { written, pattern })
    }
}

impl Search {
    /// Bytes of what is looked for, if `text` begins with it.
    pub fn begins(&self, text: &str) -> Option<usize> {
        match (&self.pattern, &self.written) {
            (Some(pattern), _) => pattern.begins(text),
            (None, Written::String(wanted)) => text.starts_with(wanted.as_str()).then_some(wanted.len()),
            (None, Written::Regex(_)) => None,
        }
    }
}

impl Normalizer {
    /// How many times as long a text can become, at most, by replacement; and how much longer by what is put before it.
    pub fn growth(&self) -> (usize, usize) {
        match self {
            Normalizer::Replace { pattern, content } => {
                let found = match &pattern.written {
                    Written::String(text) => text.len(),
                    Written::Regex(_) => 1,
                };
                (content.len().div_ceil(found).max(1), 0)
            }
            Normalizer::Prepend { prepend } => (1, prepend.len()),
            Normalizer::Sequence { normalizers } => normalizers.iter().fold((1, 0), |(times, more), step| {
                let (by, behind) = step.growth();
                (times.saturating_mul(by), more.saturating_mul(by).saturating_add(behind))
            }),
            _ => (1, 0),
        }
    }

    /// The text as it is to be cut.
    pub fn apply<'a>(&self, text: Cow<'a, str>) -> Cow<'a, str> {
        match self {
            Normalizer::Bert { clean_text, handle_chinese_chars, strip_accents, lowercase } => {
                let mut text = text;
                if *clean_text {
                    text = Cow::Owned(text.chars().filter_map(cleaned).collect());
                }
                if *handle_chinese_chars && text.chars().any(is_ideograph) {
                    text = Cow::Owned(text.chars().fold(String::with_capacity(text.len()), apart));
                }
                if strip_accents.unwrap_or(*lowercase) {
                    text = Cow::Owned(text.nfd().filter(|symbol| !is_accent(*symbol)).collect());
                }
                if *lowercase { lower(text) } else { text }
            }
            Normalizer::Composed => Cow::Owned(text.nfc().collect()),
            Normalizer::Decomposed => Cow::Owned(text.nfd().collect()),
            Normalizer::CompatiblyComposed => Cow::Owned(text.nfkc().collect()),
            Normalizer::CompatiblyDecomposed => Cow::Owned(text.nfkd().collect()),
            Normalizer::Lowercase => lower(text),
            Normalizer::StripAccents => Cow::Owned(text.chars().filter(|symbol| !is_mark(*symbol)).collect()),
            Normalizer::Strip { strip_left, strip_right } => {
                let mut kept = &text[..];
                if *strip_left {
                    kept = kept.trim_start();
                }
                if *strip_right {
                    kept = kept.trim_end();
                }
                Cow::Owned(kept.to_string())
            }
            Normalizer::Replace { pattern, content } => Cow::Owned(replaced(&text, pattern, content)),
            Normalizer::Prepend { prepend } if !text.is_empty() => Cow::Owned(format!("{prepend}{text}")),
            Normalizer::Prepend { .. } => text,
            Normalizer::Sequence { normalizers } => normalizers.iter().fold(text, |text, step| step.apply(text)),
        }
    }
}

/// Nothing of a control character, a space for white space.
fn cleaned(symbol: char) -> Option<char> {
    match symbol {
        '\0' | '\u{fffd}' => None,
        symbol if is_control(symbol) => None,
        symbol if symbol.is_whitespace() => Some(' '),
        symbol => Some(symbol),
    }
}

fn apart(mut text: String, symbol: char) -> String {
    if is_ideograph(symbol) {
        text.extend([' ', symbol, ' ']);
    } else {
        text.push(symbol);
    }
    text
}

/// Character by character: what a character becomes depends on no other.
fn lower(text: Cow<str>) -> Cow<str> {
    Cow::Owned(text.chars().flat_map(char::to_lowercase).collect())
}

fn replaced(text: &str, pattern: &Search, content: &str) -> String {
    let mut made = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(symbol) = rest.chars().next() {
        let found = pattern.begins(rest).filter(|length| *length > 0);
        match found {
            Some(_) => made.push_str(content),
            None => made.push(symbol),
        }
        rest = &rest[found.unwrap_or(symbol.len_utf8())..];
    }
    made
}
