//! Rows kept for metrics that need all of them at once, in bounded memory.

/// Most numbers (f32) kept by one collector: 64 MiB. For two classes these are 5.6 million rows, for ten classes
/// 1.4 million. Of a longer stream an even sample is kept, at least half of what would fit.
pub const MAX_COLLECTED: usize = 1 << 24;

/// Whether a row belongs to the sample depends on its number alone, never on the batches, so the sample of a stream is
/// always the same.
#[derive(Clone, Debug)]
pub(super) struct Collector {
    target_width: usize,
    /// Numbers of one row: weight, targets, outputs.
    width: usize,
    capacity: usize,
    numbers: Vec<f32>,
    /// For each row kept, up to which level it stays.
    levels: Vec<u8>,
    /// A row is kept if its own level is at least this: all at 0, half of them at 1, a quarter at 2, …
    level: u8,
    seen: u64,
}

impl Collector {
    pub fn new(target_width: usize, output_width: usize) -> Collector {
        Collector::with_limit(target_width, output_width, MAX_COLLECTED)
    }

    fn with_limit(target_width: usize, output_width: usize, limit: usize) -> Collector {
        let width = 1 + target_width + output_width;
        let capacity = (limit / width).max(1);
        Collector { target_width, width, capacity, numbers: Vec::new(), levels: Vec::new(), level: 0, seen: 0 }
    }

    pub fn push(&mut self, targets: &[f32], outputs: &[f32], weight: f32) {
        let level = row_level(self.seen);
        self.seen += 1;
        while level >= self.level && self.levels.len() == self.capacity && self.level < 64 {
            self.level += 1;
            self.drop_low_levels();
        }
        if level < self.level || self.levels.len() == self.capacity {
            return;
        }
        self.numbers.push(weight);
        self.numbers.extend_from_slice(targets);
        self.numbers.extend_from_slice(outputs);
        self.levels.push(level);
    }

    fn drop_low_levels(&mut self) {
        let mut kept = 0;
        for row in 0..self.levels.len() {
            if self.levels[row] >= self.level {
                self.levels[kept] = self.levels[row];
                self.numbers.copy_within(row * self.width..(row + 1) * self.width, kept * self.width);
                kept += 1;
            }
        }
        self.levels.truncate(kept);
        self.numbers.truncate(kept * self.width);
    }

    /// Rows that are kept.
    pub fn len(&self) -> usize {
        self.levels.len()
    }

    /// Weight, targets and outputs of the rows kept, in the order of the stream.
    pub fn rows(&self) -> impl Iterator<Item = (f32, &[f32], &[f32])> {
        self.numbers.chunks_exact(self.width).map(|row| {
            let (targets, outputs) = row[1..].split_at(self.target_width);
            (row[0], targets, outputs)
        })
    }
}

/// Leading zeros of the row's number after mixing (the finaliser of SplitMix64): n or more with probability 2^-n.
fn row_level(row: u64) -> u8 {
    let mut bits = row.wrapping_add(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (bits ^ (bits >> 31)).leading_zeros() as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_stream_is_kept_whole_and_in_order() {
        let mut collector = Collector::with_limit(2, 1, 400);
        for row in 0..100 {
            collector.push(&[row as f32, 1.0], &[0.5], 2.0);
        }
        assert_eq!(collector.len(), 100);
        for (row, (weight, targets, outputs)) in collector.rows().enumerate() {
            assert_eq!((weight, targets, outputs), (2.0, [row as f32, 1.0].as_slice(), [0.5].as_slice()));
        }
    }

    #[test]
    fn a_long_stream_leaves_an_even_sample_within_the_limit() {
        let rows = 100_000;
        let mut collector = Collector::with_limit(1, 1, 3000);
        for row in 0..rows {
            collector.push(&[row as f32], &[0.0], 1.0);
            assert!(collector.len() <= 1000);
        }
        assert!(collector.len() >= 300, "{} rows are kept", collector.len());
        let kept: Vec<f32> = collector.rows().map(|(_, targets, _)| targets[0]).collect();
        assert!(kept.is_sorted());
        // The mean of n even draws from 0..rows has the standard deviation rows / sqrt(12 n); five of them are allowed.
        let mean = kept.iter().map(|&row| f64::from(row)).sum::<f64>() / kept.len() as f64;
        let bound = 5.0 * f64::from(rows) / (12.0 * kept.len() as f64).sqrt();
        assert!((mean - f64::from(rows) / 2.0).abs() <= bound, "the mean row kept is {mean}");
    }
}
