//! Weights that other programs saved: named tensors of safetensors files, NumPy arrays and PyTorch's state dictionaries.
//!
//! [`Weights::open`] reads what a file says about its tensors and checks it: names, shapes, types, that each lies within the
//! file. Values are read one tensor at a time, when they are asked for, so that a file costs no more memory than the network
//! that it goes into. What a file says is not trusted: nothing is allocated that it cannot hold, nothing in it is run, and
//! whatever is wrong is an error with its place. [`Weights::from_bytes`] can be handed to a fuzzer as it is.
//!
//! It stands in this room because it shares the layout of safetensors ([`super::container`]) and the way of other types to
//! f32 with the files that Pellucid writes.
//!
//! [`Matching`] says which tensor becomes which parameter.

mod archive;
mod error;
mod matching;
mod npy;
mod pickle;
mod pytorch;
mod safetensors_index;
mod source;
mod tensor;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use rawzip::RangeReader;

use archive::Archive;
use source::{Bytes, Place, Source};
use tensor::Layout;

use super::container::read_header;
use super::element;
use super::error::Fault;
use super::header::{LENGTH_BYTES, check_name};

pub use error::{Problem, WeightsError};
pub use matching::{MatchError, Matched, Matching, Outcome, Renaming};

/// What a file says about a tensor.
#[derive(Clone, Debug, PartialEq)]
pub struct TensorInfo {
    /// Its name, such as `layer1.0.conv1.weight`.
    pub name: String,
    /// Dimensions; none for a single value.
    pub shape: Vec<usize>,
    /// Type in the file, such as `F16`; values are read as f32.
    pub dtype: String,
}

/// A tensor that was found.
struct Found {
    name: String,
    shape: Vec<usize>,
    layout: Layout,
}

/// The tensors of a file that another program saved.
pub struct Weights {
    file: Option<PathBuf>,
    sources: Vec<Source>,
    tensors: Vec<TensorInfo>,
    layouts: Vec<Layout>,
    ordered: bool,
    /// The place that was read last: tensors share storages.
    last: Option<(Place, Vec<u8>)>,
}

impl std::fmt::Debug for Weights {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Weights").field("file", &self.file).field("tensors", &self.tensors).finish_non_exhaustive()
    }
}

impl Weights {
    /// Opens a file; its first bytes say what it is:
    ///
    /// * safetensors, or the `*.safetensors.index.json` of several, which lie beside it;
    /// * a NumPy array (`.npy`), named as its file, or several (`.npz`);
    /// * a state dictionary of PyTorch (`.pt`, `.pth`, `.bin`) since version 1.6, also within a checkpoint's dictionary, as
    ///   `{"state_dict": …}`.
    ///
    /// # Errors
    /// [`WeightsError`] names the file, the place in it, and what to do.
    pub fn open(path: &Path) -> Result<Weights, WeightsError> {
        let failed = WeightsError::at(Some(path));
        let bytes = Bytes::open(path).map_err(&failed)?;
        if bytes.first(1).map_err(&failed)? == b"{" {
            return Weights::open_index(path, &bytes);
        }
        let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        let (source, found, ordered) = parse(bytes, &stem, 0).map_err(&failed)?;
        Ok(Weights::new(Some(path), vec![source], found, ordered))
    }

    /// As [`Weights::open`], from memory; a single array is called `array`.
    ///
    /// # Errors
    /// As [`Weights::open`].
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Weights, WeightsError> {
        let parsed = parse(Bytes::in_memory(bytes), "array", 0).map_err(WeightsError::at(None));
        parsed.map(|(source, found, ordered)| Weights::new(None, vec![source], found, ordered))
    }

    fn open_index(path: &Path, bytes: &Bytes) -> Result<Weights, WeightsError> {
        let failed = WeightsError::at(Some(path));
        let index = safetensors_index::parse(bytes).map_err(&failed)?;
        let (mut sources, mut found) = (Vec::new(), Vec::<Found>::new());
        let mut names = BTreeSet::new();
        for (file, listed) in index {
            let beside = path.with_file_name(&file);
            let failed = WeightsError::at(Some(&beside));
            let (source, tensors, _) =
                Bytes::open(&beside).and_then(|bytes| safetensors(bytes, sources.len())).map_err(&failed)?;
            if let Some(missing) = listed.iter().find(|name| tensors.iter().all(|tensor| tensor.name != **name)) {
                let message =
                    "is not in this file, as the index says; the download is not complete, or the index is of others";
                return Err(failed(Problem::Tensor { tensor: missing.clone(), message: message.to_string() }));
            }
            if let Some(twice) = tensors.iter().find(|tensor| !names.insert(tensor.name.clone())) {
                return Err(failed(Fault::DuplicateTensor { tensor: twice.name.clone() }.into()));
            }
            sources.push(source);
            found.extend(tensors);
        }
        Ok(Weights::new(Some(path), sources, found, false))
    }

    fn new(file: Option<&Path>, sources: Vec<Source>, found: Vec<Found>, ordered: bool) -> Weights {
        let info = |tensor: &Found| TensorInfo {
            name: tensor.name.clone(),
            shape: tensor.shape.clone(),
            dtype: tensor.layout.dtype.to_string(),
        };
        let tensors = found.iter().map(info).collect();
        let layouts = found.into_iter().map(|tensor| tensor.layout).collect();
        Weights { file: file.map(Path::to_path_buf), sources, tensors, layouts, ordered, last: None }
    }

    /// What the file says about its tensors.
    pub fn tensors(&self) -> &[TensorInfo] {
        &self.tensors
    }

    /// True where the tensors stand in the order in which they were saved (the order of the layers). Safetensors files do
    /// not keep it.
    pub fn is_ordered(&self) -> bool {
        self.ordered
    }

    /// The file, unless the bytes came from memory.
    pub fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// The values of tensor `index` of [`Weights::tensors`], in row-major order. F16 and BF16 are exact, F64 is rounded to
    /// nearest, whole numbers and truth values must be exact in f32.
    ///
    /// # Errors
    /// A file that changed meanwhile, a checksum that is not right, a value that f32 cannot hold.
    pub fn read(&mut self, index: usize) -> Result<Vec<f32>, WeightsError> {
        let (info, layout) = (&self.tensors[index], &self.layouts[index]);
        let failed = WeightsError::at(self.file.as_deref());
        if self.last.as_ref().is_none_or(|(place, _)| *place != layout.place) {
            // Given back before the next is taken.
            self.last = None;
            self.last = Some((layout.place, layout.place.read(&self.sources).map_err(&failed)?));
        }
        let (_, bytes) = self.last.as_ref().expect("it was read");
        layout.values(&info.name, &info.shape, bytes).map_err(&failed)
    }
}

/// A source, what is in it, and whether that is in the order of the layers.
type Parsed = (Source, Vec<Found>, bool);

fn parse(bytes: Bytes, stem: &str, source: usize) -> Result<Parsed, Problem> {
    let first = bytes.first(npy::MAX_HEADER)?;
    if first.starts_with(npy::MAGIC) {
        let array = npy::parse(&first, bytes.length).map_err(|message| in_array(stem, message))?;
        let length = bytes.length as usize;
        let found = array_in(array, stem.to_string(), Place::Stretch { source, start: 0, length })?;
        return Ok((Source::Plain(bytes), vec![found], true));
    }
    if first.starts_with(b"PK\x03\x04") || first.starts_with(b"PK\x05\x06") {
        let archive = Archive::open(bytes)?;
        let found = match pytorch::pickle_of(&archive) {
            Some(pickle) => pytorch::tensors(&archive, pickle, source)?,
            None => arrays(&archive, source)?,
        };
        return Ok((Source::Archive(archive), found, true));
    }
    // The number that PyTorch put in front before version 1.6.
    if first.starts_with(b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19") {
        let found =
            "a file of PyTorch before version 1.6; in PyTorch, save it anew: torch.save(torch.load(path), path)";
        return Err(Problem::Foreign { found: found.to_string() });
    }
    if matches!(first[..], [0x80, 2..=5, ..]) {
        let found = "a bare Python pickle; save the tensors with torch.save, numpy.savez or safetensors";
        return Err(Problem::Foreign { found: found.to_string() });
    }
    safetensors(bytes, source)
}

fn safetensors(bytes: Bytes, source: usize) -> Result<Parsed, Problem> {
    let header = read_header(&mut RangeReader::new(&bytes, 0..bytes.length), bytes.length)?;
    // The header fills what the tensors leave: the sum was checked.
    let data = bytes.length - header.data_bytes();
    debug_assert!(data >= LENGTH_BYTES as u64);
    let mut found = Vec::with_capacity(header.tensors.len());
    for (name, info) in header.tensors {
        if !element::is_readable(info.dtype) {
            return Err(Fault::Dtype { tensor: name, dtype: info.dtype.to_string() }.into());
        }
        let (start, end) = info.data_offsets;
        let place = Place::Stretch { source, start: data + start as u64, length: end - start };
        let layout = Layout { dtype: info.dtype, big_endian: false, place, start: 0, strides: None };
        found.push(Found { name, shape: info.shape, layout });
    }
    Ok((Source::Plain(bytes), found, false))
}

/// The arrays of an archive of NumPy.
fn arrays(archive: &Archive, source: usize) -> Result<Vec<Found>, Problem> {
    if archive.entries().is_empty() {
        return Err(Problem::Archive { message: "is empty".to_string() });
    }
    let each = archive.entries().iter().enumerate().map(|(index, entry)| {
        let Some(name) = entry.name.strip_suffix(".npy") else {
            let found = format!(
                "a zip archive with `{}`, neither of arrays of NumPy (.npz) nor a state dictionary of PyTorch",
                entry.name.chars().take(100).collect::<String>()
            );
            return Err(Problem::Foreign { found });
        };
        let first = archive.first(index, npy::MAX_HEADER)?;
        let array = npy::parse(&first, entry.size).map_err(|message| in_array(name, message))?;
        array_in(array, name.to_string(), Place::Entry { source, entry: index })
    });
    each.collect()
}

fn array_in(array: npy::Array, name: String, place: Place) -> Result<Found, Problem> {
    check_name(&name)?;
    let npy::Array { dtype, big_endian, shape, strides, start } = array;
    Ok(Found { name, shape, layout: Layout { dtype, big_endian, place, start, strides } })
}

fn in_array(array: &str, message: String) -> Problem {
    Problem::Array { array: array.to_string(), message }
}
