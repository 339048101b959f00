//! Cutting a text where no token crosses.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

use super::bytes::in_characters;
use super::character::is_punctuation;
use super::normalizer::Search;
use super::pattern::{self, Pattern};

/// A way of cutting, as the file has it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type")]
pub(super) enum PreTokenizer {
    /// White space is left out, each punctuation character stands alone.
    #[serde(rename = "BertPreTokenizer")]
    Bert,
    /// Words, and runs of what is neither word nor white space.
    Whitespace,
    /// What stands between white space.
    WhitespaceSplit,
    /// Bytes, written as a character each.
    ByteLevel {
        add_prefix_space: bool,
        #[serde(default = "yes")]
        use_regex: bool,
    },
    /// Spaces become visible characters, which words begin with.
    Metaspace {
        replacement: char,
        #[serde(default = "always")]
        prepend_scheme: Prepend,
        /// Older files say so instead.
        #[serde(default = "yes")]
        add_prefix_space: bool,
        #[serde(default = "yes")]
        split: bool,
    },
    Punctuation {
        #[serde(default = "isolated")]
        behavior: Behavior,
    },
    Digits {
        individual_digits: bool,
    },
    CharDelimiterSplit {
        delimiter: char,
    },
    Split {
        pattern: Search,
        behavior: Behavior,
        invert: bool,
    },
    Sequence {
        pretokenizers: Vec<PreTokenizer>,
    },
}

/// What becomes of that which a text is cut at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Behavior {
    Removed,
    Isolated,
    MergedWithPrevious,
    MergedWithNext,
    Contiguous,
}

/// Which texts get a space in front.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Prepend {
    Always,
    First,
    Never,
}

fn yes() -> bool {
    true
}

fn always() -> Prepend {
    Prepend::Always
}

fn isolated() -> Behavior {
    Behavior::Isolated
}

static BYTE_LEVEL: LazyLock<Pattern> = LazyLock::new(|| Pattern::new(pattern::BYTE_LEVEL).expect("a pattern"));
static WORDS: LazyLock<Pattern> = LazyLock::new(|| Pattern::new(pattern::WORDS).expect("a pattern"));

impl PreTokenizer {
    /// This step and those in it, in order.
    pub fn steps(&self) -> Vec<&PreTokenizer> {
        match self {
            PreTokenizer::Sequence { pretokenizers } => pretokenizers.iter().flat_map(PreTokenizer::steps).collect(),
            step => vec![step],
        }
    }

    /// Cuts each piece; the first of them is the beginning of the text if `first`.
    pub fn cut<'a>(&self, pieces: Vec<Cow<'a, str>>, first: bool) -> Vec<Cow<'a, str>> {
        let begins = |position: usize| first && position == 0;
        let each = |cut: &dyn Fn(&str) -> Vec<Range<usize>>| -> Vec<Cow<'a, str>> {
            pieces.iter().flat_map(|piece| parts(piece.clone(), cut(piece))).collect()
        };
        let at = |fits: fn(char) -> bool, behavior| each(&|text| ranges(found(text, |rest| one(rest, fits)), behavior));
        match self {
            PreTokenizer::Bert => {
                let words = at(char::is_whitespace, Behavior::Removed);
                PreTokenizer::Punctuation { behavior: Behavior::Isolated }.cut(words, first)
            }
            PreTokenizer::Whitespace => each(&|text| {
                let words = found(text, |rest| WORDS.begins(rest));
                ranges(inverted(words), Behavior::Removed)
            }),
            PreTokenizer::WhitespaceSplit => at(char::is_whitespace, Behavior::Removed),
            PreTokenizer::Punctuation { behavior } => at(is_punctuation, *behavior),
            PreTokenizer::Digits { individual_digits: true } => at(char::is_numeric, Behavior::Isolated),
            PreTokenizer::Digits { individual_digits: false } => at(char::is_numeric, Behavior::Contiguous),
            PreTokenizer::CharDelimiterSplit { delimiter } => each(&|text| {
                ranges(
                    found(text, |rest| rest.starts_with(*delimiter).then(|| delimiter.len_utf8())),
                    Behavior::Removed,
                )
            }),
            PreTokenizer::Split { pattern, behavior, invert } => each(&|text| {
                let found = found(text, |rest| pattern.begins(rest));
                ranges(if *invert { inverted(found) } else { found }, *behavior)
            }),
            PreTokenizer::ByteLevel { add_prefix_space, use_regex } => {
                let spaced = |piece: Cow<'a, str>| match *add_prefix_space && !piece.starts_with(' ') {
                    true => Cow::Owned(format!(" {piece}")),
                    false => piece,
                };
                let cut = |piece: Cow<'a, str>| match use_regex {
                    true => {
                        let ranges = ranges(found(&piece, |rest| BYTE_LEVEL.begins(rest)), Behavior::Isolated);
                        parts(piece, ranges)
                    }
                    false => vec![piece],
                };
                let pieces = pieces.into_iter().flat_map(|piece| cut(spaced(piece)));
                pieces.map(|piece| Cow::Owned(in_characters(&piece))).collect()
            }
            PreTokenizer::Metaspace { replacement, prepend_scheme, add_prefix_space, split } => {
                let visible = |(position, piece): (usize, Cow<'a, str>)| {
                    let mut text = piece.replace(' ', replacement.encode_utf8(&mut [0; 4]));
                    let wanted = match prepend_scheme {
                        Prepend::Always => true,
                        Prepend::First => begins(position),
                        Prepend::Never => false,
                    };
                    if wanted && *add_prefix_space && !text.starts_with(*replacement) {
                        text.insert(0, *replacement);
                    }
                    let at_words = |rest: &str| rest.starts_with(*replacement).then(|| replacement.len_utf8());
                    match split {
                        true => {
                            let ranges = ranges(found(&text, at_words), Behavior::MergedWithNext);
                            parts(Cow::Owned(text), ranges)
                        }
                        false => vec![Cow::Owned(text)],
                    }
                };
                pieces.into_iter().enumerate().flat_map(visible).collect()
            }
            PreTokenizer::Sequence { pretokenizers } => {
                pretokenizers.iter().fold(pieces, |pieces, step| step.cut(pieces, first))
            }
        }
    }
}

/// The length of the first character, if it fits.
fn one(text: &str, fits: fn(char) -> bool) -> Option<usize> {
    text.chars().next().filter(|symbol| fits(*symbol)).map(char::len_utf8)
}

/// What is found from left to right, and what stands between, in order; together all of the text.
fn found(text: &str, begins: impl Fn(&str) -> Option<usize>) -> Vec<(Range<usize>, bool)> {
    let mut all = Vec::new();
    let (mut from, mut at) = (0, 0);
    while let Some(symbol) = text[at..].chars().next() {
        match begins(&text[at..]).filter(|length| *length > 0) {
            Some(length) => {
                if from < at {
                    all.push((from..at, false));
                }
                all.push((at..at + length, true));
                at += length;
                from = at;
            }
            None => at += symbol.len_utf8(),
        }
    }
    if from < at {
        all.push((from..at, false));
    }
    all
}

fn inverted(mut all: Vec<(Range<usize>, bool)>) -> Vec<(Range<usize>, bool)> {
    all.iter_mut().for_each(|(_, found)| *found = !*found);
    all
}

/// The pieces of a text in which something was found.
fn ranges(all: Vec<(Range<usize>, bool)>, behavior: Behavior) -> Vec<Range<usize>> {
    let mut ranges: Vec<Range<usize>> = Vec::with_capacity(all.len());
    let mut before = None;
    for (range, found) in all {
        let joins = match behavior {
            Behavior::Removed if found => continue,
            Behavior::Removed | Behavior::Isolated => false,
            Behavior::Contiguous => before == Some(found),
            Behavior::MergedWithPrevious => found && before == Some(false),
            Behavior::MergedWithNext => !found && before == Some(true),
        };
        before = Some(found);
        match ranges.last_mut().filter(|_| joins) {
            Some(last) => last.end = range.end,
            None => ranges.push(range),
        }
    }
    ranges
}

fn parts<'a>(piece: Cow<'a, str>, ranges: Vec<Range<usize>>) -> Vec<Cow<'a, str>> {
    match piece {
        Cow::Borrowed(text) => ranges.into_iter().map(|range| Cow::Borrowed(&text[range])).collect(),
        Cow::Owned(text) => ranges.into_iter().map(|range| Cow::Owned(text[range].to_string())).collect(),
    }
}
