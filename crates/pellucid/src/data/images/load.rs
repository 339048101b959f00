//! Decoding many pictures at a time: into memory where they fit, else again whenever they are asked for.

use std::panic::catch_unwind;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use super::decode::{DecodeError, Raster, decode};
use super::fit::{Shape, fit};
use super::normalise::Sums;
use crate::data::files::Files;
use crate::data::{ReadBytes, ReadError};

/// Pictures that a thread takes at a time.
const CHUNK: usize = 32;

/// Pictures that are looked at to find out size and colour.
const SAMPLE: usize = 64;
/// A size that all pictures have is kept up to this side.
pub const LARGEST_KEPT: usize = 128;
/// Pictures of several sizes, or larger ones, are made no larger than this square unless the user asks for it.
pub const LARGEST_CHOSEN: usize = 64;

/// Who decodes, and who hears of it.
#[derive(Clone, Copy)]
pub struct Workers<'a> {
    /// Threads, at least 1. The result does not depend on it.
    pub threads: usize,
    /// Called now and then with the pictures done and all there are; by several threads at a time.
    pub progress: &'a (dyn Fn(usize, usize) + Sync),
}

/// What became of a picture: its sums, or why it cannot be used.
pub(super) type Outcome = Result<Sums, ReadError>;

fn raster(files: &Files, entry: u32) -> Result<Raster, ReadError> {
    let bytes = files.read(entry)?;
    // Decoders are other people's, and files are strangers': a panic of theirs is the file's fault.
    let decoded = catch_unwind(|| decode(&bytes));
    let decoded = decoded.unwrap_or_else(|_| Err(DecodeError::Damaged("the decoder failed on it".to_string())));
    decoded.map_err(|error| ReadError { place: files.place(entry), reason: error.to_string() })
}

/// Decodes a picture into `row`.
fn read_row(files: &Files, entry: u32, shape: Shape, row: &mut [u8]) -> Outcome {
    fit(raster(files, entry)?, shape, row);
    Ok(Sums::of(row, shape[0]))
}

/// Decodes `entries`; with `keep` their bytes `[entries, channels · height · width]` are given back, zeros for those that
/// failed.
pub(super) fn decode_entries(
    files: &Files,
    entries: &[u32],
    shape: Shape,
    keep: bool,
    workers: Workers<'_>,
) -> (Vec<u8>, Vec<Outcome>) {
    let width: usize = shape.iter().product();
    let mut bytes = vec![0; if keep { entries.len() * width } else { 0 }];
    let mut outcomes: Vec<Outcome> = vec![Ok(Sums::default()); entries.len()];
    let mut rows = bytes.chunks_mut(CHUNK * width);
    let chunks = entries.chunks(CHUNK).zip(outcomes.chunks_mut(CHUNK));
    let work: Vec<_> = chunks.map(|(entries, outcomes)| (entries, outcomes, rows.next().unwrap_or_default())).collect();
    let work = Mutex::new(work.into_iter());
    let done = AtomicUsize::new(0);
    let decode_chunks = || {
        let mut row = vec![0; width];
        loop {
            let next = work.lock().unwrap_or_else(PoisonError::into_inner).next();
            let Some((some, outcomes, bytes)) = next else { return };
            for (at, (&entry, outcome)) in some.iter().zip(outcomes).enumerate() {
                *outcome = read_row(files, entry, shape, &mut row);
                if keep && outcome.is_ok() {
                    bytes[at * width..][..width].copy_from_slice(&row);
                }
            }
            let done = done.fetch_add(some.len(), Ordering::Relaxed) + some.len();
            (workers.progress)(done, entries.len());
        }
    };
    std::thread::scope(|scope| {
        (1..workers.threads.max(1)).for_each(|_| drop(scope.spawn(decode_chunks)));
        decode_chunks();
    });
    (bytes, outcomes)
}

/// Sizes and channels for `entries`, where the user has not given them, from some of them; and a note if pictures have to
/// be scaled.
///
/// Grey if all are grey. The size that all have, if no side is above [`LARGEST_KEPT`]; else a square: the median of their
/// shorter sides, at most [`LARGEST_CHOSEN`].
pub(super) fn choose_shape(
    files: &Files,
    entries: &[u32],
    size: Option<[usize; 2]>,
    channels: Option<usize>,
) -> (Shape, Option<String>) {
    if let (Some([height, width]), Some(channels)) = (size, channels) {
        return ([channels, height, width], None);
    }
    let step = entries.len().div_ceil(SAMPLE).max(1);
    let mut sizes = Vec::new();
    let mut grey = true;
    for &entry in entries.iter().step_by(step) {
        // What cannot be read is told later, with all others.
        if let Ok(raster) = raster(files, entry) {
            grey = grey && raster.is_grey();
            sizes.push([raster.height as usize, raster.width as usize]);
        }
    }
    let channels = channels.unwrap_or(if grey { 1 } else { 3 });
    let (size, note) = match size {
        Some(size) => (size, None),
        None => choose_size(&mut sizes),
    };
    ([channels, size[0], size[1]], note)
}

fn choose_size(sizes: &mut [[usize; 2]]) -> ([usize; 2], Option<String>) {
    let Some(&first) = sizes.first() else { return ([LARGEST_CHOSEN; 2], None) };
    let same = sizes.iter().all(|size| *size == first);
    if same && first[0].max(first[1]) <= LARGEST_KEPT {
        return (first, None);
    }
    sizes.sort_unstable_by_key(|[height, width]| (*height.min(width), *height, *width));
    let median = sizes[sizes.len() / 2];
    let side = median[0].min(median[1]).min(LARGEST_CHOSEN);
    let words = |[height, width]: [usize; 2]| format!("{width}×{height}");
    let from = if same {
        format!("of {}", words(first))
    } else {
        format!("from {} to {}", words(sizes[0]), words(sizes[sizes.len() - 1]))
    };
    (
        [side, side],
        Some(format!(
            "pictures {from} pixels are scaled to {side}×{side}, the middle of each (--size chooses another size)"
        )),
    )
}

/// Pictures that are decoded again whenever they are asked for.
#[derive(Debug)]
pub(super) struct Streamed {
    pub files: Files,
    pub entries: Vec<u32>,
    pub shape: Shape,
    /// What each was when it was first read.
    pub sums: Vec<Sums>,
}

impl ReadBytes for Streamed {
    fn rows(&self) -> usize {
        self.entries.len()
    }

    fn width(&self) -> usize {
        self.shape.iter().product()
    }

    fn read(&self, row: u32, out: &mut [u8]) -> Result<(), ReadError> {
        let entry = self.entries[row as usize];
        if read_row(&self.files, entry, self.shape, out)? != self.sums[row as usize] {
            let reason =
                "the picture has changed since the run began; leave the data alone while it is used".to_string();
            return Err(ReadError { place: self.files.place(entry), reason });
        }
        Ok(())
    }
}
