//! A text from a file.

use std::io::Read;
use std::path::Path;

use flate2::read::MultiGzDecoder;

use super::TextError;

/// The text of a file, gzipped or not, without a byte order mark.
///
/// # Errors
/// A file that cannot be read, is empty, or is not UTF-8; with the place.
pub fn read_text(path: &Path) -> Result<String, TextError> {
    let name = || path.display().to_string();
    let failed = |source| TextError::Read { path: name(), source };
    let mut bytes = std::fs::read(path).map_err(failed)?;
    if bytes.starts_with(&[0x1f, 0x8b]) {
        let mut unpacked = Vec::new();
        MultiGzDecoder::new(&bytes[..]).read_to_end(&mut unpacked).map_err(failed)?;
        bytes = unpacked;
    }
    text_of(bytes, name)
}

/// The text of the bytes of a file, without a byte order mark; `name` says which file.
pub(super) fn text_of(bytes: Vec<u8>, name: impl Fn() -> String) -> Result<String, TextError> {
    let text = String::from_utf8(bytes).map_err(|error| {
        let offset = error.utf8_error().valid_up_to();
        let before = &error.as_bytes()[..offset];
        let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
        let column = 1 + before.iter().rev().take_while(|byte| **byte != b'\n').count();
        TextError::NotUtf8 { path: name(), line, column, offset }
    })?;
    let text = match text.strip_prefix('\u{feff}') {
        Some(rest) => rest.to_string(),
        None => text,
    };
    if text.is_empty() {
        return Err(TextError::Empty { path: name() });
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn texts_are_read_gzipped_or_not_and_mistakes_have_a_place() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = |name: &str, bytes: &[u8]| {
            let path = folder.path().join(name);
            std::fs::write(&path, bytes).expect("writes");
            path
        };
        assert_eq!(read_text(&file("a.txt", "\u{feff}née\n".as_bytes())).expect("a text"), "née\n");
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packed.write_all(b"one\ntwo").expect("in memory");
        assert_eq!(read_text(&file("a.gz", &packed.finish().expect("in memory"))).expect("a text"), "one\ntwo");
        let error = |path: std::path::PathBuf| read_text(&path).expect_err("no text").to_string();
        let latin = error(file("latin.txt", b"one\ntw\xe9\n"));
        assert!(latin.contains("line 2, byte 3 of it (byte 6 of the file) is not UTF-8"), "{latin}");
        assert!(error(file("empty.txt", b"")).contains("is empty"));
        assert!(error(folder.path().join("none.txt")).contains("none.txt: "));
    }
}
