use super::*;
use crate::testing::{assert_close, bits, devices, on_every_device, values};

/// Queries, keys and values stacked, [sequences, steps, 3 · heads · size], or keys and values of another sequence.
struct Problem {
    sequences: usize,
    heads: usize,
    size: usize,
    queries: usize,
    keys: usize,
    sight: Sight,
    lengths: Option<Vec<f32>>,
    q: Vec<f32>,
    kv: Vec<f32>,
}

impl Problem {
    fn new((sequences, heads, size): (usize, usize, usize), (queries, keys): (usize, usize), sight: Sight) -> Problem {
        let width = heads * size;
        let q = values(1, sequences * queries * width).iter().map(|x| 3.0 * x).collect();
        let kv = values(2, sequences * keys * 2 * width).iter().map(|x| 2.0 * x).collect();
        Problem { sequences, heads, size, queries, keys, sight, lengths: None, q, kv }
    }

    fn width(&self) -> usize {
        self.heads * self.size
    }

    fn attention(&self) -> Attention<'_> {
        let &Problem { sequences, heads, size, queries, keys, sight, .. } = self;
        let width = self.width();
        Attention {
            sequences,
            heads,
            size,
            queries,
            keys,
            sight,
            lengths: self.lengths.as_deref(),
            q: Heads { data: &self.q, sequence: queries * width, step: width },
            k: Heads { data: &self.kv, sequence: keys * 2 * width, step: 2 * width },
            v: Heads { data: &self.kv[width..], sequence: keys * 2 * width, step: 2 * width },
            earlier: None,
        }
    }

    fn forward(&self, device: &Device, with_sums: bool) -> (Vec<f32>, Vec<f32>) {
        let rows = self.sequences * self.queries;
        let mut y = vec![f32::NAN; rows * self.width()];
        let mut sums = vec![f32::NAN; if with_sums { rows * self.heads } else { 0 }];
        self.attention().forward(device, &mut y, &mut sums);
        (y, sums)
    }

    /// dq, and dk and dv stacked.
    fn backward(&self, device: &Device, dy: &[f32]) -> (Vec<f32>, Vec<f32>) {
        let (y, log_sums) = self.forward(device, true);
        let (mut dq, mut dkv) = (vec![f32::NAN; self.q.len()], vec![f32::NAN; self.kv.len()]);
        let mut scratch = vec![f32::NAN; log_sums.len()];
        let wanted = Wanted::Apart { dq: Some(&mut dq), dk_dv: Some(&mut dkv) };
        let gradient = AttentionGradient { y: &y, dy, log_sums: &log_sums, scratch: &mut scratch, wanted };
        self.attention().backward(device, gradient);
        (dq, dkv)
    }

    /// Outputs, dq, and dk and dv stacked, by the formulas in f64, with all scores at once.
    fn reference(&self, dy: &[f32]) -> [Vec<f64>; 3] {
        let (width, size) = (self.width(), self.size);
        let mut y = vec![0.0; self.q.len()];
        let (mut dq, mut dkv) = (vec![0.0; self.q.len()], vec![0.0; self.kv.len()]);
        let factor = 1.0 / (size as f64).sqrt();
        for b in 0..self.sequences {
            let real = self.lengths.as_ref().map_or(self.keys, |lengths| lengths[b] as usize);
            for h in 0..self.heads {
                let query = |i: usize| (b * self.queries + i) * width + h * size;
                let key = |j: usize| (b * self.keys + j) * 2 * width + h * size;
                for i in 0..self.queries {
                    let sees = |j: usize| match self.sight {
                        Sight::All => j < real,
                        Sight::Back(back) => j < real && j <= i && j + back > i,
                    };
                    let seen: Vec<usize> = (0..self.keys).filter(|&j| sees(j)).collect();
                    let at = |values: &[f32], place: usize| f64::from(values[place]);
                    let dot = |d: usize, other: &[f32], place: usize, values: &[f32]| -> f64 {
                        (0..size).map(|x| at(values, d + x) * at(other, place + x)).sum()
                    };
                    let scores: Vec<f64> =
                        seen.iter().map(|&j| factor * dot(query(i), &self.kv, key(j), &self.q)).collect();
                    let most = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                    let sum: f64 = scores.iter().map(|s| libm_exp(s - most)).sum();
                    let weights: Vec<f64> = scores.iter().map(|s| libm_exp(s - most) / sum).collect();
                    let gains: Vec<f64> = seen.iter().map(|&j| dot(query(i), &self.kv, key(j) + width, dy)).collect();
                    let mean: f64 = weights.iter().zip(&gains).map(|(p, g)| p * g).sum();
                    for (n, &j) in seen.iter().enumerate() {
                        let slope = weights[n] * (gains[n] - mean) * factor;
                        for x in 0..size {
                            y[query(i) + x] += weights[n] * at(&self.kv, key(j) + width + x);
                            dq[query(i) + x] += slope * at(&self.kv, key(j) + x);
                            dkv[key(j) + x] += slope * at(&self.q, query(i) + x);
                            dkv[key(j) + width + x] += weights[n] * at(dy, query(i) + x);
                        }
                    }
                }
            }
        }
        [y, dq, dkv]
    }
}

#[allow(clippy::disallowed_methods, reason = "a reference, compared within a bound")]
fn libm_exp(x: f64) -> f64 {
    x.exp()
}

fn problems() -> Vec<Problem> {
    let mut problems = Vec::new();
    for (shape, steps) in [
        ((1, 1, 1), (1, 1)),
        ((2, 3, 4), (5, 5)),
        ((1, 2, 17), (16, 16)),
        ((2, 1, 32), (33, 33)),
        ((1, 2, 70), (20, 20)),
        ((1, 4, 32), (130, 130)),
        ((3, 1, 8), (70, 70)),
    ] {
        for sight in [Sight::All, Sight::Back(steps.1), Sight::Back(3), Sight::Back(1)] {
            problems.push(Problem::new(shape, steps, sight));
        }
    }
    problems.push(Problem::new((2, 2, 12), (7, 90), Sight::All));
    problems.push(Problem::new((2, 2, 12), (90, 7), Sight::All));
    problems.push(Problem::new((2, 1, 5), (3, 9), Sight::All));
    for sight in [Sight::All, Sight::Back(80), Sight::Back(4)] {
        let padded = Problem::new((3, 2, 8), (80, 80), sight);
        problems.push(Problem { lengths: Some(vec![80.0, 1.0, 67.0]), ..padded });
    }
    problems
}

#[test]
fn outputs_and_gradients_are_those_of_the_formulas() {
    for problem in problems() {
        let what = format!("{:?}", problem.attention().sight);
        let dy = values(3, problem.q.len());
        let [y, dq, dkv] = problem.reference(&dy);
        let got = on_every_device(|device| problem.forward(device, true).0);
        assert_close(&got, &y, 1e-5, 2e-5);
        let all = on_every_device(|device| {
            let (dq, dkv) = problem.backward(device, &dy);
            [dq, dkv].concat()
        });
        assert_close(&all[..dq.len()], &dq, 2e-5, 1e-4);
        assert_close(&all[dq.len()..], &dkv, 2e-5, 1e-4);
        assert!(all.iter().all(|value| value.is_finite()), "{what}");
    }
}

#[test]
fn a_few_queries_give_the_bits_that_many_give() {
    for (queries, keys) in [(1, 1), (1, 200), (3, 70), (4, 33)] {
        for size in [5, 16, 32, 100] {
            let problem = Problem::new((2, 3, size), (queries, keys), Sight::All);
            let device = &devices()[0];
            let many = problem.forward(device, true).0;
            let few = on_every_device(|device| problem.forward(device, false).0);
            assert_eq!(bits(&few), bits(&many), "{queries} queries, {keys} keys of {size}");
        }
    }
}

/// The outputs of a sequence that is cut into windows of these lengths, with a ring of `places` keys and values.
fn in_windows(whole: &Problem, device: &Device, windows: &[usize], places: usize) -> Vec<f32> {
    let width = whole.width();
    let mut ring = vec![f32::NAN; whole.sequences * places * 2 * width];
    let mut y = vec![f32::NAN; whole.q.len()];
    let mut past = 0;
    for &steps in windows {
        let mut part = vec![f32::NAN; whole.sequences * steps * width];
        let (q, kv) = (&whole.q[past * width..], &whole.kv[past * 2 * width..]);
        let (of_ring, of_window) = (places * 2 * width, whole.keys * 2 * width);
        let ring_of = |data| Heads { data, sequence: of_ring, step: 2 * width };
        let attention = Attention {
            queries: steps,
            keys: steps,
            q: Heads { data: q, sequence: whole.queries * width, step: width },
            k: Heads { data: kv, sequence: of_window, step: 2 * width },
            v: Heads { data: &kv[width..], sequence: of_window, step: 2 * width },
            earlier: Some(Earlier { keys: ring_of(&ring), values: ring_of(&ring[width..]), places, past }),
            ..whole.attention()
        };
        attention.forward(device, &mut part, &mut []);
        for b in 0..whole.sequences {
            let at = (b * whole.queries + past) * width;
            y[at..at + steps * width].copy_from_slice(&part[b * steps * width..(b + 1) * steps * width]);
            for step in past..past + steps {
                let from = (b * whole.keys + step) * 2 * width;
                let to = (b * places + step % places) * 2 * width;
                ring[to..to + 2 * width].copy_from_slice(&whole.kv[from..from + 2 * width]);
            }
        }
        past += steps;
    }
    y
}

#[test]
fn windows_of_a_long_sequence_give_the_bits_of_the_whole() {
    for back in [1, 7, 64, 100, 150] {
        let whole = Problem::new((2, 2, 20), (150, 150), Sight::Back(back));
        let expected = whole.forward(&devices()[0], true).0;
        for windows in [&[150][..], &[1; 150], &[100, 50], &[20, 1, 1, 3, 5, 64, 17, 39], &[75, 75]] {
            // A ring need not hold more than what is seen; more is the same.
            for places in [back, back + 13] {
                let device = &devices()[devices().len() - 1];
                let got = in_windows(&whole, device, windows, places);
                assert_eq!(bits(&got), bits(&expected), "back {back}, windows {windows:?}, {places} places");
            }
        }
    }
}

#[test]
fn a_padded_sequence_gives_what_it_gives_alone_whatever_the_padding_holds() {
    for sight in [Sight::All, Sight::Back(40)] {
        let (steps, length) = (40, 23);
        let mut padded = Problem::new((1, 2, 8), (steps, steps), sight);
        padded.lengths = Some(vec![length as f32]);
        let (width, dy) = (padded.width(), values(5, padded.q.len()));
        padded.kv[length * 2 * width..].fill(1e30);
        let alone = Problem {
            queries: length,
            keys: length,
            lengths: None,
            q: padded.q[..length * width].to_vec(),
            kv: padded.kv[..length * 2 * width].to_vec(),
            ..Problem::new((1, 2, 8), (steps, steps), sight)
        };
        let mut dy_of_real = dy.clone();
        dy_of_real[length * width..].fill(0.0);
        let device = &devices()[0];
        assert_eq!(padded.forward(device, true).0[..length * width], alone.forward(device, true).0);
        let (dq, dkv) = padded.backward(device, &dy_of_real);
        let (dq_alone, dkv_alone) = alone.backward(device, &dy[..length * width]);
        assert_eq!(dq[..length * width], dq_alone);
        assert_eq!(dkv[..length * 2 * width], dkv_alone);
        assert!(dkv[length * 2 * width..].iter().all(|&value| value == 0.0), "no gradient for padding");
    }
}

#[test]
fn a_query_that_sees_nothing_gives_zeros_and_a_nan_is_seen() {
    let device = &devices()[0];
    let mut problem = Problem::new((1, 1, 4), (6, 6), Sight::Back(2));
    problem.lengths = Some(vec![2.0]);
    let y = problem.forward(device, true).0;
    assert!(y[..12].iter().all(|&value| value != 0.0) && y[12..].iter().all(|&value| value == 0.0), "{y:?}");
    problem.lengths = None;
    problem.kv[8] = f32::NAN;
    let y = problem.forward(device, false).0;
    assert!(
        y[4..12].iter().all(|value| value.is_nan()) && y[..4].iter().chain(&y[12..]).all(|y| y.is_finite()),
        "{y:?}"
    );
}

#[test]
#[should_panic(expected = "only who looks back sees earlier steps")]
fn earlier_steps_need_a_limit() {
    let problem = Problem::new((1, 1, 4), (1, 1), Sight::All);
    let earlier = Earlier { keys: problem.attention().k, values: problem.attention().v, places: 1, past: 1 };
    let attention = Attention { earlier: Some(earlier), ..problem.attention() };
    attention.forward(&devices()[0], &mut [0.0; 4], &mut []);
}
