//! Text to tree. Recursive descent, one token ahead; the depth is limited, so the stack is.

use std::sync::Arc;

use super::ast::{Argument, Item, Network, Value, Word, is_name, quoted};
use super::{MAX_ARGUMENTS, MAX_DEPTH, MAX_LAYERS, MAX_NUMBERS, MAX_SIZE, MAX_TEXT, NotationError, Span};

pub(super) fn parse(text: &str) -> Result<Network, NotationError> {
    if text.len() > MAX_TEXT {
        let message = format!("the network has {} bytes of text, at most {MAX_TEXT} are read", text.len());
        return Err(NotationError::new("", Span::default(), message));
    }
    let mut parser = Parser { text: Arc::from(text), position: 0, token: Token::End, span: Span::default() };
    parser.advance();
    if parser.token == Token::End {
        return Err(parser
            .error("the network is empty")
            .suggest("write layers, for example: dense 64 relu -> dense 10"));
    }
    let (network, _) = parser.network(0)?;
    match parser.token {
        Token::End => Ok(network),
        Token::Close => Err(parser.error("')' without a '(' before it")),
        Token::Comma => Err(parser.error("',' outside of parentheses").suggest("layers are joined by '->'")),
        _ => Err(parser.error("'->' is missing here")),
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token {
    Arrow,
    Open,
    Close,
    Comma,
    Star,
    /// Anything else between white space: number, size, word or option.
    Text,
    End,
}

struct Parser {
    text: Arc<str>,
    /// Where the token after the current one is looked for.
    position: usize,
    token: Token,
    span: Span,
}

impl Parser {
    fn advance(&mut self) {
        let rest = &self.text[self.position..];
        let start = self.position + (rest.len() - rest.trim_start().len());
        let rest = &self.text[start..];
        let (token, length) = match rest.as_bytes() {
            [] => (Token::End, 0),
            [b'-', b'>', ..] => (Token::Arrow, 2),
            [b'(', ..] => (Token::Open, 1),
            [b')', ..] => (Token::Close, 1),
            [b',', ..] => (Token::Comma, 1),
            [b'*', ..] => (Token::Star, 1),
            _ => (Token::Text, text_length(rest)),
        };
        self.token = token;
        self.span = Span { start, end: start + length };
        self.position = start + length;
    }

    fn word(&self) -> &str {
        &self.text[self.span.start..self.span.end]
    }

    fn error(&self, message: impl Into<String>) -> NotationError {
        self.error_at(self.span, message)
    }

    fn error_at(&self, span: Span, message: impl Into<String>) -> NotationError {
        NotationError::new(self.text.clone(), span, message)
    }

    /// A network up to what cannot continue it, with its number of layers.
    fn network(&mut self, depth: usize) -> Result<(Network, usize), NotationError> {
        let mut items = Vec::new();
        let mut layers = 0usize;
        loop {
            let (item, count) = self.item(depth)?;
            layers = layers.saturating_add(count);
            if layers > MAX_LAYERS {
                let message = format!("more than {MAX_LAYERS} layers, counted with their repetitions");
                return Err(self.error_at(item.span, message));
            }
            items.push(item);
            if self.token != Token::Arrow {
                return Ok((Network { items }, layers));
            }
            self.advance();
        }
    }

    /// An item, with the number of layers that it stands for.
    fn item(&mut self, depth: usize) -> Result<(Item, usize), NotationError> {
        let start = self.span.start;
        let (repeat, repeated) = self.repeat()?;
        let word_span = self.span;
        let word = match self.token {
            Token::Open => String::new(),
            Token::Text => {
                let word = self.layer_name(repeated)?;
                self.advance();
                word
            }
            Token::Star => return Err(self.error("a number is missing before '*'").suggest("as in 3 * dense 64 relu")),
            _ => return Err(self.error("a layer is missing here")),
        };
        let mut end = word_span.end;
        let mut layers = usize::from(!word.is_empty());
        let mut branches = Vec::new();
        if self.token == Token::Open {
            let inside;
            (branches, inside, end) = self.parentheses(depth, word.is_empty())?;
            layers = layers.saturating_add(inside);
        }
        let mut arguments: Vec<Argument> = Vec::new();
        while self.token == Token::Text {
            if word.is_empty() {
                return Err(self.error("a group takes no arguments").suggest("'->' is missing here"));
            }
            if arguments.len() == MAX_ARGUMENTS {
                return Err(self.error(format!("more than {MAX_ARGUMENTS} arguments for one layer")));
            }
            let argument = self.argument()?;
            if argument.key.is_some() && arguments.iter().any(|other| other.key == argument.key) {
                let message = format!("option {} is given twice", quoted(argument.key().unwrap_or("")));
                return Err(self.error(message));
            }
            arguments.push(argument);
            end = self.span.end;
            self.advance();
        }
        match self.token {
            Token::Open if !arguments.is_empty() => {
                return Err(self
                    .error("'(' belongs directly behind the layer's name")
                    .suggest("as in residual(dense 8)"));
            }
            Token::Star => return Err(self.error("'*' inside a layer").suggest("'->' is missing before the count")),
            _ => {}
        }
        let layers = layers.saturating_mul(repeat);
        let span = Span { start, end };
        let text = Some(self.text.clone());
        Ok((Item { repeat, word, branches, arguments, span, word_span, text }, layers))
    }

    /// `3 *`, if it stands here: the count and whether there was one.
    fn repeat(&mut self) -> Result<(usize, bool), NotationError> {
        if self.token != Token::Text || !self.text[self.position..].trim_start().starts_with('*') {
            return Ok((1, false));
        }
        let count = match self.word().parse::<usize>() {
            Ok(count) if (1..=MAX_LAYERS).contains(&count) => count,
            _ => {
                let message =
                    format!("a repeat count is a whole number from 1 to {MAX_LAYERS}, not {}", quoted(self.word()));
                return Err(self.error(message));
            }
        };
        self.advance();
        self.advance();
        if self.token == Token::Text && self.text[self.position..].trim_start().starts_with('*') {
            return Err(self.error("a second repeat count").suggest("write one count, or nest: 3 * (2 * dense 8)"));
        }
        Ok((count, true))
    }

    /// The current text as the name of a layer.
    fn layer_name(&self, repeated: bool) -> Result<String, NotationError> {
        let word = self.word();
        if is_name(word) {
            return Ok(word.to_string());
        }
        if let Some(error) = self.foreign_character() {
            return Err(error);
        }
        let error = self.error(format!("a layer's name is expected, not {}", quoted(word)));
        let number = word.bytes().all(|byte| byte.is_ascii_digit());
        Err(if number && !repeated { error.suggest(format!("as in dense {}", shortened(word))) } else { error })
    }

    /// `(network, network)`: the networks, their layers and the end of the parentheses.
    fn parentheses(&mut self, depth: usize, group: bool) -> Result<(Vec<Network>, usize, usize), NotationError> {
        let open = self.span;
        if depth == MAX_DEPTH {
            return Err(self.error(format!("parentheses are nested deeper than {MAX_DEPTH}")));
        }
        let mut branches = Vec::new();
        let mut layers = 0usize;
        loop {
            self.advance();
            let (network, count) = self.network(depth + 1)?;
            layers = layers.saturating_add(count);
            branches.push(network);
            match self.token {
                Token::Close => break,
                Token::Comma if group => {
                    let error = self.error("a group has one branch");
                    return Err(error.suggest("name a layer before the '(', as in concat(dense 8, dense 4)"));
                }
                Token::Comma if branches.len() == MAX_ARGUMENTS => {
                    return Err(self.error(format!("more than {MAX_ARGUMENTS} branches")));
                }
                Token::Comma => {}
                Token::End => return Err(self.error_at(open, "'(' is never closed").suggest("')' is missing")),
                _ => return Err(self.error("'->' is missing here")),
            }
        }
        let end = self.span.end;
        self.advance();
        Ok((branches, layers, end))
    }

    /// The current text as an argument.
    fn argument(&self) -> Result<Argument, NotationError> {
        let word = self.word();
        let Some(equals) = word.find('=') else {
            return Ok(Argument { key: None, value: self.value(self.span)?, span: self.span, value_span: self.span });
        };
        let (key, value) = (&word[..equals], &word[equals + 1..]);
        let value_span = Span { start: self.span.start + equals + 1, end: self.span.end };
        if key.is_empty() || value.is_empty() {
            let error = match self.foreign_character() {
                Some(error) => error,
                None => self
                    .error(format!("{} has a name or a value missing", quoted(word)))
                    .suggest("an option is written key=value, without spaces"),
            };
            return Err(error);
        }
        if !is_name(key) {
            let span = Span { start: self.span.start, end: self.span.start + equals };
            return Err(self.error_at(span, format!("{} is not the name of an option", quoted(key))));
        }
        Ok(Argument { key: Some(key.to_string()), value: self.value(value_span)?, span: self.span, value_span })
    }

    /// The text at `span` as a number, size or word.
    fn value(&self, span: Span) -> Result<Value, NotationError> {
        let text = &self.text[span.start..span.end];
        let fail = |message: String| self.error_at(span, message);
        if let Some(sizes) = self.sizes(text, span)? {
            return Ok(Value::Size(sizes));
        }
        if text.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c)) {
            if let Some(number) = number(text) {
                return if number.is_finite() {
                    Ok(Value::Number(number))
                } else {
                    Err(fail(format!("the number {} is too large", quoted(text))))
                };
            }
        } else {
            let mut parts = text.split(':');
            let name = parts.next().unwrap_or("");
            if is_name(name) {
                let mut numbers = Vec::new();
                for part in parts {
                    match number(part) {
                        Some(number) if number.is_finite() && numbers.len() < MAX_NUMBERS => numbers.push(number),
                        Some(number) if number.is_finite() => {
                            return Err(fail(format!("more than {MAX_NUMBERS} numbers behind '{}'", shortened(name))));
                        }
                        _ => {
                            let error = fail(format!("{} is not a number", quoted(part)));
                            return Err(error.suggest("numbers behind a word are written as in uniform:-0.1:0.1"));
                        }
                    }
                }
                return Ok(Value::Word(Word { name: name.to_string(), numbers }));
            }
        }
        Err(self.foreign_character().unwrap_or_else(|| {
            fail(format!("cannot read {}", quoted(text))).suggest("a number, a size like 3x3, a word or key=value")
        }))
    }

    /// `AxB…` if the text has that form.
    fn sizes(&self, text: &str, span: Span) -> Result<Option<Vec<usize>>, NotationError> {
        let form = text.contains('x')
            && text.split('x').all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()));
        if !form {
            return Ok(None);
        }
        let mut sizes = Vec::new();
        for part in text.split('x') {
            match part.parse::<usize>() {
                Ok(size) if size <= MAX_SIZE => sizes.push(size),
                _ => return Err(self.error_at(span, format!("{} is larger than {MAX_SIZE}", quoted(part)))),
            }
            if sizes.len() > MAX_NUMBERS {
                return Err(self.error_at(span, format!("a size of more than {MAX_NUMBERS} numbers")));
            }
        }
        Ok(Some(sizes))
    }

    /// The error for signs that stand for `->` or `x` elsewhere, if the current text has one.
    fn foreign_character(&self) -> Option<NotationError> {
        let word = self.word();
        if word.contains('×') {
            return Some(self.error(format!("cannot read {}", quoted(word))).suggest("sizes are written 3x3"));
        }
        let arrow = word.contains(['→', '⇒', '➜', '>', '|', ';']) || word == "-" || word == "--";
        arrow.then(|| self.error(format!("cannot read {}", quoted(word))).suggest("layers are joined by '->'"))
    }
}

/// Bytes up to white space or the next sign of the grammar; at least one character.
fn text_length(rest: &str) -> usize {
    let stop = |(at, c): &(usize, char)| {
        c.is_whitespace() || matches!(c, '(' | ')' | ',' | '*') || rest[*at..].starts_with("->")
    };
    rest.char_indices().find(stop).map_or(rest.len(), |(at, _)| at)
}

/// A decimal number; `None` for other text, also for `inf`, `nan` and what only Rust would read.
fn number(text: &str) -> Option<f64> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit() || b".eE+-".contains(&byte));
    if digits { text.parse().ok() } else { None }
}

fn shortened(text: &str) -> String {
    text.chars().take(20).collect()
}
