use super::*;
use crate::epilogue::InPlace;
use crate::simd::Isa;
use crate::testing::{assert_close, on_every_device, values};

fn wide(values: &[f32]) -> Vec<f64> {
    values.iter().map(|&value| f64::from(value)).collect()
}

/// Mean and 1 / √(variance + eps) in f64.
fn statistics(x: &[f64], eps: f64, centred: bool) -> (f64, f64) {
    let n = x.len() as f64;
    let mean = if centred { x.iter().sum::<f64>() / n } else { 0.0 };
    let variance = x.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / n;
    (mean, 1.0 / (variance + eps).sqrt())
}

/// The gradient of normalised values with respect to x, from that of the normalised values.
fn gradient(x: &[f64], slopes: &[f64], mean: f64, factor: f64, centred: bool) -> Vec<f64> {
    let n = x.len() as f64;
    let of_mean = if centred { slopes.iter().sum::<f64>() / n } else { 0.0 };
    let normalised: Vec<f64> = x.iter().map(|x| (x - mean) * factor).collect();
    let of_scale = slopes.iter().zip(&normalised).map(|(slope, x)| slope * x).sum::<f64>() / n;
    slopes.iter().zip(&normalised).map(|(slope, x)| factor * (slope - of_mean - x * of_scale)).collect()
}

/// Roundings in units of the largest values, which are below 4: some tens in the sums, and their effect on the rest.
const BOUND: f64 = 100.0 * f32::EPSILON as f64;

#[test]
fn rows_are_near_those_in_f64_and_the_same_on_every_device() {
    for (n, groups, span) in
        [(1, 1, 1), (10, 1, 1), (33, 1, 1), (1500, 1, 1), (6, 2, 2), (60, 3, 20), (98, 2, 49), (2100, 2, 1050)]
    {
        for (centred, rows) in [(true, 2), (false, 4), (true, 6 + 2 * (TASK / n))] {
            let rows = (rows / groups).max(1) * groups;
            let norm = RowNorm { n, groups, span, eps: 1e-5, centred };
            let weights = groups * (n / span);
            let x: Vec<f32> = values(1, rows * n).iter().map(|x| 2.0 * x + 0.7).collect();
            let (weight, bias, dy) = (values(2, weights), values(3, weights), values(4, rows * n));
            let all = on_every_device(|device| {
                let mut all = vec![f32::NAN; 4 * rows * n];
                let (y, rest) = all.split_at_mut(rows * n);
                let (plain, rest) = rest.split_at_mut(rows * n);
                let (dx, parts) = rest.split_at_mut(rows * n);
                normalise_rows(device, &norm, &x, &weight, &bias, y);
                normalise_rows(device, &norm, &x, &[], &[], plain);
                normalise_rows_backward(device, &norm, &x, &weight, &dy, dx, parts);
                // Either alone is the same.
                let mut alone = vec![f32::NAN; rows * n];
                normalise_rows_backward(device, &norm, &x, &weight, &dy, &mut alone, &mut []);
                assert_eq!(alone, dx);
                normalise_rows_backward(device, &norm, &x, &weight, &dy, &mut [], &mut alone);
                assert_eq!(alone, parts);
                all
            });
            let mut expected = [const { Vec::new() }; 4];
            for row in 0..rows {
                let (x, dy) = (wide(&x[row * n..][..n]), wide(&dy[row * n..][..n]));
                let (mean, factor) = statistics(&x, 1e-5, centred);
                let channel = |i: usize| row % groups * (n / span) + i / span;
                let slopes: Vec<f64> = (0..n).map(|i| dy[i] * f64::from(weight[channel(i)])).collect();
                for i in 0..n {
                    let normalised = (x[i] - mean) * factor;
                    expected[0].push(normalised * f64::from(weight[channel(i)]) + f64::from(bias[channel(i)]));
                    expected[1].push(normalised);
                    expected[3].push(dy[i] * normalised);
                }
                expected[2].extend(gradient(&x, &slopes, mean, factor, centred));
            }
            // A row of one value is all deviation, whose rounding eps makes larger.
            let bound = if n == 1 { 1e3 * BOUND } else { BOUND };
            for (got, expected) in all.chunks(rows * n).zip(&expected) {
                assert_close(got, expected, bound, bound);
            }
        }
    }
}

struct Negative;

impl InPlace for Negative {
    fn apply(&self, _: Isa, values: &mut [f32]) {
        values.iter_mut().for_each(|value| *value = -*value);
    }
}

#[test]
fn batches_are_near_those_in_f64_and_the_same_on_every_device() {
    for (batch, channels, span) in [
        (1, 2, 5),
        (2, 1, 1),
        (5, 3, 7),
        (4, 17, 16),
        (3, 5, 49),
        (130, 35, 1),
        (300, 3, 1),
        (9, 2, 1500),
        (260, 2, 36),
    ] {
        let len = batch * channels * span;
        // Far from zero, with channels of different spreads.
        let at = |i: usize| i / span % channels;
        let x: Vec<f32> = (0..).zip(values(1, len)).map(|(i, x)| 30.0 + x * (1 + at(i)) as f32).collect();
        let (weight, bias, dy) = (values(2, channels), values(3, channels), values(4, len));
        let norm = BatchNorm { batch, channels, span, eps: 1e-3, weight: &weight, bias: &bias };
        let [given_mean, given_variance] = [vec![29.5; channels], vec![2.0; channels]];
        let all = on_every_device(|device| {
            let run = |in_place: bool, given: bool, epilogue: Option<&dyn InPlace>| {
                let (mut mean, mut variance) = (given_mean.clone(), given_variance.clone());
                let mut y = if in_place { x.clone() } else { vec![f32::NAN; len] };
                let input = if in_place { &[][..] } else { &x };
                let statistics = if given {
                    Statistics::Given { mean: &mean, variance: &variance }
                } else {
                    Statistics::OfBatch { mean: &mut mean, variance: &mut variance }
                };
                batch_norm(device, &norm, statistics, input, &mut y, epilogue);
                let (mut dx, mut sums) = (vec![f32::NAN; len], vec![f32::NAN; 2 * channels]);
                let mut again = dy.clone();
                batch_norm_backward(device, &norm, !given, [&mean, &variance], &x, &dy, &mut dx, &mut sums);
                let mut sums_again = vec![f32::NAN; 2 * channels];
                let statistics = [&mean[..], &variance[..]];
                batch_norm_backward(device, &norm, !given, statistics, &x, &[], &mut again, &mut sums_again);
                assert!(again == dx && sums_again == sums, "in place");
                batch_norm_backward(device, &norm, !given, statistics, &x, &dy, &mut [], &mut sums_again);
                assert_eq!(sums_again, sums, "sums alone");
                [y, mean, variance, dx, sums].concat()
            };
            let plain = run(false, false, None);
            assert_eq!(run(true, false, None), plain);
            let negative = run(false, false, Some(&Negative));
            assert!(
                negative[..len].iter().zip(&plain[..len]).all(|(a, b)| *a == -b) && negative[len..] == plain[len..]
            );
            let given = run(false, true, None);
            assert_eq!(run(true, true, None), given);
            [plain, given].concat()
        });
        let mut expected = Vec::new();
        for given in [false, true] {
            let (mut y, mut means, mut variances, mut dx) = (vec![0.0; len], vec![], vec![], vec![0.0; len]);
            let (mut products, mut plain) = (vec![], vec![]);
            for channel in 0..channels {
                let places: Vec<usize> = (0..len).filter(|&i| at(i) == channel).collect();
                let of =
                    |values: &[f32]| -> Vec<f64> { places.iter().map(|&place| f64::from(values[place])).collect() };
                let (x, dy) = (of(&x), of(&dy));
                let (mut mean, mut factor) = statistics(&x, 1e-3, true);
                let mut variance = 1.0 / (factor * factor) - 1e-3;
                let (weight, bias) = (f64::from(weight[channel]), f64::from(bias[channel]));
                let slopes: Vec<f64> = dy.iter().map(|dy| dy * weight).collect();
                let mut of_x = gradient(&x, &slopes, mean, factor, true);
                if given {
                    (mean, variance) = (29.5, 2.0);
                    factor = 1.0 / (variance + 1e-3).sqrt();
                    of_x = slopes.iter().map(|slope| slope * factor).collect();
                }
                means.push(mean);
                variances.push(variance);
                products.push(dy.iter().zip(&x).map(|(dy, x)| dy * (x - mean) * factor).sum());
                plain.push(dy.iter().sum::<f64>());
                for (k, &place) in places.iter().enumerate() {
                    y[place] = (x[k] - mean) * factor * weight + bias;
                    dx[place] = of_x[k];
                }
            }
            expected.extend([y, means, variances, dx, products, plain].concat());
        }
        // The mean is rounded at 30, which two values of a channel that lie near each other make tens of times as much.
        let bound = if batch * span <= 2 { 1e5 * BOUND } else { 40.0 * BOUND };
        assert_close(&all, &expected, bound, bound);
    }
}

#[test]
fn a_first_sample_far_from_the_others_costs_no_digits() {
    // Deviations are taken from the mean of the first plane, here a thousand times the spread of the others away.
    let (batch, span) = (64, 100);
    let mut x = values(7, batch * span);
    x[..span].iter_mut().for_each(|x| *x += 1000.0);
    let norm = BatchNorm { batch, channels: 1, span, eps: 1e-5, weight: &[1.0], bias: &[0.0] };
    let found = on_every_device(|device| {
        let (mut mean, mut variance) = ([0.0], [0.0]);
        let statistics = Statistics::OfBatch { mean: &mut mean, variance: &mut variance };
        batch_norm(device, &norm, statistics, &x, &mut vec![0.0; batch * span], None);
        vec![mean[0], variance[0]]
    });
    let (mean, factor) = statistics(&wide(&x), 0.0, true);
    assert_close(&found, &[mean, 1.0 / (factor * factor)], 64.0 * f64::from(f32::EPSILON), 0.0);
}

#[test]
fn equal_values_have_no_variance_and_nan_stays_in_its_channel() {
    let x: Vec<f32> = (0..6 * 3 * 20).map(|i| if i / 20 % 3 == 1 { 0.1 } else { i as f32 }).collect();
    let norm = BatchNorm { batch: 6, channels: 3, span: 20, eps: 1e-5, weight: &[1.0; 3], bias: &[0.5; 3] };
    let run = |x: &[f32]| {
        on_every_device(|device| {
            let (mut mean, mut variance, mut y) = ([0.0; 3], [0.0; 3], vec![0.0; x.len()]);
            let statistics = Statistics::OfBatch { mean: &mut mean, variance: &mut variance };
            batch_norm(device, &norm, statistics, x, &mut y, None);
            [y, variance.to_vec()].concat()
        })
    };
    let y = run(&x);
    assert!(y[x.len() + 1] < 1e-14 && (20..40).all(|i| (y[i] - 0.5).abs() < 1e-4), "{:?}", &y[20..40]);
    let mut poisoned = x.clone();
    poisoned[65] = f32::NAN;
    let nan = run(&poisoned);
    assert!((0..x.len()).all(|i| nan[i].is_nan() == (i / 20 % 3 == 0)));
}

#[test]
#[should_panic(expected = "a weight for each channel")]
fn sizes_that_do_not_fit_are_refused() {
    let norm = BatchNorm { batch: 1, channels: 2, span: 2, eps: 0.0, weight: &[1.0], bias: &[0.0; 2] };
    let statistics = Statistics::Given { mean: &[0.0; 2], variance: &[0.0; 2] };
    batch_norm(&crate::testing::devices()[0], &norm, statistics, &[0.0; 4], &mut [0.0; 4], None);
}
