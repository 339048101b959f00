//! Zip archives, as NumPy (`.npz`) and PyTorch (`.pt`) write them: stored or deflated entries, sizes in the directory.
//!
//! The directory is checked before anything is unpacked: entries that overlap, or that together unpack to far more than the
//! archive, are refused. An entry is checked against its CRC-32 when it is read.

use std::collections::BTreeMap;
use std::io::{BufReader, Read};

use flate2::bufread::DeflateDecoder;
use rawzip::{CompressionMethod, MAX_CENTRAL_DIRECTORY_RECORD_SIZE, ZipArchive, ZipArchiveEntryWayfinder, ZipLocator};

use super::error::Problem;
use super::source::{Bytes, reserve};

/// What an archive may unpack to, whatever its size: arrays of zeros pack well.
const UNPACKED_BYTES: u64 = 64 << 20;
/// What a larger archive may unpack to, in sizes of itself. Weights hardly pack: this is a zip bomb.
const UNPACKED_TIMES: u64 = 20;

/// An archive whose directory was read.
pub(super) struct Archive {
    zip: ZipArchive<Bytes>,
    entries: Vec<Entry>,
    by_name: BTreeMap<String, usize>,
}

/// An entry.
pub(super) struct Entry {
    pub name: String,
    /// Bytes when unpacked.
    pub size: u64,
    /// It lies in the archive as it is.
    pub stored: bool,
    place: ZipArchiveEntryWayfinder,
}

impl Archive {
    pub fn open(bytes: Bytes) -> Result<Archive, Problem> {
        let length = bytes.length;
        let mut buffer = vec![0; MAX_CENTRAL_DIRECTORY_RECORD_SIZE];
        let zip = ZipLocator::new()
            .locate_in_reader(bytes, &mut buffer, length)
            .map_err(|(_, error)| damaged(&format!("has no directory at its end ({error})")))?;
        let (mut entries, mut by_name) = (Vec::new(), BTreeMap::new());
        let (mut packed, mut unpacked) = (0u64, 0u64);
        let mut directory = zip.entries(&mut buffer);
        while let Some(entry) = directory.next_entry().map_err(|error| damaged(&error.to_string()))? {
            let name = String::from_utf8_lossy(entry.file_path().as_ref()).into_owned();
            if entry.is_dir() {
                continue;
            }
            let stored = match entry.compression_method() {
                CompressionMethod::STORE => true,
                CompressionMethod::DEFLATE => false,
                other => {
                    return Err(message(format!(
                        "packs `{name}` in a way that is not read ({other:?}); pack it with deflate"
                    )));
                }
            };
            if entry.flags().is_encrypted() {
                return Err(message(format!("encrypts `{name}`; save it without a password")));
            }
            let size = entry.uncompressed_size_hint();
            if stored && size != entry.compressed_size_hint() {
                return Err(damaged(&format!("has two sizes of `{name}`")));
            }
            packed = packed.saturating_add(entry.compressed_size_hint());
            unpacked = unpacked.saturating_add(size);
            if by_name.insert(name.clone(), entries.len()).is_some() {
                return Err(damaged(&format!("has two entries `{name}`")));
            }
            entries.push(Entry { name, size, stored, place: entry.wayfinder() });
        }
        if packed > length {
            return Err(damaged(&format!("has {length} bytes, but entries of {packed}: they overlap")));
        }
        let limit = UNPACKED_BYTES.max(length.saturating_mul(UNPACKED_TIMES));
        if unpacked > limit {
            return Err(message(format!(
                "of {length} bytes would unpack to {unpacked}, more than the {limit} that weights can need (a zip bomb?); \
                 if it is none, save it without compression"
            )));
        }
        Ok(Archive { zip, entries, by_name })
    }

    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    pub fn find(&self, name: &str) -> Option<usize> {
        self.by_name.get(name).copied()
    }

    /// The first bytes of an entry, up to `length`; unchecked, as the checksum is at the end.
    pub fn first(&self, index: usize, length: usize) -> Result<Vec<u8>, Problem> {
        let mut bytes = Vec::new();
        self.unpack(index, |reader| reader.take(length as u64).read_to_end(&mut bytes))?;
        Ok(bytes)
    }

    /// An entry, checked.
    pub fn read(&self, index: usize) -> Result<Vec<u8>, Problem> {
        let Entry { name, size, stored, .. } = &self.entries[index];
        let mut bytes = Vec::new();
        if *stored {
            // The archive has as many: other sizes grow with what is found.
            reserve(&mut bytes, *size as usize)?;
        }
        self.unpack(index, |reader| reader.take(size + 1).read_to_end(&mut bytes))?;
        if bytes.len() as u64 != *size {
            return Err(damaged(&format!("says {size} bytes of `{name}`, {} were found", bytes.len())));
        }
        Ok(bytes)
    }

    fn unpack(&self, index: usize, read: impl FnOnce(&mut dyn Read) -> std::io::Result<usize>) -> Result<(), Problem> {
        let Entry { name, stored, place, .. } = &self.entries[index];
        let failed = |error: &dyn std::fmt::Display| damaged(&format!("cannot give `{name}` ({error})"));
        let entry = self.zip.get_entry(*place).map_err(|error| failed(&error))?;
        let packed = BufReader::new(entry.reader());
        let outcome = if *stored {
            read(&mut entry.verifying_reader(packed))
        } else {
            read(&mut entry.verifying_reader(DeflateDecoder::new(packed)))
        };
        outcome.map(|_| ()).map_err(|error| failed(&error))
    }
}

fn message(message: String) -> Problem {
    Problem::Archive { message }
}

fn damaged(what: &str) -> Problem {
    message(format!("{what}; the file is damaged, copy it again"))
}
