//! What the CSV parser leaves open: spaces before quotes, runs of spaces, and where in the text a byte stands.

use std::borrow::Cow;

const QUOTE: u8 = b'"';

/// Walks through text and knows, at each byte, whether it stands inside quotes.
///
/// The rules are those of the `csv` crate: a quote opens a quoted field only as its first byte; inside, two quotes are
/// one; after the closing quote the field goes on unquoted up to the delimiter.
struct Walk {
    delimiter: u8,
    quoted: bool,
    /// At the first byte of a field.
    start: bool,
    /// The byte before was a quote that closes the field, or is the first of two.
    closing: bool,
}

impl Walk {
    fn new(delimiter: u8) -> Walk {
        Walk { delimiter, quoted: false, start: true, closing: false }
    }

    fn step(&mut self, byte: u8) {
        if self.quoted && self.closing {
            self.closing = false;
            if byte == QUOTE {
                return;
            }
            self.quoted = false;
        }
        if self.quoted {
            self.closing = byte == QUOTE;
        } else if self.start && byte == QUOTE {
            (self.quoted, self.start) = (true, false);
        } else {
            self.start = byte == self.delimiter || byte == b'\n' || byte == b'\r';
        }
    }

    /// Inside quotes, the closing quote not read yet.
    fn inside(&self) -> bool {
        self.quoted && !self.closing
    }
}

/// The text with blanks dropped where the parser would take them as part of the structure: before an opening quote
/// (`1, "a, b"`), and, where fields are separated by blanks, at both ends of a line and in runs.
pub(super) fn tidy(bytes: &[u8], delimiter: u8) -> Cow<'_, [u8]> {
    let blanks = delimiter == b' ';
    if !blanks && !blank_before_quote(bytes, delimiter) {
        return Cow::Borrowed(bytes);
    }
    let mut tidied = Vec::with_capacity(bytes.len());
    let mut walk = Walk::new(delimiter);
    for &byte in bytes {
        let mut byte = byte;
        if !walk.inside() {
            if blanks && byte == b'\t' {
                byte = b' ';
            }
            if walk.start && byte == b' ' {
                continue;
            }
            if blanks && (byte == b'\n' || byte == b'\r') && tidied.last() == Some(&b' ') {
                tidied.pop();
            }
        }
        tidied.push(byte);
        walk.step(byte);
    }
    if blanks && tidied.last() == Some(&b' ') {
        tidied.pop();
    }
    Cow::Owned(tidied)
}

fn blank_before_quote(bytes: &[u8], delimiter: u8) -> bool {
    bytes.iter().enumerate().any(|(at, &byte)| {
        byte == QUOTE && at > 0 && bytes[at - 1] == b' ' && {
            let before = bytes[..at].iter().rposition(|&byte| byte != b' ');
            before.is_none_or(|before| bytes[before] == delimiter || bytes[before] == b'\n')
        }
    })
}

/// Line and column of the table, both from 1, of the byte at `at`.
pub(super) fn place(bytes: &[u8], delimiter: u8, at: usize) -> (usize, usize) {
    let (mut line, mut column) = (1, 1);
    let mut walk = Walk::new(delimiter);
    for &byte in &bytes[..at] {
        walk.step(byte);
        if byte == b'\n' {
            line += 1;
        }
        if !walk.inside() && byte == delimiter {
            column += 1;
        } else if !walk.inside() && byte == b'\n' {
            column = 1;
        }
    }
    (line, column)
}

/// Length of the whole lines at the beginning of `bytes`: up to and with the last line end that no quotes hold.
pub(super) fn whole_lines(bytes: &[u8], delimiter: u8) -> usize {
    let mut walk = Walk::new(delimiter);
    let mut whole = 0;
    for (at, &byte) in bytes.iter().enumerate() {
        // Blanks before a quote are no part of the field; see `tidy`.
        if walk.start && byte == b' ' {
            continue;
        }
        walk.step(byte);
        if byte == b'\n' && !walk.inside() {
            whole = at + 1;
        }
    }
    whole
}

/// Where the quote stands that is still open at the end of `record`, the last one of a file: byte within the record.
pub(super) fn open_quote(record: &[u8], delimiter: u8) -> Option<usize> {
    let mut walk = Walk::new(delimiter);
    let mut opened = 0;
    for (at, &byte) in record.iter().enumerate() {
        let before = walk.quoted;
        walk.step(byte);
        if walk.quoted && !before {
            opened = at;
        }
    }
    walk.inside().then_some(opened)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blanks_before_quotes_and_in_runs_go_and_those_inside_quotes_stay() {
        let check = |text: &str, delimiter, tidied: &str| {
            assert_eq!(String::from_utf8_lossy(&tidy(text.as_bytes(), delimiter)), tidied);
        };
        check("a, b , c\n", b',', "a, b , c\n");
        check("1,  \"a,  b\",2\n \"x\"\" , \" , 3", b',', "1,\"a,  b\",2\n\"x\"\" , \" ,3");
        check(" 1.0   2\t 3  \r\n 4 \"a  b\" 6 ", b' ', "1.0 2 3\r\n4 \"a  b\" 6");
    }

    #[test]
    fn lines_are_whole_where_no_quotes_hold_their_end() {
        for (text, whole) in
            [("a,b\nc", 4), ("a, \"b\nc\nd", 0), ("a,\"b\nc\"\n\"\"\n\"x\n", 11), ("a\"\nb\n", 5), ("", 0)]
        {
            assert_eq!(whole_lines(text.as_bytes(), b','), whole, "{text:?}");
        }
    }

    #[test]
    fn an_open_quote_is_found_where_it_stands() {
        assert_eq!(open_quote(b"1,\"ab\",c", b','), None);
        assert_eq!(open_quote(b"1,\"ab\"\"", b','), Some(2));
        assert_eq!(open_quote(b"1,a\"b,2", b','), None);
        assert_eq!(open_quote(b"\"a\",\"b\nc", b','), Some(4));
        assert_eq!(place(b"a,b\n\"x,y\",\xff", b',', 10), (2, 2));
        assert_eq!(place(b"a,\"b\nc\",\xff", b',', 8), (2, 3));
    }
}
