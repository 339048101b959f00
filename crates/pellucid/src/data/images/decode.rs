//! From the bytes of a file to pixels.
//!
//! JPEG, PNG, GIF (its first frame), BMP and WebP, told apart by their bytes and not by the file's name. Samples of
//! 16 bits are rounded to 8; what is transparent lies on white; a picture that a camera took on its side is turned as its
//! Exif data say. Decoders compute in whole numbers, so that every machine gives the same pixels.

use std::io::Cursor;

use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageError, ImageReader, Limits};
use zune_jpeg::JpegDecoder;
use zune_jpeg::errors::DecodeErrors;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

/// Pixels of the largest picture that is decoded: 8192×8192. Larger ones would take gigabytes on each thread.
pub const MOST_PIXELS: u64 = 1 << 26;
/// Bytes that decoding one picture may take.
const MOST_DECODED_BYTES: u64 = 8 * MOST_PIXELS;

/// Why a file is no picture that can be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The file has no bytes.
    #[error("the file is empty")]
    Empty,
    /// The bytes are of no known kind.
    #[error("no picture: neither PNG, JPEG, GIF, BMP nor WebP")]
    NoPicture,
    /// The file ends before the picture does.
    #[error("cut off: the file ends before the picture does")]
    Cut,
    /// More pixels than are decoded.
    #[error("{width}×{height} pixels are too many (at most {} million)", MOST_PIXELS >> 20)]
    TooLarge {
        /// Pixels across.
        width: u64,
        /// Pixels down.
        height: u64,
    },
    /// Bytes that make no sense.
    #[error("damaged: {0}")]
    Damaged(String),
}

/// A decoded picture: rows of pixels, the bytes of a pixel side by side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Raster {
    /// Pixels across, at least 1.
    pub width: u32,
    /// Pixels down, at least 1.
    pub height: u32,
    /// 1 (grey) or 3 (red, green, blue).
    pub channels: usize,
    /// `[height, width, channels]`.
    pub pixels: Vec<u8>,
}

impl Raster {
    /// True when red, green and blue are the same everywhere.
    pub fn is_grey(&self) -> bool {
        self.channels == 1 || self.pixels.chunks_exact(3).all(|pixel| pixel[0] == pixel[1] && pixel[1] == pixel[2])
    }
}

/// Decodes a file.
///
/// # Errors
/// [`DecodeError`]. A picture that is too large is refused before anything is allocated for it.
pub fn decode(bytes: &[u8]) -> Result<Raster, DecodeError> {
    if bytes.is_empty() {
        return Err(DecodeError::Empty);
    }
    let (mut image, orientation) =
        if bytes.starts_with(&[0xff, 0xd8, 0xff]) { decode_jpeg(bytes)? } else { decode_other(bytes)? };
    image.apply_orientation(orientation);
    Ok(flatten(image))
}

fn check_size(width: u64, height: u64) -> Result<(), DecodeError> {
    if width * height > MOST_PIXELS {
        return Err(DecodeError::TooLarge { width, height });
    }
    Ok(())
}

fn decode_jpeg(bytes: &[u8]) -> Result<(DynamicImage, Orientation), DecodeError> {
    if !jpeg_ends(bytes) {
        return Err(DecodeError::Cut);
    }
    let side = 1 << 16;
    let options = DecoderOptions::default().set_strict_mode(true).set_max_width(side).set_max_height(side);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
    let damaged = |error: DecodeErrors| DecodeError::Damaged(error.to_string());
    decoder.decode_headers().map_err(damaged)?;
    let (width, height) = decoder.dimensions().unwrap_or_default();
    check_size(width as u64, height as u64)?;
    let grey = matches!(decoder.input_colorspace(), Some(ColorSpace::Luma));
    let colours = if grey { ColorSpace::Luma } else { ColorSpace::RGB };
    decoder.set_options(options.jpeg_set_out_colorspace(colours));
    let exif = decoder.exif().and_then(|exif| Orientation::from_exif_chunk(exif));
    let pixels = decoder.decode().map_err(damaged)?;
    let (width, height) = (width as u32, height as u32);
    let image = if grey {
        image::GrayImage::from_raw(width, height, pixels).map(DynamicImage::from)
    } else {
        image::RgbImage::from_raw(width, height, pixels).map(DynamicImage::from)
    };
    let image = image.filter(|_| width > 0 && height > 0);
    let image = image.ok_or_else(|| DecodeError::Damaged("pixels do not fit the size".to_string()))?;
    Ok((image, exif.unwrap_or(Orientation::NoTransforms)))
}

/// Whether the end marker stands after the last scan: decoders fill what is missing of a file that was cut with grey.
/// Inside a scan the bytes of a marker cannot stand.
fn jpeg_ends(bytes: &[u8]) -> bool {
    let last = |marker: u8| bytes.windows(2).rposition(|pair| pair == [0xff, marker]);
    match (last(0xda), last(0xd9)) {
        (Some(scan), Some(end)) => scan < end,
        _ => false,
    }
}

fn decode_other(bytes: &[u8]) -> Result<(DynamicImage, Orientation), DecodeError> {
    let mut reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format().map_err(|_| DecodeError::NoPicture)?;
    if reader.format().is_none() {
        return Err(DecodeError::NoPicture);
    }
    let mut limits = Limits::no_limits();
    limits.max_alloc = Some(MOST_DECODED_BYTES);
    reader.limits(limits);
    let mut decoder = reader.into_decoder().map_err(explain)?;
    let (width, height) = decoder.dimensions();
    check_size(u64::from(width), u64::from(height))?;
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let image = DynamicImage::from_decoder(decoder).map_err(explain)?;
    if image.width() == 0 || image.height() == 0 {
        return Err(DecodeError::Damaged("a picture without pixels".to_string()));
    }
    Ok((image, orientation))
}

fn explain(error: ImageError) -> DecodeError {
    match &error {
        ImageError::IoError(inner) if inner.kind() == std::io::ErrorKind::UnexpectedEof => DecodeError::Cut,
        ImageError::Unsupported(_) => DecodeError::NoPicture,
        _ => DecodeError::Damaged(error.to_string()),
    }
}

/// Grey or RGB of 8 bits, on white.
fn flatten(image: DynamicImage) -> Raster {
    let (width, height) = (image.width(), image.height());
    let (samples, pixels) = match image {
        DynamicImage::ImageLuma8(image) => (1, image.into_raw()),
        DynamicImage::ImageLumaA8(image) => (2, image.into_raw()),
        DynamicImage::ImageRgb8(image) => (3, image.into_raw()),
        DynamicImage::ImageRgba8(image) => (4, image.into_raw()),
        DynamicImage::ImageLuma16(image) => (1, narrowed(&image)),
        DynamicImage::ImageLumaA16(image) => (2, narrowed(&image)),
        DynamicImage::ImageRgb16(image) => (3, narrowed(&image)),
        DynamicImage::ImageRgba16(image) => (4, narrowed(&image)),
        // No decoder that is built in gives another kind.
        other => (4, other.into_rgba8().into_raw()),
    };
    match samples {
        2 => Raster { width, height, channels: 1, pixels: on_white::<2>(&pixels) },
        4 => Raster { width, height, channels: 3, pixels: on_white::<4>(&pixels) },
        channels => Raster { width, height, channels, pixels },
    }
}

fn narrowed(samples: &[u16]) -> Vec<u8> {
    samples.iter().map(|sample| ((u32::from(*sample) * 255 + 32767) / 65535) as u8).collect()
}

/// `colour · alpha + white · (1 - alpha)`, rounded; alpha is the last of the `N` samples of a pixel.
fn on_white<const N: usize>(pixels: &[u8]) -> Vec<u8> {
    let (pixels, _) = pixels.as_chunks::<N>();
    let blend = |pixel: &[u8; N]| {
        let alpha = u32::from(pixel[N - 1]);
        let colours: [u8; N] =
            pixel.map(|sample| ((u32::from(sample) * alpha + 255 * (255 - alpha) + 127) / 255) as u8);
        colours.into_iter().take(N - 1)
    };
    pixels.iter().flat_map(blend).collect()
}

#[cfg(test)]
mod tests {
    use image::{ImageFormat, Luma, LumaA, Rgb, RgbImage, Rgba};

    use super::*;

    /// A picture in colour, 40×24 before it is turned a quarter to the right; its colours are of half the resolution.
    const TURNED: &[u8] = include_bytes!("turned.jpg");

    fn encoded(image: impl Into<DynamicImage>, format: ImageFormat) -> Vec<u8> {
        let mut file = Cursor::new(Vec::new());
        image.into().write_to(&mut file, format).expect("encodes");
        file.into_inner()
    }

    fn colours() -> RgbImage {
        RgbImage::from_fn(5, 3, |x, y| Rgb([40 * x as u8, 80 * y as u8, 7 * (x + y) as u8]))
    }

    #[test]
    fn every_format_gives_the_pixels_that_went_in() {
        for format in [ImageFormat::Png, ImageFormat::Bmp, ImageFormat::WebP] {
            let raster = decode(&encoded(colours(), format)).expect("decodes");
            assert_eq!((raster.width, raster.height, raster.channels), (5, 3, 3), "{format:?}");
            assert_eq!(raster.pixels, colours().into_raw(), "{format:?}");
        }
        // A palette holds these fifteen colours, up to the encoder's rounding.
        let gif = decode(&encoded(DynamicImage::from(colours()).into_rgba8(), ImageFormat::Gif)).expect("decodes");
        assert_eq!((gif.width, gif.height, gif.channels), (5, 3, 3));
        assert!(gif.pixels.iter().zip(colours().as_raw()).all(|(a, b)| a.abs_diff(*b) <= 2), "{:?}", gif.pixels);
    }

    #[test]
    fn sixteen_bits_are_rounded_and_what_is_transparent_is_white() {
        let deep =
            image::ImageBuffer::<Luma<u16>, _>::from_raw(3, 1, vec![0u16, 0x7fff, 0xffff]).expect("three pixels");
        assert_eq!(decode(&encoded(deep, ImageFormat::Png)).expect("decodes").pixels, [0, 127, 255]);
        let glass = image::ImageBuffer::<LumaA<u8>, _>::from_raw(3, 1, vec![9, 255, 9, 0, 100, 51]).expect("pixels");
        let grey = decode(&encoded(glass, ImageFormat::Png)).expect("decodes");
        assert_eq!((grey.channels, grey.pixels), (1, vec![9, 255, 224]));
        let glass = image::ImageBuffer::<Rgba<u8>, _>::from_raw(2, 1, vec![1, 2, 3, 255, 1, 2, 3, 0]).expect("pixels");
        assert_eq!(decode(&encoded(glass, ImageFormat::Png)).expect("decodes").pixels, [1, 2, 3, 255, 255, 255]);
    }

    #[test]
    fn a_jpeg_is_turned_as_exif_says_and_has_these_pixels_on_every_machine() {
        let raster = decode(TURNED).expect("decodes");
        assert_eq!((raster.width, raster.height, raster.channels), (24, 40, 3));
        let sum = raster.pixels.iter().fold(0u64, |sum, byte| sum.wrapping_mul(31).wrapping_add(u64::from(*byte)));
        assert_eq!(sum, 10_260_871_232_851_221_910);
        // Without its Exif part, which comes first, it lies on its side.
        let exif = 2 + 2 + usize::from(u16::from_be_bytes([TURNED[4], TURNED[5]]));
        let lying = decode(&[&TURNED[..2], &TURNED[exif..]].concat()).expect("decodes");
        assert_eq!((lying.width, lying.height), (40, 24));
        for (x, y) in (0..24).flat_map(|x| (0..40).map(move |y| (x, y))) {
            let (at, was) = (3 * (y * 24 + x), 3 * ((23 - x) * 40 + y));
            assert_eq!(raster.pixels[at..at + 3], lying.pixels[was..was + 3], "{x} {y}");
        }
    }

    #[test]
    fn a_cut_file_is_told_from_a_whole_one_wherever_it_is_cut() {
        for length in (1..TURNED.len()).step_by(7) {
            assert!(decode(&TURNED[..length]).is_err(), "{length} bytes");
        }
        // Bytes behind the end are no harm.
        assert_eq!(decode(&[TURNED, &[0; 9]].concat()), decode(TURNED));
        for format in [ImageFormat::Png, ImageFormat::Bmp, ImageFormat::WebP] {
            let file = encoded(colours(), format);
            for length in (1..file.len() - 16).step_by(3) {
                assert!(decode(&file[..length]).is_err(), "{format:?}, {length} of {} bytes", file.len());
            }
        }
    }

    #[test]
    fn changed_bytes_are_errors_or_pictures_but_never_panics() {
        let gif = encoded(DynamicImage::from(colours()).into_rgba8(), ImageFormat::Gif);
        let other = [ImageFormat::Png, ImageFormat::Bmp, ImageFormat::WebP].map(|format| encoded(colours(), format));
        let mut errors = 0;
        for file in other.iter().map(Vec::as_slice).chain([TURNED, &gif]) {
            for at in 0..file.len() {
                let mut changed = file.to_vec();
                changed[at] ^= 1 << (at % 8);
                errors += usize::from(decode(&changed).is_err());
            }
        }
        assert!(errors > 100, "{errors}");
    }

    #[test]
    fn a_picture_of_too_many_pixels_is_refused_by_its_head() {
        let mut jpeg = TURNED.to_vec();
        let frame = jpeg.windows(2).position(|pair| pair == [0xff, 0xc0]).expect("a frame");
        jpeg[frame + 5..frame + 9].copy_from_slice(&[0x4e, 0x20, 0x4e, 0x20]);
        assert_eq!(decode(&jpeg), Err(DecodeError::TooLarge { width: 20_000, height: 20_000 }));
        let mut bmp = encoded(colours(), ImageFormat::Bmp);
        bmp[18..22].copy_from_slice(&20_000u32.to_le_bytes());
        bmp[22..26].copy_from_slice(&20_000u32.to_le_bytes());
        assert_eq!(decode(&bmp), Err(DecodeError::TooLarge { width: 20_000, height: 20_000 }));
    }

    #[test]
    fn what_is_no_picture_is_named() {
        assert_eq!(decode(b""), Err(DecodeError::Empty));
        assert_eq!(decode(b"hello, world"), Err(DecodeError::NoPicture));
    }
}
