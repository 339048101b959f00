//! From a piece of a text to its tokens.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap};

use serde::{Deserialize, Serialize};

use super::bytes;

/// The number of each token.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(into = "BTreeMap<String, u32>", from = "BTreeMap<String, u32>")]
pub(super) struct Vocabulary {
    pub numbers: HashMap<String, u32>,
    /// Bytes of the longest token.
    longest: usize,
}

impl From<BTreeMap<String, u32>> for Vocabulary {
    fn from(tokens: BTreeMap<String, u32>) -> Vocabulary {
        let longest = tokens.keys().map(String::len).max().unwrap_or(0);
        Vocabulary { numbers: tokens.into_iter().collect(), longest }
    }
}

impl From<Vocabulary> for BTreeMap<String, u32> {
    fn from(vocabulary: Vocabulary) -> BTreeMap<String, u32> {
        vocabulary.numbers.into_iter().collect()
    }
}

impl Vocabulary {
    /// The number of a token.
    pub fn get(&self, token: &str) -> Option<u32> {
        self.numbers.get(token).copied()
    }
}

/// How a piece is divided, as the file has it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type")]
pub(super) enum Model {
    /// The longest token that the rest of a word begins with, again and again (Wu et al., "Google's neural machine translation
    /// system", 2016). A word that cannot be divided so is unknown as a whole.
    WordPiece {
        vocab: Vocabulary,
        unk_token: String,
        continuing_subword_prefix: String,
        max_input_chars_per_word: usize,
    },
    /// Pairs are joined in the order in which they were learnt.
    #[serde(rename = "BPE")]
    BytePairs(Box<BytePairs>),
    /// The division of the greatest probability, tokens being independent (Kudo, "Subword regularization", 2018).
    Unigram(Unigram),
    /// Each piece is a token.
    WordLevel { vocab: Vocabulary, unk_token: String },
}

/// A model of byte pairs, or of pairs of characters.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "BytePairsDocument", into = "BytePairsDocument")]
pub(super) struct BytePairs {
    document: BytePairsDocument,
    /// Rank and product of each pair.
    ranks: HashMap<[u32; 2], (u32, u32)>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct BytePairsDocument {
    vocab: Vocabulary,
    merges: Vec<Merge>,
    #[serde(default)]
    unk_token: Option<String>,
    #[serde(default)]
    continuing_subword_prefix: Option<String>,
    #[serde(default)]
    end_of_word_suffix: Option<String>,
    #[serde(default)]
    fuse_unk: bool,
    #[serde(default)]
    byte_fallback: bool,
    #[serde(default)]
    ignore_merges: bool,
    #[serde(default)]
    dropout: Option<f32>,
}

/// A pair of tokens; older files write them in one text with a space between.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum Merge {
    Pair([String; 2]),
    Text(String),
}

impl Merge {
    fn pair(&self) -> Option<[&str; 2]> {
        match self {
            Merge::Pair([first, second]) => Some([first, second]),
            Merge::Text(text) => text.split_once(' ').map(|(first, second)| [first, second]),
        }
    }
}

/// A model of independent tokens.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "UnigramDocument", into = "UnigramDocument")]
pub(super) struct Unigram {
    document: UnigramDocument,
    vocabulary: Vocabulary,
    /// What an unknown character costs.
    unknown_score: f64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct UnigramDocument {
    /// Tokens with the logarithms of their probabilities.
    vocab: Vec<(String, f64)>,
    unk_id: Option<u32>,
    #[serde(default)]
    byte_fallback: bool,
}

/// An unknown character costs so much more than the rarest token.
const UNKNOWN_PENALTY: f64 = 10.0;

impl TryFrom<BytePairsDocument> for BytePairs {
    type Error = String;
    fn try_from(document: BytePairsDocument) -> Result<BytePairs, String> {
        if document.dropout.is_some_and(|rate| rate != 0.0) {
            return Err("a division at random (dropout) is not supported; set it to null".to_string());
        }
        let prefix = document.continuing_subword_prefix.as_deref().unwrap_or_default().len();
        let mut ranks = HashMap::with_capacity(document.merges.len());
        for (position, merge) in document.merges.iter().enumerate() {
            let Some([first, second]) = merge.pair() else {
                return Err(format!("merges: entry {position} is no pair"));
            };
            let rest = second.get(prefix..).unwrap_or_default();
            let numbers = [first, second, &format!("{first}{rest}")]
                .map(|token| document.vocab.get(token).ok_or(token.to_string()));
            match numbers {
                [Ok(a), Ok(b), Ok(product)] => ranks.insert([a, b], (position as u32, product)),
                [Err(token), ..] | [_, Err(token), _] | [.., Err(token)] => {
                    return Err(format!("merges: entry {position} needs the token {token:?}, which vocab lacks"));
                }
            };
        }
        if let Some(token) = document.unk_token.as_ref().filter(|token| document.vocab.get(token).is_none()) {
            return Err(format!("unk_token: vocab lacks {token:?}"));
        }
        Ok(BytePairs { document, ranks })
    }
}

impl From<BytePairs> for BytePairsDocument {
    fn from(pairs: BytePairs) -> BytePairsDocument {
        pairs.document
    }
}

impl TryFrom<UnigramDocument> for Unigram {
    type Error = String;
    fn try_from(document: UnigramDocument) -> Result<Unigram, String> {
        if document.unk_id.is_some_and(|unknown| unknown as usize >= document.vocab.len()) {
            return Err("unk_id: there are not so many tokens in vocab".to_string());
        }
        if document.vocab.iter().any(|(_, score)| !score.is_finite()) {
            return Err("vocab: scores are finite numbers".to_string());
        }
        let vocabulary: BTreeMap<String, u32> =
            document.vocab.iter().map(|(token, _)| token.clone()).zip(0..).collect();
        let least = document.vocab.iter().map(|(_, score)| *score).fold(0.0, f64::min);
        Ok(Unigram { document, vocabulary: vocabulary.into(), unknown_score: least - UNKNOWN_PENALTY })
    }
}

impl From<Unigram> for UnigramDocument {
    fn from(unigram: Unigram) -> UnigramDocument {
        unigram.document
    }
}

impl Model {
    /// Says whether what the file says of the model holds together.
    pub fn check(&self) -> Result<(), String> {
        match self {
            Model::WordPiece { vocab, unk_token, .. } | Model::WordLevel { vocab, unk_token }
                if vocab.get(unk_token).is_none() =>
            {
                Err(format!("unk_token: vocab lacks {unk_token:?}"))
            }
            _ => Ok(()),
        }
    }

    /// The number of each token.
    pub fn vocabulary(&self) -> &Vocabulary {
        match self {
            Model::WordPiece { vocab, .. } | Model::WordLevel { vocab, .. } => vocab,
            Model::BytePairs(pairs) => &pairs.document.vocab,
            Model::Unigram(unigram) => &unigram.vocabulary,
        }
    }

    /// What tokens are, for people.
    pub fn what(&self) -> &'static str {
        match self {
            Model::WordPiece { .. } => "word pieces",
            Model::BytePairs(_) => "byte pairs",
            Model::Unigram(_) => "pieces",
            Model::WordLevel { .. } => "words",
        }
    }

    /// The tokens of a piece.
    pub fn encode(&self, piece: &str) -> Vec<u32> {
        match self {
            Model::WordPiece { vocab, unk_token, continuing_subword_prefix, max_input_chars_per_word } => {
                let divided = match piece.chars().count() > *max_input_chars_per_word {
                    true => None,
                    false => word_pieces(vocab, continuing_subword_prefix, piece),
                };
                divided.unwrap_or_else(|| vocab.get(unk_token).into_iter().collect())
            }
            Model::BytePairs(pairs) => pairs.encode(piece),
            Model::Unigram(unigram) => unigram.encode(piece),
            Model::WordLevel { vocab, unk_token } => {
                vocab.get(piece).or_else(|| vocab.get(unk_token)).into_iter().collect()
            }
        }
    }

    /// The bytes that a token stands for in a text; `byte_level` if pieces are bytes written as characters.
    pub fn bytes(&self, token: &str, byte_level: bool) -> Vec<u8> {
        if byte_level {
            return bytes::from_characters(token).unwrap_or_else(|| token.into());
        }
        match self {
            Model::WordPiece { continuing_subword_prefix, .. } => {
                match token.strip_prefix(continuing_subword_prefix.as_str()) {
                    Some(rest) => rest.into(),
                    None => format!(" {token}").into(),
                }
            }
            Model::WordLevel { .. } => format!(" {token}").into(),
            Model::BytePairs(pairs) => pairs.bytes(token),
            Model::Unigram(unigram) => match bytes::of_name(token).filter(|_| unigram.document.byte_fallback) {
                Some(byte) => vec![byte],
                None => token.replace(SPACE, " ").into(),
            },
        }
    }
}

/// Stands for a space in the tokens of many models.
const SPACE: char = '\u{2581}';

/// The longest token first; `None` if a rest begins with none.
fn word_pieces(vocab: &Vocabulary, prefix: &str, word: &str) -> Option<Vec<u32>> {
    let (mut tokens, mut at, mut key) = (Vec::new(), 0, String::new());
    while at < word.len() {
        key.clear();
        if at > 0 {
            key.push_str(prefix);
        }
        let begun = key.len();
        key.extend(word[at..].chars().scan(begun, |length, symbol| {
            *length += symbol.len_utf8();
            (*length <= vocab.longest).then_some(symbol)
        }));
        let number = loop {
            if key.len() <= begun {
                return None;
            }
            match vocab.get(&key) {
                Some(number) => break number,
                None => key.pop(),
            };
        };
        tokens.push(number);
        at += key.len() - begun;
    }
    Some(tokens)
}

/// A part of a word while its pairs are joined.
#[derive(Clone, Copy)]
struct Symbol {
    token: u32,
    before: Option<usize>,
    behind: Option<usize>,
    joined: bool,
}

impl BytePairs {
    fn encode(&self, word: &str) -> Vec<u32> {
        let BytePairsDocument { vocab, ignore_merges, .. } = &self.document;
        match vocab.get(word).filter(|_| *ignore_merges) {
            Some(whole) => vec![whole],
            None => self.joined(self.symbols(word)),
        }
    }

    /// The characters of a word as tokens. One that is unknown becomes its bytes, the token for unknown ones, or nothing.
    fn symbols(&self, word: &str) -> Vec<u32> {
        let BytePairsDocument { vocab, unk_token, continuing_subword_prefix, end_of_word_suffix, .. } = &self.document;
        let unknown = unk_token.as_deref().and_then(|token| vocab.get(token));
        let prefix = continuing_subword_prefix.as_deref().unwrap_or_default();
        let suffix = end_of_word_suffix.as_deref().unwrap_or_default();
        let (mut tokens, mut key, mut after_unknown) = (Vec::with_capacity(word.len()), String::new(), false);
        for (at, symbol) in word.char_indices() {
            key.clear();
            if at > 0 {
                key.push_str(prefix);
            }
            key.push(symbol);
            if at + symbol.len_utf8() == word.len() {
                key.push_str(suffix);
            }
            let of_bytes = || -> Option<Vec<u32>> { key.bytes().map(|byte| vocab.get(&bytes::name(byte))).collect() };
            let known = vocab.get(&key).map(|token| vec![token]);
            match known.or_else(|| if self.document.byte_fallback { of_bytes() } else { None }) {
                Some(known) => {
                    tokens.extend(known);
                    after_unknown = false;
                }
                None => {
                    tokens.extend(unknown.filter(|_| !(after_unknown && self.document.fuse_unk)));
                    after_unknown = true;
                }
            }
        }
        tokens
    }

    /// Joins the pair that was learnt first, the leftmost of them first, until none is left.
    fn joined(&self, tokens: Vec<u32>) -> Vec<u32> {
        let last = tokens.len().saturating_sub(1);
        let symbol = |(at, token): (usize, &u32)| Symbol {
            token: *token,
            before: at.checked_sub(1),
            behind: (at < last).then_some(at + 1),
            joined: false,
        };
        let mut symbols: Vec<Symbol> = tokens.iter().enumerate().map(symbol).collect();
        let pair = |symbols: &[Symbol], at: usize| {
            let behind = symbols[at].behind?;
            let (rank, product) = self.ranks.get(&[symbols[at].token, symbols[behind].token])?;
            Some(Reverse((*rank, at, *product)))
        };
        let mut queue: BinaryHeap<Reverse<(u32, usize, u32)>> =
            (0..symbols.len()).filter_map(|at| pair(&symbols, at)).collect();
        while let Some(first) = queue.pop() {
            let Reverse((_, at, product)) = first;
            // What was joined since is another pair.
            if symbols[at].joined || pair(&symbols, at) != Some(first) {
                continue;
            }
            let behind = symbols[at].behind.expect("a pair");
            symbols[behind].joined = true;
            let further = symbols[behind].behind;
            (symbols[at].token, symbols[at].behind) = (product, further);
            if let Some(further) = further {
                symbols[further].before = Some(at);
            }
            let before = symbols[at].before;
            queue.extend(before.and_then(|before| pair(&symbols, before)));
            queue.extend(pair(&symbols, at));
        }
        symbols.iter().filter(|symbol| !symbol.joined).map(|symbol| symbol.token).collect()
    }

    fn bytes(&self, token: &str) -> Vec<u8> {
        let BytePairsDocument { byte_fallback, continuing_subword_prefix, end_of_word_suffix, .. } = &self.document;
        if let Some(byte) = bytes::of_name(token).filter(|_| *byte_fallback) {
            return vec![byte];
        }
        let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        let mut text = token.replace(SPACE, " ");
        if let Some(rest) =
            given(continuing_subword_prefix).and_then(|prefix| text.strip_prefix(&prefix).map(str::to_string))
        {
            text = rest;
        }
        if let Some(word) = given(end_of_word_suffix).and_then(|suffix| text.strip_suffix(&suffix).map(str::to_string))
        {
            text = word + " ";
        }
        text.into()
    }
}

impl Unigram {
    /// The way through the piece with the greatest sum of scores (Viterbi); unknown characters side by side are one token.
    fn encode(&self, piece: &str) -> Vec<u32> {
        /// The best way to a place: its score, where its last token begins, and that token, if it is known.
        #[derive(Clone, Copy)]
        struct Way {
            score: f64,
            from: usize,
            token: Option<u32>,
        }
        let mut best: Vec<Option<Way>> = vec![None; piece.len() + 1];
        best[0] = Some(Way { score: 0.0, from: 0, token: None });
        for (at, symbol) in piece.char_indices() {
            let Some(Way { score: until, .. }) = best[at] else { continue };
            let mut better = |end: usize, score: f64, token: Option<u32>| {
                if best[end].is_none_or(|way| score > way.score) {
                    best[end] = Some(Way { score, from: at, token });
                }
            };
            let one = at + symbol.len_utf8();
            let most = piece.len().min(at + self.vocabulary.longest);
            let ends = (one..=most).filter(|end| piece.is_char_boundary(*end));
            let mut has_single = false;
            for end in ends {
                if let Some(token) = self.vocabulary.get(&piece[at..end]) {
                    better(end, until + self.document.vocab[token as usize].1, Some(token));
                    has_single |= end == one;
                }
            }
            if !has_single {
                better(one, until + self.unknown_score, None);
            }
        }
        let (mut parts, mut end) = (Vec::new(), piece.len());
        while end > 0 {
            let way = best[end].expect("every place is reached");
            parts.push((way.token, way.from..end));
            end = way.from;
        }
        parts.reverse();
        let (mut tokens, mut after_unknown) = (Vec::with_capacity(parts.len()), false);
        for (token, range) in parts {
            let of_bytes = || -> Option<Vec<u32>> {
                piece[range].bytes().map(|byte| self.vocabulary.get(&bytes::name(byte))).collect()
            };
            match token {
                Some(token) => tokens.push(token),
                None => match of_bytes().filter(|_| self.document.byte_fallback) {
                    Some(bytes) => tokens.extend(bytes),
                    None => tokens.extend(self.document.unk_id.filter(|_| !after_unknown)),
                },
            }
            after_unknown = token.is_none();
        }
        tokens
    }
}
