//! Padded sequences: rows of similar length make a batch, which is cut to the steps that the longest of them needs.
//!
//! What is computed stays the same, but for the padding that is not. Few lengths are told apart ([`Graph::lengths`]), as each has
//! plans of its own.

use kernels::device::Device;
use kernels::random;

use crate::data::Dataset;
use crate::graph::Graph;
use crate::tensor::Purpose;

/// The lengths that batches are cut to, and which of them each row of the data needs.
#[derive(Clone, Debug, Default)]
pub(super) struct Buckets {
    /// Ascending. The last is that of whole rows, or there is none.
    lengths: Vec<usize>,
    /// Index of the length of each row; empty where all are whole.
    of_rows: Vec<u8>,
}

impl Buckets {
    /// The lengths that `graph` takes; all rows are whole if they are not padded.
    pub fn new(graph: &Graph, data: &Dataset) -> Buckets {
        let Some(rows) = &data.lengths else { return Buckets::default() };
        let lengths = graph.lengths();
        let enough = |steps: &u32| lengths.partition_point(|length| *length < *steps as usize) as u8;
        let of_rows = if lengths.len() > 1 { rows.iter().map(enough).collect() } else { Vec::new() };
        Buckets { lengths, of_rows }
    }

    /// How many lengths there are, 1 at least.
    pub fn count(&self) -> usize {
        self.lengths.len().max(1)
    }

    /// Steps of a bucket; `None` for whole rows.
    pub fn steps(&self, bucket: usize) -> Option<usize> {
        self.lengths.get(bucket).copied().filter(|_| bucket + 1 < self.lengths.len())
    }

    /// The bucket of a row.
    pub fn of(&self, row: u32) -> usize {
        self.of_rows.get(row as usize).map_or(self.count() - 1, |bucket| usize::from(*bucket))
    }

    /// The bucket of a batch: that of its longest row.
    pub fn of_batch(&self, rows: &[u32]) -> usize {
        rows.iter().map(|row| self.of(*row)).max().unwrap_or(0)
    }

    /// Brings the rows of an epoch, which are in random order, into batches of `batch` rows of similar length; a smaller one is the
    /// last. Which rows are together, which batch is the smaller one and how they follow is random.
    pub fn arrange(&self, device: &Device, (seed, epoch): (u64, u64), batch: usize, rows: &mut [u32]) {
        if self.of_rows.is_empty() || rows.len() <= batch {
            return;
        }
        let mut sorted = rows.to_vec();
        sorted.sort_by_key(|row| self.of(*row));
        let mut batches: Vec<u32> = (0..rows.len().div_ceil(batch) as u32).collect();
        random::shuffle(device, Purpose::Batches.stream(seed).at(epoch), &mut batches);
        // The batch that comes last has what is left over, wherever it stands among the lengths.
        let [.., last] = batches[..] else { return };
        let missing = batches.len() * batch - rows.len();
        for (&number, out) in batches.iter().zip(rows.chunks_mut(batch)) {
            let start = number as usize * batch - if number > last { missing } else { 0 };
            out.copy_from_slice(&sorted[start..start + out.len()]);
        }
    }
}

#[cfg(test)]
mod tests {
    use kernels::simd::Isa;

    use super::*;

    #[test]
    fn an_epoch_has_every_row_once_in_batches_of_similar_length() {
        let device = Device::new(Isa::scalar(), 1);
        let buckets = Buckets { lengths: vec![16, 32, 50], of_rows: (0..103).map(|row| (row * 7 % 3) as u8).collect() };
        let epoch = |epoch: u64| {
            let mut rows: Vec<u32> = (0..103).collect();
            random::shuffle(&device, Purpose::Shuffle.stream(1).at(epoch), &mut rows);
            buckets.arrange(&device, (1, epoch), 10, &mut rows);
            rows
        };
        let (mut smaller, mut seen) = ([0; 3], Vec::new());
        for number in 0..60 {
            let rows = epoch(number);
            let mut all = rows.clone();
            all.sort_unstable();
            assert_eq!(all, (0..103).collect::<Vec<u32>>());
            // No more than two batches hold rows of two lengths.
            let mixed = |rows: &[u32]| rows.iter().any(|row| buckets.of(*row) != buckets.of(rows[0]));
            assert!(rows.chunks(10).filter(|rows| mixed(rows)).count() <= 2, "{rows:?}");
            smaller[buckets.of_batch(&rows[100..])] += 1;
            seen.push(buckets.of_batch(&rows[..10]));
            assert_eq!(rows, epoch(number));
        }
        assert!(smaller.iter().all(|count| *count > 5), "the smaller batch is of any length: {smaller:?}");
        assert!((0..3).all(|bucket| seen.iter().filter(|first| **first == bucket).count() > 5), "{seen:?}");
        let mut few = [2, 1, 0];
        buckets.arrange(&device, (1, 0), 10, &mut few);
        assert_eq!(few, [2, 1, 0]);
        assert_eq!([buckets.steps(0), buckets.steps(1), buckets.steps(2)], [Some(16), Some(32), None]);
        let whole = Buckets::default();
        assert_eq!((whole.count(), whole.of(7), whole.steps(0)), (1, 0, None));
    }
}
