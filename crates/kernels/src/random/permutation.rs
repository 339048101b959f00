//! Random orders: Fisher and Yates, sequential, with words from the lanes.

use super::{GROUP, LONGEST, Stream};
use crate::device::Device;
use crate::simd::{Kernel, LANES, Simd, dispatch};

/// Writes 0, 1, … to `out` and puts them in random order; all orders are equally likely.
pub fn permutation(device: &Device, stream: Stream, out: &mut [u32]) {
    for (i, out) in out.iter_mut().enumerate() {
        *out = i as u32;
    }
    shuffle(device, stream, out);
}

/// Puts `items` in random order; all orders are equally likely. Panics when there are more than 2³² - 1.
pub fn shuffle(device: &Device, stream: Stream, items: &mut [u32]) {
    let len = items.len();
    assert!(u32::try_from(len).is_ok() && (len as u64) < LONGEST, "indices of 32 bits");
    let mut words = [0; 8 * GROUP];
    for start in (1..len).step_by(words.len()) {
        let first_group = (start - 1) / GROUP;
        dispatch(device.isa(), Words { stream, first_group, out: &mut words });
        for i in start..len.min(start + words.len()) {
            // Item i goes to one of the places 0 … i.
            let place = stream.bounded(i as u64 - 1, i as u32 + 1, words[i - start]);
            items.swap(i, place as usize);
        }
    }
}

/// Writes the words of whole groups.
struct Words<'a> {
    stream: Stream,
    first_group: usize,
    out: &'a mut [u32],
}

impl Kernel for Words<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        for (group, out) in self.out.as_chunks_mut::<GROUP>().0.iter_mut().enumerate() {
            let words = self.stream.group(s, self.first_group + group, 0);
            for (words, out) in words.into_iter().zip(out.as_chunks_mut::<LANES>().0) {
                *out = s.to_array(s.bits_float(words)).map(f32::to_bits);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::devices;

    #[test]
    fn a_permutation_has_every_index_and_is_the_plain_shuffle_on_every_device() {
        for len in [0u32, 1, 2, 3, 64, 65, 513, 514, 60_000] {
            let stream = Stream::new(3, 1).at(9);
            let mut expected: Vec<u32> = (0..len).collect();
            for i in 1..len {
                expected.swap(i as usize, stream.below(u64::from(i) - 1, i + 1) as usize);
            }
            for device in devices() {
                let mut order = vec![u32::MAX; len as usize];
                permutation(&device, stream, &mut order);
                assert_eq!(order, expected, "{device:?}");
            }
            expected.sort_unstable();
            assert!(expected.into_iter().eq(0..len));
        }
    }

    #[test]
    fn all_orders_of_four_are_equally_likely() {
        let device = &devices()[0];
        let mut counts = std::collections::BTreeMap::<_, u32>::new();
        for step in 0..24_000 {
            let mut order = [7, 8, 9, 10];
            shuffle(device, Stream::new(1, 2).at(step), &mut order);
            *counts.entry(order).or_default() += 1;
        }
        assert_eq!(counts.len(), 24);
        let chi_square: f64 =
            counts.values().map(|&n| (f64::from(n) - 1000.0) * (f64::from(n) - 1000.0) / 1000.0).sum();
        // 23 degrees of freedom: beyond 49.7 lies one in a thousand.
        assert!(chi_square < 49.7, "{chi_square}");
    }
}
