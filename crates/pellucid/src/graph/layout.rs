//! Laying out the arena: what lives at different times may share a place.

use std::ops::Range;

/// Places begin at multiples of this many values: a cache line, and a vector of every instruction set.
const ALIGN: usize = 16;

/// How much memory something needs, and from when to when (both ends included).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Lifetime {
    pub size: usize,
    pub first: usize,
    pub last: usize,
}

/// A place for each lifetime, such that those that overlap in time do not overlap in space; and the length of the arena.
///
/// Largest first, each at the lowest place that is free for its whole lifetime ("greedy by size", Pisarchyk and Lee,
/// *Efficient Memory Management for Deep Neural Net Inference*, 2020).
pub(super) fn lay_out(lifetimes: &[Lifetime]) -> (Vec<Range<usize>>, usize) {
    let mut order: Vec<usize> = (0..lifetimes.len()).collect();
    order.sort_by_key(|&i| (std::cmp::Reverse(lifetimes[i].size), i));
    let mut places = vec![0..0; lifetimes.len()];
    let mut placed: Vec<usize> = Vec::with_capacity(lifetimes.len());
    let mut length = 0;
    for i in order {
        let Lifetime { size, first, last } = lifetimes[i];
        if size == 0 {
            continue;
        }
        let mut start = 0;
        // `placed` is kept in the order of places, so the first gap that is large enough is the lowest.
        for &other in &placed {
            let Lifetime { first: other_first, last: other_last, .. } = lifetimes[other];
            if first <= other_last && other_first <= last {
                if start + size <= places[other].start {
                    break;
                }
                start = start.max(places[other].end.next_multiple_of(ALIGN));
            }
        }
        places[i] = start..start + size;
        length = length.max(start + size);
        let at = placed.partition_point(|&other| places[other].start <= start);
        placed.insert(at, i);
    }
    (places, length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overlapping_lifetimes_get_disjoint_places() {
        let mut state = 7u32;
        let mut random = |n: u32| {
            state = state.wrapping_mul(1664525).wrapping_add(1013904223);
            (state >> 16) % n
        };
        for _ in 0..200 {
            let lifetimes: Vec<Lifetime> = (0..random(40))
                .map(|_| {
                    let first = random(20) as usize;
                    Lifetime { size: random(100) as usize, first, last: first + random(10) as usize }
                })
                .collect();
            let (places, length) = lay_out(&lifetimes);
            for (i, a) in lifetimes.iter().enumerate() {
                assert_eq!(places[i].len(), a.size);
                assert!(places[i].end <= length && places[i].start % ALIGN == 0);
                for (j, b) in lifetimes.iter().enumerate().skip(i + 1) {
                    let together = a.first <= b.last && b.first <= a.last;
                    let overlap = places[i].start < places[j].end && places[j].start < places[i].end;
                    assert!(!(together && overlap), "{a:?} at {:?}, {b:?} at {:?}", places[i], places[j]);
                }
            }
        }
    }

    #[test]
    fn one_after_the_other_share_a_place() {
        let life = |first, last| Lifetime { size: 32, first, last };
        assert_eq!(lay_out(&[life(0, 1), life(2, 3), life(1, 2)]), (vec![0..32, 0..32, 32..64], 64));
    }
}
