//! What the stream can show: width, characters, colours.

use std::env;
use std::io::{IsTerminal, stderr, stdout};

use crate::format::is_unsafe_to_show;

/// Properties of the stream that text is made for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Screen {
    /// Columns, 40…120.
    pub width: usize,
    /// Whether characters beyond ASCII may be used.
    pub unicode: bool,
    /// Whether colours may be used.
    pub color: bool,
    /// Whether a person watches: lines may be redrawn.
    pub terminal: bool,
}

/// Colours by what they mean.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Ink {
    /// Headings.
    Strong,
    /// Rules, axes, units.
    Faint,
    /// The training curve; right predictions.
    Train,
    /// The validation curve.
    Validation,
    /// Mistakes and warnings.
    Wrong,
}

impl Screen {
    /// The standard output of this process; `ascii` forbids other characters.
    pub fn stdout(ascii: bool) -> Screen {
        let width = console::Term::stdout().size_checked().map(|(_, columns)| usize::from(columns));
        Screen::from_facts(stdout().is_terminal(), width, ascii, |name| env::var(name).ok())
    }

    /// The standard error stream of this process; `ascii` forbids other characters.
    pub fn stderr(ascii: bool) -> Screen {
        let width = console::Term::stderr().size_checked().map(|(_, columns)| usize::from(columns));
        Screen::from_facts(stderr().is_terminal(), width, ascii, |name| env::var(name).ok())
    }

    /// Decides from plain facts: whether the stream is a terminal, its width if known, and the environment.
    ///
    /// Colours need a terminal that is not `TERM=dumb`, and no `NO_COLOR` (<https://no-color.org>: set and not empty).
    /// Characters are Unicode unless the first of `LC_ALL`, `LC_CTYPE`, `LANG` that is set names another character set, or
    /// the terminal is one without such glyphs (`linux`, the text console, and `dumb`). An environment that says nothing
    /// about its locale, as in most containers, is taken for UTF-8.
    pub fn from_facts(
        terminal: bool,
        width: Option<usize>,
        ascii: bool,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Screen {
        let set = |name: &str| variable(name).filter(|value| !value.is_empty());
        let kind = set("TERM").unwrap_or_default();
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(set);
        let utf8 = locale.is_none_or(|locale| {
            let locale = locale.to_ascii_lowercase();
            locale.contains("utf-8") || locale.contains("utf8")
        });
        let columns = || set("COLUMNS").and_then(|value| value.parse().ok());
        Screen {
            width: width.or_else(columns).unwrap_or(80).clamp(40, 120),
            unicode: !ascii && utf8 && !(terminal && matches!(kind.as_str(), "linux" | "dumb")),
            color: terminal && kind != "dumb" && set("NO_COLOR").is_none(),
            terminal,
        }
    }

    /// `text` in the colour of its meaning, or as it is where there are no colours.
    pub fn paint(&self, ink: Ink, text: &str) -> String {
        if !self.color || text.is_empty() {
            return text.to_string();
        }
        let code = match ink {
            Ink::Strong => "1",
            Ink::Faint => "2",
            Ink::Train => "34",
            Ink::Validation => "33",
            Ink::Wrong => "31",
        };
        format!("\x1b[{code}m{text}\x1b[0m")
    }

    /// A foreign text (a class, a column) made safe: no control characters that would steer the terminal, and nothing but
    /// ASCII where there is nothing else.
    pub fn clean(&self, text: &str) -> String {
        let shown = |symbol: char| !is_unsafe_to_show(symbol) && (self.unicode || symbol.is_ascii());
        text.chars().map(|symbol| if shown(symbol) { symbol } else { '?' }).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn screen(terminal: bool, variables: &[(&str, &str)]) -> Screen {
        let find = |name: &str| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| value.to_string());
        Screen::from_facts(terminal, None, false, find)
    }

    #[test]
    fn colours_need_a_terminal_and_no_objection() {
        assert!(screen(true, &[("TERM", "xterm")]).color);
        assert!(screen(true, &[("NO_COLOR", "")]).color, "an empty NO_COLOR counts as unset");
        assert!(!screen(true, &[("NO_COLOR", "1")]).color);
        assert!(!screen(true, &[("TERM", "dumb")]).color);
        assert!(!screen(false, &[("TERM", "xterm")]).color);
        assert_eq!(screen(false, &[]).paint(Ink::Wrong, "x"), "x");
        assert_eq!(screen(true, &[]).paint(Ink::Wrong, "x"), "\x1b[31mx\x1b[0m");
    }

    #[test]
    fn the_locale_decides_on_characters() {
        for (variables, unicode) in [
            (&[("LANG", "de_DE.UTF-8")][..], true),
            (&[("LANG", "de_DE.UTF-8"), ("LC_ALL", "C")][..], false),
            (&[("LANG", "C"), ("LC_CTYPE", "en_US.utf8")][..], true),
            (&[("LANG", "C.UTF-8"), ("TERM", "linux")][..], false),
            (&[][..], true),
        ] {
            assert_eq!(screen(true, variables).unicode, unicode, "{variables:?}");
        }
        assert!(!Screen::from_facts(true, None, true, |_| None).unicode);
    }

    #[test]
    fn the_width_stays_within_what_can_be_laid_out() {
        assert_eq!(screen(false, &[]).width, 80);
        assert_eq!(screen(false, &[("COLUMNS", "100")]).width, 100);
        assert_eq!(Screen::from_facts(true, Some(7), false, |_| None).width, 40);
        assert_eq!(Screen::from_facts(true, Some(500), false, |_| None).width, 120);
    }

    #[test]
    fn foreign_text_cannot_steer_the_terminal() {
        let screen = screen(false, &[]);
        assert_eq!(screen.clean("a\x1b]0;title\x07\nb\u{9b}1mü"), "a?]0;title??b?1mü");
        assert_eq!(Screen { unicode: false, ..screen }.clean("ü→x"), "??x");
    }
}
