use kernels::device::Device;
use kernels::simd::Isa;

use super::cutout::square;
use super::elastic::Elastic;
use super::geometry::{Motion, Placement};
use super::mixing::Mixer;
use super::sample::{FRACTION, Line, interpolated, moved};
use super::*;
use crate::data::{Dataset, Features};

/// Bytes that look like nothing.
fn bytes(count: usize) -> Vec<u8> {
    (0..count).map(|i| Stream::new(1, 2).u32_at(i as u64) as u8).collect()
}

fn data(shape: [usize; 3], rows: usize) -> Dataset {
    let features =
        Features::U8 { bytes: bytes(rows * shape.iter().product::<usize>()), scale: vec![1.0], shift: vec![0.0] };
    Dataset::new(shape.to_vec(), features, vec![0.0; rows], 1, None).expect("pictures")
}

fn augmenter(text: &str, shape: [usize; 3]) -> Augmenter {
    let settings = Augmentation::parse(text).expect("an augmentation");
    Augmenter::new(&settings, &shape, 5, Isa::best()).expect("pictures")
}

/// One row of `data` as `augmenter` makes it.
fn made(augmenter: &Augmenter, data: &Dataset, row: u32, epoch: u64) -> Vec<f32> {
    let mut out = vec![f32::NAN; data.width()];
    augmenter.row(data, row, epoch, &mut augmenter.scratch(), &mut out).expect("in memory");
    out
}

fn plain(data: &Dataset, row: u32) -> Vec<f32> {
    let mut out = vec![f32::NAN; data.width()];
    data.gather_features(&[row], &mut out).expect("in memory");
    out
}

/// What is seen beyond the edge, by the definition.
fn seen(line: &[f32], i: isize, border: Border) -> f32 {
    let n = line.len() as isize;
    match border {
        Border::Zeros if i < 0 || i >= n => 0.0,
        Border::Zeros | Border::Edge => line[i.clamp(0, n - 1) as usize],
        Border::Reflect if n == 1 => line[0],
        Border::Reflect => {
            let i = i.rem_euclid(2 * (n - 1));
            line[i.min(2 * (n - 1) - i) as usize]
        }
    }
}

const BORDERS: [Border; 3] = [Border::Reflect, Border::Edge, Border::Zeros];
const STILL: Motion = Motion { flip: false, crop: [0; 2], angle: 0.0, scale: 1.0, shear: 0.0, shift: [0.0; 2] };

fn looked_through(motion: Motion, source: &[f32], size: Size, border: Border) -> Vec<f32> {
    let Placement::Affine(map) = motion.placement(size, true) else { panic!("a map was asked for") };
    let mut out = vec![f32::NAN; source.len()];
    interpolated(source, size, border, &map, None, &mut Line::new(size.width), &mut out);
    out
}

#[test]
fn whole_pixels_are_copied_from_where_they_belong_and_so_they_are_when_interpolated() {
    for (height, width) in [(4, 5), (1, 3), (3, 1), (1, 1), (7, 6)] {
        let size = Size { channels: 2, height, width };
        let source: Vec<f32> = bytes(size.values()).into_iter().map(f32::from).collect();
        let reach = |n: usize| -(n as isize - 1)..=n as isize - 1;
        for (border, flip) in BORDERS.into_iter().flat_map(|border| [(border, false), (border, true)]) {
            for (dy, dx) in reach(height).flat_map(|dy| reach(width).map(move |dx| (dy, dx))) {
                let mut out = vec![f32::NAN; source.len()];
                moved(&source, size, border, flip, [dx, dy], &mut out);
                for channel in 0..2 {
                    for (y, x) in (0..height).flat_map(|y| (0..width).map(move |x| (y, x))) {
                        let from = if flip { width - 1 - x } else { x } as isize + dx;
                        let column: Vec<f32> = (0..height)
                            .map(|y| seen(&source[channel * size.plane() + y * width..][..width], from, border))
                            .collect();
                        let expected = seen(&column, y as isize + dy, border);
                        assert_eq!(
                            out[channel * size.plane() + y * width + x],
                            expected,
                            "{size:?} {border:?} {dx} {dy}"
                        );
                    }
                }
                let motion = Motion { flip, crop: [dx, dy], ..STILL };
                assert_eq!(motion.placement(size, false), Placement::Whole { flip, dx, dy });
                assert_eq!(looked_through(motion, &source, size, border), out, "{size:?} {border:?} {flip} {dx} {dy}");
            }
        }
    }
}

#[test]
fn quarter_turns_are_exact_and_a_flip_of_a_flip_is_nothing() {
    let size = Size { channels: 3, height: 6, width: 6 };
    let source: Vec<f32> = bytes(size.values()).into_iter().map(f32::from).collect();
    let turned = |angle: f64, from: fn(usize, usize) -> (usize, usize)| {
        let out = looked_through(Motion { angle, ..STILL }, &source, size, Border::Reflect);
        for i in 0..source.len() {
            let (y, x) = from(i / 6 % 6, i % 6);
            assert_eq!(out[i], source[i / 36 * 36 + y * 6 + x], "{angle} degrees, value {i}");
        }
    };
    turned(90.0, |y, x| (5 - x, y));
    turned(-90.0, |y, x| (x, 5 - y));
    turned(180.0, |y, x| (5 - y, 5 - x));
    let flip = |source: &[f32]| {
        let mut out = vec![f32::NAN; source.len()];
        moved(source, size, Border::Zeros, true, [0; 2], &mut out);
        out
    };
    assert_ne!(flip(&source), source);
    assert_eq!(flip(&flip(&source)), source);
}

#[test]
fn half_a_pixel_is_the_mean_of_its_neighbours_and_twice_the_scale_shows_the_middle() {
    let size = Size { channels: 1, height: 1, width: 4 };
    let half = |border| looked_through(Motion { shift: [0.5, 0.0], ..STILL }, &[8.0, 4.0, 2.0, 6.0], size, border);
    assert_eq!(half(Border::Zeros), [4.0, 6.0, 3.0, 4.0]);
    assert_eq!(half(Border::Edge), [8.0, 6.0, 3.0, 4.0]);
    assert_eq!(half(Border::Reflect), [6.0, 6.0, 3.0, 4.0]);
    let ramp: Vec<f32> = (0..25).map(|i| (i % 5 * 10 + i / 5) as f32).collect();
    let size = Size { channels: 1, height: 5, width: 5 };
    let twice = looked_through(Motion { scale: 2.0, ..STILL }, &ramp, size, Border::Zeros);
    assert_eq!(twice[..5], [11.0, 16.0, 21.0, 26.0, 31.0]);
    // Sheared by 45 degrees, a vertical line leans: each line of the picture is a pixel further.
    let line: Vec<f32> = (0..25).map(|i| f32::from(u8::from(i % 5 == 2))).collect();
    let sheared = looked_through(Motion { shear: 45.0, ..STILL }, &line, size, Border::Zeros);
    let diagonal: Vec<f32> = (0..25).map(|i| f32::from(u8::from(i % 5 == i / 5))).collect();
    assert_eq!(sheared, diagonal);
}

#[test]
fn without_augmentation_a_row_is_as_it_was_gathered() {
    let shape = [3, 5, 7];
    let count: usize = shape.iter().product();
    let spread = |offset: f32| (0..count).map(|i| i as f32 * 0.01 + offset).collect::<Vec<f32>>();
    let bytes = || bytes(4 * count);
    for features in [
        Features::U8 { bytes: bytes(), scale: vec![1.0 / 255.0], shift: vec![-0.3] },
        Features::U8 { bytes: bytes(), scale: spread(0.1), shift: spread(-3.0) },
        Features::F32(bytes().into_iter().map(|byte| f32::from(byte) / 7.0 - 9.0).collect()),
    ] {
        let data = Dataset::new(shape.to_vec(), features, vec![0.0; 4], 1, None).expect("pictures");
        for row in 0..4 {
            assert_eq!(made(&augmenter("none", shape), &data, row, 3), plain(&data, row));
        }
    }
}

const EVERYTHING: &str =
    "flip, crop 2, rotate 30, scale 0.7..1.4, shear 10, shift 1.5, elastic 1, brightness 0.4, contrast 0.4, cutout 3";

#[test]
fn instruction_sets_and_what_was_made_before_change_no_bit() {
    let (shape, settings) = ([3, 11, 19], Augmentation::parse(EVERYTHING).expect("an augmentation"));
    let data = data(shape, 6);
    let reference = augmenter(EVERYTHING, shape);
    for isa in Isa::available() {
        let augmenter = Augmenter::new(&settings, &shape, 5, isa).expect("pictures");
        let (mut scratch, mut out) = (augmenter.scratch(), vec![0.0; data.width()]);
        for (row, epoch) in [(5, 9), (0, 0), (3, 1), (0, 0)] {
            augmenter.row(&data, row, epoch, &mut scratch, &mut out).expect("in memory");
            assert_eq!(out, made(&reference, &data, row, epoch), "{isa}");
        }
    }
    assert_ne!(made(&reference, &data, 0, 0), made(&reference, &data, 0, 1));
    assert_ne!(made(&reference, &data, 0, 0), plain(&data, 0));
    for border in ["edge", "zeros"] {
        let text = format!("{EVERYTHING}, border {border}");
        assert!(made(&augmenter(&text, shape), &data, 1, 2).iter().all(|value| value.is_finite()));
    }
}

#[test]
fn flips_alternate_from_epoch_to_epoch_or_are_random() {
    let flips =
        |flip: Flip, epoch| (0..2000).map(|row| flip.draw(Draws { seed: 5, epoch, row })).collect::<Vec<bool>>();
    let count = |flips: &[bool]| flips.iter().filter(|flip| **flip).count();
    // Five standard deviations of 2000 throws: 112.
    for epoch in 0..4 {
        let (now, next) = (flips(Flip::Alternate, epoch), flips(Flip::Alternate, epoch + 1));
        assert!(count(&now).abs_diff(1000) < 112);
        assert!(now.iter().zip(&next).all(|(now, next)| now != next));
        let (now, next) = (flips(Flip::Random, epoch), flips(Flip::Random, epoch + 1));
        assert!(count(&now).abs_diff(1000) < 112);
        let same = now.iter().zip(&next).filter(|(now, next)| now == next).count();
        assert!(same.abs_diff(1000) < 112, "{same}");
    }
}

#[test]
fn random_numbers_are_uniform_within_their_limits() {
    let settings = Augmentation::parse("crop 3, rotate 15, scale 0.5..2, shear 10, shift 2").expect("an augmentation");
    let motions: Vec<Motion> =
        (0..4000).map(|row| Motion::draw(&settings, Draws { seed: 1, epoch: u64::from(row % 7), row })).collect();
    let uniform = |limit: f64, value: &dyn Fn(&Motion) -> f64| {
        let values: Vec<f64> = motions.iter().map(value).collect();
        assert!(values.iter().all(|value| value.abs() <= limit));
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n / limit;
        let square = values.iter().map(|value| value * value).sum::<f64>() / n / (limit * limit);
        // Five standard errors: √(1/3 / n) of the mean, √(4/45 / n) of the mean square.
        assert!(mean.abs() < 5.0 * (1.0 / 3.0 / n).sqrt(), "{mean}");
        assert!((square - 1.0 / 3.0).abs() < 5.0 * (4.0 / 45.0 / n).sqrt(), "{square}");
    };
    uniform(15.0, &|motion| motion.angle);
    uniform(10.0, &|motion| motion.shear);
    uniform(2.0, &|motion| motion.shift[0]);
    uniform(2.0, &|motion| motion.shift[1]);
    uniform(libm::log(2.0), &|motion| libm::log(motion.scale));
    for axis in 0..2 {
        for place in -3..=3 {
            let count = motions.iter().filter(|motion| motion.crop[axis] == place).count() as f64;
            assert!((count - 4000.0 / 7.0).abs() < 5.0 * (4000.0f64 / 7.0 * 6.0 / 7.0).sqrt(), "{place}: {count}");
        }
    }
}

#[test]
fn brightness_moves_the_mean_and_contrast_keeps_it() {
    let shape = [3, 8, 8];
    let features = Features::U8 {
        bytes: bytes(192).into_iter().map(|byte| 96 + byte / 4).collect(),
        scale: vec![1.0],
        shift: vec![0.0],
    };
    let data = Dataset::new(shape.to_vec(), features, vec![0.0], 1, None).expect("a picture");
    let moments = |values: &[f32]| {
        let mean = values.iter().sum::<f32>() / 192.0;
        let square = values.iter().map(|value| (value - mean) * (value - mean)).sum::<f32>() / 192.0;
        (mean, square.sqrt())
    };
    let (mean, spread) = moments(&plain(&data, 0));
    let (bright, contrast) = (augmenter("brightness 0.2", shape), augmenter("contrast 0.2", shape));
    let mut factors = Vec::new();
    for epoch in 0..200 {
        let (now, spread_now) = moments(&made(&bright, &data, 0, epoch));
        factors.push(now / mean);
        assert!((spread_now / spread - now / mean).abs() < 1e-4, "everything times the same factor");
        let (now, spread_now) = moments(&made(&contrast, &data, 0, epoch));
        assert!((now - mean).abs() < 1e-3, "{now} for {mean}");
        assert!((0.8 - 1e-4..1.2 + 1e-4).contains(&(spread_now / spread)));
    }
    assert!(factors.iter().all(|factor| (0.8 - 1e-6..1.2 + 1e-6).contains(factor)));
    assert!(factors.iter().any(|factor| *factor < 0.85) && factors.iter().any(|factor| *factor > 1.15));
    // Bytes stay bytes.
    let wild = augmenter("brightness 1, contrast 1", shape);
    let all: Vec<f32> = (0..50).flat_map(|epoch| made(&wild, &data, 0, epoch)).collect();
    assert!(all.iter().all(|value| (0.0..=255.0).contains(value)) && all.contains(&255.0));
}

#[test]
fn cutout_makes_a_square_the_mean_and_leaves_the_rest() {
    let shape = [2, 9, 12];
    let size = Size { channels: 2, height: 9, width: 12 };
    let mut data = data(shape, 3);
    let Features::U8 { bytes, shift, .. } = &mut data.features else { unreachable!("bytes") };
    bytes.fill(7);
    shift[0] = 1.0;
    let augmenter = augmenter("cutout 4", shape);
    let mut areas = Vec::new();
    for epoch in 0..100 {
        let out = made(&augmenter, &data, 1, epoch);
        let hole = square(4, size, Draws { seed: 5, epoch, row: 1 });
        areas.push(hole.area());
        for (i, value) in out.iter().enumerate() {
            let (y, x) = (i % 108 / 12, i % 12);
            let cut = hole.lines.contains(&y) && hole.columns.contains(&x);
            assert_eq!(*value, if cut { 0.0 } else { 8.0 });
        }
    }
    assert_eq!(areas.iter().max(), Some(&16));
    assert!(areas.iter().any(|area| *area < 16) && areas.iter().all(|area| *area >= 4), "it may reach beyond the edge");
}

#[test]
fn an_elastic_field_is_smooth_and_as_large_as_was_asked() {
    for (height, width) in [(28, 28), (32, 48)] {
        let size = Size { channels: 1, height, width };
        let elastic = Elastic::new(size, 1.5);
        let mut room = elastic.room();
        let (mut sum, mut roughest, mut count) = (0.0, 0.0f64, 0.0);
        for row in 0..300 {
            let mut field = elastic.field(Draws { seed: 1, epoch: 2, row }, &mut room);
            for y in 0..height {
                for line in field.line(y) {
                    let pixels: Vec<f64> =
                        line.iter().map(|&place| f64::from(place) / f64::from(1 << FRACTION)).collect();
                    sum += pixels.iter().map(|pixel| pixel * pixel).sum::<f64>();
                    count += pixels.len() as f64;
                    roughest = pixels.windows(2).map(|pair| (pair[1] - pair[0]).abs()).fold(roughest, f64::max);
                }
            }
        }
        let size = (sum / count).sqrt();
        assert!((size - 1.5).abs() < 0.05, "{size}");
        assert!(roughest < 1.2, "neighbours move together: {roughest}");
    }
}

#[test]
fn mixtures_are_what_the_papers_say() {
    let (shape, device) = ([2, 12, 10], Device::new(Isa::best(), 2));
    let mixer = |text: &str| {
        let settings = Augmentation::parse(text).expect("an augmentation");
        Mixer::new(&settings, &shape, 3).expect("pictures").expect("a mixer")
    };
    let mut partners = vec![0; 16];
    for (text, alpha) in [("mixup 0.2", 0.2), ("mixup 1", 1.0), ("mixup 4", 4.0)] {
        let mixer = mixer(text);
        let shares: Vec<f64> =
            (0..4000).map(|step| f64::from(mixer.draw(&device, step, &mut partners).share)).collect();
        let n = shares.len() as f64;
        let mean = shares.iter().sum::<f64>() / n;
        let variance = shares.iter().map(|share| (share - 0.5) * (share - 0.5)).sum::<f64>() / n;
        let expected = 0.25 / (2.0 * alpha + 1.0);
        assert!((mean - 0.5).abs() < 5.0 * (expected / n).sqrt(), "{text}: mean {mean}");
        // The square of a number in [0, 1/4] has a standard deviation of at most 1/8.
        assert!((variance - expected).abs() < 5.0 * 0.125 / n.sqrt(), "{text}: variance {variance} for {expected}");
    }
    let own: Vec<f32> = (0..240).map(|i| i as f32).collect();
    let other: Vec<f32> = (0..240).map(|i| -1.0 - i as f32).collect();
    let (mut pasted, mut blended) = (0, 0);
    let mixer = mixer("mixup 0.4, cutmix 1");
    for step in 0..400 {
        let mixture = mixer.draw(&device, step, &mut partners);
        let mut sorted = partners.clone();
        sorted.sort_unstable();
        assert!(sorted.into_iter().eq(0..16), "every row is a partner once");
        let mut out = vec![f32::NAN; 240];
        mixture.pictures(&own, &other, &mut out);
        let kept = out.iter().zip(&own).filter(|(out, own)| out == own).count() as f32 / 240.0;
        let whole = out.iter().all(|value| value.fract() == 0.0);
        if whole && out.iter().zip(&own).zip(&other).all(|((out, own), other)| out == own || out == other) {
            pasted += 1;
            assert!((kept - mixture.share).abs() < 1e-6, "the share is that of the area");
        } else {
            blended += 1;
            let share = mixture.share;
            let expected: Vec<f32> =
                own.iter().zip(&other).map(|(own, other)| share * own + (1.0 - share) * other).collect();
            assert_eq!(out, expected);
        }
        let mut targets = [f32::NAN; 3];
        mixture.numbers(&[0.0, 1.0, 0.0], &[0.0, 0.0, 1.0], &mut targets);
        assert_eq!(targets.iter().sum::<f32>(), 1.0);
        assert_eq!(targets[1], mixture.share);
        assert_eq!(mixture.is_mostly_other(), targets[2] > targets[1]);
    }
    assert!((150..250).contains(&pasted), "{pasted} of 400 and {blended}");
}

#[test]
fn what_is_no_picture_or_too_small_is_refused() {
    let refused = |text: &str, shape: &[usize]| {
        let settings = Augmentation::parse(text).expect("an augmentation");
        Augmenter::new(&settings, shape, 0, Isa::best()).expect_err("it does not fit").to_string()
    };
    let message = refused("flip", &[784]);
    assert!(message.contains("[channels, height, width]") && message.contains("[784]"), "{message}");
    assert!(refused("flip", &[1, 3000, 2]).contains("at most 2048 pixels"));
    let message = refused("crop 8", &[1, 10, 8]);
    assert!(message.contains("crop 8") && message.contains("8 × 10") && message.contains("the most is 7"), "{message}");
    assert!(refused("cutout 17", &[1, 10, 8]).contains("the most is 16"));
}
