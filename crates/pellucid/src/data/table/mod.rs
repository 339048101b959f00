//! Tables of text: CSV and TSV files, plain or gzipped, as trimmed cells with the line that each row came from.

mod blocks;
mod date;
mod dialect;
mod error;
mod source;
mod text;
mod value;

use std::io::Read;
use std::path::Path;

pub use blocks::Blocks;
pub use date::{Date, DateFormat, parse_date};
pub use error::TableError;
pub use value::{parse_boolean, parse_number};

/// How a file is to be read. What is `None` is found out from the first lines.
#[derive(Clone, Debug, PartialEq)]
pub struct TableOptions {
    /// What separates the fields: a single ASCII character. Detected among tab, `;`, `|`, `,` and space.
    pub delimiter: Option<u8>,
    /// Whether the first line holds the names of the columns.
    pub header: Option<bool>,
    /// Texts that stand for a missing value, compared exactly after trimming. The empty text always does.
    pub missing: Vec<String>,
    /// Names that a header would hold, where they are known (those of a model). With `header` left open, a first line
    /// that holds at least half of its names from here is a header; another one only if it is clearly no data (text above
    /// numbers), so that a file with other columns is noticed.
    pub known_names: Vec<String>,
}

impl Default for TableOptions {
    /// Everything detected; missing values are `?`, `NA`, `N/A`, `n/a`, `#N/A`, `NaN`, `nan`, `null`, `NULL`, `None`
    /// and the empty text.
    fn default() -> TableOptions {
        let missing = ["?", "NA", "N/A", "n/a", "#N/A", "NaN", "nan", "null", "NULL", "None"];
        TableOptions {
            delimiter: None,
            header: None,
            missing: missing.map(String::from).to_vec(),
            known_names: Vec::new(),
        }
    }
}

/// The cells of a table, as text without the blanks around it.
///
/// One buffer holds all text, one index where each cell begins; no cell is a string of its own.
#[derive(Clone, Debug)]
pub struct Table {
    name: String,
    names: Vec<String>,
    has_header: bool,
    delimiter: u8,
    missing: Vec<String>,
    /// First bytes of the markers: nearly every cell is told from all of them by its first byte.
    marker_starts: [bool; 256],
    text: String,
    /// Start of each cell, row after row, and the end of the last one.
    starts: Vec<u32>,
    /// Line in the file on which each row begins.
    lines: Vec<u32>,
    /// The column with the file that each row came from, where a row is a file.
    file_column: Option<usize>,
    notes: Vec<String>,
}

impl Table {
    /// Reads the file at `path`, plain or gzipped.
    ///
    /// # Errors
    /// A file that cannot be read or holds no text, no rows, broken rows or bytes other than UTF-8; see [`TableError`].
    pub fn read(path: impl AsRef<Path>, options: &TableOptions) -> Result<Table, TableError> {
        let path = path.as_ref();
        Table::from_bytes(path.display().to_string(), &source::read_path(path)?, options)
    }

    /// Reads all that `reader` gives, plain or gzipped; `name` stands for it in messages (`standard input`).
    ///
    /// # Errors
    /// See [`Table::read`].
    pub fn from_reader(name: &str, reader: impl Read, options: &TableOptions) -> Result<Table, TableError> {
        Table::from_bytes(name.to_string(), &source::read(name, reader, 0)?, options)
    }

    fn from_bytes(name: String, bytes: &[u8], options: &TableOptions) -> Result<Table, TableError> {
        Table::from_piece(name, bytes, options, Piece { first_line: 1, columns: None })
    }

    fn from_piece(name: String, bytes: &[u8], options: &TableOptions, piece: Piece) -> Result<Table, TableError> {
        if bytes.iter().all(u8::is_ascii_whitespace) {
            return Err(TableError::Empty { name });
        }
        let (delimiter, columns) = match options.delimiter {
            Some(delimiter) if !delimiter.is_ascii() || matches!(delimiter, b'"' | b'\n' | b'\r' | 0) => {
                return Err(TableError::Delimiter { delimiter: delimiter as char });
            }
            Some(delimiter) => (delimiter, dialect::detect_fields(bytes, delimiter)),
            None => dialect::detect_delimiter(bytes),
        };
        let columns = piece.columns.unwrap_or(columns);
        if let Err(error) = std::str::from_utf8(bytes) {
            let at = error.valid_up_to();
            let (line, column) = text::place(bytes, delimiter, at);
            let line = piece.first_line + line - 1;
            return Err(TableError::Utf8 { name, line, column, byte: bytes[at] });
        }
        let mut table = Table {
            name,
            names: Vec::new(),
            has_header: false,
            delimiter,
            missing: options.missing.clone(),
            marker_starts: [false; 256],
            text: String::new(),
            starts: Vec::new(),
            lines: Vec::new(),
            file_column: None,
            notes: Vec::new(),
        };
        for marker in table.missing.iter().filter_map(|marker| marker.bytes().next()) {
            table.marker_starts[marker as usize] = true;
        }
        table.names = (1..=columns).map(|column| format!("column{column}")).collect();
        table.read_rows(&text::tidy(bytes, delimiter), piece.first_line)?;
        table.settle_header(options)?;
        Ok(table)
    }

    /// A table whose rows are files: `rows` have a cell for each of the `names`, of which the last is that of the file below
    /// `name`. Nothing but the empty text stands for a missing value.
    ///
    /// # Panics
    /// When the cells have more bytes than are counted in 32 bits.
    pub(super) fn of_files<const COLUMNS: usize>(
        name: String,
        names: [String; COLUMNS],
        rows: impl IntoIterator<Item = [String; COLUMNS]>,
    ) -> Table {
        let mut table = Table {
            name,
            names: names.to_vec(),
            has_header: true,
            delimiter: b',',
            missing: Vec::new(),
            marker_starts: [false; 256],
            text: String::new(),
            starts: vec![0],
            lines: Vec::new(),
            file_column: Some(COLUMNS - 1),
            notes: Vec::new(),
        };
        rows.into_iter().for_each(|row| table.push(1, row));
        table
    }

    /// A table of other rows, which begin on the lines that stand beside them; names, markers and all else are those of this one.
    pub(super) fn with_rows<const COLUMNS: usize>(
        &self,
        names: [String; COLUMNS],
        rows: impl IntoIterator<Item = (usize, [String; COLUMNS])>,
    ) -> Table {
        let (names, text, starts, lines) = (names.to_vec(), String::new(), vec![0], Vec::new());
        let (name, missing, notes) = (self.name.clone(), self.missing.clone(), Vec::new());
        let mut table = Table { name, names, missing, text, starts, lines, notes, ..*self };
        rows.into_iter().for_each(|(line, row)| table.push(line, row));
        table
    }

    fn push<const COLUMNS: usize>(&mut self, line: usize, cells: [String; COLUMNS]) {
        self.lines.push(line as u32);
        for cell in cells {
            self.text.push_str(cell.trim_ascii());
            self.starts.push(u32::try_from(self.text.len()).expect("bytes that are counted in 32 bits"));
        }
    }

    /// Fills cells and lines from `bytes`, which are valid UTF-8 and tidy; they begin on `first_line` of the file.
    fn read_rows(&mut self, bytes: &[u8], first_line: usize) -> Result<(), TableError> {
        let columns = self.columns();
        let mut reader = parser(self.delimiter).from_reader(bytes);
        let mut record = csv::ByteRecord::new();
        let mut cells: Vec<u8> = Vec::with_capacity(bytes.len());
        // A first line of another length may be one of counts; what it is shows at the end.
        let mut odd_first: Option<(usize, Vec<String>, TableError)> = None;
        let (mut line, mut counted_to, mut last_start) = (first_line, 0, 0);
        loop {
            let position = reader.position().byte() as usize;
            // Reading from memory, with any number of fields and no text decoding, cannot fail.
            match reader.read_byte_record(&mut record) {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => {
                    return Err(TableError::Io { name: self.name.clone(), source: std::io::Error::other(error) });
                }
            }
            // The parser's position is that before blank lines that it skips.
            let start = position + bytes[position..].iter().take_while(|byte| matches!(byte, b'\n' | b'\r')).count();
            line += bytes[counted_to..start].iter().filter(|byte| **byte == b'\n').count();
            (counted_to, last_start) = (start, start);
            if is_blank(&record) && columns > 1 {
                continue;
            }
            if record.len() != columns {
                let end = reader.position().byte() as usize;
                let error = self.ragged(&bytes[start..end], line, record.len(), end == bytes.len());
                if !self.lines.is_empty() || odd_first.is_some() {
                    return Err(error);
                }
                odd_first = Some((
                    line,
                    record.iter().map(|field| String::from_utf8_lossy(field).trim().to_string()).collect(),
                    error,
                ));
                continue;
            }
            self.lines.push(line as u32);
            for field in record.iter() {
                self.starts.push(cells.len() as u32);
                cells.extend_from_slice(field.trim_ascii());
            }
        }
        self.starts.push(cells.len() as u32);
        self.unterminated(&bytes[last_start..], line)?;
        // Cells are cut out of valid UTF-8 at ASCII bytes.
        self.text = String::from_utf8(cells).expect("cells of valid UTF-8");
        if let Some((line, first, error)) = odd_first {
            if !is_count_line(&first, self.rows(), columns) {
                return Err(error);
            }
            self.note_count_line(line);
        }
        Ok(())
    }

    fn unterminated(&self, record: &[u8], line: usize) -> Result<(), TableError> {
        let Some(at) = text::open_quote(record, self.delimiter) else { return Ok(()) };
        let (lines, column) = text::place(record, self.delimiter, at);
        Err(TableError::UnterminatedQuote { name: self.name.clone(), line: line + lines - 1, column })
    }

    fn ragged(&self, record: &[u8], line: usize, found: usize, last: bool) -> TableError {
        if last && let Err(error) = self.unterminated(record, line) {
            return error;
        }
        let expected = self.columns();
        let body = record.trim_ascii_end();
        let other = [b'\t', b';', b'|', b','].into_iter().find(|other| {
            *other != self.delimiter && body.split(|byte| byte == other).count() == expected && expected > 1
        });
        let hint = if body.contains(&b'\n') {
            "; a quote in it may not be closed".to_string()
        } else if let Some(other) = other {
            format!("; it seems to be separated by {:?} rather than {:?}", other as char, self.delimiter as char)
        } else if found < expected {
            "; add the missing fields, or remove the line".to_string()
        } else {
            format!("; put text that holds {:?} in quotes, or remove the line", self.delimiter as char)
        };
        TableError::Ragged { name: self.name.clone(), line, column: found.min(expected) + 1, found, expected, hint }
    }

    /// Decides whether the first row holds names, and takes it off the rows where it does.
    fn settle_header(&mut self, options: &TableOptions) -> Result<(), TableError> {
        const LOOKED_AT: usize = 200;
        if self.rows() == 0 {
            return Err(TableError::Empty { name: self.name.clone() });
        }
        let columns = self.columns();
        let first: Vec<&str> = (0..columns).map(|column| self.cell(0, column)).collect();
        if options.header != Some(false) && is_count_line(&first, self.rows() - 1, columns) {
            let line = self.lines[0] as usize;
            self.drop_first_row();
            self.note_count_line(line);
            return Ok(());
        }
        let known = |name: &&&str| options.known_names.iter().any(|known| known == **name);
        let header = match options.header {
            Some(header) => header,
            None if first.iter().filter(known).count() * 2 >= columns.min(options.known_names.len())
                && !options.known_names.is_empty() =>
            {
                true
            }
            None => {
                let rows = 1..self.rows().min(LOOKED_AT + 1);
                let present = |row, column| (!self.is_missing(row, column)).then(|| self.cell(row, column));
                let body: Vec<Vec<&str>> =
                    (0..columns).map(|column| rows.clone().filter_map(|row| present(row, column)).collect()).collect();
                let first: Vec<Option<&str>> = (0..columns).map(|column| present(0, column)).collect();
                let detect =
                    if options.known_names.is_empty() { dialect::detect_header } else { dialect::is_clearly_header };
                detect(&first, &body, self.decimal_comma())
            }
        };
        if !header {
            return Ok(());
        }
        let mut names: Vec<String> = Vec::with_capacity(columns);
        let mut notes = Vec::new();
        for (column, name) in first.iter().enumerate() {
            let name = if name.is_empty() { format!("column{}", column + 1) } else { name.to_string() };
            let mut unique = name.clone();
            let mut copy = 2;
            while names.contains(&unique) {
                unique = format!("{name}_{copy}");
                copy += 1;
            }
            if unique != name {
                notes.push(format!(
                    "the name `{name}` occurs again at column {}; that one is called `{unique}`",
                    column + 1
                ));
            }
            names.push(unique);
        }
        if self.rows() == 1 {
            return Err(TableError::HeaderOnly { name: self.name.clone(), columns: names });
        }
        self.has_header = true;
        self.names = names;
        self.notes.extend(notes);
        self.drop_first_row();
        Ok(())
    }

    fn drop_first_row(&mut self) {
        self.starts.drain(..self.columns());
        self.lines.remove(0);
    }

    fn note_count_line(&mut self, line: usize) {
        self.notes
            .push(format!("line {line} holds counts of rows and columns, neither names nor data; it is left out"));
    }

    /// The file's name as it was given, or what stands for it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Number of rows, the header not counted.
    pub fn rows(&self) -> usize {
        self.lines.len()
    }

    /// Number of columns.
    pub fn columns(&self) -> usize {
        self.names.len()
    }

    /// Names of the columns: those of the header, else `column1`, `column2`, ….
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Whether the names come from the file.
    pub fn has_header(&self) -> bool {
        self.has_header
    }

    /// What separates the fields, given or detected.
    pub fn delimiter(&self) -> u8 {
        self.delimiter
    }

    /// Whether a comma in a number is a decimal one (it is where fields are separated by semicolons).
    pub fn decimal_comma(&self) -> bool {
        self.delimiter == b';'
    }

    /// The texts that stand for a missing value, the empty one aside.
    pub fn missing_markers(&self) -> &[String] {
        &self.missing
    }

    /// What was noticed while reading: lines left out, names changed.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// The text of a cell, without blanks around it.
    ///
    /// # Panics
    /// When the table has no such row or column.
    pub fn cell(&self, row: usize, column: usize) -> &str {
        assert!(column < self.columns(), "column {column} of {}", self.columns());
        let cell = row * self.columns() + column;
        &self.text[self.starts[cell] as usize..self.starts[cell + 1] as usize]
    }

    /// The text of a cell, or `None` where the value is missing.
    ///
    /// # Panics
    /// When the table has no such row or column.
    pub fn value(&self, row: usize, column: usize) -> Option<&str> {
        let text = self.cell(row, column);
        let first = *text.as_bytes().first()?;
        let missing = self.marker_starts[first as usize] && self.missing.iter().any(|marker| marker == text);
        (!missing).then_some(text)
    }

    /// The number in a cell, or `None` where it is none.
    ///
    /// # Panics
    /// When the table has no such row or column.
    pub fn number(&self, row: usize, column: usize) -> Option<f64> {
        parse_number(self.cell(row, column), self.decimal_comma())
    }

    /// Whether the value of a cell is missing.
    ///
    /// # Panics
    /// When the table has no such row or column.
    pub fn is_missing(&self, row: usize, column: usize) -> bool {
        self.value(row, column).is_none()
    }

    /// Line in the file on which a row begins, counted from 1.
    ///
    /// # Panics
    /// When the table has no such row.
    pub fn line(&self, row: usize) -> usize {
        self.lines[row] as usize
    }

    /// Where a row is, for people: the table and the line, or the file.
    ///
    /// # Panics
    /// When the table has no such row.
    pub fn place(&self, row: usize) -> String {
        match self.file_column {
            Some(column) => Path::new(&self.name).join(self.cell(row, column)).display().to_string(),
            None => format!("{}: line {}", self.name, self.line(row)),
        }
    }
}

/// Where a piece of a file stands, and what is known of its rows from the pieces before.
#[derive(Clone, Copy)]
struct Piece {
    first_line: usize,
    /// Number of columns; the usual one of the first lines if not known.
    columns: Option<usize>,
}

/// The parser of all reading here: any number of fields, no header of its own.
fn parser(delimiter: u8) -> csv::ReaderBuilder {
    let mut builder = csv::ReaderBuilder::new();
    builder.delimiter(delimiter).has_headers(false).flexible(true);
    builder
}

fn is_blank(record: &csv::ByteRecord) -> bool {
    record.len() == 1 && record[0].trim_ascii().is_empty()
}

/// A first line as scikit-learn's own files have it: number of rows, number of inputs, names of the classes.
fn is_count_line(first: &[impl AsRef<str>], rows: usize, columns: usize) -> bool {
    let count = |at: usize| first.get(at).and_then(|text| text.as_ref().parse::<usize>().ok());
    first.len() > 2
        && count(0) == Some(rows)
        && count(1) == Some(columns - 1)
        && first[2..].iter().any(|text| parse_number(text.as_ref(), false).is_none())
}

#[cfg(test)]
mod tests;
