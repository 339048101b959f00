//! Mean and spread of pixels, exactly.

use super::fit::Shape;

/// Sums over the pixels of a picture, for each channel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sums {
    /// Σ x.
    total: [u64; 3],
    /// Σ x².
    squares: [u64; 3],
}

impl Sums {
    /// The sums of `bytes` `[channels, height · width]`.
    pub fn of(bytes: &[u8], channels: usize) -> Sums {
        let mut sums = Sums::default();
        for (channel, plane) in bytes.chunks_exact(bytes.len() / channels).enumerate() {
            sums.total[channel] = plane.iter().map(|byte| u64::from(*byte)).sum();
            sums.squares[channel] = plane.iter().map(|byte| u64::from(*byte) * u64::from(*byte)).sum();
        }
        sums
    }
}

/// How bytes become inputs: `byte · scale + shift`, for each channel.
#[derive(Clone, Debug, PartialEq)]
pub struct Normalisation {
    /// Factor, `[channels]`.
    pub scale: Vec<f32>,
    /// Offset, `[channels]`.
    pub shift: Vec<f32>,
}

impl Normalisation {
    /// `(byte - mean) / deviation`, each over all pixels of a channel in `rows`: whole numbers are summed, so that no order
    /// of rows and no number of threads matters. The deviation is that of 1/n; 1 for a channel of one value.
    pub(super) fn of<'a>(rows: impl Iterator<Item = &'a Sums>, [channels, height, width]: Shape) -> Normalisation {
        let (mut count, mut total, mut squares) = (0u128, [0u128; 3], [0u128; 3]);
        for row in rows {
            count += (height * width) as u128;
            for channel in 0..channels {
                total[channel] += u128::from(row.total[channel]);
                squares[channel] += u128::from(row.squares[channel]);
            }
        }
        let count_f = count.max(1) as f64;
        // n² · variance = n · Σ x² - (Σ x)²
        let deviation = |channel: usize| {
            let spread = count * squares[channel] - total[channel] * total[channel];
            if spread == 0 { 1.0 } else { (spread as f64).sqrt() / count_f }
        };
        Normalisation {
            scale: (0..channels).map(|channel| (1.0 / deviation(channel)) as f32).collect(),
            shift: (0..channels)
                .map(|channel| (-(total[channel] as f64 / count_f) / deviation(channel)) as f32)
                .collect(),
        }
    }

    /// Scale and shift of rows of that shape as [`Features`](crate::data::Features) take them: one value for grey, else one
    /// for each input.
    pub fn of_inputs(&self, [channels, height, width]: Shape) -> (Vec<f32>, Vec<f32>) {
        let spread = |values: &[f32]| match values {
            [value] if channels == 1 => vec![*value],
            values => values.iter().flat_map(|value| std::iter::repeat_n(*value, height * width)).collect(),
        };
        (spread(&self.scale), spread(&self.shift))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inputs_have_mean_0_and_deviation_1_in_each_channel() {
        let rows: Vec<[u8; 12]> = (0..5u8).map(|row| std::array::from_fn(|at| row * 7 + at as u8 * 5)).collect();
        let sums: Vec<Sums> = rows.iter().map(|row| Sums::of(row, 3)).collect();
        let normalisation = Normalisation::of(sums.iter(), [3, 2, 2]);
        let (scale, shift) = normalisation.of_inputs([3, 2, 2]);
        for channel in 0..3 {
            let values: Vec<f64> = rows
                .iter()
                .flat_map(|row| (channel * 4..channel * 4 + 4).map(|at| (row[at], at)))
                .map(|(byte, at)| f64::from(f32::from(byte) * scale[at] + shift[at]))
                .collect();
            let mean = values.iter().sum::<f64>() / values.len() as f64;
            let variance =
                values.iter().map(|value| (value - mean) * (value - mean)).sum::<f64>() / values.len() as f64;
            assert!(mean.abs() < 1e-6 && (variance - 1.0).abs() < 1e-6, "{channel}: {mean} {variance}");
        }
    }

    #[test]
    fn a_channel_of_one_value_stays_finite() {
        let sums = Sums::of(&[9; 4], 1);
        let normalisation = Normalisation::of([sums].iter(), [1, 2, 2]);
        assert_eq!(normalisation, Normalisation { scale: vec![1.0], shift: vec![-9.0] });
    }
}
