//! Small images inside a page.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use pellucid::data::{Dataset, Features};

use crate::markup::escape;

/// An image of one byte for each channel, row by row; a colour image holds red, green and blue of each pixel side by side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    /// Pixels across.
    pub width: u32,
    /// Pixels down.
    pub height: u32,
    /// 1 (grey) or 3 (colour).
    pub channels: u8,
    /// `height * width * channels` bytes.
    pub pixels: Vec<u8>,
}

impl Picture {
    /// The image whose planes `[channels, height, width]` are `bytes`, channel by channel as data sets have them; `None`
    /// unless it is grey or red, green and blue, and the bytes fill it.
    pub fn from_planes([channels, height, width]: [usize; 3], bytes: &[u8]) -> Option<Picture> {
        let plane = height * width;
        if !matches!(channels, 1 | 3) || plane == 0 || bytes.len() != channels * plane {
            return None;
        }
        let pixels = (0..plane).flat_map(|pixel| (0..channels).map(move |channel| bytes[channel * plane + pixel]));
        Some(Picture {
            width: u32::try_from(width).ok()?,
            height: u32::try_from(height).ok()?,
            channels: channels as u8,
            pixels: pixels.collect(),
        })
    }

    /// The image as an element of a page; `description` is for those who do not see it. A small one is enlarged by a whole
    /// factor, with crisp pixels, up to `side` pixels of the screen; a larger one keeps its size.
    pub fn element(&self, description: &str, side: u32) -> Option<String> {
        let address = self.data_uri()?;
        let factor = (side / self.width.max(self.height)).max(1);
        let class = if factor > 1 { r#" class="pixels""# } else { "" };
        let (width, height) = (self.width * factor, self.height * factor);
        let description = escape(description);
        Some(format!(r#"<img{class} src="{address}" width="{width}" height="{height}" alt="{description}"/>"#))
    }

    /// The image as a PNG in a `data:` address, as `<img src>` takes it; `None` if the pixels do not fit the size or there
    /// is none.
    pub fn data_uri(&self) -> Option<String> {
        let color = match self.channels {
            1 => png::ColorType::Grayscale,
            3 => png::ColorType::Rgb,
            _ => return None,
        };
        let bytes = u64::from(self.width) * u64::from(self.height) * u64::from(self.channels);
        if bytes != self.pixels.len() as u64 {
            return None;
        }
        let mut file = Vec::new();
        let mut encoder = png::Encoder::new(&mut file, self.width, self.height);
        encoder.set_color(color);
        encoder.set_depth(png::BitDepth::Eight);
        let mut writer = encoder.write_header().ok()?;
        writer.write_image_data(&self.pixels).ok()?;
        writer.finish().ok()?;
        Some(format!("data:image/png;base64,{}", STANDARD.encode(file)))
    }
}

/// The pictures of a data set whose rows are pictures.
#[derive(Clone, Copy, Debug)]
pub struct Pictures<'a> {
    data: &'a Dataset,
    shape: [usize; 3],
    /// The brightest byte that rows may have; it is shown as white.
    white: u8,
}

impl<'a> Pictures<'a> {
    /// The pictures of `data`; `None` if its rows are not bytes of shape `[1 or 3, height, width]`.
    pub fn of(data: &'a Dataset) -> Option<Pictures<'a>> {
        let shape: [usize; 3] = data.sample_shape.as_slice().try_into().ok()?;
        // Scans may count in other steps than photographs: digits of 16 greys are not to be shown black.
        let white = match &data.features {
            Features::U8 { bytes, .. } => greatest(bytes).max(1),
            Features::Read { .. } => u8::MAX,
            Features::F32(_) => return None,
        };
        matches!(shape[0], 1 | 3).then_some(Pictures { data, shape, white })
    }

    /// The picture of a row; `None` if it is read from where it can no longer be had.
    ///
    /// # Panics
    /// When the row is not in the data set.
    pub fn row(&self, row: u32) -> Option<Picture> {
        let mut bytes = vec![0; self.data.width()];
        self.data.read_bytes(row, &mut bytes).ok()?;
        for byte in &mut bytes {
            *byte = (u16::from(*byte) * u16::from(u8::MAX) / u16::from(self.white)) as u8;
        }
        Picture::from_planes(self.shape, &bytes)
    }

    /// The picture whose `values` enter the network: scale and shift of the data set are undone.
    ///
    /// # Panics
    /// When it has another size than those of the data set.
    pub fn entering(&self, values: &[f32]) -> Option<Picture> {
        assert_eq!(values.len(), self.data.width(), "a picture of the data set");
        let (Features::U8 { scale, shift, .. } | Features::Read { scale, shift, .. }) = &self.data.features else {
            return None;
        };
        let of = |list: &[f32], index: usize| if let [one] = *list { one } else { list[index] };
        let brighter = f32::from(u8::MAX) / f32::from(self.white);
        // A conversion to bytes keeps to their limits.
        let byte =
            |(index, value): (usize, &f32)| ((value - of(shift, index)) / of(scale, index) * brighter).round() as u8;
        Picture::from_planes(self.shape, &values.iter().enumerate().map(byte).collect::<Vec<u8>>())
    }
}

/// The greatest of `bytes`; most sets have it in their first pictures.
fn greatest(bytes: &[u8]) -> u8 {
    let mut greatest = 0;
    for part in bytes.chunks(1 << 12) {
        greatest = part.iter().copied().fold(greatest, u8::max);
        if greatest == u8::MAX {
            break;
        }
    }
    greatest
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use pellucid::data::{ByteRows, ReadBytes, ReadError};

    use super::*;

    /// Rows of two pixels in three colours, of which only the first can be read.
    #[derive(Debug)]
    struct Streamed;

    impl ReadBytes for Streamed {
        fn rows(&self) -> usize {
            2
        }

        fn width(&self) -> usize {
            6
        }

        fn read(&self, row: u32, out: &mut [u8]) -> Result<(), ReadError> {
            out.copy_from_slice(&[10, 11, 20, 21, 30, 31]);
            let gone = ReadError { place: "b.png".to_string(), reason: "it is gone".to_string() };
            if row == 0 { Ok(()) } else { Err(gone) }
        }
    }

    #[test]
    fn rows_of_planes_become_pictures_of_pixels_whether_kept_or_streamed() {
        let data = |sample_shape: &[usize], features| {
            Dataset::new(sample_shape.to_vec(), features, vec![], 0, None).expect("consistent")
        };
        let (scale, shift) = (vec![1.0], vec![0.0]);
        let rows = ByteRows(Arc::new(Streamed));
        let streamed = data(&[3, 1, 2], Features::Read { rows, scale: scale.clone(), shift: shift.clone() });
        let pictures = Pictures::of(&streamed).expect("pictures");
        let first = pictures.row(0).expect("a picture");
        assert_eq!((first.width, first.height, first.channels), (2, 1, 3));
        assert_eq!(first.pixels, [10, 20, 30, 11, 21, 31]);
        assert_eq!(pictures.row(1), None);

        let bytes = vec![0, 4, 8, 16, 1, 0, 0, 0];
        let kept = data(&[1, 2, 2], Features::U8 { bytes, scale: scale.clone(), shift: shift.clone() });
        let pictures = Pictures::of(&kept).expect("pictures");
        assert_eq!(pictures.row(0).expect("a picture").pixels, [0, 63, 127, 255]);
        assert_eq!(pictures.row(1).expect("a picture").pixels[0], 15, "the brightest of all rows is white");

        assert!(Pictures::of(&data(&[4], Features::F32(vec![0.0; 8]))).is_none());
        assert!(Pictures::of(&data(&[2, 1, 2], Features::U8 { bytes: vec![0; 4], scale, shift })).is_none());
    }

    #[test]
    fn small_pictures_are_enlarged_by_whole_factors_and_large_ones_are_not() {
        let shown = |width, height| {
            let picture = Picture { width, height, channels: 1, pixels: vec![0; (width * height) as usize] };
            picture.element("a <b>", 112).expect("a picture")
        };
        for (size, expected) in [((28, 28), 112), ((32, 32), 96), ((8, 8), 112), ((40, 20), 80), ((200, 300), 200)] {
            let element = shown(size.0, size.1);
            assert!(element.contains(&format!(r#"width="{expected}""#)), "{size:?}: {element}");
            assert_eq!(element.contains("pixels"), expected != size.0, "{element}");
            assert!(element.contains("a &lt;b&gt;"), "{element}");
        }
    }

    #[test]
    fn pixels_come_back_from_the_png() {
        for channels in [1u8, 3] {
            let pixels: Vec<u8> = (0..5 * 4 * channels).map(|at| at * 4).collect();
            let picture = Picture { width: 5, height: 4, channels, pixels: pixels.clone() };
            let uri = picture.data_uri().expect("a picture");
            let file = STANDARD.decode(uri.strip_prefix("data:image/png;base64,").expect("PNG")).expect("base64");
            let mut reader = png::Decoder::new(std::io::Cursor::new(file)).read_info().expect("PNG");
            let mut read = vec![0; reader.output_buffer_size().expect("small")];
            reader.next_frame(&mut read).expect("one frame");
            assert_eq!(read, pixels);
        }
    }

    #[test]
    fn a_picture_that_cannot_be_is_none() {
        let good = Picture { width: 2, height: 2, channels: 1, pixels: vec![0; 4] };
        assert!(good.data_uri().is_some());
        assert_eq!(Picture { width: 3, ..good.clone() }.data_uri(), None);
        assert_eq!(Picture { channels: 2, ..good.clone() }.data_uri(), None);
        assert_eq!(Picture { width: 0, pixels: vec![], ..good }.data_uri(), None);
    }
}
