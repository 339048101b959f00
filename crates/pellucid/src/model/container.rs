//! Named tensors and string metadata in one file: safetensors, with checksums.
//!
//! The file is an ordinary safetensors file (<https://github.com/huggingface/safetensors>), so that PyTorch, NumPy and
//! JAX users open the weights with the reader they have. Tensors are F32 and lie in the order of their names; equal
//! content gives equal bytes. Three fields of the metadata belong to the container:
//!
//! * `pellucid.format_version`: version of this layout, 1;
//! * `pellucid.weights_sha256`: [`weights_sha256`] of all tensors;
//! * `pellucid.metadata_sha256`: SHA-256 over all other metadata (these two fields included): for each entry in
//!   ascending order of the keys' bytes, the length of the key (u64, little-endian), the key, the length of the value, the
//!   value. This definition holds for every format version, so that damage is not taken for a newer version.
//!
//! Reading checks everything (lengths, JSON, names, offsets, sizes, trailing bytes, both checksums) before anything is
//! handed out, and allocates only what the file has bytes for. No file makes it panic, so [`Container::from_bytes`] and
//! [`Container::from_bytes_any`] can be handed to a fuzzer as they are.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::Path;

use safetensors::Dtype;
use safetensors::tensor::TensorInfo;

use super::atomic::{self, Staged};
use super::checksum::{for_each_block, metadata_sha256};
use super::element;
use super::error::{ContainerError, Fault};
use super::header::{Header, LENGTH_BYTES, MAX_HEADER_BYTES, check_name, element_count};

pub use super::checksum::weights_sha256;

/// Newest version of the container layout that can be read, and the one that is written.
pub const FORMAT_VERSION: u32 = 1;

const RESERVED_PREFIX: &str = "pellucid.";
const VERSION_FIELD: &str = "pellucid.format_version";
const WEIGHTS_FIELD: &str = "pellucid.weights_sha256";
const METADATA_FIELD: &str = "pellucid.metadata_sha256";

/// A tensor that someone else owns: what is written and hashed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NamedTensor<'a> {
    /// Name, unique in its file, such as `0.weight`.
    pub name: &'a str,
    /// Dimensions; none for a single value.
    pub shape: &'a [usize],
    /// Values in row-major order, as many as the product of `shape`.
    pub data: &'a [f32],
}

/// A tensor that was read.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredTensor {
    /// Dimensions; none for a single value.
    pub shape: Vec<usize>,
    /// Values in row-major order, as many as the product of `shape`.
    pub data: Vec<f32>,
}

/// The checked content of a file.
#[derive(Clone, Debug, PartialEq)]
pub struct Container {
    tensors: BTreeMap<String, StoredTensor>,
    metadata: BTreeMap<String, String>,
    weights_sha256: Option<String>,
}

/// What a file must bring along.
#[derive(Clone, Copy, PartialEq)]
enum Accept {
    /// Version and both checksums.
    Ours,
    /// Nothing; but what it brings is checked.
    Any,
}

impl Container {
    /// Opens a file that Pellucid wrote.
    ///
    /// # Errors
    /// [`ContainerError`] names the file, the tensor, what was expected and what was found.
    pub fn open(path: &Path) -> Result<Container, ContainerError> {
        open(path, Accept::Ours).map_err(ContainerError::at(path))
    }

    /// Opens any safetensors file, for example weights saved by PyTorch. Types other than F32 are converted: F16 and
    /// BF16 exactly, F64 rounded to nearest, whole numbers and truth values if f32 holds them exactly. Checksums are
    /// compared if the file has them.
    ///
    /// # Errors
    /// As [`Container::open`]; also for a type or value that f32 cannot hold.
    pub fn open_any(path: &Path) -> Result<Container, ContainerError> {
        open(path, Accept::Any).map_err(ContainerError::at(path))
    }

    /// As [`Container::open`], from memory.
    ///
    /// # Errors
    /// As [`Container::open`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Container, ContainerError> {
        read(&mut &bytes[..], bytes.len() as u64, Accept::Ours).map_err(ContainerError::in_memory)
    }

    /// As [`Container::open_any`], from memory.
    ///
    /// # Errors
    /// As [`Container::open_any`].
    pub fn from_bytes_any(bytes: &[u8]) -> Result<Container, ContainerError> {
        read(&mut &bytes[..], bytes.len() as u64, Accept::Any).map_err(ContainerError::in_memory)
    }

    /// The tensor of this name.
    pub fn tensor(&self, name: &str) -> Option<&StoredTensor> {
        self.tensors.get(name)
    }

    /// All tensors in the order of their names.
    pub fn tensors(&self) -> impl ExactSizeIterator<Item = NamedTensor<'_>> {
        self.tensors.iter().map(|(name, tensor)| NamedTensor { name, shape: &tensor.shape, data: &tensor.data })
    }

    /// Gives the tensors away.
    pub fn into_tensors(self) -> BTreeMap<String, StoredTensor> {
        self.tensors
    }

    /// The metadata without the container's own fields.
    pub fn metadata(&self) -> &BTreeMap<String, String> {
        &self.metadata
    }

    /// The checked [`weights_sha256`]; none for a file that brings no checksums.
    pub fn weights_sha256(&self) -> Option<&str> {
        self.weights_sha256.as_deref()
    }

    /// A document in the metadata that must be there.
    pub(super) fn document(&self, document: &'static str) -> Result<&str, Fault> {
        self.metadata
            .get(document)
            .map(String::as_str)
            .ok_or_else(|| Fault::MissingDocument { document, found: self.metadata.keys().cloned().collect() })
    }
}

/// The bytes of a file with these tensors (in any order) and metadata.
///
/// # Errors
/// For impossible or equal names, data that do not fit their shape, and metadata keys with the prefix `pellucid.`.
pub fn to_bytes(tensors: &[NamedTensor<'_>], metadata: &BTreeMap<String, String>) -> Result<Vec<u8>, ContainerError> {
    let content = Content::new(tensors, metadata).map_err(ContainerError::in_memory)?;
    let mut bytes = Vec::with_capacity(content.header.len() + content.data_bytes);
    content.write(&mut bytes).expect("a vector takes any bytes");
    Ok(bytes)
}

/// Writes a file atomically (see [`atomic::write_atomically`]) and returns its [`weights_sha256`]. The tensors are
/// streamed, not copied.
///
/// # Errors
/// As [`to_bytes`], and what can go wrong in writing.
pub fn save(
    path: &Path,
    tensors: &[NamedTensor<'_>],
    metadata: &BTreeMap<String, String>,
) -> Result<String, ContainerError> {
    let (staged, sum) = stage(path, tensors, metadata)?;
    staged.replace().map_err(|error| ContainerError::at(path)(error.into()))?;
    Ok(sum)
}

/// The first half of [`save`]: the complete file under a temporary name.
pub(super) fn stage(
    path: &Path,
    tensors: &[NamedTensor<'_>],
    metadata: &BTreeMap<String, String>,
) -> Result<(Staged, String), ContainerError> {
    let content = Content::new(tensors, metadata).map_err(ContainerError::at(path))?;
    let (staged, ()) =
        atomic::stage(path, |writer| content.write(writer)).map_err(|error| ContainerError::at(path)(error.into()))?;
    Ok((staged, content.weights_sha256))
}

/// Everything that is known before the first byte is written.
struct Content<'a> {
    header: Vec<u8>,
    tensors: Vec<NamedTensor<'a>>,
    data_bytes: usize,
    weights_sha256: String,
}

impl<'a> Content<'a> {
    fn new(tensors: &[NamedTensor<'a>], metadata: &BTreeMap<String, String>) -> Result<Content<'a>, Fault> {
        let mut tensors = tensors.to_vec();
        tensors.sort_by(|a, b| a.name.cmp(b.name));
        if let Some(pair) = tensors.windows(2).find(|pair| pair[0].name == pair[1].name) {
            return Err(Fault::DuplicateTensor { tensor: pair[0].name.to_string() });
        }
        let mut infos = Vec::with_capacity(tensors.len());
        let mut data_bytes = 0;
        for &NamedTensor { name, shape, data } in &tensors {
            check_name(name)?;
            if element_count(shape) != Some(data.len()) {
                return Err(Fault::DataLength { tensor: name.to_string(), shape: shape.to_vec(), found: data.len() });
            }
            let end = data_bytes + size_of_val(data);
            let info = TensorInfo { dtype: Dtype::F32, shape: shape.to_vec(), data_offsets: (data_bytes, end) };
            infos.push((name.to_string(), info));
            data_bytes = end;
        }

        if let Some(key) = metadata.keys().find(|key| key.starts_with(RESERVED_PREFIX)) {
            return Err(Fault::ReservedKey { key: key.clone() });
        }
        let weights_sha256 = weights_sha256(&tensors);
        let mut metadata = metadata.clone();
        metadata.insert(VERSION_FIELD.into(), FORMAT_VERSION.to_string());
        metadata.insert(WEIGHTS_FIELD.into(), weights_sha256.clone());
        let sum = metadata_sha256(metadata.iter().map(|(key, value)| (key.as_str(), value.as_str())));
        metadata.insert(METADATA_FIELD.into(), sum);

        let header = Header { metadata, tensors: infos }.encode()?;
        Ok(Content { header, tensors, data_bytes, weights_sha256 })
    }

    fn write(&self, writer: &mut dyn Write) -> io::Result<()> {
        writer.write_all(&self.header)?;
        for tensor in &self.tensors {
            let mut outcome = Ok(());
            for_each_block(tensor.data, |bytes| {
                if outcome.is_ok() {
                    outcome = writer.write_all(bytes);
                }
            });
            outcome?;
        }
        Ok(())
    }
}

fn open(path: &Path, accept: Accept) -> Result<Container, Fault> {
    let failed = |source| Fault::Io { doing: "open", source };
    // Asked before opening: to open a pipe would wait for its other end.
    if !fs::metadata(path).map_err(failed)?.is_file() {
        return Err(Fault::NotAFile);
    }
    let mut file = File::open(path).map_err(failed)?;
    let length = file.metadata().map_err(failed)?.len();
    read(&mut file, length, accept)
}

/// Reads a file of `length` bytes.
fn read(reader: &mut impl Read, length: u64, accept: Accept) -> Result<Container, Fault> {
    let header = read_header(reader, length)?;
    let (metadata, expected_sum) = check_metadata(header.metadata, accept)?;
    if let Some((name, info)) = header.tensors.iter().find(|(_, info)| !element::is_readable(info.dtype)) {
        return Err(Fault::Dtype { tensor: name.clone(), dtype: info.dtype.to_string() });
    }
    let mut tensors = BTreeMap::new();
    for (name, info) in header.tensors {
        let data = read_tensor(reader, &name, &info)?;
        tensors.insert(name, StoredTensor { shape: info.shape, data });
    }
    let container = Container { tensors, metadata, weights_sha256: expected_sum };
    if let Some(expected) = &container.weights_sha256 {
        let found = weights_sha256(&container.tensors().collect::<Vec<_>>());
        if *expected != found {
            return Err(Fault::WeightsChecksum { expected: expected.clone(), found });
        }
    }
    Ok(container)
}

/// Reads the header and checks that the file has exactly the bytes that the header announces.
pub(super) fn read_header(reader: &mut impl Read, length: u64) -> Result<Header, Fault> {
    let Some(after_length) = length.checked_sub(LENGTH_BYTES as u64) else {
        return Err(Fault::NotSafetensors { found: format!("it has only {length} bytes") });
    };
    let mut start = [0; LENGTH_BYTES];
    read_exact(reader, &mut start)?;
    let declared = u64::from_le_bytes(start);
    let limit = after_length.min(MAX_HEADER_BYTES);
    if declared > limit {
        return Err(match foreign_format(&start) {
            Some(found) => Fault::NotSafetensors { found: found.to_string() },
            None => Fault::HeaderLength { declared, limit },
        });
    }
    let mut json = vec![0; declared as usize];
    read_exact(reader, &mut json)?;
    let header = Header::parse(&json)?;

    // Saturated, a hostile sum is still longer than any file.
    let expected = (LENGTH_BYTES as u64 + declared).saturating_add(header.data_bytes());
    match length.cmp(&expected) {
        Ordering::Less => Err(Fault::Truncated { expected, found: length }),
        Ordering::Greater => Err(Fault::TrailingBytes { expected, found: length }),
        Ordering::Equal => Ok(header),
    }
}

/// What the first bytes of a file that is no safetensors file tell.
fn foreign_format(start: &[u8; LENGTH_BYTES]) -> Option<&'static str> {
    const KNOWN: [(&[u8], &str); 8] = [
        (b"PK\x03\x04", "it is a zip archive; save PyTorch weights (.pt) with safetensors.torch.save_file"),
        (b"\x80\x02", "it is a Python pickle; save PyTorch weights with safetensors.torch.save_file"),
        (b"\x89HDF", "it is an HDF5 file; save the weights with safetensors.numpy.save_file"),
        (b"\x93NUMPY", "it is a NumPy file; save the arrays with safetensors.numpy.save_file"),
        (b"\x89PNG", "it is a PNG image"),
        (b"\xff\xd8\xff", "it is a JPEG image"),
        (b"\x1f\x8b", "it is gzip-compressed; unpack it first"),
        (b"{", "it looks like JSON"),
    ];
    if let Some((_, found)) = KNOWN.iter().find(|(magic, _)| start.starts_with(magic)) {
        return Some(found);
    }
    start.iter().all(|&byte| (b' '..=b'~').contains(&byte) || b"\t\r\n".contains(&byte)).then_some("it looks like text")
}

/// Takes the container's own fields out of the metadata and checks them; returns the rest and the sum of the weights.
fn check_metadata(
    mut metadata: BTreeMap<String, String>,
    accept: Accept,
) -> Result<(BTreeMap<String, String>, Option<String>), Fault> {
    if accept == Accept::Any && !metadata.keys().any(|key| key.starts_with(RESERVED_PREFIX)) {
        return Ok((metadata, None));
    }
    let missing = |field| Fault::NotOurs { field };
    // The sum first: a flipped bit in the version is damage, not a newer version.
    let expected = metadata.remove(METADATA_FIELD).ok_or(missing(METADATA_FIELD))?;
    let found = metadata_sha256(metadata.iter().map(|(key, value)| (key.as_str(), value.as_str())));
    if expected != found {
        return Err(Fault::MetadataChecksum { expected, found });
    }
    let version = metadata.remove(VERSION_FIELD).ok_or(missing(VERSION_FIELD))?;
    if version != FORMAT_VERSION.to_string() {
        return Err(Fault::Version { what: "file", found: version, supported: FORMAT_VERSION });
    }
    let weights = metadata.remove(WEIGHTS_FIELD).ok_or(missing(WEIGHTS_FIELD))?;
    Ok((metadata, Some(weights)))
}

/// Bytes read at a time; a multiple of every type's size.
const READ_BYTES: usize = 64 * 1024;

fn read_tensor(reader: &mut impl Read, name: &str, info: &TensorInfo) -> Result<Vec<f32>, Fault> {
    let element_bytes = info.dtype.bitsize() / 8;
    let mut remaining = info.data_offsets.1 - info.data_offsets.0;
    let count = remaining / element_bytes;
    let mut data = Vec::new();
    data.try_reserve_exact(count)
        .map_err(|_| Fault::Memory { tensor: name.to_string(), bytes: count.saturating_mul(size_of::<f32>()) })?;
    let mut block = vec![0; READ_BYTES.min(remaining)];
    while remaining > 0 {
        let bytes = &mut block[..READ_BYTES.min(remaining)];
        read_exact(reader, bytes)?;
        let before = data.len();
        element::append(info.dtype, bytes, &mut data).map_err(|inexact| inexact.fault(name, info.dtype, before))?;
        remaining -= bytes.len();
    }
    Ok(data)
}

/// The length was checked, so an early end means that the file has changed meanwhile.
fn read_exact(reader: &mut impl Read, bytes: &mut [u8]) -> Result<(), Fault> {
    reader.read_exact(bytes).map_err(|source| Fault::Io { doing: "read", source })
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;

    use super::*;

    fn metadata(entries: &[(&str, &str)]) -> BTreeMap<String, String> {
        entries.iter().map(|&(key, value)| (key.to_string(), value.to_string())).collect()
    }

    const WEIGHT: NamedTensor<'_> = NamedTensor { name: "0.weight", shape: &[2, 1], data: &[1.0, -0.0] };
    const BIAS: NamedTensor<'_> = NamedTensor { name: "0.bias", shape: &[1], data: &[0.5] };
    const SCALAR: NamedTensor<'_> = NamedTensor { name: "scale", shape: &[], data: &[f32::NAN] };
    const EMPTY: NamedTensor<'_> = NamedTensor { name: "none", shape: &[3, 0], data: &[] };

    #[test]
    fn the_bytes_are_those_of_the_format() {
        let bytes = to_bytes(&[WEIGHT, BIAS], &metadata(&[("model", "{}")])).expect("valid");
        let sum = weights_sha256(&[BIAS, WEIGHT]);
        let entries = [("model", "{}"), ("pellucid.format_version", "1"), ("pellucid.weights_sha256", &sum)];
        let json = format!(
            r#"{{"__metadata__":{{"model":"{{}}","pellucid.format_version":"1","pellucid.metadata_sha256":"{}","pellucid.weights_sha256":"{sum}"}},"0.bias":{{"dtype":"F32","shape":[1],"data_offsets":[0,4]}},"0.weight":{{"dtype":"F32","shape":[2,1],"data_offsets":[4,12]}}}}"#,
            metadata_sha256(entries)
        );
        let padded = json.len().next_multiple_of(8);
        let mut expected = (padded as u64).to_le_bytes().to_vec();
        expected.extend(format!("{json:padded$}").bytes());
        expected.extend([0, 0, 0, 0x3f, 0, 0, 0x80, 0x3f, 0, 0, 0, 0x80]);
        assert_eq!(String::from_utf8_lossy(&bytes), String::from_utf8_lossy(&expected));
        assert_eq!(bytes, expected);
    }

    #[test]
    fn equal_content_gives_equal_bytes_and_comes_back() {
        let documents = metadata(&[("model", r#"{"a":"ä\u0000\n"}"#), ("", "")]);
        let bytes = to_bytes(&[WEIGHT, BIAS, SCALAR, EMPTY], &documents).expect("valid");
        assert_eq!(bytes, to_bytes(&[EMPTY, BIAS, SCALAR, WEIGHT], &documents).expect("valid"));
        let container = Container::from_bytes(&bytes).expect("ours");
        assert_eq!(container.metadata(), &documents);
        assert_eq!(
            container.tensors().map(|tensor| tensor.name).collect::<Vec<_>>(),
            ["0.bias", "0.weight", "none", "scale"]
        );
        assert_eq!(
            container.tensor("0.weight").map(|tensor| (&tensor.shape[..], tensor.data[1].to_bits())),
            Some((&[2, 1][..], 1 << 31))
        );
        assert_eq!(container.tensor("scale").map(|tensor| tensor.data[0].to_bits()), Some(f32::NAN.to_bits()));
        assert_eq!(container.weights_sha256(), Some(&*weights_sha256(&[WEIGHT, BIAS, SCALAR, EMPTY])));
        let again: Vec<NamedTensor<'_>> = container.tensors().collect();
        assert_eq!(to_bytes(&again, container.metadata()).expect("valid"), bytes);
    }

    #[test]
    fn a_file_may_hold_no_tensors() {
        let bytes = to_bytes(&[], &BTreeMap::new()).expect("valid");
        let container = Container::from_bytes(&bytes).expect("ours");
        assert_eq!((container.tensors().len(), container.metadata().len()), (0, 0));
    }

    #[test]
    fn what_cannot_be_stored_is_refused() {
        let fault =
            |tensors: &[NamedTensor<'_>], entries| to_bytes(tensors, &metadata(entries)).expect_err("impossible").fault;
        assert!(matches!(fault(&[BIAS, WEIGHT, BIAS], &[]), Fault::DuplicateTensor { tensor } if tensor == "0.bias"));
        assert!(matches!(fault(&[NamedTensor { shape: &[2], ..BIAS }], &[]), Fault::DataLength { found: 1, .. }));
        assert!(matches!(fault(&[NamedTensor { shape: &[usize::MAX, 2], ..BIAS }], &[]), Fault::DataLength { .. }));
        for name in ["", "a\0b", "__metadata__"] {
            assert!(matches!(fault(&[NamedTensor { name, ..BIAS }], &[]), Fault::Name { .. }), "{name:?}");
        }
        assert!(matches!(fault(&[], &[("pellucid.weights_sha256", "0")]), Fault::ReservedKey { .. }));
    }

    #[test]
    fn a_newer_version_is_named() {
        let mut fields = metadata(&[(VERSION_FIELD, "2"), (WEIGHTS_FIELD, "whatever")]);
        let sum = metadata_sha256(fields.iter().map(|(key, value)| (key.as_str(), value.as_str())));
        fields.insert(METADATA_FIELD.into(), sum);
        let bytes = Header { metadata: fields, tensors: Vec::new() }.encode().expect("small");
        for read in [Container::from_bytes, Container::from_bytes_any] {
            let error = read(&bytes).expect_err("newer");
            assert!(matches!(&error.fault, Fault::Version { found, supported: 1, .. } if found == "2"), "{error}");
            assert!(error.to_string().contains("update Pellucid"), "{error}");
        }
    }

    /// Fails the test when more than the first eight bytes are asked for.
    struct OnlyLength([u8; 8]);

    impl Read for OnlyLength {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            assert_eq!(buffer.len(), 8, "the header was read, so it was allocated");
            buffer.copy_from_slice(&self.0);
            Ok(8)
        }
    }

    #[test]
    fn a_huge_header_is_refused_before_it_is_allocated() {
        for (declared, length) in [(u64::MAX, u64::MAX), (MAX_HEADER_BYTES + 1, 1 << 40), (90_000_000, 1000)] {
            let mut reader = OnlyLength(declared.to_le_bytes());
            let fault = read(&mut reader, length, Accept::Any).expect_err("too long");
            assert!(matches!(fault, Fault::HeaderLength { declared: found, .. } if found == declared), "{fault}");
        }
    }

    /// Fails the test when a tensor's bytes are asked for.
    struct OnlyHeader<'a>(&'a [u8]);

    impl Read for OnlyHeader<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            assert!(!self.0.is_empty(), "a tensor was read");
            self.0.read(buffer)
        }
    }

    #[test]
    fn a_huge_tensor_is_refused_before_it_is_allocated() {
        let info = TensorInfo { dtype: Dtype::F32, shape: vec![1 << 40], data_offsets: (0, 1 << 42) };
        let header = Header { metadata: BTreeMap::new(), tensors: vec![("w".into(), info)] }.encode().expect("small");
        let fault = read(&mut OnlyHeader(&header), 1 << 20, Accept::Any).expect_err("too large");
        assert!(
            matches!(fault, Fault::Truncated { expected, .. } if expected == header.len() as u64 + (1 << 42)),
            "{fault}"
        );
    }

    #[test]
    fn a_file_that_shrinks_while_it_is_read_is_an_error() {
        let bytes = to_bytes(&[WEIGHT], &BTreeMap::new()).expect("valid");
        let fault = read(&mut &bytes[..bytes.len() - 1], bytes.len() as u64, Accept::Ours).expect_err("cut");
        assert!(matches!(&fault, Fault::Io { source, .. } if source.kind() == ErrorKind::UnexpectedEof), "{fault}");
    }
}
