//! Tokens that are found in a text before it is cut: `[MASK]`, `<|endoftext|>`.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::character::is_word;
use super::normalizer::Normalizer;

/// A token, as the file has it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct AddedToken {
    pub id: u32,
    pub content: String,
    /// Not where it is a part of a word.
    pub single_word: bool,
    /// With the white space before it.
    pub lstrip: bool,
    /// With the white space behind it.
    pub rstrip: bool,
    /// It is looked for in the normalised text.
    pub normalized: bool,
    pub special: bool,
}

/// What is looked for in a text.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Finder {
    /// The longest first.
    tokens: Vec<(String, AddedToken)>,
    /// Whether a token begins with this byte.
    begins: Vec<bool>,
}

impl Finder {
    /// Looks for those of the tokens that are `normalized` or not.
    pub fn new(tokens: &[AddedToken], normalized: bool, normalizer: Option<&Normalizer>) -> Finder {
        let content = |token: &AddedToken| match normalizer.filter(|_| normalized) {
            Some(normalizer) => normalizer.apply(token.content.as_str().into()).into_owned(),
            None => token.content.clone(),
        };
        let wanted = tokens.iter().filter(|token| token.normalized == normalized);
        let mut tokens: Vec<(String, AddedToken)> = wanted.map(|token| (content(token), token.clone())).collect();
        tokens.retain(|(content, _)| !content.is_empty());
        tokens.sort_by_key(|(content, _)| std::cmp::Reverse(content.len()));
        let mut begins = vec![false; 256];
        tokens.iter().for_each(|(content, _)| begins[usize::from(content.as_bytes()[0])] = true);
        Finder { tokens, begins }
    }

    /// The parts of a text in order, with the number of the token where it is one; the leftmost first, of those the longest.
    pub fn split(&self, text: &str) -> Vec<(Range<usize>, Option<u32>)> {
        let mut parts = Vec::new();
        let (mut from, mut at) = (0, 0);
        while at < text.len() {
            let rest = &text[at..];
            let there = |(content, _): &&(String, AddedToken)| rest.starts_with(content.as_str());
            let found =
                if self.begins[usize::from(rest.as_bytes()[0])] { self.tokens.iter().find(there) } else { None };
            let Some((content, token)) = found else {
                at += rest.chars().next().map_or(1, char::len_utf8);
                continue;
            };
            let (mut start, mut end) = (at, at + content.len());
            at = end;
            if token.single_word {
                let touches = |symbol: Option<char>| symbol.is_some_and(is_word);
                if touches(text[..start].chars().next_back()) || touches(text[end..].chars().next()) {
                    continue;
                }
            }
            if token.lstrip {
                start = text[from..start].trim_end().len() + from;
            }
            if token.rstrip {
                end = text.len() - text[end..].trim_start().len();
            }
            if from < start {
                parts.push((from..start, None));
            }
            parts.push((start..end, Some(token.id)));
            (from, at) = (end, end);
        }
        if from < text.len() {
            parts.push((from..text.len(), None));
        }
        parts
    }
}
