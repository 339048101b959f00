//! The last pairs of L-BFGS, and the product of the approximate inverse Hessian with a gradient.

use kernels::buffer::Buffer;
use kernels::device::Device;
use kernels::reduce;
use kernels::simd::Simd;
use kernels::update::{Rule, apply};
use serde::{Deserialize, Serialize};

/// y ← y + factor · x
pub(super) fn add_scaled(device: &Device, factor: f64, x: &[f32], y: &mut [f32]) {
    apply(device, AddScaled { factor: factor as f32 }, y, x, []);
}

#[derive(Clone, Copy)]
struct AddScaled {
    factor: f32,
}

impl Rule<0> for AddScaled {
    #[inline(always)]
    fn update<S: Simd>(self, s: S, y: S::Float, x: S::Float, _: [S::Float; 0]) -> (S::Float, [S::Float; 0]) {
        (s.fma(s.splat(self.factor), x, y), [])
    }
}

pub(super) fn dot(device: &Device, x: &[f32], y: &[f32]) -> f64 {
    f64::from(reduce::dot(device, x, y))
}

/// The pairs s = w' - w, y = g' - g, in a ring.
#[derive(Debug)]
pub(super) struct History {
    len: usize,
    /// One after the other, `len` values each.
    pub s: Buffer,
    pub y: Buffer,
    pub ring: Ring,
    /// Scratch of the two loops.
    alpha: Vec<f64>,
}

/// What the ring holds, besides the vectors.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Ring {
    /// Pairs made since the last reset; the pair number i lies at i modulo the size.
    pub made: u64,
    /// sᵀy, by place.
    pub sy: Vec<f64>,
    /// yᵀy of the last pair.
    pub yy: f64,
}

impl History {
    /// Room for `size` pairs of `len` values.
    pub fn new(size: usize, len: usize) -> History {
        let ring = Ring { made: 0, sy: vec![0.0; size], yy: 0.0 };
        History { len, s: Buffer::new(size * len), y: Buffer::new(size * len), ring, alpha: vec![0.0; size] }
    }

    fn size(&self) -> usize {
        self.ring.sy.len()
    }

    pub fn is_empty(&self) -> bool {
        self.ring.made == 0
    }

    /// Forgets all pairs.
    pub fn clear(&mut self) {
        self.ring.made = 0;
    }

    /// Remembers the pair of two points and their gradients, if the loss curves upwards between them.
    pub fn push(&mut self, device: &Device, from: (&[f32], &[f32]), to: (&[f32], &[f32])) {
        let place = (self.ring.made % self.size() as u64) as usize;
        let range = place * self.len..(place + 1) * self.len;
        let (s, y) = (&mut self.s[range.clone()], &mut self.y[range]);
        s.copy_from_slice(to.0);
        add_scaled(device, -1.0, from.0, s);
        y.copy_from_slice(to.1);
        add_scaled(device, -1.0, from.1, y);
        let (sy, yy) = (dot(device, s, y), dot(device, y, y));
        // A pair without curvature would make the matrix indefinite or huge.
        if sy > 1e-10 * yy && sy.is_finite() && yy.is_finite() {
            self.ring.sy[place] = sy;
            self.ring.yy = yy;
            self.ring.made += 1;
        } else if self.ring.made >= self.size() as u64 {
            // The oldest pair lay there, and is lost.
            self.clear();
        }
    }

    /// `direction`, a gradient at first, becomes -H · gradient: Nocedal and Wright, algorithm 7.4.
    pub fn turn(&mut self, device: &Device, direction: &mut [f32]) {
        let (made, size, len) = (self.ring.made, self.size() as u64, self.len);
        let oldest = made.saturating_sub(size);
        let place = |pair: u64| (pair % size) as usize;
        for pair in (oldest..made).rev() {
            let i = place(pair);
            let range = i * len..(i + 1) * len;
            self.alpha[i] = dot(device, &self.s[range.clone()], direction) / self.ring.sy[i];
            add_scaled(device, -self.alpha[i], &self.y[range], direction);
        }
        let scale = if made == 0 { 1.0 } else { self.ring.sy[place(made - 1)] / self.ring.yy };
        kernels::update::scale(device, scale as f32, direction);
        for pair in oldest..made {
            let i = place(pair);
            let range = i * len..(i + 1) * len;
            let beta = dot(device, &self.y[range.clone()], direction) / self.ring.sy[i];
            add_scaled(device, self.alpha[i] - beta, &self.s[range], direction);
        }
        kernels::update::scale(device, -1.0, direction);
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::tests::{devices, values};
    use super::*;

    /// -H g with the matrix H written out: H ← Vᵀ H V + ρ s sᵀ, V = I - ρ y sᵀ, pair after pair (Nocedal and Wright,
    /// equation 7.16).
    fn by_matrix(pairs: &[(Vec<f64>, Vec<f64>)], gradient: &[f64]) -> Vec<f64> {
        let n = gradient.len();
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        let (s, y) = pairs.last().expect("a pair");
        let scale = dot(s, y) / dot(y, y);
        let mut h = vec![vec![0.0; n]; n];
        (0..n).for_each(|i| h[i][i] = scale);
        for (s, y) in pairs {
            let rho = 1.0 / dot(s, y);
            let v = |i: usize, j: usize| f64::from(u8::from(i == j)) - rho * y[i] * s[j];
            let hv: Vec<Vec<f64>> =
                (0..n).map(|i| (0..n).map(|j| (0..n).map(|k| h[i][k] * v(k, j)).sum()).collect()).collect();
            for i in 0..n {
                for j in 0..n {
                    h[i][j] = (0..n).map(|k| v(k, i) * hv[k][j]).sum::<f64>() + rho * s[i] * s[j];
                }
            }
        }
        (0..n).map(|i| -dot(&h[i], gradient)).collect()
    }

    #[test]
    fn two_loops_are_the_product_with_the_matrix() {
        let n = 21;
        let wide = |x: &[f32]| x.iter().map(|&x| f64::from(x)).collect::<Vec<f64>>();
        for made in [1, 2, 3, 5] {
            for device in devices() {
                let mut history = History::new(3, n);
                let mut pairs = vec![];
                for pair in 0..made {
                    let (w, g) = (values(pair, n), values(50 + pair, n));
                    let s = values(100 + pair, n);
                    // Curves upwards: y is near 2 s.
                    let noise = values(200 + pair, n);
                    let to: Vec<f32> = (0..n).map(|i| w[i] + s[i]).collect();
                    let to_g: Vec<f32> = (0..n).map(|i| g[i] + 2.0 * s[i] + 0.5 * noise[i]).collect();
                    history.push(&device, (&w, &g), (&to, &to_g));
                    let pair: (Vec<f32>, Vec<f32>) =
                        ((0..n).map(|i| to[i] - w[i]).collect(), (0..n).map(|i| to_g[i] - g[i]).collect());
                    pairs.push((wide(&pair.0), wide(&pair.1)));
                }
                let gradient = values(300, n);
                let mut direction = gradient.clone();
                history.turn(&device, &mut direction);
                let expected = by_matrix(&pairs[pairs.len().saturating_sub(3)..], &wide(&gradient));
                for i in 0..n {
                    assert!(
                        (f64::from(direction[i]) - expected[i]).abs() < 2e-6,
                        "{made}: {} {}",
                        direction[i],
                        expected[i]
                    );
                }
            }
        }
    }

    #[test]
    fn a_pair_without_curvature_is_not_remembered() {
        let device = &devices()[0];
        let mut history = History::new(2, 2);
        history.push(device, (&[0.0, 0.0], &[0.0, 0.0]), (&[1.0, 0.0], &[-1.0, 0.0]));
        assert!(history.is_empty());
        history.push(device, (&[0.0, 0.0], &[0.0, 0.0]), (&[1.0, 0.0], &[0.0, 0.0]));
        assert!(history.is_empty());
        history.push(device, (&[0.0, 0.0], &[0.0, 0.0]), (&[1.0, 0.0], &[2.0, 0.0]));
        assert!(!history.is_empty());
        let mut direction = [2.0, 2.0];
        history.turn(device, &mut direction);
        assert_eq!(direction, [-1.0, -1.0]);
    }
}
