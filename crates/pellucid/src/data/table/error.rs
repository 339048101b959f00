//! What can be wrong with a file that should hold a table.

use std::io;

/// Why a table could not be read. Lines and columns are counted from 1, as editors do.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// The file could not be opened or read.
    #[error("{name}: {source}")]
    Io {
        /// File name, or what stands for it.
        name: String,
        /// What the system says.
        source: io::Error,
    },
    /// A directory where a file is needed.
    #[error("{name} is a directory; give a CSV or TSV file")]
    Directory {
        /// The path given.
        name: String,
    },
    /// Gzip data that is cut or damaged.
    #[error("{name}: the gzip data is cut or damaged ({source}); fetch the file again, or unpack it first")]
    Gzip {
        /// File name.
        name: String,
        /// What the decoder says.
        source: io::Error,
    },
    /// Larger than positions in the text can be counted.
    #[error("{name}: more than {limit} bytes of text; split the file")]
    TooLarge {
        /// File name.
        name: String,
        /// Most bytes that can be held.
        limit: u64,
    },
    /// No text at all.
    #[error("{name} is empty; a table needs at least one row")]
    Empty {
        /// File name.
        name: String,
    },
    /// A line of names without rows.
    #[error("{name} holds a header but no rows (columns: {})", .columns.join(", "))]
    HeaderOnly {
        /// File name.
        name: String,
        /// The names found.
        columns: Vec<String>,
    },
    /// Not text.
    #[error("{name} is not a text file: it {what}; give comma- or tab-separated text in UTF-8")]
    Binary {
        /// File name.
        name: String,
        /// What it looks like: "looks like a zip archive or spreadsheet", ….
        what: &'static str,
    },
    /// Bytes that are not UTF-8.
    #[error(
        "{name}, line {line}, column {column}: byte 0x{byte:02X} is not valid UTF-8; \
         save the file as UTF-8 (it may be in Latin-1 or Windows-1252)"
    )]
    Utf8 {
        /// File name.
        name: String,
        /// Line in the file.
        line: usize,
        /// Column of the table.
        column: usize,
        /// The offending byte.
        byte: u8,
    },
    /// A quote that is never closed.
    #[error(
        "{name}, line {line}, column {column}: the quote opened here is never closed; close it, or double it (\"\") where it is part of the text"
    )]
    UnterminatedQuote {
        /// File name.
        name: String,
        /// Line in the file.
        line: usize,
        /// Column of the table.
        column: usize,
    },
    /// A row with too few or too many fields.
    #[error("{name}, line {line}, column {column}: the row has {found} fields where the others have {expected}{hint}")]
    Ragged {
        /// File name.
        name: String,
        /// Line in the file on which the row begins.
        line: usize,
        /// Column at which it departs from the others: the first one missing, or the first too many.
        column: usize,
        /// Fields in the row.
        found: usize,
        /// Fields in the other rows.
        expected: usize,
        /// What may be the reason, and what to do; begins with "; ".
        hint: String,
    },
    /// A delimiter that cannot separate fields.
    #[error("{delimiter:?} cannot separate fields; use a single ASCII character other than a quote or a line end")]
    Delimiter {
        /// The delimiter given.
        delimiter: char,
    },
}
