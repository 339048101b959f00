//! Drivers of optimisers: one pass over parameters, gradients and moments, and what is done to gradients before.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::device::Device;
use crate::simd::{Kernel, LANES, Simd, dispatch};

/// The formula of an optimiser: what one step does to a parameter and its `SLOTS` values of state (moments). Everything
/// that is the same for all parameters, such as the learning rate or a bias correction, is in the value itself.
pub trait Rule<const SLOTS: usize>: Copy + Sync {
    /// The new parameters and state of sixteen parameters. Implementations carry `#[inline(always)]`, see [`Kernel`].
    fn update<S: Simd>(
        self,
        s: S,
        parameter: S::Float,
        gradient: S::Float,
        state: [S::Float; SLOTS],
    ) -> (S::Float, [S::Float; SLOTS]);
}

/// Parameters below which a second thread does not pay: Adam needs about two microseconds for one part.
const PART: usize = 1 << 14;
/// Parts are not smaller than this when there are several.
const LEAST_PART: usize = 1 << 13;

/// Parameters in a part, for `len` of them: an even number of parts, because two threads are the usual case, and few
/// enough that handing them out costs nothing.
fn part(len: usize) -> usize {
    if len <= PART {
        return PART;
    }
    let parts = len.div_ceil(LEAST_PART).next_multiple_of(2).min(64);
    len.div_ceil(parts).next_multiple_of(LANES)
}

/// Applies `rule` to all `parameters` with their `gradients` and `state`, and tells whether all gradients were finite.
///
/// The answer comes from the same pass, so the parameters are already changed when it is `false`. Panics when the
/// lengths differ.
#[inline]
pub fn apply<const SLOTS: usize, R: Rule<SLOTS>>(
    device: &Device,
    rule: R,
    parameters: &mut [f32],
    gradients: &[f32],
    state: [&mut [f32]; SLOTS],
) -> bool {
    let len = parameters.len();
    assert!(gradients.len() == len && state.iter().all(|slot| slot.len() == len), "one gradient and state a parameter");
    let part = part(len);
    if len <= part {
        return dispatch(device.isa(), Apply { rule, parameters, gradients, state });
    }
    let finite = AtomicBool::new(true);
    device.split_rows(len, part, (parameters, 1), state.map(|slot| (slot, 1)), |start, parameters, state| {
        let gradients = &gradients[start..start + parameters.len()];
        if !dispatch(device.isa(), Apply { rule, parameters, gradients, state }) {
            finite.store(false, Ordering::Relaxed);
        }
    });
    finite.into_inner()
}

struct Apply<'a, const SLOTS: usize, R> {
    rule: R,
    parameters: &'a mut [f32],
    gradients: &'a [f32],
    state: [&'a mut [f32]; SLOTS],
}

impl<const SLOTS: usize, R: Rule<SLOTS>> Kernel for Apply<'_, SLOTS, R> {
    /// All gradients were finite.
    type Output = bool;

    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> bool {
        let Apply { rule, parameters, gradients, state } = self;
        let len = parameters.len();
        let zero = s.splat(0.0);
        // 0 · g is NaN for an infinite or NaN gradient, else a zero, and NaN stays in the sum.
        let mut finite = zero;
        let mut i = 0;
        while i + LANES <= len {
            let gradient = s.load(&gradients[i..]);
            let mut values = [zero; SLOTS];
            for slot in 0..SLOTS {
                values[slot] = s.load(&state[slot][i..]);
            }
            let (parameter, values) = rule.update(s, s.load(&parameters[i..]), gradient, values);
            s.store(parameter, &mut parameters[i..]);
            for slot in 0..SLOTS {
                s.store(values[slot], &mut state[slot][i..]);
            }
            finite = s.fma(gradient, zero, finite);
            i += LANES;
        }
        if i < len {
            let gradient = s.load_partial(&gradients[i..]);
            let mut values = [zero; SLOTS];
            for slot in 0..SLOTS {
                values[slot] = s.load_partial(&state[slot][i..]);
            }
            let (parameter, values) = rule.update(s, s.load_partial(&parameters[i..]), gradient, values);
            s.store_partial(parameter, &mut parameters[i..]);
            for slot in 0..SLOTS {
                s.store_partial(values[slot], &mut state[slot][i..]);
            }
            finite = s.fma(gradient, zero, finite);
        }
        !s.any(s.lt(zero, s.select(s.eq(finite, zero), zero, s.splat(1.0))))
    }
}

/// Multiplies all `values` by `factor`.
pub fn scale(device: &Device, factor: f32, values: &mut [f32]) {
    in_place(device, Limited { factor, limit: f32::INFINITY }, values);
}

/// Moves each of `values` into [-limit, limit]; NaN stays NaN. Panics when `limit` is negative or NaN.
pub fn clip_value(device: &Device, limit: f32, values: &mut [f32]) {
    assert!(limit >= 0.0, "a limit is not negative, but it is {limit}");
    in_place(device, Limited { factor: 1.0, limit }, values);
}

/// factor · x, moved into [-limit, limit].
#[derive(Clone, Copy)]
struct Limited {
    factor: f32,
    limit: f32,
}

impl Rule<0> for Limited {
    #[inline(always)]
    fn update<S: Simd>(self, s: S, x: S::Float, _: S::Float, _: [S::Float; 0]) -> (S::Float, [S::Float; 0]) {
        let x = s.mul(x, s.splat(self.factor));
        // In this order a NaN comes through both.
        let x = s.min(s.splat(self.limit), x);
        (s.max(s.splat(-self.limit), x), [])
    }
}

fn in_place(device: &Device, rule: Limited, values: &mut [f32]) {
    device.chunks_mut(part(values.len()), values, |_, values| dispatch(device.isa(), InPlace { rule, values }));
}

struct InPlace<'a> {
    rule: Limited,
    values: &'a mut [f32],
}

impl Kernel for InPlace<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let (whole, tail) = self.values.as_chunks_mut::<LANES>();
        for values in whole {
            let x = s.load(values);
            s.store(self.rule.update(s, x, x, []).0, values);
        }
        if !tail.is_empty() {
            let x = s.load_partial(tail);
            s.store_partial(self.rule.update(s, x, x, []).0, tail);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{LENGTHS, assert_close, devices, on_every_device, values};

    /// Adam (Kingma and Ba, 2015), at a step whose bias corrections are in `rate` and `root`.
    #[derive(Clone, Copy)]
    struct Adam {
        beta1: f32,
        beta2: f32,
        eps: f32,
        rate: f32,
        root: f32,
    }

    const ADAM: Adam = Adam { beta1: 0.9, beta2: 0.999, eps: 1e-8, rate: 1e-3 / 0.1, root: 31.622776 };

    impl Rule<2> for Adam {
        #[inline(always)]
        fn update<S: Simd>(self, s: S, p: S::Float, g: S::Float, [m, v]: [S::Float; 2]) -> (S::Float, [S::Float; 2]) {
            let m = s.fma(s.splat(1.0 - self.beta1), s.sub(g, m), m);
            let v = s.fma(s.splat(1.0 - self.beta2), s.fnma(v, s.splat(1.0), s.mul(g, g)), v);
            let size = s.fma(s.sqrt(v), s.splat(self.root), s.splat(self.eps));
            (s.fnma(s.splat(self.rate), s.div(m, size), p), [m, v])
        }
    }

    #[derive(Clone, Copy)]
    struct Sgd(f32);

    impl Rule<0> for Sgd {
        #[inline(always)]
        fn update<S: Simd>(self, s: S, p: S::Float, g: S::Float, _: [S::Float; 0]) -> (S::Float, [S::Float; 0]) {
            (s.fnma(s.splat(self.0), g, p), [])
        }
    }

    #[test]
    fn adam_is_applied_to_every_parameter_once_for_every_length_and_device() {
        for len in LENGTHS {
            let (p, g, m) = (values(1, len), values(2, len), values(3, len));
            let v: Vec<f32> = values(4, len).iter().map(|x| x.abs()).collect();
            let all = on_every_device(|device| {
                let (mut p, mut m, mut v) = (p.clone(), m.clone(), v.clone());
                assert!(apply(device, ADAM, &mut p, &g, [&mut m, &mut v]));
                [p, m, v].concat()
            });
            let (mut new_p, mut new_m, mut new_v) = (vec![], vec![], vec![]);
            for i in 0..len {
                let [p, g, m, v] = [p[i], g[i], m[i], v[i]].map(f64::from);
                let m = 0.9 * m + (1.0 - f64::from(0.9f32)) * g;
                let v = 0.999 * v + (1.0 - f64::from(0.999f32)) * g * g;
                new_p.push(p - f64::from(ADAM.rate) * m / (v.sqrt() * f64::from(ADAM.root) + 1e-8));
                new_m.push(m);
                new_v.push(v);
            }
            // f32 rounds 1 - beta, which the terms in m and v carry, and each of the few operations.
            assert_close(&all, &[new_p, new_m, new_v].concat(), 1e-6, 1e-7);
        }
    }

    #[test]
    fn sgd_gives_the_bits_of_the_formula() {
        for len in LENGTHS {
            let (p, g) = (values(1, len), values(2, len));
            let new = on_every_device(|device| {
                let mut p = p.clone();
                assert!(apply(device, Sgd(0.1), &mut p, &g, []));
                p
            });
            assert!((0..len).all(|i| new[i] == (-0.1f32).mul_add(g[i], p[i])));
        }
    }

    #[test]
    fn a_gradient_that_is_not_finite_is_noticed_wherever_it_is() {
        for device in devices() {
            for len in [1, 16, 17, 40_000] {
                for at in [0, len / 2, len - 1] {
                    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
                        let mut g = vec![f32::MAX; len];
                        assert!(apply(&device, Sgd(0.0), &mut vec![0.0; len], &g, []));
                        g[at] = bad;
                        assert!(!apply(&device, Sgd(0.0), &mut vec![0.0; len], &g, []), "{device:?} {len} {at} {bad}");
                    }
                }
            }
        }
    }

    #[test]
    fn scale_and_clip_value_do_what_they_say() {
        for len in LENGTHS {
            let x = values(5, len);
            let scaled = on_every_device(|device| {
                let mut x = x.clone();
                scale(device, 3.0, &mut x);
                x
            });
            assert!((0..len).all(|i| scaled[i] == 3.0 * x[i]));
            let clipped = on_every_device(|device| {
                let mut x = x.clone();
                clip_value(device, 0.25, &mut x);
                x
            });
            assert!((0..len).all(|i| clipped[i] == x[i].clamp(-0.25, 0.25)));
        }
        let special = on_every_device(|device| {
            let mut x = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 0.5];
            clip_value(device, 1.0, &mut x);
            x.to_vec()
        });
        assert!(special[0].is_nan() && special[1..] == [1.0, -1.0, 0.5]);
    }

    #[test]
    #[should_panic(expected = "one gradient and state a parameter")]
    fn different_lengths_are_refused() {
        apply(&devices()[0], ADAM, &mut [0.0; 3], &[0.0; 3], [&mut [0.0; 3], &mut [0.0; 2]]);
    }
}
