//! How a text becomes token numbers, and these a text again.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::bpe::BytePairs;
use super::pieces::pieces;
use super::pretrained::PretrainedTokenizer;

/// What tokens are made of, before anything is learnt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenKind {
    /// Unicode characters: those of the text.
    Characters,
    /// Bytes of UTF-8.
    Bytes,
    /// Words, white space and punctuation: so many, the most frequent.
    Words(usize),
    /// Pairs of bytes, of pairs, …: so many tokens.
    BytePairs(usize),
}

/// Words that are kept where no number is given.
const WORDS: usize = 10_000;
/// Byte pairs that are learnt where no number is given, bytes included.
const PAIRS: usize = 1_000;
/// Tokens at most: numbers of tokens are exact in f32.
const MOST: usize = 1 << 24;

impl fmt::Display for TokenKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TokenKind::Characters => f.write_str("characters"),
            TokenKind::Bytes => f.write_str("bytes"),
            TokenKind::Words(most) => write!(f, "words:{most}"),
            TokenKind::BytePairs(most) => write!(f, "bpe:{most}"),
        }
    }
}

impl FromStr for TokenKind {
    type Err = String;

    /// `characters`, `bytes`, `words`, `words:5000`, `bpe` or `bpe:2000`.
    fn from_str(text: &str) -> Result<TokenKind, String> {
        let (name, number) = match text.split_once(':') {
            Some((name, number)) => (name, Some(number)),
            None => (text, None),
        };
        let most = |usual: usize, least: usize| match number {
            None => Ok(usual),
            Some(number) => match number.parse::<usize>() {
                Ok(most) if (least..=MOST).contains(&most) => Ok(most),
                _ => Err(format!("{name}:N needs a whole number from {least} to {MOST}, got '{number}'")),
            },
        };
        match (name, number) {
            ("characters", None) => Ok(TokenKind::Characters),
            ("bytes", None) => Ok(TokenKind::Bytes),
            ("words", _) => Ok(TokenKind::Words(most(WORDS, 2)?)),
            ("bpe", _) => Ok(TokenKind::BytePairs(most(PAIRS, 257)?)),
            _ => Err(format!("tokens are characters, bytes, words, words:N, bpe or bpe:N, got '{text}'")),
        }
    }
}

/// Where a tokenizer comes from.
#[derive(Clone, Debug, PartialEq)]
pub enum TokenSource {
    /// It is learnt, with tokens of this kind.
    Learnt(TokenKind),
    /// It is there already.
    Known(Tokenizer),
}

impl TokenSource {
    /// The tokenizer, learnt from `text` unless it is there.
    pub fn tokenizer(self, text: impl FnOnce() -> String) -> Tokenizer {
        match self {
            TokenSource::Learnt(kind) => Tokenizer::learn(kind, &text()),
            TokenSource::Known(tokenizer) => tokenizer,
        }
    }
}

/// What a word that is not known becomes, and is shown as.
const UNKNOWN: &str = "\u{fffd}";

/// A division of texts into tokens.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Tokenizer {
    /// A token for each of these characters, in the order of their code points.
    Characters {
        /// The characters.
        vocabulary: String,
    },
    /// A token for each byte.
    Bytes,
    /// A token for each of these words; the first stands for all others.
    Words {
        /// The words, the most frequent first behind the one for others.
        vocabulary: Vec<String>,
    },
    /// Byte-pair encoding.
    Bpe {
        /// The pairs.
        pairs: BytePairs,
    },
    /// One that another program learnt.
    Pretrained {
        /// The tokenizer.
        tokenizer: PretrainedTokenizer,
    },
}

/// A part of a text that the tokenizer has no token for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{symbol:?}, character {position}, is not among the {known} that the model knows; leave it out")]
pub struct UnknownToken {
    /// The character.
    pub symbol: char,
    /// Where it stands, from 1.
    pub position: usize,
    /// How many characters are known.
    pub known: usize,
}

impl Tokenizer {
    /// Learns tokens of this kind from a text.
    pub fn learn(kind: TokenKind, text: &str) -> Tokenizer {
        match kind {
            TokenKind::Characters => {
                let symbols: BTreeSet<char> = text.chars().collect();
                Tokenizer::Characters { vocabulary: symbols.into_iter().collect() }
            }
            TokenKind::Bytes => Tokenizer::Bytes,
            TokenKind::Words(most) => {
                let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
                pieces(text, false).for_each(|word| *counts.entry(word).or_default() += 1);
                let mut words: Vec<(&str, u64)> = counts.into_iter().collect();
                // Stable: equally frequent words stay in their order.
                words.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
                let known = words.iter().take(most - 1).map(|(word, _)| word.to_string());
                Tokenizer::Words { vocabulary: [UNKNOWN.to_string()].into_iter().chain(known).collect() }
            }
            TokenKind::BytePairs(most) => Tokenizer::Bpe { pairs: BytePairs::learn(text, most) },
        }
    }

    /// How many tokens there are.
    pub fn vocabulary(&self) -> usize {
        match self {
            Tokenizer::Characters { vocabulary } => vocabulary.chars().count(),
            Tokenizer::Bytes => 256,
            Tokenizer::Words { vocabulary } => vocabulary.len(),
            Tokenizer::Bpe { pairs } => pairs.vocabulary(),
            Tokenizer::Pretrained { tokenizer } => tokenizer.vocabulary(),
        }
    }

    /// `65 characters`, `bytes`, `1,000 byte pairs`, for people.
    pub fn describe(&self) -> String {
        match self {
            Tokenizer::Characters { .. } => format!("{} characters", self.vocabulary()),
            Tokenizer::Bytes => "bytes".to_string(),
            Tokenizer::Words { .. } => format!("{} words", self.vocabulary()),
            Tokenizer::Bpe { .. } => format!("{} byte pairs", self.vocabulary()),
            Tokenizer::Pretrained { tokenizer } => format!("{} {}", self.vocabulary(), tokenizer.what()),
        }
    }

    /// What is put before and behind the tokens of a document: nothing, unless another program wants it.
    pub fn frame(&self) -> [&[u32]; 2] {
        match self {
            Tokenizer::Pretrained { tokenizer } => tokenizer.frame(),
            _ => [&[], &[]],
        }
    }

    /// The token of padding, if it is one of the tokenizer's.
    pub fn padding(&self) -> Option<u32> {
        match self {
            Tokenizer::Pretrained { tokenizer } => tokenizer.padding(),
            _ => None,
        }
    }

    /// The tokens of a text. Words that are not known become the token for them.
    ///
    /// # Errors
    /// A character that is not known.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>, UnknownToken> {
        match self {
            Tokenizer::Characters { vocabulary } => {
                let numbers: HashMap<char, u32> = vocabulary.chars().zip(0..).collect();
                let token = |(position, symbol)| {
                    let unknown = UnknownToken { symbol, position: position + 1, known: numbers.len() };
                    numbers.get(&symbol).copied().ok_or(unknown)
                };
                text.chars().enumerate().map(token).collect()
            }
            Tokenizer::Bytes => Ok(text.bytes().map(u32::from).collect()),
            Tokenizer::Words { vocabulary } => {
                let numbers: HashMap<&str, u32> = vocabulary.iter().map(String::as_str).zip(0..).collect();
                Ok(pieces(text, false).map(|word| numbers.get(word).copied().unwrap_or(0)).collect())
            }
            Tokenizer::Bpe { pairs } => Ok(pairs.encode(text)),
            Tokenizer::Pretrained { tokenizer } => Ok(tokenizer.encode(text)),
        }
    }

    /// The bytes of every token, in order; one after the other they are UTF-8 for the tokens of a text.
    pub fn bytes(&self) -> Vec<Vec<u8>> {
        match self {
            Tokenizer::Characters { vocabulary } => {
                vocabulary.chars().map(|symbol| symbol.to_string().into_bytes()).collect()
            }
            Tokenizer::Bytes => (0..=u8::MAX).map(|byte| vec![byte]).collect(),
            Tokenizer::Words { vocabulary } => vocabulary.iter().map(|word| word.clone().into_bytes()).collect(),
            Tokenizer::Bpe { pairs } => pairs.bytes().to_vec(),
            Tokenizer::Pretrained { tokenizer } => tokenizer.bytes(),
        }
    }

    /// How many characters each token stands for, in order: those that begin in it.
    pub fn characters(&self) -> Vec<u32> {
        let begins = |byte: &&u8| **byte & 0xc0 != 0x80;
        self.bytes().iter().map(|bytes| bytes.iter().filter(begins).count() as u32).collect()
    }

    /// The text of some tokens; what is not UTF-8 (a cut character) becomes a replacement character.
    pub fn decode(&self, tokens: &[u32]) -> String {
        let bytes = self.bytes();
        let all: Vec<u8> = tokens.iter().flat_map(|token| bytes[*token as usize].iter().copied()).collect();
        String::from_utf8_lossy(&all).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "to be, or not to be: that is the question\nčau 🐎";

    #[test]
    fn what_is_encoded_comes_back_and_characters_are_counted() {
        for kind in ["characters", "bytes", "words", "bpe:300", "bpe"] {
            let tokenizer = Tokenizer::learn(kind.parse().expect("a kind"), TEXT);
            let tokens = tokenizer.encode(TEXT).expect("all is known");
            assert_eq!(tokenizer.decode(&tokens), TEXT, "{kind}");
            assert!(tokens.iter().all(|token| (*token as usize) < tokenizer.vocabulary()));
            let characters = tokenizer.characters();
            let counted: u32 = tokens.iter().map(|token| characters[*token as usize]).sum();
            assert_eq!(counted as usize, TEXT.chars().count(), "{kind}");
            let json = serde_json::to_string(&tokenizer).expect("JSON");
            assert_eq!(serde_json::from_str::<Tokenizer>(&json).expect("the same"), tokenizer);
        }
    }

    #[test]
    fn what_is_not_known_is_an_error_or_the_first_word() {
        let characters = Tokenizer::learn(TokenKind::Characters, "ab");
        let error = characters.encode("abcb").expect_err("c is not known");
        assert_eq!(error, UnknownToken { symbol: 'c', position: 3, known: 2 });
        let words = Tokenizer::learn(TokenKind::Words(3), "a a a b b c");
        assert_eq!(words, Tokenizer::Words { vocabulary: [UNKNOWN, " ", "a"].map(String::from).to_vec() });
        assert_eq!(words.encode("a b").expect("words"), [2, 1, 0]);
        assert_eq!(words.decode(&[2, 1, 0]), "a \u{fffd}");
    }

    #[test]
    fn kinds_are_read_from_words() {
        for (text, kind) in [
            ("characters", TokenKind::Characters),
            ("bytes", TokenKind::Bytes),
            ("words:20", TokenKind::Words(20)),
            ("bpe:512", TokenKind::BytePairs(512)),
        ] {
            assert_eq!(text.parse(), Ok(kind));
            assert_eq!(kind.to_string(), text);
        }
        for (text, message) in [
            ("letters", "got 'letters'"),
            ("bpe:256", "from 257"),
            ("words:x", "got 'x'"),
            ("bytes:3", "got 'bytes:3'"),
        ] {
            let error = text.parse::<TokenKind>().expect_err("no kind");
            assert!(error.contains(message), "{error}");
        }
    }
}
