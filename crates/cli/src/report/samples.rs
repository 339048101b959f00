//! Training pictures beside what augmentation makes of them.

use kernels::device::Device;
use pellucid::data::augment::{Augmenter, Mixer};
use pellucid::train::{FitOptions, Part};

use super::picture::{Picture, Pictures};

/// Pictures that are shown, one below the other.
const SHOWN: usize = 6;
/// Epochs that are shown of each, beside the picture as it is stored.
const EPOCHS: usize = 7;
/// Pixels between them.
const GAP: usize = 2;

/// Some rows of `part`, each as it is stored and then as it is learnt from in the first epochs; `None` if rows are not
/// augmented or are no bytes. Rows that are mixed are so with each other here, in training with any row of their batch.
pub fn augmented(options: &FitOptions, part: &Part, device: &Device) -> Option<Picture> {
    let FitOptions { augmentation, seed, .. } = options;
    let data = part.data;
    let pictures = Pictures::of(data).filter(|_| !augmentation.is_none())?;
    let augmenter = Augmenter::new(augmentation, &data.sample_shape, *seed, device.isa()).ok()?;
    let mixer = Mixer::new(augmentation, &data.sample_shape, *seed).ok()?;
    let (count, width) = (part.rows.len().min(SHOWN), data.width());
    let rows: Vec<u32> = (0..count).map(|place| part.rows[place * part.rows.len() / count]).collect();
    let mut scratch = augmenter.scratch();
    let mut columns = vec![rows.iter().map(|&row| pictures.row(row)).collect::<Option<Vec<Picture>>>()?];
    for epoch in 0..EPOCHS as u64 {
        let mut values = vec![0.0; count * width];
        for (&row, out) in rows.iter().zip(values.chunks_exact_mut(width)) {
            augmenter.row(data, row, epoch, &mut scratch, out).ok()?;
        }
        if let Some(mixer) = &mixer {
            let mut partners = vec![0; count];
            let mixture = mixer.draw(device, epoch, &mut partners);
            let own = values.clone();
            for (place, out) in values.chunks_exact_mut(width).enumerate() {
                let row = |place: usize| &own[place * width..][..width];
                mixture.pictures(row(place), row(partners[place] as usize), out);
            }
        }
        columns.push(values.chunks_exact(width).map(|values| pictures.entering(values)).collect::<Option<_>>()?);
    }
    side_by_side(&columns)
}

/// One picture of columns of pictures that all have the same size, with white between them.
fn side_by_side(columns: &[Vec<Picture>]) -> Option<Picture> {
    let first = columns.first()?.first()?;
    let channels = usize::from(first.channels);
    let size = [first.width, first.height].map(|side| side as usize);
    let [width, height] = [0, 1].map(|axis| [columns.len(), columns[0].len()][axis] * (size[axis] + GAP) - GAP);
    let mut pixels = vec![u8::MAX; width * height * channels];
    for (across, column) in columns.iter().enumerate() {
        for (down, picture) in column.iter().enumerate() {
            for (y, line) in picture.pixels.chunks_exact(size[0] * channels).enumerate() {
                let place = (down * (size[1] + GAP) + y) * width + across * (size[0] + GAP);
                pixels[place * channels..][..line.len()].copy_from_slice(line);
            }
        }
    }
    Some(Picture { width: width as u32, height: height as u32, channels: first.channels, pixels })
}

#[cfg(test)]
mod tests {
    use kernels::simd::Isa;
    use pellucid::data::{Augmentation, Dataset, Features};

    use super::*;

    fn shown(augmentation: &str, rows: usize) -> Option<Picture> {
        // The row's number in its right half, black in its left one.
        let bytes = (0..rows * 8).map(|i| if i % 4 < 2 { 0 } else { (i / 8 + 1) as u8 }).collect();
        let features = Features::U8 { bytes, scale: vec![0.5], shift: vec![-1.0] };
        let data = Dataset::new(vec![1, 2, 4], features, vec![0.0; rows], 1, None).expect("pictures");
        let augmentation = Augmentation::parse(augmentation).expect("an augmentation");
        let options = FitOptions { augmentation, ..FitOptions::default() };
        augmented(&options, &Part::all(&data), &Device::new(Isa::scalar(), 1))
    }

    #[test]
    fn pictures_stand_beside_what_is_made_of_them() {
        let grid = shown("flip", 3).expect("a picture");
        assert_eq!((grid.width, grid.height, grid.channels), (8 * 6 - 2, 3 * 4 - 2, 1));
        let pixel = |across: usize, down: usize, x: usize| grid.pixels[down * 4 * 46 + across * 6 + x];
        for down in 0..3 {
            let bright = 85 * (down as u8 + 1);
            assert_eq!([pixel(0, down, 0), pixel(0, down, 3), pixel(0, down, 4)], [0, bright, 255], "as it is stored");
            // From epoch to epoch each is the other way round.
            let left: Vec<u8> = (1..8).map(|across| pixel(across, down, 0)).collect();
            assert!(left.windows(2).all(|pair| pair[0] + pair[1] == bright), "{left:?}");
        }
        assert_eq!(shown("crop 1", 100).expect("a picture").height, 6 * 4 - 2, "some of many");
        assert!(shown("mixup 1", 5).is_some());
        assert_eq!(shown("none", 3), None);
    }
}
