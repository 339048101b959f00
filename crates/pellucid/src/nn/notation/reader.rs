//! How a layer reads its arguments: every call takes what it understands, and [`Reader::finish`] refuses the rest.

use std::ops::RangeInclusive;

use super::ast::{Argument, Item, Network, Value, quoted};
use super::{MAX_SIZE, NotationError, Span};
use crate::suggest::nearest;

/// Reads the arguments of one layer.
///
/// Numbers and sizes are positional: the calls take them from left to right. Words and options are taken by name, wherever
/// they stand. Whatever names a layer asks for are remembered, so that `finish` can offer the nearest of them for an
/// unknown one.
///
/// ```
/// # use pellucid::nn::notation::{Network, NotationError};
/// # fn main() -> Result<(), NotationError> {
/// let network = Network::parse("dense 64 gelu nobias init=normal:0:0.02")?;
/// let mut read = network.items()[0].reader(&["dense", "dropout"]);
/// let units = read.size("units")?;
/// let activation = read.word("activation", &["relu", "gelu"])?;
/// let bias = !read.flag("nobias")?;
/// let init = read.option_word("init")?;
/// read.finish()?;
/// assert_eq!((units, activation.map(|word| word.name), bias), (64, Some("gelu"), false));
/// assert_eq!(init.map(|word| (word.name, word.numbers)), Some(("normal", [0.0, 0.02].as_slice())));
/// # Ok(())
/// # }
/// ```
pub struct Reader<'a> {
    item: &'a Item,
    layers: &'a [&'a str],
    taken: Vec<bool>,
    branches_taken: bool,
    /// Words that were asked for, and what each one is (`activation`, `flag`).
    words: Vec<(&'a str, &'a str)>,
    options: Vec<&'a str>,
}

/// A word with its place, for errors about what stands in it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WordAt<'a> {
    /// The word itself.
    pub name: &'a str,
    /// The numbers behind it: `[0.02]` for `leaky_relu:0.02`.
    pub numbers: &'a [f64],
    /// Its place in the text.
    pub span: Span,
}

impl<'a> Reader<'a> {
    pub(super) fn new(item: &'a Item, layers: &'a [&'a str]) -> Reader<'a> {
        let taken = vec![false; item.arguments().len()];
        Reader { item, layers, taken, branches_taken: false, words: Vec::new(), options: Vec::new() }
    }

    /// The item that is read.
    pub fn item(&self) -> &'a Item {
        self.item
    }

    /// An error about the layer as a whole, pointing at its name.
    pub fn error(&self, message: impl Into<String>) -> NotationError {
        self.item.error(self.item.word_span(), message)
    }

    /// An error about one place.
    pub fn error_at(&self, span: Span, message: impl Into<String>) -> NotationError {
        self.item.error(span, message)
    }

    /// The next positional number as a whole number from 1 on: units, channels, a window.
    ///
    /// # Errors
    /// If there is none, or it is no whole number from 1 to [`MAX_SIZE`].
    pub fn size(&mut self, what: &str) -> Result<usize, NotationError> {
        self.optional_size(what)?.ok_or_else(|| self.missing(what, "a whole number"))
    }

    /// The next positional number as a whole number from 1 on, if there is one.
    ///
    /// # Errors
    /// If it is no whole number from 1 to [`MAX_SIZE`].
    pub fn optional_size(&mut self, what: &str) -> Result<Option<usize>, NotationError> {
        self.positional().map(|argument| self.whole(argument, what, 1)).transpose()
    }

    /// The next positional number, of any size.
    ///
    /// # Errors
    /// If there is none, or a size like `3x3` stands in its place.
    pub fn number(&mut self, what: &str) -> Result<f64, NotationError> {
        self.optional_number(what)?.ok_or_else(|| self.missing(what, "a number"))
    }

    /// The next positional number, if there is one.
    ///
    /// # Errors
    /// If a size like `3x3` stands in its place.
    pub fn optional_number(&mut self, what: &str) -> Result<Option<f64>, NotationError> {
        self.positional().map(|argument| self.plain(argument, what)).transpose()
    }

    /// The next positional size: `8x8x3`, or a single number for one dimension. Every number is at least 1.
    ///
    /// # Errors
    /// If there is none, or a number is not whole or outside of 1 to [`MAX_SIZE`].
    pub fn dimensions(&mut self, what: &str) -> Result<Vec<usize>, NotationError> {
        self.optional_dimensions(what)?.ok_or_else(|| self.missing(what, "a size like 8x8"))
    }

    /// The next positional size, as for [`Reader::dimensions`], if there is one.
    ///
    /// # Errors
    /// If a number is not whole or outside of 1 to [`MAX_SIZE`].
    pub fn optional_dimensions(&mut self, what: &str) -> Result<Option<Vec<usize>>, NotationError> {
        self.positional().map(|argument| self.whole_numbers(argument, what, 1)).transpose()
    }

    /// The whole number from 1 on that stands behind the word `name` (`heads 4`), or is the value of that option (`heads=4`), if
    /// it is given. Ask for it before other numbers.
    ///
    /// # Errors
    /// If it is given twice, or something else stands in its place.
    pub fn size_behind(&mut self, name: &'a str) -> Result<Option<usize>, NotationError> {
        let position =
            self.item.arguments().iter().position(|argument| word_of(argument).is_some_and(|word| word.name == name));
        let option = self.option_size(name, 1)?;
        if !self.flag(name)? {
            return Ok(option);
        }
        let arguments = self.item.arguments();
        let number = position.map(|position| position + 1).filter(|&next| {
            arguments.get(next).is_some_and(|next| next.key().is_none() && !matches!(next.value(), Value::Word(_)))
        });
        match number {
            Some(_) if option.is_some() => Err(self.error(format!("'{name}' is given twice"))),
            Some(next) => {
                self.taken[next] = true;
                self.whole(&arguments[next], name, 1).map(Some)
            }
            None => Err(self.error(format!("'{name}' needs a number behind it")).suggest(format!("as in {name} 4"))),
        }
    }

    /// The next positional size of `N` dimensions, if there is one; a single number stands for `N` equal ones, so
    /// `3` and `3x3` are the same window.
    ///
    /// # Errors
    /// If it has another number of dimensions, or a number is not whole or outside of 1 to [`MAX_SIZE`].
    pub fn optional_window<const N: usize>(&mut self, what: &str) -> Result<Option<[usize; N]>, NotationError> {
        self.positional().map(|argument| self.equal_sides(argument, what, 1)).transpose()
    }

    /// The next positional size of `N` dimensions; see [`Reader::optional_window`].
    ///
    /// # Errors
    /// If there is none, or as [`Reader::optional_window`].
    pub fn window<const N: usize>(&mut self, what: &str) -> Result<[usize; N], NotationError> {
        self.optional_window(what)?.ok_or_else(|| self.missing(what, "a size like 3x3"))
    }

    /// Takes the first word that is one of `known`, if there is one; `what` names them in messages: `activation`.
    ///
    /// # Errors
    /// If a second word of `known` stands beside it.
    pub fn word(&mut self, what: &'a str, known: &[&'a str]) -> Result<Option<WordAt<'a>>, NotationError> {
        self.words.extend(known.iter().map(|name| (*name, what)));
        let mut found: Option<WordAt<'a>> = None;
        for (position, argument) in self.item.arguments().iter().enumerate() {
            let Some(word) = word_of(argument).filter(|word| !self.taken[position] && known.contains(&word.name))
            else {
                continue;
            };
            if let Some(first) = found {
                let message =
                    format!("'{}' takes one {what}, here are '{}' and '{}'", self.item.word(), first.name, word.name);
                return Err(self.error_at(word.span, message));
            }
            self.taken[position] = true;
            found = Some(word);
        }
        Ok(found)
    }

    /// Whether the word `name` stands there.
    ///
    /// # Errors
    /// If it stands there twice or has numbers behind it.
    pub fn flag(&mut self, name: &'a str) -> Result<bool, NotationError> {
        match self.word("flag", &[name]) {
            Ok(Some(word)) if !word.numbers.is_empty() => {
                Err(self.error_at(word.span, format!("'{name}' takes no number")))
            }
            Ok(word) => Ok(word.is_some()),
            Err(error) => Err(self.error_at(error.span(), format!("'{name}' is given twice"))),
        }
    }

    /// The value of option `key` as a word with its numbers, if it is given.
    ///
    /// # Errors
    /// If the value is a number or a size.
    pub fn option_word(&mut self, key: &'a str) -> Result<Option<WordAt<'a>>, NotationError> {
        let Some(argument) = self.keyed(key) else { return Ok(None) };
        let word = match argument.value() {
            Value::Word(word) => {
                Some(WordAt { name: word.name(), numbers: word.numbers(), span: argument.value_span() })
            }
            _ => None,
        };
        word.map(Some).ok_or_else(|| self.not_a(argument, key, "a word"))
    }

    /// The value of option `key`, which must be one of `known`, if it is given.
    ///
    /// # Errors
    /// If the value is something else; the nearest of `known` is suggested.
    pub fn option_choice(&mut self, key: &'a str, known: &[&'a str]) -> Result<Option<WordAt<'a>>, NotationError> {
        let Some(word) = self.option_word(key)? else { return Ok(None) };
        if known.contains(&word.name) { Ok(Some(word)) } else { Err(self.unknown_word(word, key, known)) }
    }

    /// The value of option `key` as a number, if it is given.
    ///
    /// # Errors
    /// If the value is a size or a word.
    pub fn option_number(&mut self, key: &'a str) -> Result<Option<f64>, NotationError> {
        self.keyed(key).map(|argument| self.plain(argument, key)).transpose()
    }

    /// The value of option `key` as a whole number from `least` on, if it is given.
    ///
    /// # Errors
    /// If the value is something else, or outside of `least` to [`MAX_SIZE`].
    pub fn option_size(&mut self, key: &'a str, least: usize) -> Result<Option<usize>, NotationError> {
        self.keyed(key).map(|argument| self.whole(argument, key, least)).transpose()
    }

    /// The value of option `key` as `N` whole numbers from `least` on, if it is given; one number stands for `N` equal ones.
    ///
    /// # Errors
    /// If the value is something else, has another number of dimensions, or is outside of `least` to [`MAX_SIZE`].
    pub fn option_window<const N: usize>(
        &mut self,
        key: &'a str,
        least: usize,
    ) -> Result<Option<[usize; N]>, NotationError> {
        self.keyed(key).map(|argument| self.equal_sides(argument, key, least)).transpose()
    }

    /// The value of option `key` as a size of any number of dimensions (`3x3`, or one number for one dimension) of whole
    /// numbers from `least` on, if it is given.
    ///
    /// # Errors
    /// If the value is something else, or outside of `least` to [`MAX_SIZE`].
    pub fn option_dimensions(&mut self, key: &'a str, least: usize) -> Result<Option<Vec<usize>>, NotationError> {
        self.keyed(key).map(|argument| self.whole_numbers(argument, key, least)).transpose()
    }

    /// The networks in parentheses behind the name.
    ///
    /// # Errors
    /// If their number is not in `count`.
    pub fn branches(&mut self, count: RangeInclusive<usize>) -> Result<&'a [Network], NotationError> {
        self.branches_taken = true;
        let branches = self.item.branches();
        if count.contains(&branches.len()) {
            return Ok(branches);
        }
        let word = self.item.word();
        let wanted = match (*count.start(), *count.end()) {
            (1, 1) => "one network".to_string(),
            (1, 2) => "one or two networks".to_string(),
            (least, most) if least == most => format!("{least} networks"),
            (least, usize::MAX) => format!("at least {least} networks"),
            (least, most) => format!("{least} to {most} networks"),
        };
        let error = self.error(format!("'{word}' takes {wanted} in parentheses, here are {}", branches.len()));
        Err(if branches.is_empty() { error.suggest(format!("as in {word}(dense 64 relu -> dense 64)")) } else { error })
    }

    /// The error for a word that is none of `known`; `what` says what was expected, for example `initialiser`.
    pub fn unknown_word(&self, word: WordAt<'_>, what: &str, known: &[&str]) -> NotationError {
        let error = self.error_at(word.span, format!("unknown {what} {}", quoted(word.name)));
        match nearest(word.name, known.iter().copied()) {
            Some(name) => error.did_you_mean(Some(name)),
            None => error.note(format!("known: {}", known.join(", "))),
        }
    }

    /// Ends the reading.
    ///
    /// # Errors
    /// If an argument or the parentheses were not read; names the first one, and the nearest of what this layer would take.
    pub fn finish(self) -> Result<(), NotationError> {
        if let Some(position) = self.taken.iter().position(|taken| !taken) {
            return Err(self.left_over(&self.item.arguments()[position]));
        }
        if !self.branches_taken && !self.item.branches().is_empty() {
            return Err(self.error(format!("'{}' takes no network in parentheses", self.item.word())));
        }
        Ok(())
    }

    fn left_over(&self, argument: &Argument) -> NotationError {
        let layer = self.item.word();
        if let Some(key) = argument.key() {
            let span = Span { start: argument.span().start, end: argument.span().start + key.len() };
            let error = self.error_at(span, format!("'{layer}' has no option {}", quoted(key)));
            return match nearest(key, self.options.iter().copied()) {
                Some(name) => error.did_you_mean(Some(name)),
                None if self.options.is_empty() => error,
                None => error.note(format!("options of '{layer}': {}", self.options.join(", "))),
            };
        }
        let Some(word) = word_of(argument) else {
            let message = format!("'{layer}' takes no further number, here is '{}'", argument.value());
            return self.error_at(argument.span(), message);
        };
        if self.layers.contains(&word.name) && !self.words.iter().any(|(name, _)| *name == word.name) {
            let message = format!("'{}' is a layer of its own", word.name);
            return self.error_at(word.span, message).suggest("'->' is missing before it");
        }
        // What stands behind the name is more likely a word of this layer than a layer without its arrow.
        let known = self.words.iter().map(|(name, _)| *name);
        match nearest(word.name, known.chain(self.layers.iter().copied())) {
            Some(name) if self.words.iter().any(|(known, _)| *known == name) => {
                let what = self.words.iter().find(|(known, _)| *known == name).map_or("word", |(_, what)| what);
                let what = if what == "flag" { "word" } else { what };
                self.error_at(word.span, format!("unknown {what} {} for '{layer}'", quoted(word.name)))
                    .did_you_mean(Some(name))
            }
            Some(name) => self
                .error_at(word.span, format!("unknown word {} for '{layer}'", quoted(word.name)))
                .suggest(format!("did you mean '-> {name}'?")),
            None => {
                let error = self.error_at(word.span, format!("unknown word {} for '{layer}'", quoted(word.name)));
                let known: Vec<&str> = self.words.iter().map(|(name, _)| *name).collect();
                if known.is_empty() { error } else { error.note(format!("words of '{layer}': {}", known.join(", "))) }
            }
        }
    }

    /// Takes the next number or size without a key.
    fn positional(&mut self) -> Option<&'a Argument> {
        let arguments = self.item.arguments();
        let position = (0..arguments.len()).find(|&position| {
            let argument = &arguments[position];
            !self.taken[position] && argument.key().is_none() && !matches!(argument.value(), Value::Word(_))
        })?;
        self.taken[position] = true;
        Some(&arguments[position])
    }

    /// Takes the argument with this key.
    fn keyed(&mut self, key: &'a str) -> Option<&'a Argument> {
        self.options.push(key);
        let position = self.item.arguments().iter().position(|argument| argument.key() == Some(key))?;
        self.taken[position] = true;
        Some(&self.item.arguments()[position])
    }

    fn plain(&self, argument: &Argument, what: &str) -> Result<f64, NotationError> {
        match argument.value() {
            Value::Number(number) => Ok(*number),
            _ => Err(self.not_a(argument, what, "a number")),
        }
    }

    fn whole(&self, argument: &Argument, what: &str, least: usize) -> Result<usize, NotationError> {
        match argument.value() {
            Value::Number(number) if whole_number(*number, least).is_some() => Ok(*number as usize),
            Value::Size(_) | Value::Word(_) => Err(self.not_a(argument, what, "one whole number")),
            Value::Number(_) => Err(self.not_a(argument, what, &format!("a whole number from {least} to {MAX_SIZE}"))),
        }
    }

    fn whole_numbers(&self, argument: &Argument, what: &str, least: usize) -> Result<Vec<usize>, NotationError> {
        match argument.value() {
            Value::Size(sizes) if sizes.iter().all(|size| (least..=MAX_SIZE).contains(size)) => Ok(sizes.clone()),
            Value::Size(_) => {
                Err(self.not_a(argument, what, &format!("a size of whole numbers from {least} to {MAX_SIZE}")))
            }
            _ => Ok(vec![self.whole(argument, what, least)?]),
        }
    }

    fn equal_sides<const N: usize>(
        &self,
        argument: &Argument,
        what: &str,
        least: usize,
    ) -> Result<[usize; N], NotationError> {
        let sizes = self.whole_numbers(argument, what, least)?;
        match sizes.as_slice() {
            [side] => Ok([*side; N]),
            sizes => {
                sizes.try_into().map_err(|_| self.not_a(argument, what, &format!("a number or a size of {N} numbers")))
            }
        }
    }

    fn missing(&self, what: &str, form: &str) -> NotationError {
        let word = self.item.word();
        self.error(format!("'{word}' needs {what}, {form}"))
    }

    fn not_a(&self, argument: &Argument, what: &str, form: &str) -> NotationError {
        let message = format!("{what} of '{}' must be {form}, not '{}'", self.item.word(), argument.value());
        self.error_at(argument.value_span(), message)
    }
}

/// The argument as a word, if it is one without a key.
fn word_of(argument: &Argument) -> Option<WordAt<'_>> {
    match (argument.key(), argument.value()) {
        (None, Value::Word(word)) => Some(WordAt { name: word.name(), numbers: word.numbers(), span: argument.span() }),
        _ => None,
    }
}

fn whole_number(number: f64, least: usize) -> Option<usize> {
    let whole = number.fract() == 0.0 && number >= least as f64 && number <= MAX_SIZE as f64;
    whole.then_some(number as usize)
}
