//! The IDX format, in which MNIST and its relatives are published: a small header and an array of bytes.
//!
//! Layout (all integers big-endian): two zero bytes, the type of the values (`0x08`: unsigned byte, the only one
//! read here), the number of dimensions `d`, then `d` sizes of 32 bits, then the values, the last dimension
//! fastest. Source: Y. LeCun, C. Cortes, C. Burges, "The MNIST database of handwritten digits", file formats.
//!
//! A file may be gzipped, whatever its name: the first two bytes tell.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek};
use std::path::{Path, PathBuf};

use flate2::bufread::MultiGzDecoder;
use sha2::{Digest, Sha256};

use super::download::hex;
use super::{Dataset, Features};

/// An array of unsigned bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Idx {
    /// Sizes, slowest first: `[count, height, width]` for images, `[count]` for labels. None is 0.
    pub dims: Vec<usize>,
    /// The values, as many as the product of `dims`.
    pub values: Vec<u8>,
}

impl Idx {
    /// SHA-256 of the file without compression, header included: lower-case hexadecimal.
    pub fn sha256(&self) -> String {
        let mut hasher = Sha256::new();
        hasher.update([0, 0, UNSIGNED_BYTE, self.dims.len() as u8]);
        for dim in &self.dims {
            // Sizes come from 32 bits.
            hasher.update((*dim as u32).to_be_bytes());
        }
        hasher.update(&self.values);
        hex(&hasher.finalize())
    }
}

/// An IDX file that cannot be used, and why.
#[derive(Debug, thiserror::Error)]
#[error("{}: {problem}", path.display())]
pub struct IdxError {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub problem: IdxProblem,
}

/// What is wrong with an IDX file.
#[derive(Debug, thiserror::Error)]
pub enum IdxProblem {
    /// The system cannot read it, or its compressed stream is damaged.
    #[error("cannot be read: {0}")]
    Read(#[from] io::Error),
    /// It ends within the header.
    #[error("ends within the header: {expected} bytes are needed, there are {found}")]
    Header {
        /// Bytes that the header takes.
        expected: usize,
        /// Bytes there.
        found: usize,
    },
    /// Other first bytes than those of IDX.
    #[error("is no IDX file: its first bytes are {found:02x?}, expected [00, 00, 08, dimensions]")]
    Magic {
        /// The first four bytes.
        found: [u8; 4],
    },
    /// Values of another type.
    #[error("holds values of type 0x{found:02x}, only 0x08 (unsigned byte) can be read")]
    Type {
        /// The type in the header.
        found: u8,
    },
    /// An unusual number of dimensions.
    #[error("has {found} dimensions, expected {expected}")]
    Dimensions {
        /// What can be read here.
        expected: String,
        /// Dimensions in the header.
        found: usize,
    },
    /// A dimension of size 0.
    #[error("holds no values: its dimensions are {dims:?}")]
    Empty {
        /// Sizes in the header.
        dims: Vec<usize>,
    },
    /// More values than are read.
    #[error("claims dimensions {dims:?}, more than the {MAX_VALUES} bytes that are read")]
    TooLarge {
        /// Sizes in the header.
        dims: Vec<usize>,
    },
    /// Fewer or more values than the header says.
    #[error("its header says {expected} values (dimensions {dims:?}), but there are {found}")]
    Length {
        /// Sizes in the header.
        dims: Vec<usize>,
        /// Their product.
        expected: usize,
        /// What is there: a number, or a bound on it.
        found: String,
    },
    /// Images without their labels, or the other way round.
    #[error("has {labels} labels, but {} has {images} images", images_path.display())]
    Counts {
        /// The file with the images.
        images_path: PathBuf,
        /// Images there.
        images: usize,
        /// Labels in this file.
        labels: usize,
    },
    /// A label that names no class.
    #[error("label {label} of row {row} (counted from 0) names no class: there are {classes}, counted from 0")]
    Label {
        /// Row, counted from 0.
        row: usize,
        /// The label.
        label: u8,
        /// Number of classes.
        classes: usize,
    },
}

/// The code of unsigned bytes in the header.
const UNSIGNED_BYTE: u8 = 0x08;

/// The most dimensions read. Images in colour have 4; a larger number is a damaged header.
const MAX_DIMENSIONS: usize = 8;

/// The most values read, 2 GiB: over three times the largest relative of MNIST (EMNIST by class, 0.6 GB).
const MAX_VALUES: u64 = 1 << 31;

/// A byte of deflate stands for at most this many bytes (zlib's technical details: 1032:1), so a header that claims
/// more than the file can hold is known before anything is allocated.
const MAX_EXPANSION: u64 = 1032;

/// Reads an IDX file of unsigned bytes, gzipped or not.
///
/// Memory is bounded by what the header says, and that by what a file of this length can hold.
///
/// # Errors
/// [`IdxError`], naming the file, what is wrong and what was expected.
pub fn read(path: &Path) -> Result<Idx, IdxError> {
    read_file(path).map_err(|problem| IdxError { path: path.to_path_buf(), problem })
}

fn read_file(path: &Path) -> Result<Idx, IdxProblem> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    let mut first = [0; 2];
    let gzipped = read_up_to(&mut file, &mut first)? == 2 && first == [0x1f, 0x8b];
    file.rewind()?;
    let reader = BufReader::with_capacity(64 * 1024, file);
    if gzipped {
        decode(MultiGzDecoder::new(reader), length.saturating_mul(MAX_EXPANSION))
    } else {
        decode(reader, length)
    }
}

/// Decodes the plain bytes of an IDX file of which there are at most `most`.
fn decode(mut reader: impl Read, most: u64) -> Result<Idx, IdxProblem> {
    let mut magic = [0; 4];
    let found = read_up_to(&mut reader, &mut magic)?;
    if found < 4 {
        return Err(IdxProblem::Header { expected: 4, found });
    }
    let [zero, also_zero, kind, dimensions] = magic;
    if zero != 0 || also_zero != 0 {
        return Err(IdxProblem::Magic { found: magic });
    }
    if kind != UNSIGNED_BYTE {
        return Err(IdxProblem::Type { found: kind });
    }
    let dimensions = usize::from(dimensions);
    if dimensions == 0 || dimensions > MAX_DIMENSIONS {
        return Err(IdxProblem::Dimensions { expected: format!("1 to {MAX_DIMENSIONS}"), found: dimensions });
    }
    let mut sizes = [0; 4 * MAX_DIMENSIONS];
    let sizes = &mut sizes[..4 * dimensions];
    let found = read_up_to(&mut reader, sizes)?;
    if found < sizes.len() {
        return Err(IdxProblem::Header { expected: 4 + sizes.len(), found: 4 + found });
    }
    let sizes: Vec<u32> = sizes.chunks_exact(4).map(|size| u32::from_be_bytes(size.try_into().unwrap())).collect();
    let dims: Vec<usize> = sizes.iter().map(|size| *size as usize).collect();
    if sizes.contains(&0) {
        return Err(IdxProblem::Empty { dims });
    }
    let product = sizes.iter().try_fold(1u64, |product, size| product.checked_mul(u64::from(*size)));
    let Some(count) = product.filter(|count| *count <= MAX_VALUES).and_then(|count| usize::try_from(count).ok()) else {
        return Err(IdxProblem::TooLarge { dims });
    };
    let header = (4 + 4 * dimensions) as u64;
    if count as u64 > most.saturating_sub(header) {
        let found = format!("at most {}", most.saturating_sub(header));
        return Err(IdxProblem::Length { dims, expected: count, found });
    }

    let mut values = Vec::with_capacity(count);
    reader.by_ref().take(count as u64).read_to_end(&mut values)?;
    if values.len() < count {
        return Err(IdxProblem::Length { dims, expected: count, found: values.len().to_string() });
    }
    // Reading past the last value also makes gzip check its checksum.
    if read_up_to(&mut reader, &mut [0])? != 0 {
        return Err(IdxProblem::Length { dims, expected: count, found: "more".to_string() });
    }
    Ok(Idx { dims, values })
}

/// Fills `out` as far as the bytes last; returns how many there were.
fn read_up_to(reader: &mut impl Read, out: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < out.len() {
        match reader.read(&mut out[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// Height and width of the images in a file of images.
pub(crate) fn image_size(images: &Idx, path: &Path) -> Result<[usize; 2], IdxError> {
    match images.dims[..] {
        [_, height, width] => Ok([height, width]),
        _ => Err(dimensions(path, "3 (images, height, width)", images)),
    }
}

fn dimensions(path: &Path, expected: &str, idx: &Idx) -> IdxError {
    let problem = IdxProblem::Dimensions { expected: expected.to_string(), found: idx.dims.len() };
    IdxError { path: path.to_path_buf(), problem }
}

/// Images and their labels as a data set: inputs byte / 255 of shape `[1, height, width]`, targets the class indices.
///
/// `images` and `labels` come with the paths of their files, for the messages; labels run from 0 to `classes` - 1.
///
/// # Errors
/// When the arrays have other dimensions than `[n, height, width]` and `[n]`, or a label is out of range.
pub fn dataset(images: (Idx, &Path), labels: (Idx, &Path), classes: usize) -> Result<Dataset, IdxError> {
    let ((images, images_path), (labels, labels_path)) = (images, labels);
    let [height, width] = image_size(&images, images_path)?;
    if labels.dims.len() != 1 {
        return Err(dimensions(labels_path, "1 (labels)", &labels));
    }
    let (rows, count) = (images.dims[0], labels.dims[0]);
    let wrong = |problem| IdxError { path: labels_path.to_path_buf(), problem };
    if rows != count {
        let images_path = images_path.to_path_buf();
        return Err(wrong(IdxProblem::Counts { images_path, images: rows, labels: count }));
    }
    if let Some(row) = labels.values.iter().position(|label| usize::from(*label) >= classes) {
        return Err(wrong(IdxProblem::Label { row, label: labels.values[row], classes }));
    }
    let features = Features::U8 { bytes: images.values, scale: vec![1.0 / 255.0], shift: vec![0.0] };
    let targets = labels.values.iter().map(|label| f32::from(*label)).collect();
    Ok(Dataset {
        sample_shape: vec![1, height, width],
        features,
        targets,
        target_width: 1,
        weights: None,
        lengths: None,
    })
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn file(dims: &[u32], values: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0, 0, 8, dims.len() as u8];
        dims.iter().for_each(|dim| bytes.extend(dim.to_be_bytes()));
        bytes.extend(values);
        bytes
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    /// Reads `bytes` from a file, under a name that says nothing.
    fn read_bytes(bytes: &[u8]) -> Result<Idx, IdxError> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(bytes).unwrap();
        read(file.path())
    }

    fn problem(bytes: &[u8]) -> IdxProblem {
        read_bytes(bytes).unwrap_err().problem
    }

    #[test]
    fn plain_and_gzipped_files_are_read_whatever_their_name() {
        let bytes = file(&[2, 1, 3], &[1, 2, 3, 4, 5, 6]);
        let expected = Idx { dims: vec![2, 1, 3], values: vec![1, 2, 3, 4, 5, 6] };
        assert_eq!(read_bytes(&bytes).unwrap(), expected);
        assert_eq!(read_bytes(&gzip(&bytes)).unwrap(), expected);
        // Gzip files may be joined.
        let joined = [gzip(&bytes[..9]), gzip(&bytes[9..])].concat();
        assert_eq!(read_bytes(&joined).unwrap(), expected);
        assert_eq!(expected.sha256(), hex(&Sha256::digest(&bytes)));
    }

    #[test]
    fn every_prefix_and_every_surplus_is_refused() {
        let bytes = file(&[2, 3], &[1, 2, 3, 4, 5, 6]);
        for length in 0..bytes.len() {
            let (plain, zipped) = (problem(&bytes[..length]), problem(&gzip(&bytes[..length])));
            for found in [plain, zipped] {
                match found {
                    IdxProblem::Header { expected, found } => assert!(found == length && length < expected),
                    IdxProblem::Length { expected: 6, .. } => assert!(length >= 12),
                    other => panic!("{length} bytes: {other}"),
                }
            }
        }
        let surplus = [bytes.as_slice(), &[0]].concat();
        assert!(matches!(problem(&surplus), IdxProblem::Length { expected: 6, .. }));
        assert!(matches!(problem(&gzip(&surplus)), IdxProblem::Length { expected: 6, .. }));
    }

    #[test]
    fn a_damaged_or_cut_gzip_stream_is_refused() {
        let zipped = gzip(&file(&[1000], &(0..1000).map(|i| (i % 7) as u8).collect::<Vec<_>>()));
        for length in 2..zipped.len() {
            read_bytes(&zipped[..length]).expect_err("cut");
        }
        // The last eight bytes are checksum and length.
        for position in zipped.len() - 8..zipped.len() {
            let mut damaged = zipped.clone();
            damaged[position] ^= 1;
            assert!(matches!(problem(&damaged), IdxProblem::Read(_)), "byte {position}");
        }
    }

    #[test]
    fn foreign_files_are_told_from_idx() {
        assert!(matches!(problem(b"label,pixel0"), IdxProblem::Magic { found } if &found == b"labe"));
        assert!(matches!(problem(&[0, 0, 0x0d, 1, 0, 0, 0, 1, 0]), IdxProblem::Type { found: 0x0d }));
        assert!(matches!(problem(&[0, 0, 8, 0]), IdxProblem::Dimensions { found: 0, .. }));
        assert!(matches!(problem(&[0, 0, 8, 9, 0, 0, 0, 0]), IdxProblem::Dimensions { found: 9, .. }));
        assert!(matches!(problem(&file(&[0, 28, 28], &[])), IdxProblem::Empty { dims } if dims == [0, 28, 28]));
        let missing = read(Path::new("/nowhere/train-images-idx3-ubyte")).unwrap_err();
        assert!(missing.to_string().contains("/nowhere/train-images-idx3-ubyte"), "{missing}");
    }

    #[test]
    fn claims_that_the_file_cannot_keep_are_refused_before_anything_is_allocated() {
        // The product overflows 64 bits; exceeds the limit; exceeds what the file can hold.
        assert!(matches!(problem(&file(&[u32::MAX; 3], &[1])), IdxProblem::TooLarge { .. }));
        assert!(matches!(problem(&file(&[u32::MAX, 1], &[1])), IdxProblem::TooLarge { .. }));
        let large = file(&[1 << 10, 1 << 10, 1 << 10], &[1]);
        assert!(matches!(problem(&large), IdxProblem::Length { expected: 1_073_741_824, .. }));
        assert!(matches!(problem(&gzip(&large)), IdxProblem::Length { expected: 1_073_741_824, .. }));
    }

    #[test]
    fn a_decompression_bomb_is_read_no_further_than_its_header_says() {
        // A stream that would never end: reading it whole would hang or exhaust memory.
        let header = file(&[2, 2], &[]);
        let bomb = header.as_slice().chain(io::repeat(0));
        assert!(matches!(decode(bomb, u64::MAX), Err(IdxProblem::Length { expected: 4, .. })));
        // 16 MB of zeros in 16 kB, as a file.
        let zipped = gzip(&file(&[2, 2], &vec![0; 1 << 24]));
        assert!(zipped.len() < 20_000 && matches!(problem(&zipped), IdxProblem::Length { expected: 4, .. }));
    }

    #[test]
    fn images_and_labels_become_a_data_set() {
        let images = || (Idx { dims: vec![2, 1, 2], values: vec![0, 255, 51, 102] }, Path::new("images"));
        let labels = |values: &[u8]| (Idx { dims: vec![values.len()], values: values.to_vec() }, Path::new("labels"));
        let made = dataset(images(), labels(&[2, 0]), 3).unwrap();
        made.check().unwrap();
        assert_eq!(
            (made.rows(), made.sample_shape.as_slice(), made.targets.as_slice()),
            (2, &[1, 1, 2][..], &[2.0, 0.0][..])
        );
        let mut row = [f32::NAN; 4];
        made.gather_features(&[1, 0], &mut row).expect("in memory");
        let scale = 1.0 / 255.0;
        assert_eq!(row, [51.0 * scale, 102.0 * scale, 0.0, 1.0]);

        let message = |images, labels, classes| dataset(images, labels, classes).unwrap_err().to_string();
        assert_eq!(message(images(), labels(&[1]), 3), "labels: has 1 labels, but images has 2 images");
        assert!(message(images(), labels(&[0, 3]), 3).contains("label 3 of row 1"));
        let swapped = message(labels(&[1]), images(), 3);
        assert_eq!(swapped, "labels: has 1 dimensions, expected 3 (images, height, width)");
        assert_eq!(message(images(), images(), 3), "images: has 3 dimensions, expected 1 (labels)");
    }
}
