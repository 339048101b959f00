//! From a picture of any size to the bytes of a row.

use image::imageops::{FilterType, crop_imm, resize};
use image::{ImageBuffer, Luma, Pixel, Rgb};

use super::decode::Raster;

/// Sizes of a row: channels (1 or 3), height, width.
pub type Shape = [usize; 3];

/// Writes the picture into `out` `[channels, height, width]`, channels after each other.
///
/// The part in the middle that has the shape of the row is cut out, as large as it can be, and scaled by a triangle filter
/// (bilinear; its support grows as the picture shrinks, so nothing is skipped). The filter multiplies and adds f32 in a
/// fixed order: the same bytes on every machine. Colour becomes grey as `0.2126 R + 0.7152 G + 0.0722 B`.
///
/// # Panics
/// When `out` has another length, or channels are neither 1 nor 3.
pub(super) fn fit(raster: Raster, shape: Shape, out: &mut [u8]) {
    let [channels, height, width] = shape;
    assert_eq!(out.len(), channels * height * width, "room for a row");
    assert!(channels == 1 || channels == 3, "grey or RGB");
    // Grey first: there is a third of the work then.
    let raster = if channels == 1 { grey(raster) } else { raster };
    let pixels = match raster.channels {
        1 => scaled::<Luma<u8>>(raster, [height, width]),
        _ => scaled::<Rgb<u8>>(raster, [height, width]),
    };
    let samples = pixels.len() / (height * width);
    for (channel, plane) in out.chunks_exact_mut(height * width).enumerate() {
        let of_pixel = pixels.iter().skip(channel % samples).step_by(samples);
        plane.iter_mut().zip(of_pixel).for_each(|(out, sample)| *out = *sample);
    }
}

fn grey(raster: Raster) -> Raster {
    if raster.channels == 1 {
        return raster;
    }
    let luma = |pixel: &[u8]| {
        let [red, green, blue] = [pixel[0], pixel[1], pixel[2]].map(u32::from);
        ((2126 * red + 7152 * green + 722 * blue + 5000) / 10_000) as u8
    };
    let pixels = raster.pixels.chunks_exact(3).map(luma).collect();
    Raster { channels: 1, pixels, ..raster }
}

/// The middle of the picture, scaled to `[height, width]`.
fn scaled<P: Pixel<Subpixel = u8> + 'static>(raster: Raster, [height, width]: [usize; 2]) -> Vec<u8> {
    let (full_width, full_height) = (u64::from(raster.width), u64::from(raster.height));
    let image = ImageBuffer::<P, _>::from_raw(raster.width, raster.height, raster.pixels).expect("pixels of the size");
    let (wide, high) = (width as u64, height as u64);
    if (full_width, full_height) == (wide, high) {
        return image.into_raw();
    }
    // The largest part with the proportions of the row.
    let cut_width = ((full_height * wide + high / 2) / high).clamp(1, full_width);
    let cut_height = ((full_width * high + wide / 2) / wide).clamp(1, full_height);
    let (left, top) = ((full_width - cut_width) / 2, (full_height - cut_height) / 2);
    let cut = crop_imm(&image, left as u32, top as u32, cut_width as u32, cut_height as u32);
    resize(&*cut, wide as u32, high as u32, FilterType::Triangle).into_raw()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fitted(raster: Raster, shape: Shape) -> Vec<u8> {
        let mut out = vec![0; shape.iter().product()];
        fit(raster, shape, &mut out);
        out
    }

    #[test]
    fn a_picture_of_the_right_size_is_only_sorted_by_channel() {
        let raster = Raster { width: 2, height: 1, channels: 3, pixels: vec![1, 2, 3, 4, 5, 6] };
        assert_eq!(fitted(raster.clone(), [3, 1, 2]), [1, 4, 2, 5, 3, 6]);
        assert_eq!(fitted(raster, [1, 1, 2]), [2, 5]);
        let grey = Raster { width: 2, height: 1, channels: 1, pixels: vec![7, 9] };
        assert_eq!(fitted(grey, [3, 1, 2]), [7, 9, 7, 9, 7, 9]);
    }

    #[test]
    fn the_middle_is_kept_and_its_proportions_too() {
        // Black, white, black: the white square in the middle fills the row.
        let row = [[0; 4], [255; 4], [0; 4]].concat();
        let wide = Raster { width: 12, height: 4, channels: 1, pixels: row.repeat(4) };
        assert_eq!(fitted(wide.clone(), [1, 2, 2]), [255; 4]);
        let high: Vec<u8> = row.iter().flat_map(|pixel| [*pixel; 4]).collect();
        let high = Raster { width: 4, height: 12, channels: 1, pixels: high };
        assert_eq!(fitted(high, [1, 2, 2]), [255; 4]);
        // All of it where the proportions agree; neighbours blend into each other a little.
        let thirds = fitted(wide, [1, 1, 3]);
        assert!(thirds[0] < 100 && thirds[1] > 150 && thirds[2] == thirds[0], "{thirds:?}");
    }

    #[test]
    fn thin_and_tiny_pictures_are_fitted_too() {
        let line = Raster { width: 1, height: 40_000, channels: 1, pixels: vec![9; 40_000] };
        assert_eq!(fitted(line, [1, 3, 5]), [9; 15]);
        let dot = Raster { width: 1, height: 1, channels: 3, pixels: vec![1, 2, 3] };
        assert_eq!(fitted(dot, [3, 2, 2]), [1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3]);
    }

    #[test]
    fn scaling_gives_these_bytes_on_every_machine() {
        let pixels: Vec<u8> = (0..17 * 13 * 3).map(|at| (at * at % 251) as u8).collect();
        let raster = Raster { width: 17, height: 13, channels: 3, pixels };
        let out = fitted(raster, [3, 4, 4]);
        assert_eq!(out[..8], [131, 135, 100, 90, 138, 114, 132, 120]);
    }
}
