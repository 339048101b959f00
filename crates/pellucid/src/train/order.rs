//! Which rows make up which batch: a function of seed, epoch and position, so that threads and resumption change
//! nothing.

use kernels::device::Device;
use kernels::random;

use super::buckets::Buckets;
use crate::tensor::Purpose;

/// The rows of one epoch after another.
#[derive(Clone, Debug)]
pub(super) struct Order {
    rows: Vec<u32>,
    current: Vec<u32>,
    shuffle: bool,
    seed: u64,
    epoch: Option<u64>,
}

impl Order {
    pub fn new(rows: &[u32], shuffle: bool, seed: u64) -> Order {
        Order { rows: rows.to_vec(), current: rows.to_vec(), shuffle, seed, epoch: None }
    }

    /// The rows in the order of `epoch`, which is that of batches of `batch` rows each.
    pub fn of_epoch(&mut self, device: &Device, epoch: u64, (buckets, batch): (&Buckets, usize)) -> &[u32] {
        if self.shuffle && self.epoch != Some(epoch) {
            self.current.copy_from_slice(&self.rows);
            random::shuffle(device, Purpose::Shuffle.stream(self.seed).at(epoch), &mut self.current);
            buckets.arrange(device, (self.seed, epoch), batch, &mut self.current);
            self.epoch = Some(epoch);
        }
        &self.current
    }

    /// The rows in the order of the epoch that was asked for last.
    pub fn current(&self) -> &[u32] {
        &self.current
    }
}

/// Consecutive windows of a sequence, arranged for batches in which each row goes on where the same row of the batch before
/// ended: the windows are cut into `lanes` equally long parts, one for each row. Windows that are left over are left out.
pub(super) fn in_lanes(rows: &[u32], lanes: usize) -> Vec<u32> {
    let steps = rows.len() / lanes.max(1);
    (0..steps).flat_map(|step| (0..lanes).map(move |lane| rows[lane * steps + step])).collect()
}

#[cfg(test)]
mod tests {
    use kernels::simd::Isa;

    use super::*;

    #[test]
    fn an_epoch_has_every_row_once_in_an_order_of_its_own() {
        let device = Device::new(Isa::scalar(), 1);
        let rows: Vec<u32> = (10..200).collect();
        let batches = (&Buckets::default(), 10);
        let mut order = Order::new(&rows, true, 5);
        let first = order.of_epoch(&device, 0, batches).to_vec();
        let second = order.of_epoch(&device, 1, batches).to_vec();
        assert_ne!(first, second);
        assert_ne!(first, rows);
        for mut epoch in [first.clone(), second] {
            epoch.sort_unstable();
            assert_eq!(epoch, rows);
        }
        // What came before does not matter.
        assert_eq!(Order::new(&rows, true, 5).of_epoch(&device, 0, batches), first);
        assert_eq!(Order::new(&rows, false, 5).of_epoch(&device, 3, batches), rows);
    }

    #[test]
    fn in_lanes_each_row_of_a_batch_goes_on_where_the_one_before_ended() {
        let rows: Vec<u32> = (10..21).collect();
        assert_eq!(in_lanes(&rows, 3), [10, 13, 16, 11, 14, 17, 12, 15, 18]);
        assert_eq!(in_lanes(&rows, 1), rows);
        assert!(in_lanes(&rows, 12).is_empty());
    }
}
