//! Where words go: results to standard output, notes to the standard error stream, and one JSON object alone if asked.

use std::io::{ErrorKind, Write, stdout};
use std::path::Path;

use pellucid::model::atomic::write_atomically;
use serde_json::Value;

use crate::args::Look;
use crate::error::{Failure, Outcome};
use crate::terminal::{Ink, Screen};

/// The two streams of a command.
#[derive(Clone, Copy, Debug)]
pub struct Say {
    look: Look,
    /// Properties of the standard output.
    pub screen: Screen,
}

impl Say {
    /// As the flags say.
    pub fn new(look: Look) -> Say {
        Say { look, screen: Screen::stdout(look.ascii) }
    }

    /// A result: always shown, but for `--json`.
    ///
    /// # Errors
    /// Standard output cannot be written, other than by being closed.
    pub fn result(&self, text: &str) -> Outcome<()> {
        if self.look.json { Ok(()) } else { print(text) }
    }

    /// Something to know beforehand: not shown if quiet.
    ///
    /// # Errors
    /// As [`Say::result`].
    pub fn head(&self, text: &str) -> Outcome<()> {
        if self.look.quiet { Ok(()) } else { self.result(text) }
    }

    /// Facts as `name   value` lines; long values are wrapped below their beginning.
    pub fn facts(&self, facts: &[(String, String)]) -> String {
        let width = facts.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0) + 2;
        let room = self.screen.width.saturating_sub(width).max(20);
        let mut out = String::new();
        for (name, value) in facts {
            let mut lead =
                format!("{}{}", self.screen.paint(Ink::Faint, name), " ".repeat(width - name.chars().count()));
            for line in wrap(&self.screen.clean(value), room) {
                out.push_str(&format!("{lead}{line}\n"));
                lead = " ".repeat(width);
            }
        }
        out
    }

    /// Notes on the standard error stream; not shown if quiet.
    pub fn notes(&self, notes: &[String]) {
        const MOST: usize = 12;
        if self.look.quiet {
            return;
        }
        let screen = Screen::stderr(self.look.ascii);
        for note in notes.iter().take(MOST) {
            eprintln!("{} {}", screen.paint(Ink::Faint, "note:"), screen.clean(note));
        }
        if notes.len() > MOST {
            eprintln!("{} {} further notes", screen.paint(Ink::Faint, "note:"), notes.len() - MOST);
        }
    }

    /// The object of `--json`, if asked for.
    ///
    /// # Errors
    /// As [`Say::result`].
    pub fn json(&self, object: &Value) -> Outcome<()> {
        if self.look.json { print(&format!("{object}\n")) } else { Ok(()) }
    }
}

/// Writes a whole file, or to the standard output.
///
/// # Errors
/// The file or standard output cannot be written, other than by being closed.
pub fn write_out(path: Option<&Path>, text: &[u8]) -> Outcome<()> {
    match path {
        Some(path) => write_atomically(path, |file| file.write_all(text)).map_err(Failure::from),
        None => print_bytes(text),
    }
}

fn print(text: &str) -> Outcome<()> {
    print_bytes(text.as_bytes())
}

/// Writes to the standard output. A reader that has gone away (`| head`) is no error.
fn print_bytes(text: &[u8]) -> Outcome<()> {
    let mut out = stdout().lock();
    match out.write_all(text).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

/// The words of `text` in lines of at most `width` characters; longer words stay whole.
pub fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let line = lines.last_mut().expect("at least one line");
        if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > width {
            lines.push(word.to_string());
        } else {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_values_are_wrapped_at_words() {
        assert_eq!(wrap("a bb ccc dddd", 5), ["a bb", "ccc", "dddd"]);
        assert_eq!(wrap("toolongaword b", 5), ["toolongaword", "b"]);
        assert_eq!(wrap("", 5), [""]);
    }
}
