//! What a line of notation says, before anyone asks what it means.

use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::parse::parse;
use super::{MAX_NUMBERS, NotationError, Reader, Span};
use crate::suggest::nearest;

/// Layers in their order, at least one.
///
/// Made by [`Network::parse`] or from [`Item`]s. `Display` prints the canonical line, and parsing that gives an equal
/// network again; so does serde, which stores the line. Positions in the text do not count for equality.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Network {
    pub(super) items: Vec<Item>,
}

/// A layer with its arguments, or a group in parentheses; either may be repeated.
#[derive(Clone, Debug)]
pub struct Item {
    pub(super) repeat: usize,
    /// Empty for a group, which has exactly one branch and no arguments.
    pub(super) word: String,
    pub(super) branches: Vec<Network>,
    pub(super) arguments: Vec<Argument>,
    pub(super) span: Span,
    pub(super) word_span: Span,
    /// The text that the spans are about; absent for an item that was not read from text.
    pub(super) text: Option<Arc<str>>,
}

/// One argument: `128`, `3x3`, `relu`, or with a key `init=he_normal`.
#[derive(Clone, Debug)]
pub struct Argument {
    pub(super) key: Option<String>,
    pub(super) value: Value,
    pub(super) span: Span,
    pub(super) value_span: Span,
}

/// The value of an argument.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A finite number: `128`, `0.5`, `-1e-3`.
    Number(f64),
    /// Two or more whole numbers: `3x3`.
    Size(Vec<usize>),
    /// A word, perhaps with numbers: `relu`, `constant:0.1`.
    Word(Word),
}

/// A word with the numbers behind it: `uniform:-0.1:0.1`.
#[derive(Clone, Debug, PartialEq)]
pub struct Word {
    pub(super) name: String,
    pub(super) numbers: Vec<f64>,
}

impl Network {
    /// Reads a line of notation.
    ///
    /// # Errors
    /// The first mistake in the form, or a limit of the [module](super) exceeded. That a layer is unknown or takes other
    /// arguments is found later, by its [`Reader`].
    pub fn parse(text: &str) -> Result<Network, NotationError> {
        parse(text)
    }

    /// The layers in order.
    ///
    /// # Panics
    /// If there are none.
    pub fn new(items: Vec<Item>) -> Network {
        assert!(!items.is_empty(), "a network has at least one layer");
        Network { items }
    }

    /// The items as written, repetitions and groups included.
    pub fn items(&self) -> &[Item] {
        &self.items
    }

    /// The layers in the order in which data passes them: repetitions written out, groups dissolved. Branches are
    /// networks of their own and stay inside their layer. At most [`MAX_LAYERS`](super::MAX_LAYERS) for parsed text.
    pub fn layers(&self) -> Vec<&Item> {
        fn append<'a>(network: &'a Network, out: &mut Vec<&'a Item>) {
            for item in &network.items {
                for _ in 0..item.repeat {
                    if item.is_group() {
                        append(&item.branches[0], out);
                    } else {
                        out.push(item);
                    }
                }
            }
        }
        let mut out = Vec::new();
        append(self, &mut out);
        out
    }
}

impl Item {
    /// A layer without arguments, once.
    ///
    /// # Panics
    /// If `word` is not a name of the grammar.
    pub fn new(word: impl Into<String>) -> Item {
        let word = word.into();
        assert!(is_name(&word), "'{word}' is not a name");
        Item::bare(word, Vec::new())
    }

    /// A group, `(a -> b)`: worth its parentheses when it is repeated.
    pub fn group(network: Network) -> Item {
        Item::bare(String::new(), vec![network])
    }

    fn bare(word: String, branches: Vec<Network>) -> Item {
        let (span, word_span) = (Span::default(), Span::default());
        Item { repeat: 1, word, branches, arguments: Vec::new(), span, word_span, text: None }
    }

    /// The same item, `times` times.
    ///
    /// # Panics
    /// If `times` is zero.
    pub fn repeated(mut self, times: usize) -> Item {
        assert!(times > 0, "an item occurs at least once");
        self.repeat = times;
        self
    }

    /// With one more branch.
    ///
    /// # Panics
    /// If the item is a group.
    pub fn branch(mut self, network: Network) -> Item {
        assert!(!self.is_group(), "a group has one branch");
        self.branches.push(network);
        self
    }

    /// With one more argument.
    ///
    /// # Panics
    /// If the item is a group.
    pub fn with(self, value: impl Into<Value>) -> Item {
        self.add(None, value.into())
    }

    /// With one more option, `key=value`.
    ///
    /// # Panics
    /// If the item is a group or has the key already, or if the key is not a name.
    pub fn option(self, key: impl Into<String>, value: impl Into<Value>) -> Item {
        let key = key.into();
        assert!(is_name(&key), "'{key}' is not a name");
        assert!(self.arguments.iter().all(|other| other.key.as_ref() != Some(&key)), "option '{key}' is given twice");
        self.add(Some(key), value.into())
    }

    fn add(mut self, key: Option<String>, value: Value) -> Item {
        assert!(!self.is_group(), "a group takes no arguments");
        value.check();
        self.arguments.push(Argument { key, value, span: Span::default(), value_span: Span::default() });
        self
    }

    /// The layer's name as written; empty for a group.
    pub fn word(&self) -> &str {
        &self.word
    }

    /// True for `( … )` without a layer's name. [`Network::layers`] dissolves groups.
    pub fn is_group(&self) -> bool {
        self.word.is_empty()
    }

    /// How often the item occurs in a row, at least once.
    pub fn repeat(&self) -> usize {
        self.repeat
    }

    /// The networks in the parentheses.
    pub fn branches(&self) -> &[Network] {
        &self.branches
    }

    /// The arguments in the order of the text.
    pub fn arguments(&self) -> &[Argument] {
        &self.arguments
    }

    /// Where the item stands, its repeat count included.
    pub fn span(&self) -> Span {
        self.span
    }

    /// Where the layer's name stands (the opening parenthesis of a group).
    pub fn word_span(&self) -> Span {
        self.word_span
    }

    /// Starts to read the arguments. `layers` are the names of all layers: a forgotten `->` is recognised by them.
    pub fn reader<'a>(&'a self, layers: &'a [&'a str]) -> Reader<'a> {
        Reader::new(self, layers)
    }

    /// An error about a place in this item; about its printed form if the item was not read from text.
    pub fn error(&self, span: Span, message: impl Into<String>) -> NotationError {
        match &self.text {
            Some(text) => NotationError::new(text.clone(), span, message),
            None => {
                let text = self.to_string();
                let span = Span { start: 0, end: text.len() };
                NotationError::new(text, span, message)
            }
        }
    }

    /// The error for a layer that is none of `layers`, with the nearest of them as suggestion.
    pub fn unknown_layer(&self, layers: &[&str]) -> NotationError {
        self.error(self.word_span, format!("unknown layer {}", quoted(&self.word)))
            .did_you_mean(nearest(&self.word, layers.iter().copied()))
    }
}

impl Argument {
    /// The name before `=`, if there is one.
    pub fn key(&self) -> Option<&str> {
        self.key.as_deref()
    }

    /// The value.
    pub fn value(&self) -> &Value {
        &self.value
    }

    /// Where the argument stands, its key included.
    pub fn span(&self) -> Span {
        self.span
    }

    /// Where the value stands.
    pub fn value_span(&self) -> Span {
        self.value_span
    }
}

impl Word {
    /// A word with the numbers behind it.
    ///
    /// # Panics
    /// If `name` is not a name of the grammar, or a number is infinite or NaN, or there are more than eight.
    pub fn new(name: impl Into<String>, numbers: &[f64]) -> Word {
        let word = Word { name: name.into(), numbers: numbers.to_vec() };
        Value::Word(word.clone()).check();
        word
    }

    /// The word itself.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The numbers behind it, in order.
    pub fn numbers(&self) -> &[f64] {
        &self.numbers
    }
}

impl Value {
    /// Refuses what has no written form; values from text have one.
    fn check(&self) {
        match self {
            Value::Number(number) => assert!(number.is_finite(), "{number} has no notation"),
            Value::Size(sizes) => {
                assert!((2..=MAX_NUMBERS).contains(&sizes.len()), "a size of {} numbers has no notation", sizes.len())
            }
            Value::Word(word) => {
                assert!(is_name(&word.name), "'{}' is not a name", word.name);
                assert!(word.numbers.len() <= MAX_NUMBERS, "{} numbers behind a word", word.numbers.len());
                assert!(word.numbers.iter().all(|number| number.is_finite()), "{:?} has no notation", word.numbers);
            }
        }
    }
}

impl From<f64> for Value {
    fn from(number: f64) -> Value {
        Value::Number(number)
    }
}

impl From<usize> for Value {
    fn from(number: usize) -> Value {
        Value::Number(number as f64)
    }
}

impl From<&[usize]> for Value {
    /// One whole number becomes a plain number, more become a size.
    fn from(sizes: &[usize]) -> Value {
        match sizes {
            [one] => Value::Number(*one as f64),
            _ => Value::Size(sizes.to_vec()),
        }
    }
}

impl From<&str> for Value {
    fn from(name: &str) -> Value {
        Value::Word(Word::new(name, &[]))
    }
}

impl From<Word> for Value {
    fn from(word: Word) -> Value {
        Value::Word(word)
    }
}

impl PartialEq for Item {
    fn eq(&self, other: &Item) -> bool {
        let Item { repeat, word, branches, arguments, span: _, word_span: _, text: _ } = self;
        *repeat == other.repeat && *word == other.word && *branches == other.branches && *arguments == other.arguments
    }
}

impl PartialEq for Argument {
    fn eq(&self, other: &Argument) -> bool {
        let Argument { key, value, span: _, value_span: _ } = self;
        *key == other.key && *value == other.value
    }
}

impl FromStr for Network {
    type Err = NotationError;

    fn from_str(text: &str) -> Result<Network, NotationError> {
        Network::parse(text)
    }
}

impl TryFrom<String> for Network {
    type Error = NotationError;

    fn try_from(text: String) -> Result<Network, NotationError> {
        Network::parse(&text)
    }
}

impl From<Network> for String {
    fn from(network: Network) -> String {
        network.to_string()
    }
}

/// Whether `text` is a `name` of the grammar.
pub(super) fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-')
}

/// The text in quotation marks, shortened so that a message stays a message.
pub(super) fn quoted(text: &str) -> String {
    const MOST: usize = 40;
    if text.chars().count() <= MOST {
        return format!("'{}'", text.escape_debug());
    }
    let start: String = text.chars().take(MOST).collect();
    format!("'{}…'", start.escape_debug())
}
