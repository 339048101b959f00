//! What the benchmarks share: the peak of the processor, and how time is taken.

use std::hint::black_box;
use std::time::Instant;

use kernels::device::Device;
use kernels::simd::{Kernel, LANES, Simd, dispatch};

/// The least time of a call in seconds, of many calls within `budget` seconds (three at least).
pub fn best_time(budget: f64, mut call: impl FnMut()) -> f64 {
    call();
    let begin = Instant::now();
    let mut best = f64::INFINITY;
    let (mut batches, mut calls) = (0, 1);
    while batches < 3 || begin.elapsed().as_secs_f64() < budget {
        let start = Instant::now();
        for _ in 0..calls {
            call();
        }
        let time = start.elapsed().as_secs_f64() / calls as f64;
        best = best.min(time);
        batches += 1;
        // Batches of some ten microseconds: long against the clock, short against interruptions.
        calls = ((3e-5 / time) as usize).clamp(1, 10_000);
    }
    best
}

/// Multiply-adds in registers alone; twelve chains hide their latency.
struct Peak;

const ROUNDS: usize = 20_000;
const CHAINS: usize = 12;

impl Kernel for Peak {
    type Output = f32;
    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> f32 {
        let mut sums = [s.splat(black_box(0.5)); CHAINS];
        let (x, y) = (s.splat(black_box(0.999)), s.splat(black_box(0.001)));
        for _ in 0..ROUNDS {
            for sum in &mut sums {
                *sum = s.fma(*sum, x, y);
            }
        }
        sums.into_iter().map(|sum| s.reduce_add(sum)).sum()
    }
}

/// Multiply-adds that all threads of `device` can do at most, in GFLOP/s.
pub fn peak(device: &Device) -> f64 {
    let tasks = 4 * device.threads();
    let time = best_time(0.05, || {
        device.for_each(tasks, &|_| {
            black_box(dispatch(device.isa(), Peak));
        })
    });
    (tasks * 2 * ROUNDS * CHAINS * LANES) as f64 / time / 1e9
}

/// What a message between two threads takes to and fro, in nanoseconds: under 100 when their cores share a cache,
/// several hundred when they do not. A virtual machine may move from the one to the other while it runs.
pub fn round_trip() -> f64 {
    use std::sync::atomic::{AtomicU64, Ordering};
    const TRIPS: u64 = 2000;
    let (there, back) = (AtomicU64::new(0), AtomicU64::new(0));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for trip in 1..=11 * TRIPS {
                while there.load(Ordering::Acquire) != trip {
                    std::hint::spin_loop();
                }
                back.store(trip, Ordering::Release);
            }
        });
        (0..11)
            .map(|round| {
                let start = Instant::now();
                for trip in round * TRIPS + 1..=(round + 1) * TRIPS {
                    there.store(trip, Ordering::Release);
                    while back.load(Ordering::Acquire) != trip {
                        std::hint::spin_loop();
                    }
                }
                1e9 * start.elapsed().as_secs_f64() / TRIPS as f64
            })
            .fold(f64::INFINITY, f64::min)
    })
}
