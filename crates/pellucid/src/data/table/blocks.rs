//! A table in blocks of rows, for files that need not fit into memory.

use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use flate2::bufread::MultiGzDecoder;

use super::{Piece, Table, TableError, TableOptions, dialect, source, text};

/// Bytes of a block, unless a single row is longer.
const BLOCK: usize = 1 << 20;

/// The rows of a file, block by block, each a [`Table`] with the same names; lines are those of the file.
///
/// Delimiter and header are found out from the first block. What is wrong with a row is found when its block is read.
pub struct Blocks {
    name: String,
    options: TableOptions,
    reader: Box<dyn Read>,
    gzipped: bool,
    /// Read, and not yet part of a block.
    rest: Vec<u8>,
    size: usize,
    first_line: usize,
    first: Option<Known>,
    done: bool,
}

/// What the first block has shown.
struct Known {
    names: Vec<String>,
    has_header: bool,
    delimiter: u8,
}

impl Blocks {
    /// The blocks of the file at `path`, plain or gzipped.
    ///
    /// # Errors
    /// A file that cannot be opened.
    pub fn open(path: impl AsRef<Path>, options: &TableOptions) -> Result<Blocks, TableError> {
        let path = path.as_ref();
        let (file, _) = source::open(path)?;
        Blocks::from_reader(&path.display().to_string(), file, options)
    }

    /// The blocks of what `reader` gives, plain or gzipped; `name` stands for it in messages.
    ///
    /// # Errors
    /// When nothing can be read.
    pub fn from_reader(name: &str, reader: impl Read + 'static, options: &TableOptions) -> Result<Blocks, TableError> {
        let mut reader = BufReader::new(reader);
        let gzipped = {
            let start = reader.fill_buf().map_err(|source| TableError::Io { name: name.to_string(), source })?;
            start.starts_with(&source::GZIP)
        };
        let reader: Box<dyn Read> = if gzipped { Box::new(MultiGzDecoder::new(reader)) } else { Box::new(reader) };
        Ok(Blocks {
            name: name.to_string(),
            options: options.clone(),
            reader,
            gzipped,
            rest: Vec::new(),
            size: BLOCK,
            first_line: 1,
            first: None,
            done: false,
        })
    }

    /// Reads until `rest` holds `size` bytes; true at the end of the file.
    fn fill(&mut self, size: usize) -> Result<bool, TableError> {
        let wanted = size.saturating_sub(self.rest.len()) as u64;
        let read = self.reader.by_ref().take(wanted).read_to_end(&mut self.rest);
        let read = read.map_err(|source| self.read_error(source))? as u64;
        Ok(read < wanted)
    }

    fn read_error(&self, source: io::Error) -> TableError {
        let name = self.name.clone();
        if self.gzipped { TableError::Gzip { name, source } } else { TableError::Io { name, source } }
    }

    /// The next block with rows; none at the end.
    fn block(&mut self) -> Result<Option<Table>, TableError> {
        loop {
            let mut size = self.size;
            let (whole, end) = loop {
                let end = self.fill(size)?;
                if self.first.is_none() && self.first_line == 1 {
                    source::check_start(&self.name, &mut self.rest)?;
                }
                if end {
                    break (self.rest.len(), true);
                }
                let known = self.first.as_ref().map(|first| first.delimiter).or(self.options.delimiter);
                let delimiter = known.unwrap_or_else(|| dialect::detect_delimiter(&self.rest).0);
                let whole = text::whole_lines(&self.rest, delimiter);
                // One row is no table to find a header in.
                if whole > 0 && (self.first.is_some() || self.rest[..whole].split(|byte| *byte == b'\n').count() > 3) {
                    break (whole, false);
                }
                size *= 2;
                if size as u64 > source::LIMIT {
                    return Err(TableError::TooLarge { name: self.name.clone(), limit: source::LIMIT });
                }
            };
            let later = self.rest.split_off(whole);
            let bytes = std::mem::replace(&mut self.rest, later);
            self.done = end;
            let blank = bytes.iter().all(u8::is_ascii_whitespace);
            if blank && end && self.first.is_some() {
                return Ok(None);
            }
            let first_line = self.first_line;
            self.first_line += bytes.iter().filter(|byte| **byte == b'\n').count();
            if !(blank && self.first.is_some()) {
                return self.table(&bytes, first_line).map(Some);
            }
        }
    }

    fn table(&mut self, bytes: &[u8], first_line: usize) -> Result<Table, TableError> {
        match &self.first {
            Some(first) => {
                let options =
                    TableOptions { delimiter: Some(first.delimiter), header: Some(false), ..self.options.clone() };
                let piece = Piece { first_line, columns: Some(first.names.len()) };
                let mut table = Table::from_piece(self.name.clone(), bytes, &options, piece)?;
                table.names.clone_from(&first.names);
                table.has_header = first.has_header;
                Ok(table)
            }
            None => {
                let piece = Piece { first_line, columns: None };
                let table = Table::from_piece(self.name.clone(), bytes, &self.options, piece)?;
                let (names, has_header, delimiter) = (table.names.clone(), table.has_header, table.delimiter);
                self.first = Some(Known { names, has_header, delimiter });
                Ok(table)
            }
        }
    }
}

impl Iterator for Blocks {
    type Item = Result<Table, TableError>;

    fn next(&mut self) -> Option<Result<Table, TableError>> {
        if self.done {
            return None;
        }
        let block = self.block();
        self.done |= block.is_err();
        block.transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blocks(text: &[u8], size: usize) -> Vec<Result<Table, TableError>> {
        let blocks = Blocks::from_reader("t.csv", io::Cursor::new(text.to_vec()), &TableOptions::default());
        let mut blocks = blocks.expect("reads");
        blocks.size = size;
        blocks.collect()
    }

    fn rows(tables: &[Table]) -> Vec<(usize, Vec<String>)> {
        let row = |table: &Table, row| {
            (table.line(row), (0..table.columns()).map(|column| table.cell(row, column).to_string()).collect())
        };
        tables.iter().flat_map(|table| (0..table.rows()).map(|at| row(table, at)).collect::<Vec<_>>()).collect()
    }

    #[test]
    fn blocks_of_any_size_hold_the_rows_of_the_whole() {
        let mut text = String::from("name,note,n\n");
        for i in 0..40 {
            text.push_str(&format!("row{i}, \"a, \"\"b\"\"\nc\" ,{i}\r\n"));
            if i % 7 == 0 {
                text.push('\n');
            }
        }
        let whole = Table::from_reader("t.csv", text.as_bytes(), &TableOptions::default()).expect("a table");
        let expected = rows(std::slice::from_ref(&whole));
        assert_eq!(expected.len(), 40);
        for size in [1, 50, 64, 100, 333, 1 << 20] {
            let tables: Vec<Table> =
                blocks(text.as_bytes(), size).into_iter().map(|one| one.expect("a block")).collect();
            assert_eq!(rows(&tables), expected, "blocks of {size}");
            assert!(size > 100 || tables.len() > 3, "{} blocks", tables.len());
            assert!(tables.iter().all(|table| table.names() == whole.names() && table.has_header()));
        }
    }

    #[test]
    fn gzipped_text_comes_in_blocks_too() {
        use std::io::Write;
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        let text: String = (0..500).map(|i| format!("{i},{}\n", i * 2)).collect();
        packed.write_all(text.as_bytes()).expect("packs");
        let packed = packed.finish().expect("packs");
        let tables: Vec<Table> = blocks(&packed, 100).into_iter().map(|one| one.expect("a block")).collect();
        assert_eq!(rows(&tables).len(), 500);
        let broken = blocks(&packed[..packed.len() / 2], 1 << 20);
        assert!(matches!(broken.last(), Some(Err(TableError::Gzip { .. }))));
    }

    #[test]
    fn a_broken_row_is_named_by_its_line_in_the_file() {
        let text: String =
            (0..100).map(|i| if i == 70 { "1,2,3\n".to_string() } else { format!("{i},{i}\n") }).collect();
        let all = blocks(text.as_bytes(), 64);
        let error = all.last().expect("blocks").as_ref().expect_err("a broken row").to_string();
        assert!(error.starts_with("t.csv, line 71, column 3: the row has 3 fields where the others have 2"), "{error}");
        assert!(all[..all.len() - 1].iter().all(Result::is_ok));
    }

    #[test]
    fn nothing_and_no_text_are_errors() {
        assert!(matches!(blocks(b" \n", 10)[..], [Err(TableError::Empty { .. })]));
        assert!(matches!(blocks(b"PAR1....", 10)[..], [Err(TableError::Binary { .. })]));
    }
}
