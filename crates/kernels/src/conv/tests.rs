//! Against plain loops in f64, against the chain that the documentation promises, and every device against the others.

use super::*;
use crate::simd::Isa;
use crate::testing::{bits, on_every_device, values};

/// Not linear, not idempotent: shows when it is left out, applied twice, or applied before the bias.
pub(super) struct Epilogue;

impl InPlace for Epilogue {
    fn apply(&self, _: Isa, values: &mut [f32]) {
        values.iter_mut().for_each(|x| *x = *x * *x - 3.0);
    }
}

#[derive(Clone, Copy)]
pub(super) struct Geometry {
    pub input: [usize; 2],
    pub kernel: [usize; 2],
    pub stride: [usize; 2],
    pub dilation: [usize; 2],
    /// Top, left, bottom, right.
    pub padding: [usize; 4],
}

pub(super) const PLAIN: Geometry =
    Geometry { input: [7, 9], kernel: [3, 3], stride: [1, 1], dilation: [1, 1], padding: [0, 0, 0, 0] };

impl Geometry {
    pub fn conv(self, batch: usize, groups: usize, inner: usize, outer: usize) -> Conv {
        let Geometry { input, kernel, stride, dilation, padding } = self;
        let size =
            |i: usize| (input[i] + padding[i] + padding[i + 2] - (kernel[i] - 1) * dilation[i] - 1) / stride[i] + 1;
        let (in_channels, out_channels) = (groups * inner, groups * outer);
        let (output, padding) = ([size(0), size(1)], [padding[0], padding[1]]);
        Conv {
            batch,
            groups,
            in_channels,
            out_channels,
            input,
            output,
            kernel,
            stride,
            dilation,
            padding,
            algorithm: Algorithm::Direct,
        }
    }
}

#[test]
fn a_channel_with_a_large_window_is_one_part() {
    // The first layer of AlexNet on one picture: few channels, none of which can be halved.
    let geometry = Geometry { input: [224, 224], kernel: [11, 11], stride: [4, 4], ..PLAIN };
    assert!(weight_gradient_scratch(&geometry.conv(1, 1, 3, 96)) > 0);
}

fn convolutions() -> Vec<Conv> {
    let same = [1, 1, 1, 1];
    let geometries = [
        PLAIN,
        Geometry { padding: same, ..PLAIN },
        Geometry { input: [14, 14], padding: same, ..PLAIN },
        Geometry { input: [8, 30], padding: same, ..PLAIN },
        Geometry { stride: [2, 2], padding: same, ..PLAIN },
        Geometry { input: [10, 12], stride: [2, 3], padding: [0, 2, 1, 0], ..PLAIN },
        Geometry { dilation: [2, 2], padding: [2, 2, 2, 2], ..PLAIN },
        Geometry { input: [11, 13], stride: [3, 2], dilation: [2, 3], padding: [1, 2, 3, 4], ..PLAIN },
        Geometry { kernel: [1, 1], ..PLAIN },
        Geometry { kernel: [1, 1], stride: [2, 2], ..PLAIN },
        Geometry { kernel: [1, 1], padding: same, ..PLAIN },
        Geometry { input: [5, 5], kernel: [5, 5], ..PLAIN },
        Geometry { input: [9, 40], kernel: [5, 4], padding: [2, 2, 2, 1], ..PLAIN },
        Geometry { input: [1, 50], kernel: [1, 7], stride: [1, 2], padding: [0, 3, 0, 3], ..PLAIN },
        Geometry { input: [6, 17], kernel: [2, 2], stride: [3, 3], ..PLAIN },
        Geometry { input: [9, 1], kernel: [3, 1], padding: [1, 0, 1, 0], ..PLAIN },
        Geometry { input: [1, 1], kernel: [3, 3], padding: [2, 2, 2, 2], ..PLAIN },
        Geometry { input: [20, 20], kernel: [11, 11], stride: [4, 4], padding: [2, 2, 2, 2], ..PLAIN },
    ];
    let channels = [(1, 1, 1), (1, 3, 5), (1, 5, 17), (1, 2, 40), (3, 2, 4), (4, 1, 1), (5, 1, 2), (2, 16, 33)];
    let mut all = Vec::new();
    for (i, geometry) in geometries.into_iter().enumerate() {
        for (j, &(groups, inner, outer)) in channels.iter().enumerate() {
            all.push(geometry.conv(1 + (i + j) % 3, groups, inner, outer));
        }
    }
    // Several tasks, bands and parts; blocks of images that do not come out even.
    all.push(Geometry { input: [28, 28], padding: same, ..PLAIN }.conv(9, 1, 1, 32));
    all.push(Geometry { input: [14, 14], padding: same, ..PLAIN }.conv(1, 1, 32, 64));
    all.push(Geometry { input: [14, 14], padding: same, ..PLAIN }.conv(10, 1, 16, 24));
    all.push(Geometry { input: [17, 130], padding: same, ..PLAIN }.conv(1, 2, 20, 20));
    all.push(Geometry { input: [120, 90], padding: same, ..PLAIN }.conv(1, 1, 8, 8));
    all.push(Geometry { input: [120, 90], stride: [2, 2], padding: same, ..PLAIN }.conv(1, 1, 8, 8));
    all.push(Geometry { input: [40, 40], padding: same, ..PLAIN }.conv(4, 70, 1, 1));
    // Single places: several spans of a row with and without places behind the last vector, and strides over them.
    let single = Geometry { kernel: [1, 1], ..PLAIN };
    all.push(Geometry { input: [4, 4], ..single }.conv(3, 1, 200, 300));
    all.push(Geometry { input: [19, 33], ..single }.conv(1, 1, 130, 18));
    all.push(Geometry { input: [16, 36], ..single }.conv(2, 2, 140, 7));
    all.push(Geometry { input: [55, 55], ..single }.conv(1, 1, 24, 40));
    all.push(Geometry { input: [29, 31], stride: [2, 2], ..single }.conv(2, 1, 40, 40));
    all.push(Geometry { input: [14, 13], stride: [3, 2], padding: [0, 0, 0, 5], ..single }.conv(1, 2, 9, 20));
    all.push(Geometry { input: [14, 14], stride: [2, 2], padding: same, ..PLAIN }.conv(1, 1, 128, 96));
    // Sums that are taken block by block: rows joined and long, channels and places in lanes, in groups of rows, phases.
    all.push(Geometry { input: [7, 7], stride: [2, 2], padding: same, ..PLAIN }.conv(2, 1, 460, 40));
    all.push(Geometry { input: [4, 40], padding: same, ..PLAIN }.conv(1, 1, 457, 33));
    all.push(Geometry { input: [9, 20], ..PLAIN }.conv(1, 1, 460, 3));
    all.push(Geometry { input: [7, 5], stride: [2, 2], padding: same, ..PLAIN }.conv(1, 1, 5, 2100));
    all
}

/// Calls `body(y, x, w)` for the index of every output, and of the input and weight of every product in it, in the order
/// of the forward sum; the input is `None` in the padding.
pub(super) fn products(conv: &Conv, mut body: impl FnMut(usize, Option<usize>, usize)) {
    let &Conv { batch, groups, in_channels, out_channels, input, output, kernel, stride, dilation, padding, .. } = conv;
    let (inner, outer) = (in_channels / groups, out_channels / groups);
    for n in 0..batch {
        for o in 0..out_channels {
            for i in 0..output[0] {
                for j in 0..output[1] {
                    let y = ((n * out_channels + o) * output[0] + i) * output[1] + j;
                    for c in 0..inner {
                        for k in 0..kernel[0] {
                            for l in 0..kernel[1] {
                                let row = (i * stride[0] + k * dilation[0]).wrapping_sub(padding[0]);
                                let column = (j * stride[1] + l * dilation[1]).wrapping_sub(padding[1]);
                                let channel = n * in_channels + o / outer * inner + c;
                                let x = (row < input[0] && column < input[1])
                                    .then(|| (channel * input[0] + row) * input[1] + column);
                                body(y, x, ((o * inner + c) * kernel[0] + k) * kernel[1] + l);
                            }
                        }
                    }
                }
            }
        }
    }
}

pub(super) struct Data {
    pub x: Vec<f32>,
    pub w: Vec<f32>,
    pub y_len: usize,
    pub dy: Vec<f32>,
}

pub(super) fn data(conv: &Conv) -> Data {
    let x = values(1, conv.batch * conv.in_channels * conv.input[0] * conv.input[1]);
    let y_len = conv.batch * conv.out_channels * conv.output[0] * conv.output[1];
    Data { x, w: values(2, conv.weights()), y_len, dy: values(3, y_len) }
}

pub(super) fn poison(len: usize) -> Vec<f32> {
    vec![f32::NAN; len]
}

#[test]
fn every_output_is_one_chain() {
    for conv in convolutions() {
        let Data { x, w, y_len, .. } = data(&conv);
        let bias = values(4, conv.out_channels);
        let plane = conv.output[0] * conv.output[1];
        let mut sums = vec![0.0f32; y_len];
        products(&conv, |y, x_at, w_at| sums[y] = w[w_at].mul_add(x_at.map_or(0.0, |at| x[at]), sums[y]));
        for (with_bias, with_epilogue) in [(false, false), (true, true)] {
            let mut expected = sums.clone();
            if with_bias {
                expected.iter_mut().enumerate().for_each(|(i, y)| *y += bias[i / plane % conv.out_channels]);
            }
            if with_epilogue {
                Epilogue.apply(Isa::scalar(), &mut expected);
            }
            let after = After {
                bias: with_bias.then_some(&bias[..]),
                epilogue: with_epilogue.then_some(&Epilogue as &dyn InPlace),
            };
            for packs in [false, true] {
                let got = on_every_device(|device| {
                    let (mut y, mut scratch) = (poison(y_len), poison(forward_scratch(&conv)));
                    let packed = if packs { pack(device, &conv, &w) } else { None };
                    let weights = packed.as_ref().map_or(Weights::Plain(&w), Weights::Packed);
                    forward(device, &conv, &x, weights, after, &mut y, &mut scratch);
                    y
                });
                assert_eq!(bits(&got), bits(&expected), "{conv:?}, packed: {packs}, bias: {with_bias}");
            }
        }
    }
}

/// |got − expected| ≤ ε · (terms + 2) · Σ|a||b| for each value: each of the sum's roundings is at most ε/2 of that.
fn assert_sums(got: &[f32], expected: &[f64], magnitudes: &[f64], terms: usize, what: &str) {
    let units = f64::from(f32::EPSILON) * (terms + 2) as f64;
    for (i, &got) in got.iter().enumerate() {
        let difference = (f64::from(got) - expected[i]).abs();
        assert!(difference <= units * magnitudes[i], "{what}, value {i}: {got} is not {}", expected[i]);
    }
}

#[test]
fn input_gradients_are_those_of_plain_loops() {
    for conv in convolutions() {
        let Data { x, w, y_len: _, dy } = data(&conv);
        let (mut expected, mut magnitudes) = (vec![0.0; x.len()], vec![0.0; x.len()]);
        products(&conv, |y, x, at| {
            if let Some(x) = x {
                let product = f64::from(dy[y]) * f64::from(w[at]);
                expected[x] += product;
                magnitudes[x] += product.abs();
            }
        });
        let run = |after: After| {
            on_every_device(|device| {
                let (mut dx, mut scratch) = (poison(x.len()), poison(input_gradient_scratch(&conv)));
                input_gradient(device, &conv, &dy, &w, after, &mut dx, &mut scratch);
                dx
            })
        };
        let got = run(After::default());
        let terms = conv.out_channels / conv.groups * conv.kernel[0] * conv.kernel[1];
        assert_sums(&got, &expected, &magnitudes, terms, &format!("{conv:?}"));
        // The same sums, with a bias and an epilogue.
        let bias = values(5, conv.in_channels);
        let plane = conv.input[0] * conv.input[1];
        let mut expected: Vec<f32> =
            got.iter().enumerate().map(|(i, dx)| dx + bias[i / plane % conv.in_channels]).collect();
        Epilogue.apply(Isa::scalar(), &mut expected);
        let got = run(After { bias: Some(&bias), epilogue: Some(&Epilogue) });
        assert_eq!(bits(&got), bits(&expected), "{conv:?}");
    }
}

#[test]
fn weight_gradients_are_those_of_plain_loops() {
    for conv in convolutions() {
        let Data { x, w, y_len: _, dy } = data(&conv);
        let (mut expected, mut magnitudes) = (vec![0.0; w.len()], vec![0.0; w.len()]);
        products(&conv, |y, x_at, w| {
            if let Some(at) = x_at {
                let product = f64::from(dy[y]) * f64::from(x[at]);
                expected[w] += product;
                magnitudes[w] += product.abs();
            }
        });
        let got = on_every_device(|device| {
            let (mut dw, mut scratch) = (poison(w.len()), poison(weight_gradient_scratch(&conv)));
            weight_gradient(device, &conv, &x, &dy, &mut dw, &mut scratch);
            dw
        });
        let terms = conv.batch * conv.output[0] * conv.output[1];
        assert_sums(&got, &expected, &magnitudes, terms, &format!("{conv:?}"));
    }
}

#[test]
fn bias_gradients_are_sums_over_images_and_places() {
    for (batch, channels, plane) in [(1, 1, 1), (3, 5, 63), (2, 7, 130), (9, 40, 784), (2, 3, 0), (0, 3, 4)] {
        let dy = values(6, batch * channels * plane);
        let (mut expected, mut magnitudes) = (vec![0.0; channels], vec![0.0; channels]);
        for (i, &dy) in dy.iter().enumerate() {
            expected[i / plane % channels] += f64::from(dy);
            magnitudes[i / plane % channels] += f64::from(dy).abs();
        }
        let got = on_every_device(|device| {
            let mut db = poison(channels);
            bias_gradient(device, batch, &dy, &mut db);
            db
        });
        assert_sums(&got, &expected, &magnitudes, batch * plane, &format!("{batch} {channels} {plane}"));
    }
}

#[test]
fn a_batch_of_none_and_channels_of_none_are_no_work() {
    for conv in [PLAIN.conv(0, 1, 2, 3), PLAIN.conv(2, 1, 0, 3), PLAIN.conv(2, 1, 3, 0)] {
        let Data { x, w, y_len, dy } = data(&conv);
        let device = Device::new(Isa::best(), 2);
        let (mut y, mut dx, mut dw) = (poison(y_len), poison(x.len()), poison(w.len()));
        let scratch = |len: usize| poison(len);
        let after = After::default();
        forward(&device, &conv, &x, Weights::Plain(&w), after, &mut y, &mut scratch(forward_scratch(&conv)));
        input_gradient(&device, &conv, &dy, &w, after, &mut dx, &mut scratch(input_gradient_scratch(&conv)));
        weight_gradient(&device, &conv, &x, &dy, &mut dw, &mut scratch(weight_gradient_scratch(&conv)));
        assert!([y, dx, dw].concat().iter().all(|&value| value == 0.0), "{conv:?}");
    }
}

#[test]
fn a_nan_reaches_what_depends_on_it() {
    let conv = Geometry { padding: [1, 1, 1, 1], ..PLAIN }.conv(1, 1, 2, 20);
    let Data { mut x, w, y_len, .. } = data(&conv);
    x[9 * 3 + 4] = f32::NAN;
    let got = on_every_device(|device| {
        let (mut y, mut scratch) = (poison(y_len), poison(forward_scratch(&conv)));
        forward(device, &conv, &x, Weights::Plain(&w), After::default(), &mut y, &mut scratch);
        y
    });
    for (i, y) in got.iter().enumerate() {
        let (row, column) = (i / 9 % 7, i % 9);
        assert_eq!(y.is_nan(), row.abs_diff(3) <= 1 && column.abs_diff(4) <= 1, "output {i}");
    }
}

#[test]
#[should_panic(expected = "w is [out, in/groups, height, width]")]
fn other_lengths_are_refused() {
    let conv = PLAIN.conv(1, 1, 2, 3);
    let Data { x, w, y_len, .. } = data(&conv);
    let (mut y, mut scratch) = (poison(y_len), poison(forward_scratch(&conv)));
    let device = Device::new(Isa::best(), 1);
    forward(&device, &conv, &x, Weights::Plain(&w[1..]), After::default(), &mut y, &mut scratch);
}
