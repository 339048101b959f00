//! NumPy's array format: a magic number, a version, the length of a header, the header, the values.
//!
//! The header is a Python dictionary as text: `{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }`. Nothing of it is
//! run: the three entries are read, in any order, and nothing else is known.
//! (<https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html>)

use safetensors::Dtype;

use super::tensor::{row_major_strides, size_of};
use crate::model::header::element_count;

pub(super) const MAGIC: &[u8] = b"\x93NUMPY";
/// Longest header, its length and the magic number included: a list of names of fields can be longer, but is no array of numbers.
pub(super) const MAX_HEADER: usize = 64 * 1024;

/// What a header says.
#[derive(Debug, PartialEq)]
pub(super) struct Array {
    pub dtype: Dtype,
    pub big_endian: bool,
    pub shape: Vec<usize>,
    /// First axis fastest.
    pub strides: Option<Vec<usize>>,
    /// Bytes before the values.
    pub start: usize,
}

/// Reads the header at the beginning of `bytes`, the first of a file of `length` bytes, and checks that the values fill the rest.
pub(super) fn parse(bytes: &[u8], length: u64) -> Result<Array, String> {
    let damaged = |what: &str| format!("{what}; the file is damaged, or no NumPy array");
    let Some([major, _, rest @ ..]) = bytes.strip_prefix(MAGIC) else {
        return Err(damaged("does not begin with NumPy's magic number"));
    };
    let (header_length, start) = match (major, rest) {
        (1, [a, b, ..]) => (usize::from(u16::from_le_bytes([*a, *b])), MAGIC.len() + 4),
        (2 | 3, [a, b, c, d, ..]) => (u32::from_le_bytes([*a, *b, *c, *d]) as usize, MAGIC.len() + 6),
        (1..=3, _) => return Err(damaged("ends within its header")),
        _ => {
            return Err(format!("has the format version {major}, which is not known; save it with NumPy 1.9 or later"));
        }
    };
    let end = start.saturating_add(header_length);
    let header = bytes.get(start..end).ok_or_else(|| damaged("ends within its header"))?;
    let text = std::str::from_utf8(header).map_err(|_| damaged("has a header that is no text"))?;
    let Header { descr, fortran_order, shape } =
        Header::parse(text).ok_or_else(|| damaged(&format!("has the header {:?}", shortened(text))))?;
    let (dtype, big_endian) = element(&descr)?;
    let count = element_count(&shape).and_then(|count| count.checked_mul(size_of(dtype)));
    let expected = count.and_then(|bytes| bytes.checked_add(end));
    if expected.map(|expected| expected as u64) != Some(length) {
        let expected = expected.map_or("more than there can be".to_string(), |expected| expected.to_string());
        return Err(damaged(&format!(
            "of type {descr} and shape {shape:?} should have {expected} bytes, {length} were found"
        )));
    }
    let strides = (fortran_order && shape.len() > 1).then(|| {
        let reversed: Vec<usize> = shape.iter().rev().copied().collect();
        row_major_strides(&reversed).into_iter().rev().collect()
    });
    Ok(Array { dtype, big_endian, shape, strides, start: end })
}

/// The type of the values and whether their bytes are in big-endian order.
fn element(descr: &str) -> Result<(Dtype, bool), String> {
    let (order, kind) = descr.split_at_checked(1).unwrap_or(("", ""));
    let dtype = match kind {
        "f2" => Dtype::F16,
        "f4" => Dtype::F32,
        "f8" => Dtype::F64,
        "i1" => Dtype::I8,
        "i2" => Dtype::I16,
        "i4" => Dtype::I32,
        "i8" => Dtype::I64,
        "u1" => Dtype::U8,
        "u2" => Dtype::U16,
        "u4" => Dtype::U32,
        "u8" => Dtype::U64,
        "b1" => Dtype::BOOL,
        "O" => {
            return Err(
                "holds Python objects, which only running code from the file would make; save numbers".to_string()
            );
        }
        _ => return Err(format!("has the type {descr:?}; convert it with array.astype(\"float32\")")),
    };
    match order {
        "<" | "|" => Ok((dtype, false)),
        ">" => Ok((dtype, true)),
        _ => Err(format!("has the type {descr:?}; convert it with array.astype(\"float32\")")),
    }
}

struct Header {
    descr: String,
    fortran_order: bool,
    shape: Vec<usize>,
}

impl Header {
    fn parse(text: &str) -> Option<Header> {
        let mut rest = Scan(text);
        let (mut descr, mut fortran_order, mut shape) = (None, None, None);
        rest.skip("{")?;
        while rest.skip("}").is_none() {
            let key = rest.quoted()?;
            rest.skip(":")?;
            let new = match key {
                "descr" => descr.replace(rest.value_of_descr()?).is_none(),
                "fortran_order" => fortran_order.replace(rest.boolean()?).is_none(),
                "shape" => shape.replace(rest.tuple()?).is_none(),
                _ => false,
            };
            if !new {
                return None;
            }
            if rest.skip(",").is_none() {
                rest.skip("}")?;
                break;
            }
        }
        rest.0.trim().is_empty().then_some(())?;
        Some(Header { descr: descr?, fortran_order: fortran_order?, shape: shape? })
    }
}

/// What is left of the text.
struct Scan<'a>(&'a str);

impl<'a> Scan<'a> {
    fn skip(&mut self, token: &str) -> Option<()> {
        self.0 = self.0.trim_start().strip_prefix(token)?;
        Some(())
    }

    fn quoted(&mut self) -> Option<&'a str> {
        let quote = if self.skip("'").is_some() { '\'' } else { self.skip("\"").map(|()| '"')? };
        let (text, rest) = self.0.split_once(quote)?;
        self.0 = rest;
        Some(text)
    }

    /// A name of a type; the list of a structured array as it is written, to be refused by name.
    fn value_of_descr(&mut self) -> Option<String> {
        if self.0.trim_start().starts_with('[') {
            let (list, rest) = self.0.split_once(']')?;
            self.0 = rest;
            return Some(format!("{list}]"));
        }
        self.quoted().map(str::to_string)
    }

    fn boolean(&mut self) -> Option<bool> {
        self.skip("True").map(|()| true).or_else(|| self.skip("False").map(|()| false))
    }

    fn tuple(&mut self) -> Option<Vec<usize>> {
        self.skip("(")?;
        let (inside, rest) = self.0.split_once(')')?;
        self.0 = rest;
        let inside = inside.trim();
        let inside = inside.strip_suffix(',').unwrap_or(inside);
        if inside.trim().is_empty() {
            return Some(Vec::new());
        }
        // Python 2 wrote long numbers with an L.
        let sizes: Option<Vec<usize>> =
            inside.split(',').map(|size| size.trim().trim_end_matches('L').parse().ok()).collect();
        sizes.filter(|sizes| sizes.len() <= MAX_RANK)
    }
}

/// NumPy's own limit.
const MAX_RANK: usize = 64;

fn shortened(text: &str) -> &str {
    let end = text.char_indices().nth(80).map_or(text.len(), |(end, _)| end);
    text[..end].trim_end()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(header: &str, values: usize) -> Vec<u8> {
        let mut bytes = [MAGIC, &[1, 0], &(header.len() as u16).to_le_bytes(), header.as_bytes()].concat();
        bytes.resize(bytes.len() + values, 0);
        bytes
    }

    fn read(header: &str, values: usize) -> Result<Array, String> {
        let bytes = file(header, values);
        parse(&bytes, bytes.len() as u64)
    }

    #[test]
    fn headers_as_numpy_writes_them() {
        let array = read("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }   \n", 24).expect("an array");
        assert_eq!(
            (array.dtype, array.big_endian, &array.shape[..], array.strides),
            (Dtype::F32, false, &[2, 3][..], None)
        );
        let array = read("{'descr': '>f8', 'fortran_order': True, 'shape': (2, 3, 4), }", 192).expect("an array");
        assert_eq!((array.dtype, array.big_endian, array.strides), (Dtype::F64, true, Some(vec![1, 2, 6])));
        assert!(read("{'descr': '|b1', 'fortran_order': False, 'shape': (), }", 1).expect("a scalar").shape.is_empty());
        assert_eq!(read("{'shape': (3L,), 'descr': '|u1', 'fortran_order': False}", 3).expect("a vector").shape, [3]);
    }

    #[test]
    fn what_is_no_array_of_numbers_is_named() {
        let message = |header: &str| read(header, 8).expect_err(header);
        assert!(message("{'descr': '|O', 'fortran_order': False, 'shape': (1,), }").contains("Python objects"));
        let complex = message("{'descr': '<c8', 'fortran_order': False, 'shape': (1,), }");
        assert!(complex.contains("\"<c8\"") && complex.contains("astype"), "{complex}");
        assert!(
            message("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (2,), }").contains("[('a', '<f4')]")
        );
        let short = message("{'descr': '<f4', 'fortran_order': False, 'shape': (3,), }");
        assert!(short.contains("shape [3]") && short.contains("damaged"), "{short}");
        let huge = message("{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296, 4294967296, 2), }");
        assert!(huge.contains("more than there can be"), "{huge}");
        for header in [
            "",
            "{}",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), 'shape': (2,)}",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (-2,), }",
            "{'descr': '<f4', 'fortran_order': 0, 'shape': (2,), }",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), } + evil()",
            "{'descr': '<f4', 'fortran_order': False, 'shape': [2], }",
        ] {
            assert!(message(header).contains("header"), "{header}");
        }
    }
}
