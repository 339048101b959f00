//! Files of a folder or a tar archive, by name; their bytes when they are asked for. [`layout`]: class and part of each, from
//! the folders around it.
//!
//! Nothing is ever written. A `.tar` is read in place: its members are found once, and read where they lie. A compressed
//! one can only be read from the front, so the members that are of use are kept in memory, within a budget.

mod error;
mod layout;

use std::cell::Cell;
use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::{Mutex, PoisonError};

use flate2::read::MultiGzDecoder;
use tar::{Archive, EntryType};

pub use error::FilesError;
pub use layout::Part;

pub(super) use error::size_words;
pub(super) use layout::{Layout, layout};

use super::ReadError;
use super::images::cifar;

/// Bytes of the largest file that is read.
pub const MOST_FILE_BYTES: u64 = 256 << 20;
/// Bytes that the name and the attributes of one member of an archive may take.
const MOST_HEADER_BYTES: u64 = 1 << 20;
/// Memory of an entry besides its name and bytes, about.
const ENTRY_BYTES: u64 = 96;

/// What files hold, by the endings of their names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Pictures.
    Pictures,
    /// Documents in plain text.
    Texts,
}

impl Kind {
    /// All kinds. Where files are of several, they are taken for the first.
    const ALL: [Kind; 2] = [Kind::Pictures, Kind::Texts];

    /// Endings of names, in lower case.
    pub fn endings(self) -> &'static [&'static str] {
        match self {
            Kind::Pictures => &["png", "jpg", "jpeg", "gif", "bmp", "webp"],
            Kind::Texts => &["txt"],
        }
    }

    /// Whether the name's ending is one of these.
    pub fn is_of(self, name: &str) -> bool {
        let ending = name.rsplit('/').next().unwrap_or_default().rsplit_once('.').map(|(_, ending)| ending);
        ending.is_some_and(|ending| self.endings().iter().any(|known| ending.eq_ignore_ascii_case(known)))
    }

    /// Whether a file of that name is of use among those of the kind.
    fn takes(self, name: &str) -> bool {
        self.is_of(name) || self == Kind::Pictures && cifar::is_part(name)
    }

    /// `picture` or `text`.
    pub fn noun(self) -> &'static str {
        match self {
            Kind::Pictures => "picture",
            Kind::Texts => "text",
        }
    }
}

/// A file, or a member of an archive.
#[derive(Debug)]
pub(super) struct Entry {
    /// Folders and name below the root, parted by `/`.
    pub name: String,
    /// Whether the name is exactly that, or had bytes that are no UTF-8.
    pub is_utf8: bool,
    place: Place,
}

#[derive(Debug)]
enum Place {
    Path(PathBuf),
    Span { start: u64, length: u64 },
}

#[derive(Debug)]
enum Store {
    /// Files by their path.
    Folder,
    /// Spans of a file.
    Archive(Mutex<File>),
    /// Spans of these bytes.
    Memory(Vec<u8>),
}

/// What was passed over: how often, and the first names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// How many.
    pub count: u64,
    /// The first of them.
    pub first: Vec<String>,
}

impl Tally {
    /// Names that are kept.
    const NAMED: usize = 5;

    /// One more.
    pub fn add(&mut self, name: impl Into<String>) {
        self.count += 1;
        if self.first.len() < Tally::NAMED {
            self.first.push(name.into());
        }
    }

    /// `a, b, … (7 in all)`.
    pub fn names(&self) -> String {
        let names = self.first.join(", ");
        let more = self.count > self.first.len() as u64;
        if more { format!("{names}, … ({} in all)", self.count) } else { names }
    }
}

/// Files by name, sorted; see the [module](self).
#[derive(Debug)]
pub struct Files {
    /// As the user wrote it.
    root: PathBuf,
    pub(super) entries: Vec<Entry>,
    /// Folders below the root, whether anything lies in them or not.
    pub(super) folders: Vec<String>,
    store: Store,
    /// Files that are of no use.
    others: Tally,
    /// Links, devices, names that lead out of the archive.
    refused: Tally,
}

/// Whether the file's name is that of an archive that can be read: `.tar`, `.tar.gz` or `.tgz`.
pub fn is_archive(path: &Path) -> bool {
    let name = path.to_string_lossy().to_lowercase();
    [".tar", ".tar.gz", ".tgz"].iter().any(|ending| name.ends_with(ending))
}

/// Whether a file may be of use.
fn is_wanted(name: &str) -> bool {
    Kind::ALL.iter().any(|kind| kind.takes(name))
}

/// Files of the system: `.DS_Store`, `._cat.jpg`, `__MACOSX/`.
fn is_hidden(part: &str) -> bool {
    part.starts_with('.') || part == "__MACOSX" || part == "Thumbs.db"
}

/// What is collected on the way through a folder or an archive.
#[derive(Default)]
struct Found {
    entries: Vec<Entry>,
    folders: Vec<String>,
    /// Files that are of no use.
    others: Tally,
    /// Links, devices, names that lead out of the archive.
    refused: Tally,
    /// Bytes that names take, about.
    name_bytes: u64,
}

impl Found {
    fn into_files(mut self, root: &Path, store: Store) -> Files {
        // Places decide between names that differ in bytes that are no UTF-8 alone.
        self.entries.sort_by(|a, b| a.name.cmp(&b.name).then_with(|| a.place.cmp_path(&b.place)));
        self.folders.sort();
        self.folders.dedup();
        let Found { entries, folders, others, refused, .. } = self;
        Files { root: root.to_path_buf(), entries, folders, store, others, refused }
    }
}

impl Place {
    fn cmp_path(&self, other: &Place) -> std::cmp::Ordering {
        match (self, other) {
            (Place::Path(a), Place::Path(b)) => a.cmp(b),
            (Place::Span { start: a, .. }, Place::Span { start: b, .. }) => a.cmp(b),
            _ => std::cmp::Ordering::Equal,
        }
    }
}

impl Files {
    /// Finds the files of `path`: a folder, an archive, or a single file.
    ///
    /// `memory` bounds what is kept of an archive, in bytes.
    ///
    /// # Errors
    /// When it cannot be read, an archive is damaged, or a compressed one takes more than `memory`.
    pub fn open(path: &Path, memory: u64) -> Result<Files, FilesError> {
        let failed = |source| FilesError::Open { path: path.to_path_buf(), source };
        if fs::metadata(path).map_err(failed)?.is_dir() {
            let mut found = Found::default();
            walk(path, String::new(), &mut found)?;
            return Ok(found.into_files(path, Store::Folder));
        }
        let mut file = File::open(path).map_err(failed)?;
        if !is_archive(path) {
            let name = path.file_name().unwrap_or_default();
            let entry = Entry {
                name: name.to_string_lossy().into_owned(),
                is_utf8: name.to_str().is_some(),
                place: Place::Path(name.into()),
            };
            let found = Found { entries: vec![entry], ..Found::default() };
            return Ok(found.into_files(path.parent().unwrap_or(Path::new("")), Store::Folder));
        }
        let mut start = [0; 2];
        let is_gzip = file.read(&mut start).map_err(failed)? == 2 && start == [0x1f, 0x8b];
        file.seek(SeekFrom::Start(0)).map_err(failed)?;
        let damaged = |source| FilesError::Archive { path: path.to_path_buf(), source };
        if is_gzip {
            let (found, bytes) = read_compressed(path, MultiGzDecoder::new(BufReader::new(file)), memory)?;
            Ok(found.into_files(path, Store::Memory(bytes)))
        } else {
            let found =
                index(BufReader::new(file.try_clone().map_err(failed)?), memory).map_err(|stop| match stop {
                    Stop::Io(source) => damaged(source),
                    Stop::Budget => FilesError::Memory { path: path.to_path_buf(), memory, compressed: false },
                })?;
            Ok(found.into_files(path, Store::Archive(Mutex::new(file))))
        }
    }

    /// What the files hold: pictures, if there is one among them.
    pub fn kind(&self) -> Option<Kind> {
        let holds =
            |kind: &Kind| self.entries.iter().any(|entry| kind.is_of(&entry.name) || cifar::is_record(&entry.name));
        Kind::ALL.into_iter().find(holds)
    }

    /// Leaves out all files but those of the kind.
    pub(super) fn keep(&mut self, kind: Kind) {
        let (entries, others) = (&mut self.entries, &mut self.others);
        entries.retain(|entry| {
            let takes = kind.takes(&entry.name);
            if !takes {
                others.add(&entry.name);
            }
            takes
        });
    }

    /// For the user: what was passed over besides those of the kind.
    pub(super) fn notes(&self, kind: Kind) -> Vec<String> {
        let mut notes = Vec::new();
        if self.others.count > 0 {
            notes.push(format!("files that are no {}s are left out: {}", kind.noun(), self.others.names()));
        }
        if self.refused.count > 0 {
            notes.push(format!("links and unsafe names are left out: {}", self.refused.names()));
        }
        notes
    }

    /// Bytes that are held in memory.
    pub(super) fn held_bytes(&self) -> u64 {
        match &self.store {
            Store::Memory(bytes) => bytes.len() as u64,
            Store::Folder | Store::Archive(_) => 0,
        }
    }

    /// Where an entry is, for people.
    pub(super) fn place(&self, entry: u32) -> String {
        self.root.join(&self.entries[entry as usize].name).display().to_string()
    }

    /// What the user opened.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The bytes of an entry. Called by several threads at a time.
    ///
    /// # Errors
    /// When they cannot be read, or are too many.
    pub(super) fn read(&self, entry: u32) -> Result<Vec<u8>, ReadError> {
        let failed = |reason: String| ReadError { place: self.place(entry), reason };
        let too_large = |bytes: u64| {
            (bytes > MOST_FILE_BYTES).then(|| failed(format!("the file is larger than {} MB", MOST_FILE_BYTES >> 20)))
        };
        match (&self.entries[entry as usize].place, &self.store) {
            (Place::Path(path), _) => {
                let file = File::open(self.root.join(path)).map_err(|error| failed(error.to_string()))?;
                let mut bytes = Vec::new();
                let read = file.take(MOST_FILE_BYTES + 1).read_to_end(&mut bytes);
                read.map_err(|error| failed(error.to_string()))?;
                too_large(bytes.len() as u64).map_or(Ok(bytes), Err)
            }
            (Place::Span { start, length }, Store::Memory(all)) => {
                Ok(all[*start as usize..][..*length as usize].to_vec())
            }
            (Place::Span { start, length }, Store::Archive(file)) => {
                too_large(*length).map_or(Ok(()), Err)?;
                let mut bytes = vec![0; *length as usize];
                let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
                let read = file.seek(SeekFrom::Start(*start)).and_then(|_| file.read_exact(&mut bytes));
                read.map_err(|error| match error.kind() {
                    io::ErrorKind::UnexpectedEof => failed("the archive ends before the file does".to_string()),
                    _ => failed(error.to_string()),
                })?;
                Ok(bytes)
            }
            (Place::Span { .. }, Store::Folder) => unreachable!("files of a folder have paths"),
        }
    }
}

/// Collects the files below `root/below`. Links to files are read, links to folders are not followed: they may lead
/// round in a circle.
fn walk(root: &Path, below: String, found: &mut Found) -> Result<(), FilesError> {
    let mut left = vec![(PathBuf::new(), below)];
    while let Some((folder, name)) = left.pop() {
        let whole = root.join(&folder);
        let failed = |source| FilesError::Open { path: whole.clone(), source };
        for entry in fs::read_dir(&whole).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let file_name = entry.file_name();
            let part = file_name.to_string_lossy();
            if is_hidden(&part) {
                continue;
            }
            let path = folder.join(&file_name);
            let own = if name.is_empty() { part.to_string() } else { format!("{name}/{part}") };
            let kind = entry.file_type().map_err(failed)?;
            if kind.is_dir() {
                found.folders.push(own.clone());
                left.push((path, own));
            } else if kind.is_symlink() && !fs::metadata(entry.path()).is_ok_and(|target| target.is_file()) {
                found.refused.add(own);
            } else if is_wanted(&own) {
                found.entries.push(Entry { is_utf8: path.to_str().is_some(), name: own, place: Place::Path(path) });
            } else {
                found.others.add(own);
            }
        }
    }
    Ok(())
}

/// Why the way through an archive ended early.
enum Stop {
    Io(io::Error),
    Budget,
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Stop {
        Stop::Io(error)
    }
}

/// A reader that gives no more than what is left: a header that claims gigabytes must not become a text of gigabytes.
struct Metered<R> {
    inner: R,
    left: Rc<Cell<u64>>,
}

impl<R: Read> Read for Metered<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let left = self.left.get();
        if left == 0 {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "a name or an attribute of more than 1 MB"));
        }
        let most = out.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let count = self.inner.read(&mut out[..most])?;
        self.left.set(left - count as u64);
        Ok(count)
    }
}

impl<R: Seek> Seek for Metered<R> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.inner.seek(to)
    }
}

/// A member of an archive that is worth keeping: its name, and whether that is UTF-8.
fn wanted_member<R: Read>(member: &tar::Entry<'_, R>, found: &mut Found) -> Option<(String, bool)> {
    let raw = member.path_bytes();
    let name = String::from_utf8_lossy(&raw).into_owned();
    let kind = member.header().entry_type();
    if matches!(kind, EntryType::XGlobalHeader | EntryType::XHeader | EntryType::GNULongName) {
        return None;
    }
    let parts: Vec<&str> = name.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    let leads_out = name.starts_with('/') || parts.contains(&"..") || name.contains(['\\', '\0']);
    if leads_out || !matches!(kind, EntryType::Regular | EntryType::Continuous | EntryType::Directory) {
        found.refused.add(name);
        return None;
    }
    if parts.is_empty() || parts.iter().any(|part| is_hidden(part)) {
        return None;
    }
    let name = parts.join("/");
    if kind != EntryType::Directory && !is_wanted(&name) {
        found.others.add(name);
        return None;
    }
    found.name_bytes += 2 * name.len() as u64 + ENTRY_BYTES;
    if kind == EntryType::Directory {
        found.folders.push(name);
        return None;
    }
    Some((name, std::str::from_utf8(&raw).is_ok()))
}

/// Keeps the last of members of one name, as unpacking would.
#[derive(Default)]
struct Members {
    entries: Vec<Entry>,
    places: HashMap<String, usize>,
}

impl Members {
    fn add(&mut self, entry: Entry) {
        match self.places.get(&entry.name).filter(|_| entry.is_utf8) {
            Some(&place) => self.entries[place] = entry,
            None => {
                self.places.insert(entry.name.clone(), self.entries.len());
                self.entries.push(entry);
            }
        }
    }
}

/// Finds the members of an archive without compression.
fn index<R: Read + Seek>(reader: R, memory: u64) -> Result<Found, Stop> {
    let left = Rc::new(Cell::new(MOST_HEADER_BYTES));
    let mut archive = Archive::new(Metered { inner: reader, left: left.clone() });
    let (mut found, mut members) = (Found::default(), Members::default());
    for member in archive.entries_with_seek()? {
        let member = member?;
        left.set(MOST_HEADER_BYTES);
        if let Some((name, is_utf8)) = wanted_member(&member, &mut found) {
            let place = Place::Span { start: member.raw_file_position(), length: member.size() };
            members.add(Entry { name, is_utf8, place });
        }
        if found.name_bytes > memory {
            return Err(Stop::Budget);
        }
    }
    found.entries = members.entries;
    Ok(found)
}

/// Reads the members of a compressed archive, from the front to the end.
fn read_compressed(path: &Path, reader: impl Read, memory: u64) -> Result<(Found, Vec<u8>), FilesError> {
    let left = Rc::new(Cell::new(MOST_HEADER_BYTES));
    let mut archive = Archive::new(Metered { inner: reader, left: left.clone() });
    let (mut found, mut members, mut bytes) = (Found::default(), Members::default(), Vec::new());
    let mut read_all = || -> Result<(), Stop> {
        for member in archive.entries()? {
            let mut member = member?;
            left.set(u64::MAX);
            if let Some((name, is_utf8)) = wanted_member(&member, &mut found) {
                let start = bytes.len() as u64;
                if found.name_bytes + start + member.size() > memory {
                    return Err(Stop::Budget);
                }
                let length = member.read_to_end(&mut bytes)? as u64;
                if length < member.size() {
                    return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
                }
                members.add(Entry { name, is_utf8, place: Place::Span { start, length } });
            }
            if found.name_bytes > memory {
                return Err(Stop::Budget);
            }
            // What is passed over must not count for the header that follows.
            io::copy(&mut member, &mut io::sink())?;
            left.set(MOST_HEADER_BYTES);
        }
        Ok(())
    };
    match read_all() {
        Ok(()) => {
            found.entries = members.entries;
            Ok((found, bytes))
        }
        Err(Stop::Io(source)) => Err(FilesError::Archive { path: path.to_path_buf(), source }),
        Err(Stop::Budget) => Err(FilesError::Memory { path: path.to_path_buf(), memory, compressed: true }),
    }
}
