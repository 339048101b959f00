//! Brightness and contrast.
//!
//! With b and c uniform around 1: x' = b (m + c (x - m)), m the mean of the picture over pixels and channels. That is what
//! image libraries do, but for their grey, which weighs the channels.

use super::{Augmentation, Draw, Draws};

/// Values summed at a time, so that the sum is the same on every machine and need not wait for itself.
const LANES: usize = 16;

/// What is drawn for one picture.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Light {
    pub brightness: f32,
    pub contrast: f32,
}

impl Light {
    pub fn draw(settings: &Augmentation, draws: Draws) -> Option<Light> {
        let factor = |draw, limit: f64| 1.0 + if limit > 0.0 { draws.symmetric(draw, limit) as f32 } else { 0.0 };
        (settings.brightness > 0.0 || settings.contrast > 0.0).then(|| Light {
            brightness: factor(Draw::Brightness, settings.brightness),
            contrast: factor(Draw::Contrast, settings.contrast),
        })
    }

    /// Changes `picture`; its values stay from 0 to `most`.
    #[inline(always)]
    pub fn apply(self, picture: &mut [f32], most: f32) {
        let factor = self.brightness * self.contrast;
        let offset = if self.contrast == 1.0 { 0.0 } else { self.brightness * (1.0 - self.contrast) * mean(picture) };
        let least = if most.is_finite() { 0.0 } else { f32::NEG_INFINITY };
        for value in picture {
            *value = (*value * factor + offset).max(least).min(most);
        }
    }
}

#[inline(always)]
fn mean(values: &[f32]) -> f32 {
    let (whole, rest) = values.as_chunks::<LANES>();
    let mut sums = [0.0f32; LANES];
    for values in whole {
        for lane in 0..LANES {
            sums[lane] += values[lane];
        }
    }
    for (sum, value) in sums.iter_mut().zip(rest) {
        *sum += value;
    }
    sums.iter().sum::<f32>() / values.len() as f32
}
