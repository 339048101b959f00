//! The places of an image that a 1×1 convolution with a stride looks at.

use super::Conv;
use crate::device::Device;

/// Values that a task copies, at least.
const TASK: usize = 1 << 14;

/// Numbers of f32 of the images of which nothing is passed over.
pub(super) fn values(thinned: &Conv) -> usize {
    thinned.batch * thinned.in_channels * thinned.input[0] * thinned.input[1]
}

/// x[n, c, i·stride, j·stride] for every place [i, j] of the output. `thinned` is overwritten.
pub(super) fn thin(device: &Device, conv: &Conv, x: &[f32], thinned: &mut [f32]) {
    let [height, width] = conv.output;
    let planes = (TASK / (height * width)).max(1);
    device.chunks_mut(planes * height * width, thinned, |start, part| {
        let first = start / (height * width);
        let images = x.chunks_exact(conv.input[0] * conv.input[1]).skip(first);
        for (image, part) in images.zip(part.chunks_exact_mut(height * width)) {
            let rows = image.chunks_exact(conv.input[1]).step_by(conv.stride[0]);
            for (row, part) in rows.zip(part.chunks_exact_mut(width)) {
                part.iter_mut().zip(row.iter().step_by(conv.stride[1])).for_each(|(place, value)| *place = *value);
            }
        }
    });
}
