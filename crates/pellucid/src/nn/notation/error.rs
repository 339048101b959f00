//! A mistake in a network's notation, with its place.

use std::fmt;
use std::sync::Arc;

/// A stretch of the text, in bytes: `start` up to and without `end`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// First byte.
    pub start: usize,
    /// The byte after the last one; equal to `start` for a place between two bytes.
    pub end: usize,
}

/// What is wrong, where, and what may have been meant.
///
/// `Display` gives one line; [`NotationError::render`] shows the place in the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotationError {
    message: String,
    text: Arc<str>,
    span: Span,
    suggestion: Option<String>,
    notes: Vec<String>,
}

/// Longest piece of the line that is shown, in characters.
const WINDOW: usize = 100;

impl NotationError {
    /// An error about `span` of `text`; a message in lower case without a final dot.
    pub fn new(text: impl Into<Arc<str>>, span: Span, message: impl Into<String>) -> NotationError {
        NotationError { message: message.into(), text: text.into(), span, suggestion: None, notes: Vec::new() }
    }

    /// Adds what is shown beside the marked place, usually `did you mean 'dense'?`.
    pub fn suggest(mut self, suggestion: impl Into<String>) -> NotationError {
        self.suggestion = Some(suggestion.into());
        self
    }

    /// Adds `did you mean '…'?` if there is a name to offer.
    pub fn did_you_mean(self, name: Option<&str>) -> NotationError {
        match name {
            Some(name) => self.suggest(format!("did you mean '{name}'?")),
            None => self,
        }
    }

    /// Adds a line below the place, for example `shape here: [batch, 64]`.
    pub fn note(mut self, note: impl Into<String>) -> NotationError {
        self.notes.push(note.into());
        self
    }

    /// What is wrong, without place and suggestion.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The whole text that was read.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The marked place in [`NotationError::text`].
    pub fn span(&self) -> Span {
        self.span
    }

    /// What may have been meant.
    pub fn suggestion(&self) -> Option<&str> {
        self.suggestion.as_deref()
    }

    /// Further remarks, for example the shapes at this point.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Several lines without colours and without a final line end:
    ///
    /// ```text
    /// error: unknown layer 'dens'
    ///   dense 128 relu -> dens 10
    ///                     ^^^^ did you mean 'dense'?
    ///   shape here: [batch, 128]
    /// ```
    ///
    /// Of a text of several lines the one with the mistake is shown, of a very long line the part around it. Control
    /// characters are shown as `�`.
    pub fn render(&self) -> String {
        let (line, mark, width) = self.shown_line();
        let mut out = format!("error: {}\n  {line}\n  {}{}", self.message, " ".repeat(mark), "^".repeat(width));
        if let Some(suggestion) = &self.suggestion {
            out.push(' ');
            out.push_str(suggestion);
        }
        for note in &self.notes {
            out.push_str("\n  ");
            out.push_str(note);
        }
        out
    }

    /// The visible part of the line, where the mark starts in it and how long it is, both in characters.
    fn shown_line(&self) -> (String, usize, usize) {
        let start = floor_char(&self.text, self.span.start);
        let end = floor_char(&self.text, self.span.end).max(start);
        let line_start = self.text[..start].rfind('\n').map_or(0, |at| at + 1);
        let line_end = self.text[start..].find('\n').map_or(self.text.len(), |at| start + at);
        let mut mark = self.text[line_start..start].chars().count();
        let width = self.text[start..end.min(line_end)].chars().count();
        let shown = |c: char| match c {
            '\t' => ' ',
            c if c.is_control() => char::REPLACEMENT_CHARACTER,
            c => c,
        };
        let line: Vec<char> = self.text[line_start..line_end].trim_end().chars().map(shown).collect();
        if line.len() <= WINDOW {
            return (line.into_iter().collect(), mark, width.max(1));
        }
        let first = mark.saturating_sub(WINDOW / 2).min(line.len() - WINDOW);
        let last = first + WINDOW;
        let mut piece: String = line[first..last].iter().collect();
        mark -= first;
        if first > 0 {
            piece.insert_str(0, "… ");
            mark += 2;
        }
        if last < line.len() {
            piece.push_str(" …");
        }
        let room = piece.chars().count().saturating_sub(mark);
        (piece, mark, width.min(room).max(1))
    }
}

impl fmt::Display for NotationError {
    /// `unknown layer 'dens' at column 19: did you mean 'dense'?`; columns count characters of the line, from 1.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let before = &self.text[..floor_char(&self.text, self.span.start)];
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
        write!(out, "{} at ", self.message)?;
        if self.text.contains('\n') {
            write!(out, "line {line}, ")?;
        }
        write!(out, "column {column}")?;
        match &self.suggestion {
            Some(suggestion) => write!(out, ": {suggestion}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for NotationError {}

/// The last character border at or before `at`.
fn floor_char(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_is_marked_under_the_line() {
        let error =
            NotationError::new("dense 128 relu -> dens 10", Span { start: 18, end: 22 }, "unknown layer 'dens'")
                .did_you_mean(Some("dense"))
                .note("shape here: [batch, 128]");
        let expected = "error: unknown layer 'dens'\n  dense 128 relu -> dens 10\n                    ^^^^ did you mean \
                        'dense'?\n  shape here: [batch, 128]";
        assert_eq!(error.render(), expected);
        assert_eq!(error.to_string(), "unknown layer 'dens' at column 19: did you mean 'dense'?");
    }

    #[test]
    fn columns_count_characters_and_only_the_line_is_shown() {
        let text = "dense 8\n-> düns 3\n-> dense 1";
        let start = text.find("düns").expect("it is there");
        let error = NotationError::new(text, Span { start, end: start + "düns".len() }, "unknown layer 'düns'");
        assert_eq!(error.render(), "error: unknown layer 'düns'\n  -> düns 3\n     ^^^^");
        assert_eq!(error.to_string(), "unknown layer 'düns' at line 2, column 4");
    }

    #[test]
    fn a_long_line_is_cut_around_the_place() {
        let text = format!("{}dens 10{}", "relu -> ".repeat(1000), " -> relu".repeat(1000));
        let error = NotationError::new(text, Span { start: 8000, end: 8004 }, "unknown layer 'dens'");
        let rendered = error.render();
        let lines: Vec<&str> = rendered.lines().collect();
        assert!(lines[1].chars().count() <= WINDOW + 6, "{rendered}");
        let mark = lines[2].find('^').expect("a mark");
        let marked: String = lines[1].chars().skip(mark).take(4).collect();
        assert_eq!((marked.as_str(), lines[2].trim()), ("dens", "^^^^"));
    }

    #[test]
    fn spans_outside_the_text_or_inside_a_character_do_not_panic() {
        for (start, end) in [(0, 0), (1, 1), (1, 2), (99, 120), (2, 1), (3, 3)] {
            let error = NotationError::new("ü\u{1b}→", Span { start, end }, "odd");
            assert!(error.render().contains('^') && !error.render().contains('\u{1b}'));
            assert!(error.to_string().starts_with("odd at column "));
        }
    }
}
