//! Small images inside a page.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

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

#[cfg(test)]
mod tests {
    use super::*;

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
