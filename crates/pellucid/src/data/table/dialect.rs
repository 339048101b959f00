//! Which character separates the fields, and whether the first line holds names.

use super::date::{DateFormat, parse_date};
use super::value::{parse_boolean, parse_number};

/// Delimiters that are tried, the one that says most first: a tab or semicolon in every line is hardly ever text, a
/// comma may be a decimal one, a space may stand between words.
const CANDIDATES: [u8; 5] = [b'\t', b';', b'|', b',', b' '];

/// Lines that are looked at.
const SAMPLE_LINES: usize = 100;
const SAMPLE_BYTES: usize = 1 << 16;

/// How much of the sample must have the same number of fields for a delimiter to be believed.
const AGREEMENT: f64 = 0.6;

/// Delimiter and number of fields of most lines.
///
/// Of the candidates that split most lines into the same number of fields (two or more), the one with the best
/// agreement, and of equals the first, is taken; a space only where at least half of the fields are numbers. Text
/// that none of them splits is a table with one column.
pub(super) fn detect_delimiter(bytes: &[u8]) -> (u8, usize) {
    let mut best = (b',', 1, 0.0);
    for delimiter in CANDIDATES {
        let lines = sample(bytes, delimiter);
        let (fields, agreement) = usual_fields(&lines);
        let believable = fields > 1 && agreement >= AGREEMENT && (delimiter != b' ' || mostly_numbers(&lines));
        if believable && agreement > best.2 {
            best = (delimiter, fields, agreement);
        }
    }
    (best.0, best.1)
}

/// Number of fields of most lines.
pub(super) fn detect_fields(bytes: &[u8], delimiter: u8) -> usize {
    usual_fields(&sample(bytes, delimiter)).0
}

fn sample(bytes: &[u8], delimiter: u8) -> Vec<csv::ByteRecord> {
    let mut text = &bytes[..bytes.len().min(SAMPLE_BYTES)];
    if text.len() < bytes.len() {
        // The last line is cut, unless it is the only one.
        text = &text[..text.iter().rposition(|&byte| byte == b'\n').map_or(text.len(), |at| at + 1)];
    }
    let text = super::text::tidy(text, delimiter);
    let reader = super::parser(delimiter).from_reader(text.as_ref());
    reader
        .into_byte_records()
        .take(SAMPLE_LINES)
        .filter_map(Result::ok)
        .filter(|record| !super::is_blank(record))
        .collect()
}

/// The most frequent number of fields (the larger of equals), and the share of lines that have it.
fn usual_fields(lines: &[csv::ByteRecord]) -> (usize, f64) {
    let mut counts = std::collections::BTreeMap::new();
    for line in lines {
        *counts.entry(line.len()).or_insert(0usize) += 1;
    }
    let usual = counts.iter().max_by_key(|(fields, lines)| (**lines, **fields));
    usual.map_or((1, 0.0), |(fields, count)| (*fields, *count as f64 / lines.len() as f64))
}

fn mostly_numbers(lines: &[csv::ByteRecord]) -> bool {
    let (mut numbers, mut fields) = (0, 0);
    for field in lines.iter().flat_map(|line| line.iter()) {
        fields += 1;
        numbers += usize::from(std::str::from_utf8(field).is_ok_and(|text| parse_number(text, false).is_some()));
    }
    numbers * 2 >= fields
}

/// What a column holds, as far as the question of a header goes.
#[derive(Clone, Copy, PartialEq)]
enum Look {
    Number,
    Date,
    Boolean,
    Text,
}

fn look(text: &str, decimal_comma: bool) -> Look {
    if parse_number(text, decimal_comma).is_some() {
        Look::Number
    } else if DateFormat::ALL.into_iter().any(|format| parse_date(text, format).is_some()) {
        Look::Date
    } else if parse_boolean(text).is_some() {
        Look::Boolean
    } else {
        Look::Text
    }
}

/// Whether `first` holds the names of the columns whose further cells (missing ones left out) are in `body`.
///
/// A line that has text where (nearly) all lines below have numbers, dates or truth values is a header: it cannot be
/// data. One that has a number where numbers follow is data, unless another column says that it cannot be. Columns of
/// text decide only where no other does: a first cell that comes again is data; one that never does, above values
/// that repeat, is a name. A single line is a header when it has no number, date or truth value in it.
pub(super) fn detect_header(first: &[Option<&str>], body: &[Vec<&str>], decimal_comma: bool) -> bool {
    if body.iter().all(Vec::is_empty) {
        return first.iter().flatten().all(|text| look(text, decimal_comma) == Look::Text);
    }
    let Votes { names, data, new, again } = votes(first, body, decimal_comma);
    names > 0 || (data == 0 && again == 0 && new > 0)
}

/// Whether `first` has text above numbers, dates or truth values in most of the columns that have these: whatever names
/// were expected, it holds some.
pub(super) fn is_clearly_header(first: &[Option<&str>], body: &[Vec<&str>], decimal_comma: bool) -> bool {
    let Votes { names, data, .. } = votes(first, body, decimal_comma);
    names > data
}

/// What the columns say about a first line.
struct Votes {
    /// Columns of numbers, dates or truth values below another text.
    names: usize,
    /// Such columns below one of their kind.
    data: usize,
    /// Columns of text that repeats, below one that is not among it.
    new: usize,
    /// Columns of text that has the first one again.
    again: usize,
}

fn votes(first: &[Option<&str>], body: &[Vec<&str>], decimal_comma: bool) -> Votes {
    let (mut names, mut data, mut new, mut again) = (0, 0, 0, 0);
    for (first, body) in first.iter().zip(body) {
        let Some(first) = first else { continue };
        if body.is_empty() {
            continue;
        }
        let usual = [Look::Number, Look::Date, Look::Boolean].into_iter().find(|usual| {
            let agree = body.iter().filter(|text| look(text, decimal_comma) == *usual).count();
            agree * 20 >= body.len() * 19
        });
        match usual {
            Some(usual) if look(first, decimal_comma) == usual => data += 1,
            Some(_) => names += 1,
            None if body.contains(first) => again += 1,
            None => {
                let distinct: std::collections::HashSet<_> = body.iter().collect();
                new += usize::from(distinct.len() * 2 <= body.len());
            }
        }
    }
    Votes { names, data, new, again }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delimiters_are_found() {
        let check = |text: &str, delimiter: u8, fields| {
            assert_eq!(detect_delimiter(text.as_bytes()), (delimiter, fields), "{text:?}");
        };
        check("a,b,c\n1,2,3\n4,5,6\n", b',', 3);
        check("a;b\n1,5;2,5\n3,5;4,5\n", b';', 2);
        check("1,5;2,5\n3,5;4,5\n", b';', 2);
        check("a b\tc d\ne f\tg h\n", b'\t', 2);
        check("a|b|c\r\n1|2|3\r\n", b'|', 3);
        check("  1.0   2.0 3\n 4 5  6 \n", b' ', 3);
        check("the cat\nthe dog\n", b',', 1);
        check("\"a;b\",1\n\"c;d\",2\n", b',', 2);
        check("2024-01-01 10:00,5\n2024-01-02 11:00,6\n", b',', 2);
        check("42\n", b',', 1);
    }

    #[test]
    fn one_broken_line_does_not_change_the_verdict() {
        let mut text = "1;2,2;3\n".repeat(20);
        text.push_str("1;2\n");
        assert_eq!(detect_delimiter(text.as_bytes()), (b';', 3));
        assert_eq!(detect_fields(text.as_bytes(), b';'), 3);
    }
}
