//! Against the definitions in f64, over short and long rows.

use super::*;
use crate::testing::{assert_close, devices, on_every_device, values};

/// (rows, n): around the lanes, around the border between short and long rows, and over the size of a task.
const SHAPES: [(usize, usize); 20] = [
    (0, 3),
    (1, 1),
    (4, 2),
    (32, 10),
    (17, 10),
    (15, 15),
    (16, 16),
    (3, 17),
    (33, 31),
    (5, 33),
    (2, 63),
    (18, 64),
    (18, 65),
    (3, 80),
    (2, 100),
    (9, 1000),
    (1, 1001),
    (700, 10),
    (70, 65),
    (2, 5003),
];

/// Errors of exp, log and some additions in a row; the sums of long rows make up to n / 16 of them.
fn bound(n: usize) -> f64 {
    (16.0 + n.min(64).max(n / 16) as f64) * 0.5 * f64::from(f32::EPSILON)
}

/// Logits from -8 to 8.
fn logits(rows: usize, n: usize) -> Vec<f32> {
    values(1, rows * n).iter().map(|x| 8.0 * x).collect()
}

fn probabilities(row: &[f32]) -> (Vec<f64>, f64) {
    let greatest = f64::from(row.iter().copied().fold(f32::NEG_INFINITY, f32::max));
    let e: Vec<f64> = row.iter().map(|&x| libm::exp(f64::from(x) - greatest)).collect();
    let sum: f64 = e.iter().sum();
    (e.iter().map(|e| e / sum).collect(), greatest + libm::log(sum))
}

fn matrix(len: usize, compute: impl Fn(&mut [f32])) -> Vec<f32> {
    let mut out = vec![f32::NAN; len];
    compute(&mut out);
    out
}

#[test]
fn softmax_and_its_kin_agree_with_f64() {
    for (rows, n) in SHAPES {
        let x = logits(rows, n);
        let y = on_every_device(|device| matrix(rows * n, |y| softmax(device, n, &x, y)));
        let log_y = on_every_device(|device| matrix(rows * n, |y| log_softmax(device, n, &x, y)));
        let sums = on_every_device(|device| matrix(rows, |out| log_sum_exp(device, n, &x, out)));
        let (mut p, mut log_p, mut log_sums) = (vec![], vec![], vec![]);
        for row in x.chunks_exact(n) {
            let (probabilities, log_sum) = probabilities(row);
            p.extend(probabilities);
            log_p.extend(row.iter().map(|&x| f64::from(x) - log_sum));
            log_sums.push(log_sum);
        }
        // x - greatest, up to 16, is rounded before exp makes a relative error of it.
        assert_close(&y, &p, bound(n) + 16.0 * 0.5 * f64::from(f32::EPSILON), 0.0);
        assert_close(&log_y, &log_p, bound(n), 24.0 * f64::from(f32::EPSILON));
        assert_close(&sums, &log_sums, bound(n), 24.0 * f64::from(f32::EPSILON));
    }
}

#[test]
fn gradients_of_softmax_and_log_softmax_agree_with_f64() {
    for (rows, n) in SHAPES {
        let (x, dy) = (logits(rows, n), values(2, rows * n));
        let device = &devices()[0];
        let y = matrix(rows * n, |y| softmax(device, n, &x, y));
        let log_y = matrix(rows * n, |y| log_softmax(device, n, &x, y));
        let dx = on_every_device(|device| matrix(rows * n, |dx| softmax_backward(device, n, &y, &dy, dx)));
        let log_dx = on_every_device(|device| matrix(rows * n, |dx| log_softmax_backward(device, n, &log_y, &dy, dx)));
        for row in 0..rows {
            let range = row * n..(row + 1) * n;
            let [y, dy, log_y] = [&y, &dy, &log_y]
                .map(|values| -> Vec<f64> { values[range.clone()].iter().map(|&x| f64::from(x)).collect() });
            let dot: f64 = y.iter().zip(&dy).map(|(y, dy)| y * dy).sum();
            let expected: Vec<f64> = y.iter().zip(&dy).map(|(y, dy)| y * (dy - dot)).collect();
            // |dy| and the dot product are at most 1: y (dy - dot) errs by a few roundings of y.
            for j in 0..n {
                assert_close(&dx[range.clone()][j..=j], &expected[j..=j], 0.0, 2.0 * bound(n) * y[j]);
            }
            let sum: f64 = dy.iter().sum();
            let size: f64 = dy.iter().map(|dy| dy.abs()).sum();
            for j in 0..n {
                let p = libm::exp(log_y[j]);
                let absolute = bound(n) * (p * size + dy[j].abs());
                assert_close(&log_dx[range.clone()][j..=j], &[dy[j] - p * sum], 0.0, absolute);
            }
        }
    }
}

/// Losses and gradient by the definition in f64, and the sums of magnitudes that rounding errors are relative to.
fn reference(ce: &CrossEntropy, x: &[f32], factor: f64) -> (Vec<f64>, Vec<f64>) {
    let n = ce.n;
    let (mut losses, mut gradient) = (vec![], vec![]);
    for (row, x) in x.chunks_exact(n).enumerate() {
        let (p, log_sum) = probabilities(x);
        let smoothing = f64::from(ce.label_smoothing);
        let q: Vec<f64> = (0..n)
            .map(|j| {
                let t = match ce.targets {
                    Targets::Labels { labels, .. } => f64::from(u8::from(labels[row] == j as f32)),
                    Targets::Soft(targets) => f64::from(targets[row * n + j]),
                };
                let w = ce.class_weights.map_or(1.0, |weights| f64::from(weights[j]));
                w * ((1.0 - smoothing) * t + smoothing / n as f64)
            })
            .collect();
        let ignored = matches!(ce.targets, Targets::Labels { labels, ignored } if ignored == Some(labels[row]));
        let r = ce.row_weights.map_or(1.0, |weights| f64::from(weights[row]));
        let loss: f64 = (0..n).filter(|&j| q[j] != 0.0).map(|j| q[j] * (log_sum - f64::from(x[j]))).sum();
        let total: f64 = q.iter().sum();
        losses.push(if ignored { 0.0 } else { r * loss });
        gradient.extend((0..n).map(|j| if ignored { 0.0 } else { factor * r * (p[j] * total - q[j]) }));
    }
    (losses, gradient)
}

/// Losses, then the gradient, on every device; computed apart and together.
fn compute(ce: &CrossEntropy, x: &[f32], factor: f32) -> (Vec<f32>, Vec<f32>) {
    let rows = x.len() / ce.n;
    let mut all = on_every_device(|device| {
        let losses = matrix(rows, |losses| ce.losses(device, x, losses));
        let gradient = matrix(x.len(), |dx| ce.backward(device, x, factor, dx));
        let apart = [losses, gradient].concat();
        let (mut losses, mut gradient) = (vec![f32::NAN; rows], vec![f32::NAN; x.len()]);
        ce.losses_and_gradient(device, x, &mut losses, factor, &mut gradient);
        let together = [losses, gradient].concat();
        assert_eq!(crate::testing::bits(&apart), crate::testing::bits(&together));
        together
    });
    let gradient = all.split_off(rows);
    (all, gradient)
}

#[test]
fn cross_entropy_agrees_with_f64_for_all_its_options() {
    for (rows, n) in SHAPES {
        let x = logits(rows, n);
        let labels: Vec<f32> = (0..rows).map(|row| (row * 7 % n) as f32).collect();
        let soft: Vec<f32> = values(3, rows * n).iter().map(|t| (t + 1.0) / n as f32).collect();
        let class_weights: Vec<f32> = values(4, n).iter().map(|w| w + 1.5).collect();
        let row_weights: Vec<f32> = values(5, rows).iter().map(|w| w + 1.0).collect();
        for variant in 0..16 {
            let ce = CrossEntropy {
                n,
                targets: match variant % 4 {
                    0 | 1 => Targets::Labels { labels: &labels, ignored: (variant % 4 == 1).then_some(1.0) },
                    _ => Targets::Soft(&soft),
                },
                class_weights: (variant & 4 != 0).then_some(&class_weights),
                label_smoothing: if variant & 8 != 0 { 0.1 } else { 0.0 },
                row_weights: (variant % 3 == 1).then_some(&row_weights),
            };
            let (losses, gradient) = compute(&ce, &x, 0.25);
            let (expected_losses, expected_gradient) = reference(&ce, &x, 0.25);
            // Weights are below 2.5 · 2, losses below 16 + log n: absolute errors are relative to those.
            assert_close(&losses, &expected_losses, 2.0 * bound(n), 1e-6);
            assert_close(&gradient, &expected_gradient, 4.0 * bound(n), 1e-6);
        }
    }
}

#[test]
fn the_gradient_is_that_of_the_losses_by_finite_differences() {
    let (rows, n) = (3, 5);
    let x = logits(rows, n);
    let ce = CrossEntropy {
        n,
        targets: Targets::Labels { labels: &[4.0, 0.0, 2.0], ignored: Some(2.0) },
        class_weights: Some(&[0.5, 1.0, 2.0, 1.5, 0.25]),
        label_smoothing: 0.2,
        row_weights: Some(&[1.0, 3.0, 2.0]),
    };
    let (_, gradient) = reference(&ce, &x, 1.0);
    for i in 0..x.len() {
        let at = |step: f32| {
            let mut x = x.clone();
            x[i] += step;
            (f64::from(x[i]), reference(&ce, &x, 1.0).0.iter().sum::<f64>())
        };
        let ((low, below), (high, above)) = (at(-1e-3), at(1e-3));
        let slope = (above - below) / (high - low);
        assert!((slope - gradient[i]).abs() < 1e-6, "{slope} {}", gradient[i]);
    }
}

/// The shapes short and long.
const BOTH: [usize; 2] = [10, 100];

#[test]
fn large_logits_are_right() {
    for n in BOTH {
        let mut x = vec![-1e4; 2 * n];
        x[1] = 1e4;
        x[n] = 1e4;
        let labels = [1.0, 1.0];
        let ce = CrossEntropy {
            n,
            targets: Targets::Labels { labels: &labels, ignored: None },
            class_weights: None,
            label_smoothing: 0.0,
            row_weights: None,
        };
        let (losses, gradient) = compute(&ce, &x, 1.0);
        assert_eq!(losses, [0.0, 2e4]);
        let expected: Vec<f32> = (0..2 * n).map(|i| f32::from(i8::from(i == n) - i8::from(i == n + 1))).collect();
        assert_eq!(gradient, expected);
        let y = on_every_device(|device| matrix(2 * n, |y| softmax(device, n, &x, y)));
        assert!(y.iter().enumerate().all(|(i, &y)| y == f32::from(u8::from(i == 1 || i == n))));
        let y = on_every_device(|device| matrix(2 * n, |y| log_softmax(device, n, &x, y)));
        assert!(y.iter().enumerate().all(|(i, &y)| y == if i == 1 || i == n { 0.0 } else { -2e4 }));
        assert_eq!(on_every_device(|device| matrix(2, |out| log_sum_exp(device, n, &x, out))), [1e4; 2]);
    }
}

#[test]
fn infinities_and_nan_stay_in_their_rows() {
    let inf = f32::INFINITY;
    for n in BOTH {
        // Rows: nothing but -∞, one ∞, one NaN, one -∞, plain.
        let mut x = vec![0.0; 5 * n];
        x[..n].fill(-inf);
        x[n + 3] = inf;
        x[2 * n + n - 1] = f32::NAN;
        x[3 * n + 2] = -inf;
        for logarithm in [false, true] {
            let f = if logarithm { log_softmax } else { softmax };
            let y = on_every_device(|device| matrix(5 * n, |y| f(device, n, &x, y)));
            assert!(y[..n].iter().all(|y| y.is_nan()), "nothing but -∞");
            assert!(y[n..2 * n].iter().any(|y| y.is_nan()), "∞");
            assert!(y[2 * n..3 * n].iter().all(|y| y.is_nan()), "NaN");
            assert!(y[3 * n..].iter().all(|y| !y.is_nan()), "plain rows");
        }
        let sums = on_every_device(|device| matrix(5, |out| log_sum_exp(device, n, &x, out)));
        assert!(sums[0] == -inf && sums[1] == inf && sums[2].is_nan());
        let expected = [n - 1, n].map(|n| libm::log(n as f64));
        assert_close(&sums[3..], &expected, f64::from(f32::EPSILON), 0.0);

        // A logit of -∞ does no harm where the target is 0, for labels and for distributions.
        let labels = [0.0; 5];
        let mut soft = vec![0.0; 5 * n];
        (0..5).for_each(|row| soft[row * n] = 1.0);
        for targets in [Targets::Labels { labels: &labels, ignored: None }, Targets::Soft(&soft)] {
            let ce = CrossEntropy { n, targets, class_weights: None, label_smoothing: 0.0, row_weights: None };
            let (losses, gradient) = compute(&ce, &x, 1.0);
            assert!(losses[..3].iter().all(|loss| loss.is_nan()));
            assert_close(&losses[3..], &expected, f64::from(f32::EPSILON), 0.0);
            assert!(gradient[2 * n..3 * n].iter().all(|dx| dx.is_nan()));
            assert!(gradient[3 * n..].iter().all(|dx| dx.is_finite()));
            assert_eq!(gradient[3 * n + 2], 0.0);
        }
    }
}

#[test]
fn ignored_rows_are_zero_whatever_is_in_them_and_labels_that_are_none_give_nan() {
    for n in BOTH {
        let mut x = vec![1.0; 6 * n];
        x[..n].fill(f32::NAN);
        let labels = [-100.0, 2.0, n as f32, 1.5, -1.0, f32::NAN];
        let ce = CrossEntropy {
            n,
            targets: Targets::Labels { labels: &labels, ignored: Some(-100.0) },
            class_weights: None,
            label_smoothing: 0.0,
            row_weights: None,
        };
        let (losses, gradient) = compute(&ce, &x, 1.0);
        assert_eq!(losses[0], 0.0);
        assert!(gradient[..n].iter().all(|&dx| dx == 0.0));
        assert!(losses[1].is_finite() && gradient[n..2 * n].iter().all(|dx| dx.is_finite()));
        assert!(losses[2..].iter().all(|loss| loss.is_nan()) && gradient[2 * n..].iter().all(|dx| dx.is_nan()));
        assert!(ce.total_weight(6).is_nan());
    }
}

#[test]
fn the_total_weight_is_that_of_the_rows_that_count() {
    let labels = [0.0, 2.0, 1.0, 2.0];
    let mut ce = CrossEntropy {
        n: 3,
        targets: Targets::Labels { labels: &labels, ignored: None },
        class_weights: None,
        label_smoothing: 0.0,
        row_weights: None,
    };
    assert_eq!(ce.total_weight(4), 4.0);
    ce.class_weights = Some(&[1.0, 10.0, 100.0]);
    assert_eq!(ce.total_weight(4), 211.0);
    ce.row_weights = Some(&[1.0, 2.0, 3.0, 4.0]);
    assert_eq!(ce.total_weight(4), 1.0 + 200.0 + 30.0 + 400.0);
    ce.targets = Targets::Labels { labels: &labels, ignored: Some(2.0) };
    assert_eq!(ce.total_weight(4), 31.0);
    ce.targets = Targets::Soft(&[0.0; 12]);
    assert_eq!(ce.total_weight(4), 10.0);
}

#[test]
#[should_panic(expected = "one label a row")]
fn labels_of_another_number_are_refused() {
    let ce = CrossEntropy {
        n: 2,
        targets: Targets::Labels { labels: &[0.0; 2], ignored: None },
        class_weights: None,
        label_smoothing: 0.0,
        row_weights: None,
    };
    ce.losses(&devices()[0], &[0.0; 6], &mut [0.0; 3]);
}
