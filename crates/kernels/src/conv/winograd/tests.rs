//! Against the same formula in plain code, bit by bit; against plain loops in f64 within the bound of the rounding; every device
//! against the others.

use crate::conv::tests::{Epilogue, Geometry, PLAIN, data, poison, products};
use crate::conv::*;
use crate::simd::Isa;
use crate::testing::{bits, on_every_device, values};

/// Odd and even sizes, sizes smaller than a tile, paddings of each side, and channels around the tiles of a product.
fn convolutions() -> Vec<Conv> {
    let mut all = Vec::new();
    let paddings = [[0, 0, 0, 0], [1, 1, 1, 1], [0, 2, 1, 0], [2, 0, 3, 1], [4, 3, 0, 5]];
    let inputs = [[1, 1], [2, 2], [3, 4], [7, 9], [5, 31], [14, 14], [8, 8], [33, 6]];
    let channels = [(1, 1), (3, 5), (16, 16), (5, 17), (19, 40)];
    for (i, &input) in inputs.iter().enumerate() {
        for (j, &padding) in paddings.iter().enumerate() {
            let (inner, outer) = channels[(i + j) % channels.len()];
            let fits = |axis: usize| input[axis] + padding[axis] + padding[axis + 2] >= 3;
            if fits(0) && fits(1) {
                all.push(Geometry { input, padding, ..PLAIN }.conv(1 + (i + j) % 3, 1, inner, outer));
            }
        }
    }
    // Several units, parts and threads; rows of tiles longer than a unit.
    let same = [1, 1, 1, 1];
    all.push(Geometry { input: [14, 14], padding: same, ..PLAIN }.conv(1, 1, 32, 64));
    all.push(Geometry { input: [13, 11], padding: same, ..PLAIN }.conv(7, 1, 40, 33));
    all.push(Geometry { input: [4, 4], padding: same, ..PLAIN }.conv(3, 1, 130, 70));
    all.push(Geometry { input: [6, 530], padding: same, ..PLAIN }.conv(1, 1, 6, 7));
    all.into_iter().map(|conv| Conv { algorithm: Algorithm::Winograd, ..conv }).collect()
}

/// Bᵀ d, G g and Aᵀ m of the module's documentation, and those of the magnitudes.
trait Number: Copy + std::ops::Add<Output = Self> + std::ops::Sub<Output = Self> + std::ops::Mul<Output = Self> {
    const ZERO: Self;
    const HALF: Self;
    fn from(value: f32) -> Self;
    fn mul_add(self, a: Self, b: Self) -> Self;
}

impl Number for f32 {
    const ZERO: f32 = 0.0;
    const HALF: f32 = 0.5;
    fn from(value: f32) -> f32 {
        value
    }
    fn mul_add(self, a: f32, b: f32) -> f32 {
        f32::mul_add(self, a, b)
    }
}

/// The sum of magnitudes: nothing cancels.
#[derive(Clone, Copy)]
struct Magnitude(f64);

impl std::ops::Add for Magnitude {
    type Output = Magnitude;
    fn add(self, other: Magnitude) -> Magnitude {
        Magnitude(self.0 + other.0)
    }
}

impl std::ops::Sub for Magnitude {
    type Output = Magnitude;
    #[allow(clippy::suspicious_arithmetic_impl, reason = "a difference may have the magnitude of the sum")]
    fn sub(self, other: Magnitude) -> Magnitude {
        Magnitude(self.0 + other.0)
    }
}

impl std::ops::Mul for Magnitude {
    type Output = Magnitude;
    fn mul(self, other: Magnitude) -> Magnitude {
        Magnitude(self.0 * other.0)
    }
}

impl Number for Magnitude {
    const ZERO: Magnitude = Magnitude(0.0);
    const HALF: Magnitude = Magnitude(0.5);
    fn from(value: f32) -> Magnitude {
        Magnitude(f64::from(value).abs())
    }
    fn mul_add(self, a: Magnitude, b: Magnitude) -> Magnitude {
        self * a + b
    }
}

fn of_input<T: Number>(d: [T; 4]) -> [T; 4] {
    [d[0] - d[2], d[1] + d[2], d[2] - d[1], d[1] - d[3]]
}

fn of_weights<T: Number>(g: [T; 3]) -> [T; 4] {
    [g[0], (g[0] + g[2] + g[1]) * T::HALF, (g[0] + g[2] - g[1]) * T::HALF, g[2]]
}

fn of_sums<T: Number>(m: [T; 4]) -> [T; 2] {
    [m[0] + m[1] + m[2], m[1] - m[2] - m[3]]
}

/// A transform along the height, then along the width: [row][column].
fn both<T: Number, const N: usize, const M: usize>(along: impl Fn([T; N]) -> [T; M], x: [[T; N]; N]) -> [[T; M]; M] {
    let columns: [[T; M]; N] = std::array::from_fn(|j| along(std::array::from_fn(|i| x[i][j])));
    std::array::from_fn(|i| along(std::array::from_fn(|j| columns[j][i])))
}

/// A correlation of `source` [batch, inner, input] to [batch, outer, output], begun at `-padding`, with
/// `kernel(outer, inner, row, column)`.
struct Plain<'a, F> {
    batch: usize,
    channels: [usize; 2],
    input: [usize; 2],
    output: [usize; 2],
    padding: [isize; 2],
    source: &'a [f32],
    kernel: F,
}

impl<F: Fn(usize, usize, usize, usize) -> f32> Plain<'_, F> {
    fn compute<T: Number>(&self) -> Vec<T> {
        let &Plain { batch, channels: [inner, outer], input, output, padding, source, ref kernel } = self;
        let mut target = vec![T::ZERO; batch * outer * output[0] * output[1]];
        for n in 0..batch {
            for o in 0..outer {
                for (top, left) in
                    (0..output[0]).step_by(2).flat_map(|i| (0..output[1]).step_by(2).map(move |j| (i, j)))
                {
                    let mut m = [[T::ZERO; 4]; 4];
                    for c in 0..inner {
                        let d = |i: usize, j: usize| {
                            let at = [(top + i) as isize - padding[0], (left + j) as isize - padding[1]];
                            let inside = (0..2).all(|axis| (0..input[axis] as isize).contains(&at[axis]));
                            let start = (n * inner + c) * input[0] * input[1];
                            if inside { source[start + at[0] as usize * input[1] + at[1] as usize] } else { 0.0 }
                        };
                        let v = both(of_input::<T>, std::array::from_fn(|i| std::array::from_fn(|j| T::from(d(i, j)))));
                        let g = std::array::from_fn(|i| std::array::from_fn(|j| T::from(kernel(o, c, i, j))));
                        let u = both(of_weights::<T>, g);
                        for (i, j) in (0..4).flat_map(|i| (0..4).map(move |j| (i, j))) {
                            m[i][j] = u[i][j].mul_add(v[i][j], m[i][j]);
                        }
                    }
                    let y = both(of_sums::<T>, m);
                    for (i, j) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
                        if top + i < output[0] && left + j < output[1] {
                            target[((n * outer + o) * output[0] + top + i) * output[1] + left + j] = y[i][j];
                        }
                    }
                }
            }
        }
        target
    }
}

/// Fails unless |got − expected| ≤ ε/2 · (channels + 11) · M, and a little for the bound's second order.
fn assert_within(got: &[f32], expected: &[f64], magnitudes: &[Magnitude], channels: usize, what: &str) {
    let units = f64::from(f32::EPSILON) / 2.0 * (channels + 11) as f64 * 1.001;
    for (i, &got) in got.iter().enumerate() {
        let difference = (f64::from(got) - expected[i]).abs();
        assert!(difference <= units * magnitudes[i].0, "{what}, value {i}: {got} is not {}", expected[i]);
    }
}

#[test]
fn outputs_have_the_bits_of_the_formula_and_are_near_the_sums() {
    for conv in convolutions() {
        let what = format!("{conv:?}");
        let (data, bias) = (data(&conv), values(4, conv.out_channels));
        let plain = Plain {
            batch: conv.batch,
            channels: [conv.in_channels, conv.out_channels],
            input: conv.input,
            output: conv.output,
            padding: conv.padding.map(|padding| padding as isize),
            source: &data.x,
            kernel: |o, c, i, j| data.w[(o * conv.in_channels + c) * 9 + 3 * i + j],
        };
        let sums: Vec<f32> = plain.compute();
        let mut expected = vec![0.0; data.y_len];
        products(&conv, |y, x, w| expected[y] += f64::from(data.w[w]) * x.map_or(0.0, |x| f64::from(data.x[x])));
        assert_within(&sums, &expected, &plain.compute(), conv.in_channels, &what);
        let plane = conv.output[0] * conv.output[1];
        let mut finished = sums.clone();
        finished.iter_mut().enumerate().for_each(|(i, y)| *y += bias[i / plane % conv.out_channels]);
        Epilogue.apply(Isa::scalar(), &mut finished);
        let with = After { bias: Some(&bias), epilogue: Some(&Epilogue) };
        for (after, expected) in [(After::default(), &sums), (with, &finished)] {
            for packs in [false, true] {
                let got = on_every_device(|device| {
                    let (mut y, mut scratch) = (poison(data.y_len), poison(forward_scratch(&conv)));
                    let packed = if packs { pack(device, &conv, &data.w) } else { None };
                    let weights = packed.as_ref().map_or(Weights::Plain(&data.w), Weights::Packed);
                    forward(device, &conv, &data.x, weights, after, &mut y, &mut scratch);
                    y
                });
                assert_eq!(bits(&got), bits(expected), "{what}, packed: {packs}");
            }
        }
    }
}

#[test]
fn input_gradients_have_the_bits_of_the_formula_and_are_near_the_sums() {
    for conv in convolutions() {
        let what = format!("{conv:?}");
        let data = data(&conv);
        let plain = Plain {
            batch: conv.batch,
            channels: [conv.out_channels, conv.in_channels],
            input: conv.output,
            output: conv.input,
            padding: conv.padding.map(|padding| 2 - padding as isize),
            source: &data.dy,
            kernel: |c, o, i, j| data.w[(o * conv.in_channels + c) * 9 + 3 * (2 - i) + (2 - j)],
        };
        let sums: Vec<f32> = plain.compute();
        let mut expected = vec![0.0; data.x.len()];
        products(&conv, |y, x, w| {
            if let Some(x) = x {
                expected[x] += f64::from(data.dy[y]) * f64::from(data.w[w]);
            }
        });
        assert_within(&sums, &expected, &plain.compute(), conv.out_channels, &what);
        let got = on_every_device(|device| {
            let (mut dx, mut scratch) = (poison(data.x.len()), poison(input_gradient_scratch(&conv)));
            input_gradient(device, &conv, &data.dy, &data.w, After::default(), &mut dx, &mut scratch);
            dx
        });
        assert_eq!(bits(&got), bits(&sums), "{what}");
    }
}

#[test]
fn a_row_has_the_same_bits_in_every_batch() {
    let one = Geometry { input: [9, 14], padding: [1, 1, 1, 1], ..PLAIN }.conv(1, 1, 17, 18);
    for algorithm in [Algorithm::BySize, Algorithm::Winograd] {
        let all = Conv { batch: 9, algorithm, ..one };
        let data = data(&all);
        let run = |conv: Conv, x: &[f32]| {
            on_every_device(|device| {
                let mut y = poison(x.len() / 17 * 18);
                let mut scratch = poison(forward_scratch(&conv));
                forward(device, &conv, x, Weights::Plain(&data.w), After::default(), &mut y, &mut scratch);
                y
            })
        };
        let together = run(all, &data.x);
        let (x, y) = (data.x.len() / 9, together.len() / 9);
        for n in 0..9 {
            let alone = run(Conv { batch: 1, ..all }, &data.x[n * x..][..x]);
            assert_eq!(bits(&alone), bits(&together[n * y..][..y]), "row {n}, {algorithm:?}");
        }
    }
}

#[test]
#[should_panic(expected = "a kernel of 3x3, stride 1, dilation 1, one group")]
fn other_kernels_are_refused() {
    let conv = Geometry { kernel: [3, 2], ..PLAIN }.conv(1, 1, 2, 3);
    forward_scratch(&Conv { algorithm: Algorithm::Winograd, ..conv });
}
