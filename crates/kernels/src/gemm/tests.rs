//! The bits of the chain, for every way that a product can be computed.

use super::*;
use crate::simd::Isa;

/// Numbers of both signs and many magnitudes, the same each time.
fn values(seed: u64, len: usize) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1u32 << 23) as f32 - 1.0
    };
    (0..len).map(|_| next()).collect()
}

#[derive(Clone, Copy, Debug)]
struct Case {
    m: usize,
    n: usize,
    k: usize,
    transposed_a: bool,
    transposed_b: bool,
    bias: bool,
    accumulate: bool,
    epilogue: bool,
}

/// Not linear, not idempotent: shows when it is left out, applied twice, or applied before the bias.
struct Epilogue;

impl Epilogue {
    fn value(x: f32) -> f32 {
        x * x - 3.0
    }
}

impl InPlace for Epilogue {
    fn apply(&self, _: Isa, values: &mut [f32]) {
        values.iter_mut().for_each(|x| *x = Epilogue::value(*x));
    }
}

fn cases() -> Vec<Case> {
    let mut shapes = Vec::new();
    let sizes = [0, 1, 2, 3, 7, 15, 16, 17, 31, 33, 64, 65, 100];
    for (i, &m) in sizes.iter().enumerate() {
        for (j, &n) in sizes.iter().enumerate() {
            shapes.extend([(m, n, sizes[(i + j) % sizes.len()]), (m, n, sizes[(3 * i + 5 * j + 1) % sizes.len()])]);
        }
    }
    shapes.extend([(1, 130, 784), (32, 128, 784), (128, 784, 32), (10, 128, 40), (3, 1100, 20), (130, 530, 300)]);
    // Lanes packed by all threads: transposed, and lying beside each other.
    shapes.extend([(32, 300, 300), (520, 40, 130)]);
    // Long ones, in passes: as they stand and with the operands swapped, with packed lanes and without.
    shapes.extend([(72, 48, 1100), (72, 40, 1100), (40, 48, 1100)]);
    let mut cases = Vec::new();
    for (i, (m, n, k)) in shapes.into_iter().enumerate() {
        for variant in 0..4 {
            let (transposed_a, transposed_b) = (variant & 1 == 1, variant & 2 == 2);
            let (bias, accumulate) = ((i + variant) % 2 == 0, (i / 2 + variant) % 3 == 0);
            let epilogue = (i + variant / 2) % 3 == 1;
            cases.push(Case { m, n, k, transposed_a, transposed_b, bias, accumulate, epilogue });
        }
    }
    cases
}

/// The operands of a case, and what is in C before.
struct Inputs {
    case: Case,
    a: Vec<f32>,
    b: Vec<f32>,
    bias: Vec<f32>,
    c: Vec<f32>,
}

impl Inputs {
    fn new(case: Case) -> Inputs {
        let Case { m, n, k, .. } = case;
        Inputs {
            case,
            a: values(1, m * k),
            b: values(2, k * n),
            bias: values(3, n),
            // NaN must not shine through when the product does not accumulate.
            c: if case.accumulate { values(4, m * n) } else { vec![f32::NAN; m * n] },
        }
    }

    fn gemm(&self) -> Gemm<'_> {
        let Case { m, n, k, transposed_a, transposed_b, bias, accumulate, epilogue } = self.case;
        let matrix = |data, rows, columns, transposed| match transposed {
            true => Matrix::row_major(data, rows).transposed(),
            false => Matrix::row_major(data, columns),
        };
        let a = matrix(&self.a, m, k, transposed_a);
        let b = matrix(&self.b, k, n, transposed_b);
        let epilogue = epilogue.then_some(&Epilogue as &dyn InPlace);
        Gemm { m, n, k, a, b, bias: bias.then_some(&self.bias), accumulate, epilogue }
    }

    /// The result by the definition, without the epilogue: f32 with the chain of the module's description, and f64
    /// with its bound.
    fn expected(&self) -> (Vec<f32>, Vec<(f64, f64)>) {
        let Gemm { m, n, k, a, b, bias, accumulate, .. } = self.gemm();
        let (mut chains, mut wide) = (Vec::new(), Vec::new());
        for i in 0..m {
            for j in 0..n {
                let start = if accumulate { self.c[i * n + j] } else { 0.0 };
                let (mut sum, mut exact, mut size) = (start, f64::from(start), f64::from(start.abs()));
                for l in 0..k {
                    let x = a.data[i * a.row_stride + l * a.column_stride];
                    let y = b.data[l * b.row_stride + j * b.column_stride];
                    sum = x.mul_add(y, sum);
                    exact += f64::from(x) * f64::from(y);
                    size += (f64::from(x) * f64::from(y)).abs();
                }
                let bias = bias.map_or(0.0, |bias| bias[j]);
                chains.push(if self.case.bias { sum + bias } else { sum });
                wide.push((exact + f64::from(bias), size + f64::from(bias.abs())));
            }
        }
        (chains, wide)
    }
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|x| x.to_bits()).collect()
}

fn devices() -> Vec<Device> {
    Isa::available().flat_map(|isa| [1, 2, 3, 8].map(|threads| Device::new(isa, threads))).collect()
}

/// Each of k + 2 roundings errs by half a unit in the last place of a partial sum, which the sum of magnitudes bounds.
fn bound(k: usize, size: f64) -> f64 {
    0.5 * (k as f64 + 2.0) * f64::from(f32::EPSILON) * size
}

#[test]
fn every_size_transpose_thread_count_and_instruction_set_gives_the_bits_of_the_chain() {
    let devices = devices();
    for case in cases() {
        let inputs = Inputs::new(case);
        let (mut chains, wide) = inputs.expected();
        for (&got, &(exact, size)) in chains.iter().zip(&wide) {
            assert!((f64::from(got) - exact).abs() <= bound(case.k, size), "{case:?}: {got} against {exact}");
        }
        if case.epilogue {
            chains.iter_mut().for_each(|x| *x = Epilogue::value(*x));
        }
        for device in &devices {
            let mut c = inputs.c.clone();
            let mut scratch = vec![f32::NAN; gemm_scratch(case.m, case.n, case.k)];
            gemm(device, &inputs.gemm(), &mut c, &mut scratch);
            assert_eq!(bits(&c), bits(&chains), "{case:?} on {device:?}");

            let Gemm { m, n, k, a, b, bias, accumulate, epilogue } = inputs.gemm();
            let packed = PackedMatrix::new(device, k, n, b);
            let mut c = inputs.c.clone();
            gemm_packed(device, &GemmPacked { m, a, b: &packed, bias, accumulate, epilogue }, &mut c);
            assert_eq!(bits(&c), bits(&chains), "packed {case:?} on {device:?}");
        }
    }
}

#[test]
fn blocks_larger_than_what_is_packed_at_a_time() {
    let shapes = [(3200, 40, 70, true, false), (3200, 3100, 8, false, true), (520, 3100, 300, false, false)];
    for (m, n, k, transposed_a, transposed_b) in shapes {
        let case = Case { m, n, k, transposed_a, transposed_b, bias: true, accumulate: false, epilogue: true };
        let inputs = Inputs::new(case);
        let (mut chains, _) = inputs.expected();
        chains.iter_mut().for_each(|x| *x = Epilogue::value(*x));
        let device = Device::new(Isa::best(), 2);
        let mut c = inputs.c.clone();
        gemm(&device, &inputs.gemm(), &mut c, &mut vec![0.0; gemm_scratch(m, n, k)]);
        assert_eq!(bits(&c), bits(&chains), "{case:?}");
    }
}

#[test]
fn strides_with_gaps_and_operands_that_overlap() {
    // A Toeplitz matrix and a matrix with every second column: what a convolution or a slice may hand in.
    let (m, n, k) = (40, 50, 60);
    let (a, b) = (values(5, m + k), values(6, k * n * 2));
    let a = Matrix { data: &a, row_stride: 1, column_stride: 1 };
    let b = Matrix { data: &b, row_stride: 2 * n, column_stride: 2 };
    for device in devices() {
        let mut c = vec![0.0; m * n];
        let product = Gemm { m, n, k, a, b, bias: None, accumulate: false, epilogue: None };
        gemm(&device, &product, &mut c, &mut vec![0.0; gemm_scratch(m, n, k)]);
        for i in 0..m {
            for j in 0..n {
                let chain = (0..k).fold(0.0, |sum: f32, l| a.data[i + l].mul_add(b.data[(l * n + j) * 2], sum));
                assert_eq!(c[i * n + j].to_bits(), chain.to_bits());
            }
        }
    }
}

#[test]
fn a_nan_stays_in_its_row() {
    let (m, n, k) = (33, 20, 17);
    let mut a = values(7, m * k);
    a[5 * k + 3] = f32::NAN;
    let b = values(8, k * n);
    for device in devices() {
        let mut c = vec![0.0; m * n];
        let (a, b) = (Matrix::row_major(&a, k), Matrix::row_major(&b, n));
        let product = Gemm { m, n, k, a, b, bias: None, accumulate: false, epilogue: None };
        gemm(&device, &product, &mut c, &mut vec![f32::NAN; gemm_scratch(m, n, k)]);
        assert!(c.iter().enumerate().all(|(i, x)| x.is_nan() == (i / n == 5)));
    }
}

#[test]
#[should_panic(expected = "matrices hold")]
fn short_data_are_refused() {
    let device = Device::new(Isa::scalar(), 1);
    let (a, b) = (Matrix::row_major(&[0.0; 5], 3), Matrix::row_major(&[0.0; 6], 2));
    gemm(
        &device,
        &Gemm { m: 2, n: 2, k: 3, a, b, bias: None, accumulate: false, epilogue: None },
        &mut [0.0; 4],
        &mut [],
    );
}
