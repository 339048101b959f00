//! Texts to learn to write on.

use std::path::Path;
use std::sync::Arc;

use pellucid::data::Task;
use pellucid::data::text::{PretrainedTokenizer, TokenKind, TokenSource, Tokenizer, read_text, token_windows};
use pellucid::model::Preprocessing;

use super::{Prepared, Rows, Shares, images};
use crate::error::{Failure, Outcome};
use crate::format::{count, percent};
use crate::settings::{Settings, Validation};

/// Tokens of a window where nothing is said.
const WINDOW: usize = 128;
/// Share of a text for validation where nothing is said.
const VALIDATION: f64 = 0.1;

/// How a text was divided, as settings say it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Divided {
    /// What its tokens are, if they were learnt from it.
    pub tokens: Option<TokenKind>,
    /// Tokens of a window.
    pub window: usize,
}

/// Reads a text and divides it: its beginning is to be learnt, what comes behind is for validation and test.
/// The tokens and the length of windows are those that are known, if any are.
pub(super) fn load(path: &Path, settings: &Settings, known: Option<&Preprocessing>) -> Outcome<Prepared> {
    let name = path.display().to_string();
    refuse(settings, &name)?;
    let text = read_text(path)?;
    let (source, window) = match known {
        Some(Preprocessing::Text { tokenizer, window }) => (TokenSource::Known(tokenizer.clone()), *window),
        _ => (source(settings, TokenKind::Characters)?, WINDOW),
    };
    let window = settings.window.unwrap_or(window);
    let shares = shares(settings)?;
    let [train, validation, test] = parts(&text, shares);
    // Characters of all the text, so that what is set apart has none that are unknown; all else is learnt from the beginning.
    let kind = kind_of(&source);
    let tokenizer = source.tokenizer(|| if kind == Some(TokenKind::Characters) { &text } else { train }.to_string());
    let rows = |part: &str| windows(part, &name, &tokenizer, window);
    let train_rows = rows(train)?;
    let apart = |part: &str| if part.is_empty() { Ok(nothing(window)) } else { rows(part) };
    let (validation_rows, test_rows) = (apart(validation)?, apart(test)?);
    let whole = text.chars().count();
    let description = format!("{name}: {} characters, as {}", count(whole as u64), tokenizer.describe());
    let share = |part: &str| percent(part.len() as f64 / text.len() as f64);
    let mut split = format!("windows of {window} tokens; the first {} to learn from", share(train));
    for (what, part) in [("validation", validation), ("the test", test)] {
        if !part.is_empty() {
            split.push_str(&format!(", then {} for {what}", share(part)));
        }
    }
    let task = Task::Tokens { characters: tokenizer.characters() };
    let parts = [train_rows, validation_rows, test_rows];
    Ok(Prepared {
        name: super::locate::stem(path),
        description,
        shares,
        divided: Some(Divided { tokens: kind, window }),
        split,
        ..Prepared::of(task, Preprocessing::Text { tokenizer, window }, parts)
    })
}

/// The windows of a text that a model is to be measured on.
pub fn scored_text(path: &Path, tokenizer: &Tokenizer, window: usize) -> Outcome<Rows> {
    windows(&read_text(path)?, &path.display().to_string(), tokenizer, window)
}

/// The windows of a text, of which `name` tells people.
fn windows(text: &str, name: &str, tokenizer: &Tokenizer, window: usize) -> Outcome<Rows> {
    let located = |error: &dyn std::fmt::Display| Failure::new(format!("{name}: {error}"));
    let tokens = tokenizer.encode(text).map_err(|error| located(&error))?;
    let data = token_windows(&tokens, window).map_err(|error| located(&error))?;
    Ok(Rows { rows: (0..data.rows() as u32).collect(), data: Arc::new(data), cells: None })
}

fn nothing(window: usize) -> Rows {
    let features = pellucid::data::Features::F32(Vec::new());
    let data = pellucid::data::Dataset::new(vec![window], features, Vec::new(), window, None);
    Rows { data: Arc::new(data.expect("nothing fits")), rows: Vec::new(), cells: None }
}

/// Where tokens come from: what the settings say, or else learnt ones of the kind that is `usual`.
pub(super) fn source(settings: &Settings, usual: TokenKind) -> Outcome<TokenSource> {
    if let Some(path) = &settings.tokenizer {
        let tokenizer =
            PretrainedTokenizer::open(path).map_err(|error| Failure::new(format!("--tokenizer: {error}")))?;
        return Ok(TokenSource::Known(Tokenizer::Pretrained { tokenizer }));
    }
    let kind = settings.tokens.as_deref().map_or(Ok(usual), str::parse);
    Ok(TokenSource::Learnt(kind.map_err(|error| Failure::new(format!("--tokens: {error}")))?))
}

/// The kind of tokens that are learnt.
pub(super) fn kind_of(source: &TokenSource) -> Option<TokenKind> {
    match source {
        TokenSource::Learnt(kind) => Some(*kind),
        TokenSource::Known(_) => None,
    }
}

/// Refuses settings that a text does not know.
fn refuse(settings: &Settings, name: &str) -> Outcome<()> {
    images::refuse_foreign(settings, name)?;
    if let Some(flag) = settings.picture_setting() {
        return Err(Failure::new(format!("{flag} is for pictures, not for the text {name}")));
    }
    if settings.task.as_deref().is_some_and(|task| task != "tokens") {
        return Err(Failure::new(format!("the task of a text is tokens: to predict the next one; {name} is a text")));
    }
    images::refuse_augmentation(settings)?;
    if settings.fold.is_some() {
        return Err(Failure::new(format!("--fold is for rows that can be learnt from in any order; {name} is a text")));
    }
    match settings.window {
        Some(0) => Err(Failure::new("--window is a number of tokens from 1 on")),
        _ => Ok(()),
    }
}

fn shares(settings: &Settings) -> Outcome<Shares> {
    let test = settings.test_fraction.unwrap_or(0.0);
    if !(0.0..1.0).contains(&test) {
        return Err(Failure::new(format!("--test-fraction is a share of at least 0 and below 1; got {test}")));
    }
    let validation = match settings.validation {
        Some(Validation::Fraction(share)) => share,
        _ => VALIDATION,
    };
    if validation + test >= 1.0 {
        return Err(Failure::new("--validation and --test-fraction leave nothing to learn from; make them smaller"));
    }
    Ok(Shares { validation: Some(validation), test: Some(test) })
}

/// The text cut in three, never within a character.
fn parts(text: &str, shares: Shares) -> [&str; 3] {
    let place = |behind: f64| {
        let wanted = text.len() - (text.len() as f64 * behind) as usize;
        (wanted..=text.len()).find(|at| text.is_char_boundary(*at)).expect("the end is a boundary")
    };
    let (validation, test) = (shares.validation.unwrap_or(0.0), shares.test.unwrap_or(0.0));
    let (first, second) = (place(validation + test), place(test));
    [&text[..first], &text[first..second], &text[second..]]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_in_its_order_and_between_characters() {
        let shares = Shares { validation: Some(0.25), test: Some(0.25) };
        assert_eq!(parts("abcdefgh", shares), ["abcd", "ef", "gh"]);
        assert_eq!(parts("ééé", shares), ["éé", "é", ""]);
        assert_eq!(parts("abc", Shares { validation: Some(0.0), test: Some(0.0) }), ["abc", "", ""]);
    }
}
