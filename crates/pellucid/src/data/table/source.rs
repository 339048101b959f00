//! From a path or a reader to the bytes of a text: gzip is unpacked, what is no text is refused.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use flate2::read::MultiGzDecoder;

use super::TableError;

/// Positions in the text are 32 bits wide.
pub(super) const LIMIT: u64 = u32::MAX as u64;
/// How gzipped data begins.
pub(super) const GZIP: [u8; 2] = [0x1f, 0x8b];

/// The file at `path`, opened, and how many bytes to expect.
pub(super) fn open(path: &Path) -> Result<(File, usize), TableError> {
    let name = path.display().to_string();
    let open = || {
        let file = File::open(path)?;
        let metadata = file.metadata()?;
        io::Result::Ok((file, metadata))
    };
    let (file, metadata) = open().map_err(|source| TableError::Io { name: name.clone(), source })?;
    if metadata.is_dir() {
        return Err(TableError::Directory { name });
    }
    // Room for the whole file at once, but never more than a damaged length could make it.
    let room = metadata.len().min(1 << 28) as usize;
    Ok((file, room))
}

/// The bytes of the file at `path`.
pub(super) fn read_path(path: &Path) -> Result<Vec<u8>, TableError> {
    let (file, room) = open(path)?;
    read(&path.display().to_string(), file, room)
}

/// The bytes that `reader` gives; `room` is how many are expected.
pub(super) fn read(name: &str, reader: impl Read, room: usize) -> Result<Vec<u8>, TableError> {
    let mut bytes = Vec::with_capacity(room);
    reader
        .take(LIMIT + 1)
        .read_to_end(&mut bytes)
        .map_err(|source| TableError::Io { name: name.to_string(), source })?;
    if bytes.starts_with(&GZIP) {
        let mut text = Vec::with_capacity(bytes.len() * 4);
        MultiGzDecoder::new(bytes.as_slice())
            .take(LIMIT + 1)
            .read_to_end(&mut text)
            .map_err(|source| TableError::Gzip { name: name.to_string(), source })?;
        bytes = text;
    }
    if bytes.len() as u64 > LIMIT {
        return Err(TableError::TooLarge { name: name.to_string(), limit: LIMIT });
    }
    check_start(name, &mut bytes)?;
    Ok(bytes)
}

/// Takes off a byte-order mark, and refuses what is no text.
pub(super) fn check_start(name: &str, bytes: &mut Vec<u8>) -> Result<(), TableError> {
    if bytes.starts_with(b"\xEF\xBB\xBF") {
        bytes.drain(..3);
    }
    match binary_kind(bytes) {
        Some(what) => Err(TableError::Binary { name: name.to_string(), what }),
        None => Ok(()),
    }
}

/// What the bytes look like, where it is not text.
fn binary_kind(bytes: &[u8]) -> Option<&'static str> {
    const MAGIC: [(&[u8], &str); 8] = [
        (b"PK\x03\x04", "looks like a zip archive or a spreadsheet (save the sheet as CSV)"),
        (b"\xD0\xCF\x11\xE0", "looks like an old spreadsheet (save the sheet as CSV)"),
        (b"PAR1", "looks like a Parquet file"),
        (b"\xFF\xFE", "is text in UTF-16"),
        (b"\xFE\xFF", "is text in UTF-16"),
        (b"\x89PNG", "is a PNG image"),
        (b"\xFF\xD8\xFF", "is a JPEG image"),
        (b"\x93NUMPY", "is a NumPy array"),
    ];
    if let Some((_, what)) = MAGIC.iter().find(|(magic, _)| bytes.starts_with(magic)) {
        return Some(what);
    }
    bytes[..bytes.len().min(1 << 16)].contains(&0).then_some("holds zero bytes")
}
