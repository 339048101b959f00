//! Shares as colours, and maps of them over pictures.

use super::Picture;

/// Part of the colour of the map in a picture that is seen through it.
const OPACITY: f64 = 0.6;

/// The colour of a share from 0 (dark violet) over red to 1 (light yellow), red, green and blue.
///
/// Equal steps look equal: lightness grows evenly in the space Oklab (Ottosson, "A perceptual color space for image
/// processing", 2020), and the hue follows a parabola along which all steps are of nearly one length.
pub fn heat(share: f64) -> [u8; 3] {
    let t = share.clamp(0.0, 1.0);
    let along = |from: f64, bend: f64, to: f64| (1.0 - t) * (1.0 - t) * from + 2.0 * t * (1.0 - t) * bend + t * t * to;
    let (lightness, a, b) = (0.22 + 0.7 * t, along(0.03, 0.22, -0.03), along(-0.085, 0.035, 0.12));
    let cube = |x: f64| x * x * x;
    let long = cube(lightness + 0.396_337_777_4 * a + 0.215_803_757_3 * b);
    let middle = cube(lightness - 0.105_561_345_8 * a - 0.063_854_172_8 * b);
    let short = cube(lightness - 0.089_484_177_5 * a - 1.291_485_548 * b);
    let linear = [
        4.076_741_662_1 * long - 3.307_711_591_3 * middle + 0.230_969_929_2 * short,
        -1.268_438_004_6 * long + 2.609_757_401_1 * middle - 0.341_319_396_5 * short,
        -0.004_196_086_3 * long - 0.703_418_614_7 * middle + 1.707_614_701 * short,
    ];
    linear.map(|x| {
        let encoded = if x <= 0.003_130_8 { 12.92 * x } else { 1.055 * libm::pow(x, 1.0 / 2.4) - 0.055 };
        (encoded.clamp(0.0, 1.0) * 255.0).round() as u8
    })
}

/// `picture` in grey, seen through the colours of `map`: numbers from 0 on, one for each pixel, the greatest of which has the
/// colour of 1. `None` unless the map fits the picture.
pub fn over(picture: &Picture, map: &[f32]) -> Option<Picture> {
    let channels = usize::from(picture.channels);
    if channels == 0 || map.len() * channels != picture.pixels.len() {
        return None;
    }
    let greatest = map.iter().copied().fold(f32::MIN_POSITIVE, f32::max);
    let mixed = picture.pixels.chunks_exact(channels).zip(map).flat_map(|(pixel, value)| {
        // Luma of Rec. 601, as grey versions of pictures are made.
        let grey = match pixel {
            &[red, green, blue] => 0.299 * f64::from(red) + 0.587 * f64::from(green) + 0.114 * f64::from(blue),
            pixel => f64::from(pixel[0]),
        };
        heat(f64::from(value / greatest))
            .map(|colour| (OPACITY * f64::from(colour) + (1.0 - OPACITY) * grey).round() as u8)
    });
    Some(Picture { channels: 3, pixels: mixed.collect(), ..*picture })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_run_evenly_from_dark_violet_to_light_yellow() {
        assert_eq!((heat(0.0), heat(1.0)), ([28, 14, 64], [242, 233, 132]));
        assert_eq!((heat(-3.0), heat(7.0)), (heat(0.0), heat(1.0)));
        let luma =
            |[red, green, blue]: [u8; 3]| 0.299 * f64::from(red) + 0.587 * f64::from(green) + 0.114 * f64::from(blue);
        let steps: Vec<f64> = (0..=32).map(|at| luma(heat(f64::from(at) / 32.0))).collect();
        assert!(steps.windows(2).all(|pair| (3.0..9.0).contains(&(pair[1] - pair[0]))), "{steps:?}");
    }

    #[test]
    fn a_map_lies_over_the_grey_of_its_picture() {
        let grey = Picture { width: 2, height: 1, channels: 1, pixels: vec![0, 255] };
        let shown = over(&grey, &[0.0, 8.0]).expect("a map that fits");
        let mixed = |colour: [u8; 3], grey: f64| colour.map(|part| (0.6 * f64::from(part) + 0.4 * grey).round() as u8);
        assert_eq!(shown.pixels, [mixed(heat(0.0), 0.0), mixed(heat(1.0), 255.0)].concat());
        let white = Picture { channels: 3, pixels: vec![0, 0, 0, 255, 255, 255], ..grey.clone() };
        assert_eq!(over(&white, &[0.0, 8.0]), Some(shown));
        assert_eq!(over(&grey, &[0.0, 0.0]).expect("a map that fits").pixels[..3], mixed(heat(0.0), 0.0));
        assert_eq!(over(&grey, &[1.0]), None);
    }
}
