//! Handwritten digits, 8×8 pixels with values from 0 to 16.
//!
//! E. Alpaydin, C. Kaynak, "Optical Recognition of Handwritten Digits", UCI Machine Learning Repository, 1998
//! (test part), CC BY 4.0.

use std::io::Read;

use flate2::bufread::GzDecoder;

use crate::data::sources::{Images, Origin, Source};
use crate::data::{Dataset, Features, Task, TaskKind};

pub(crate) const SOURCE: Source = Source {
    name: "digits",
    description: "handwritten digits, 8×8 pixels",
    rows: ROWS,
    test_rows: 0,
    task: TaskKind::Multiclass,
    origin: Origin::Images(load),
};

const ROWS: usize = 1797;
const SIDE: usize = 8;
/// The brightest pixel.
const BRIGHTEST: u8 = 16;
/// 64 pixels and the digit on each line.
const CSV_GZ: &[u8] = include_bytes!("../../../assets/digits.csv.gz");

/// The images: inputs pixel / 16, shape `[64]`; classes `0` to `9`.
///
/// # Panics
/// Never: the bytes are part of the program, and a test reads them.
pub fn load() -> Images {
    let mut text = String::new();
    GzDecoder::new(CSV_GZ).read_to_string(&mut text).expect("the embedded digits are whole");
    let (mut bytes, mut targets) = (Vec::with_capacity(ROWS * SIDE * SIDE), Vec::with_capacity(ROWS));
    for line in text.lines() {
        let (pixels, digit) = line.rsplit_once(',').expect("pixels and digit");
        bytes.extend(pixels.split(',').map(|pixel| pixel.parse::<u8>().expect("a pixel")));
        targets.push(digit.parse::<f32>().expect("a digit"));
    }
    let features = Features::U8 { bytes, scale: vec![1.0 / f32::from(BRIGHTEST)], shift: vec![0.0] };
    let dataset =
        Dataset { sample_shape: vec![1, SIDE, SIDE], features, targets, target_width: 1, weights: None, lengths: None };
    let classes = (0..10).map(|digit| digit.to_string()).collect();
    Images { dataset, task: Task::Multiclass { classes }, image_size: [SIDE, SIDE] }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digits_are_those_of_uci() {
        let images = load();
        images.dataset.check().unwrap();
        let mut counts = [0; 10];
        images.dataset.targets.iter().for_each(|digit| counts[*digit as usize] += 1);
        // The class counts that scikit-learn gives for its copy.
        assert_eq!(counts, [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]);
        let Features::U8 { bytes, .. } = &images.dataset.features else { panic!("digits are bytes") };
        assert_eq!(bytes.iter().max(), Some(&BRIGHTEST));
        let mut first = [f32::NAN; 64];
        images.dataset.gather_features(&[0], &mut first).expect("in memory");
        assert_eq!(first[..8], [0.0, 0.0, 5.0 / 16.0, 13.0 / 16.0, 9.0 / 16.0, 1.0 / 16.0, 0.0, 0.0]);
    }
}
