//! The regular expressions that files of tokenizers are written with: literals, classes (`[^\s\p{L}]`), `\s`, `\w`, `\d`, `\p{…}`,
//! repetition of single characters, groups that are there once or not, alternatives and a look ahead. The first alternative
//! that fits is taken, the longest repetition first, as in Oniguruma, which those files are made for. All else is refused.
//!
//! No group is repeated, so a match goes no deeper than its pattern is long.

use unicode_properties::{GeneralCategory, UnicodeGeneralCategory};

use super::character;

/// How byte-level tokenizers cut a text, unless they say something else: contractions, words, numbers and the rest, each with a
/// space before it, and white space (Radford et al., "Language models are unsupervised multitask learners", 2019).
pub(super) const BYTE_LEVEL: &str = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";

/// Words, and runs of what is neither a word nor white space.
pub(super) const WORDS: &str = r"\w+|[^\w\s]+";

/// Groups in groups, at most.
const DEEPEST: usize = 32;

/// A pattern that was read.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Pattern {
    alternatives: Vec<Vec<Node>>,
}

#[derive(Clone, Debug, PartialEq)]
enum Node {
    /// A character of a class, so many times.
    Characters { class: Class, least: usize, most: usize },
    /// One of the alternatives, or, if it is optional, none.
    Group { alternatives: Vec<Vec<Node>>, optional: bool },
    /// One of the alternatives would fit here, or, if it is negative, none.
    Ahead { alternatives: Vec<Vec<Node>>, negative: bool },
}

#[derive(Clone, Debug, Default, PartialEq)]
struct Class {
    parts: Vec<Part>,
    negative: bool,
}

#[derive(Clone, Debug, PartialEq)]
enum Part {
    Range(char, char),
    Space {
        negative: bool,
    },
    Word {
        negative: bool,
    },
    Digit {
        negative: bool,
    },
    /// General categories that begin so: `L`, `Lu`, `N`, …
    Category {
        name: String,
        negative: bool,
    },
    Any,
}

impl Class {
    fn of(part: Part) -> Class {
        Class { parts: vec![part], negative: false }
    }

    fn has(&self, symbol: char) -> bool {
        self.parts.iter().any(|part| part.has(symbol)) != self.negative
    }
}

impl Part {
    fn has(&self, symbol: char) -> bool {
        match self {
            Part::Range(first, last) => (*first..=*last).contains(&symbol),
            Part::Space { negative } => symbol.is_whitespace() != *negative,
            Part::Word { negative } => character::is_word(symbol) != *negative,
            Part::Digit { negative } => (symbol.general_category() == GeneralCategory::DecimalNumber) != *negative,
            Part::Category { name, negative } => {
                character::abbreviation(symbol).starts_with(name.as_str()) != *negative
            }
            Part::Any => symbol != '\n',
        }
    }
}

/// What has to fit behind the nodes of a group.
struct Next<'a> {
    nodes: &'a [Node],
    then: Option<&'a Next<'a>>,
}

impl Pattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// What is not known, with its place.
    pub fn new(text: &str) -> Result<Pattern, String> {
        let symbols: Vec<char> = text.chars().collect();
        let mut parser = Parser { symbols: &symbols, at: 0, any_case: false, depth: 0 };
        let alternatives = parser.alternatives()?;
        match parser.peek() {
            Some(_) => Err(parser.unknown()),
            None => Ok(Pattern { alternatives }),
        }
    }

    /// Bytes of the match that `text` begins with, if there is one.
    pub fn begins(&self, text: &str) -> Option<usize> {
        self.alternatives.iter().find_map(|nodes| end(nodes, None, text, 0))
    }
}

/// Where a match of `nodes` and what is behind them ends that begins at `at`.
fn end(nodes: &[Node], then: Option<&Next>, text: &str, at: usize) -> Option<usize> {
    let Some((node, rest)) = nodes.split_first() else {
        return match then {
            Some(next) => end(next.nodes, next.then, text, at),
            None => Some(at),
        };
    };
    match node {
        Node::Characters { class, least, most } => {
            let fitting = text[at..].chars().take(*most).take_while(|symbol| class.has(*symbol));
            let (mut count, mut behind) =
                fitting.fold((0, at), |(count, at), symbol| (count + 1, at + symbol.len_utf8()));
            while count >= *least {
                if let Some(found) = end(rest, then, text, behind) {
                    return Some(found);
                }
                count = count.checked_sub(1)?;
                behind -= text[..behind].chars().next_back().map_or(0, char::len_utf8);
            }
            None
        }
        Node::Group { alternatives, optional } => {
            let next = Next { nodes: rest, then };
            let found = alternatives.iter().find_map(|nodes| end(nodes, Some(&next), text, at));
            found.or_else(|| if *optional { end(rest, then, text, at) } else { None })
        }
        Node::Ahead { alternatives, negative } => {
            let fits = alternatives.iter().any(|nodes| end(nodes, None, text, at).is_some());
            if fits != *negative { end(rest, then, text, at) } else { None }
        }
    }
}

struct Parser<'a> {
    symbols: &'a [char],
    at: usize,
    any_case: bool,
    /// Groups around the place.
    depth: usize,
}

impl Parser<'_> {
    fn peek(&self) -> Option<char> {
        self.symbols.get(self.at).copied()
    }

    fn take(&mut self, text: &str) -> bool {
        let length = text.chars().count();
        let there = self.symbols[self.at..].iter().take(length).copied().eq(text.chars());
        self.at += if there { length } else { 0 };
        there
    }

    fn unknown(&self) -> String {
        match self.peek() {
            Some(symbol) => format!("'{symbol}', character {} of the pattern, is not known there", self.at + 1),
            None => "the pattern ends too early".to_string(),
        }
    }

    fn alternatives(&mut self) -> Result<Vec<Vec<Node>>, String> {
        let mut alternatives = vec![Vec::new()];
        while let Some(symbol) = self.peek().filter(|symbol| *symbol != ')') {
            if symbol == '|' {
                self.at += 1;
                alternatives.push(Vec::new());
            } else {
                let node = self.node()?;
                alternatives.last_mut().expect("one at least").push(node);
            }
        }
        Ok(alternatives)
    }

    fn node(&mut self) -> Result<Node, String> {
        if self.take("(?!") || self.take("(?=") {
            let negative = self.symbols[self.at - 1] == '!';
            return Ok(Node::Ahead { alternatives: self.group()?, negative });
        }
        if self.take("(") {
            let outer = self.any_case;
            if self.take("?i:") {
                self.any_case = true;
            } else {
                self.take("?:");
            }
            let alternatives = self.group()?;
            self.any_case = outer;
            let optional = self.take("?");
            return Ok(Node::Group { alternatives, optional });
        }
        let class = self.class()?;
        let (least, most) = self.repetition()?;
        Ok(Node::Characters { class, least, most })
    }

    fn group(&mut self) -> Result<Vec<Vec<Node>>, String> {
        if self.depth == DEEPEST {
            return Err(format!("more than {DEEPEST} groups lie in each other"));
        }
        self.depth += 1;
        let alternatives = self.alternatives()?;
        self.depth -= 1;
        if self.take(")") { Ok(alternatives) } else { Err(self.unknown()) }
    }

    fn repetition(&mut self) -> Result<(usize, usize), String> {
        for (text, least, most) in [("?", 0, 1), ("*", 0, usize::MAX), ("+", 1, usize::MAX)] {
            if self.take(text) {
                return Ok((least, most));
            }
        }
        if !self.take("{") {
            return Ok((1, 1));
        }
        let least = self.number();
        let most = match (self.take(","), least) {
            (false, least) => least,
            (true, _) if self.peek() == Some('}') => Some(usize::MAX),
            (true, _) => self.number(),
        };
        match (least, most) {
            (Some(least), Some(most)) if least <= most && self.take("}") => Ok((least, most)),
            _ => Err(self.unknown()),
        }
    }

    fn number(&mut self) -> Option<usize> {
        let digits: String = self.symbols[self.at..].iter().take_while(|symbol| symbol.is_ascii_digit()).collect();
        self.at += digits.len();
        digits.parse().ok()
    }

    fn class(&mut self) -> Result<Class, String> {
        if self.take(".") {
            return Ok(Class::of(Part::Any));
        }
        if !self.take("[") {
            if self.peek().is_some_and(|symbol| "*+?{}()|^$]".contains(symbol)) {
                return Err(self.unknown());
            }
            let mut class = Class::default();
            self.part(&mut class)?;
            return Ok(class);
        }
        let mut class = Class { negative: self.take("^"), parts: Vec::new() };
        while !self.take("]") {
            if self.peek().is_none_or(|symbol| symbol == '[' || symbol == '&') {
                return Err(self.unknown());
            }
            self.part(&mut class)?;
        }
        Ok(class)
    }

    /// A character, a range of characters or an escape.
    fn part(&mut self, class: &mut Class) -> Result<(), String> {
        let first = match self.escaped()? {
            Ok(part) => {
                class.parts.push(part);
                return Ok(());
            }
            Err(symbol) => symbol,
        };
        let is_range = self.peek() == Some('-') && self.symbols.get(self.at + 1).is_some_and(|symbol| *symbol != ']');
        let in_class = self.symbols[..self.at].contains(&'[');
        let last = if is_range && in_class {
            self.at += 1;
            match self.escaped()? {
                Err(last) if last >= first => last,
                _ => return Err(self.unknown()),
            }
        } else {
            first
        };
        class.parts.push(Part::Range(first, last));
        if self.any_case && first == last {
            let other = |mut symbols: Box<dyn Iterator<Item = char>>| symbols.next().unwrap_or(first);
            for symbol in [other(Box::new(first.to_lowercase())), other(Box::new(first.to_uppercase()))] {
                class.parts.push(Part::Range(symbol, symbol));
            }
        }
        Ok(())
    }

    /// A class behind a backslash, or else a character.
    fn escaped(&mut self) -> Result<Result<Part, char>, String> {
        let Some(symbol) = self.peek() else { return Err(self.unknown()) };
        self.at += 1;
        if symbol != '\\' {
            return Ok(Err(symbol));
        }
        let Some(symbol) = self.peek() else { return Err(self.unknown()) };
        let negative = symbol.is_ascii_uppercase();
        let part = match symbol {
            's' | 'S' => Part::Space { negative },
            'w' | 'W' => Part::Word { negative },
            'd' | 'D' => Part::Digit { negative },
            'p' | 'P' => {
                self.at += 1;
                if !self.take("{") {
                    return Err(self.unknown());
                }
                let name: String = self.symbols[self.at..].iter().take_while(|symbol| **symbol != '}').collect();
                if !character::is_category(&name) {
                    return Err(self.unknown());
                }
                self.at += name.len();
                Part::Category { name, negative }
            }
            'r' | 'n' | 't' => {
                self.at += 1;
                return Ok(Err(match symbol {
                    'r' => '\r',
                    'n' => '\n',
                    _ => '\t',
                }));
            }
            symbol if !symbol.is_alphanumeric() => {
                self.at += 1;
                return Ok(Err(symbol));
            }
            _ => return Err(self.unknown()),
        };
        self.at += 1;
        Ok(Ok(part))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut<'a>(pattern: &str, text: &'a str) -> Vec<&'a str> {
        let pattern = Pattern::new(pattern).expect("a pattern");
        let mut rest = text;
        std::iter::from_fn(|| {
            let length = pattern.begins(rest).filter(|length| *length > 0)?;
            let (piece, behind) = rest.split_at(length);
            rest = behind;
            Some(piece)
        })
        .collect()
    }

    #[test]
    fn patterns_of_well_known_tokenizers_cut_as_they_should() {
        let text = "I'm sure:  you'LL pay 12345 €!\n\n ok  ";
        assert_eq!(
            cut(BYTE_LEVEL, text),
            ["I", "'m", " sure", ":", " ", " you", "'", "LL", " pay", " 12345", " €!", "\n\n", " ok", "  "]
        );
        let newer = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
        assert_eq!(
            cut(newer, text),
            ["I", "'m", " sure", ":", " ", " you", "'LL", " pay", " ", "123", "45", " €!\n\n", " ok", "  "]
        );
        assert_eq!(cut(WORDS, "a_1é…?"), ["a_1é", "…?"]);
    }

    #[test]
    fn repetitions_go_back_and_classes_have_ranges_and_exceptions() {
        assert_eq!(cut("a*ab|.", "aaabx"), ["aaab", "x"]);
        assert_eq!(cut("a{2}|a", "aaaaa"), ["aa", "aa", "a"]);
        assert_eq!(cut("(?:ab)?c|[^c]", "abcxc"), ["abc", "x", "c"]);
        assert_eq!(cut(r"[a-f\]\-]+|\PL|\p{Lu}".replace("\\PL", "\\P{L}").as_str(), "fa]-7Z"), ["fa]-", "7", "Z"]);
    }

    #[test]
    fn what_is_not_known_is_named_with_its_place() {
        for (text, message) in [
            ("a(?<=b)", "'?', character 3"),
            ("(a|b)*", "'*', character 6"),
            ("[a", "ends too early"),
            ("a{3,1}", "is not known there"),
            (r"\p{Greek}", "'G', character 4"),
            ("a|b)", "')', character 4"),
            ("x$", "'$', character 2"),
            (r"\bx", "'b', character 2"),
        ] {
            let error = Pattern::new(text).expect_err(text);
            assert!(error.contains(message), "{text}: {error}");
        }
        let deep = format!("{}a{}", "(".repeat(100_000), ")".repeat(100_000));
        assert!(Pattern::new(&deep).is_err());
    }
}
