//! Gradient of a bias: db[c] = Σ_{n, i} dy[n, c, i], i over all places of the image.

use crate::device::Device;
use crate::simd::{Kernel, LANES, Simd, dispatch};

/// Values of a task, whole channels.
const TASK: usize = 1 << 15;

/// The sum of each channel of `dy` [batch, channels, plane] into `db` [channels].
///
/// Sixty-four sums, one for each place mod 64, over (image, place / 64), are added as a fixed tree.
///
/// Panics when the lengths do not fit.
pub fn bias_gradient(device: &Device, batch: usize, dy: &[f32], db: &mut [f32]) {
    let channels = db.len();
    if channels == 0 || batch == 0 {
        return db.fill(0.0);
    }
    assert!(dy.len().is_multiple_of(batch * channels), "dy is [batch, channels, plane]");
    let plane = dy.len() / (batch * channels);
    let chunk = (TASK / (batch * plane).max(1)).max(1);
    device.chunks_mut(chunk, db, |first, db| {
        dispatch(device.isa(), ChannelSums { batch, channels, plane, dy, first, db });
    });
}

struct ChannelSums<'a> {
    batch: usize,
    channels: usize,
    plane: usize,
    dy: &'a [f32],
    first: usize,
    db: &'a mut [f32],
}

/// Vectors that are added at a time: their chains hide the latency of an addition.
const CHAINS: usize = 4;

impl Kernel for ChannelSums<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let ChannelSums { batch, channels, plane, dy, first, db } = self;
        for (i, db) in db.iter_mut().enumerate() {
            let mut sums = [s.splat(0.0); CHAINS];
            for n in 0..batch {
                let values = &dy[(n * channels + first + i) * plane..][..plane];
                let (blocks, rest) = values.as_chunks::<{ CHAINS * LANES }>();
                for block in blocks {
                    for chain in 0..CHAINS {
                        sums[chain] = s.add(sums[chain], s.load(&block[chain * LANES..]));
                    }
                }
                for (chain, values) in rest.chunks(LANES).enumerate() {
                    sums[chain] = s.add(sums[chain], s.load_partial(values));
                }
            }
            let sum = s.add(s.add(sums[0], sums[1]), s.add(sums[2], sums[3]));
            *db = s.reduce_add(sum);
        }
    }
}
