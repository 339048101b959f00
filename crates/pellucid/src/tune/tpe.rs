//! The tree-structured Parzen estimator.
//!
//! Of the trials so far the best γ n = min(⌈n/10⌉ + 1, 25) are good, the others bad. For each dimension, l(x) and g(x) are densities of
//! the good and the bad values, mixtures of a kernel at each value and of the even distribution; of [`CANDIDATES`] values drawn from l
//! the one with the greatest l / g is tried, for which the expected improvement is greatest. A kernel of numbers is a normal
//! distribution cut to the range, as wide as the distance to the farther of its neighbours; of choices it is their frequency.
//!
//! (Bergstra, Bardenet, Bengio and Kégl, "Algorithms for hyper-parameter optimization", 2011, section 4; widths as in their Hyperopt.)

use kernels::random::Stream;

use super::sampler::at_random;
use super::space::{Assignment, Dimension, Domain, Space};

/// Trials at random, before there is anything to learn from.
const FIRST: usize = 10;
/// Values that are compared for each dimension.
const CANDIDATES: usize = 24;
/// Random numbers set apart for each dimension.
const NUMBERS: u64 = 1 << 16;

/// Values for the next trial.
pub(super) fn suggest(space: &Space, seen: &[(&Assignment, f64)], random: Stream) -> Assignment {
    if seen.len() < FIRST {
        return at_random(space, random);
    }
    let mut order: Vec<usize> = (0..seen.len()).collect();
    order.sort_by(|a, b| seen[*a].1.total_cmp(&seen[*b].1).then(a.cmp(b)));
    let good = (seen.len().div_ceil(10) + 1).min(25);
    let (good, bad) = order.split_at(good);
    space.assign(|index, dimension| {
        let places = |trials: &[usize]| -> Vec<f64> {
            let place = |trial: &usize| dimension.domain.place(seen[*trial].0.get(&dimension.name)?);
            trials.iter().filter_map(place).collect()
        };
        let numbers = Numbers { random, next: index as u64 * NUMBERS };
        better(dimension, &places(good), &places(bad), numbers)
    })
}

/// Random numbers of one dimension, one after the other.
struct Numbers {
    random: Stream,
    next: u64,
}

impl Numbers {
    fn unit(&mut self) -> f64 {
        self.next += 1;
        f64::from(self.random.unit_at(self.next))
    }
}

/// The place that is likeliest to be better.
fn better(dimension: &Dimension, good: &[f64], bad: &[f64], mut numbers: Numbers) -> f64 {
    let (of_good, of_bad) = (Density::new(&dimension.domain, good), Density::new(&dimension.domain, bad));
    let mut best = (f64::NEG_INFINITY, 0.5);
    for _ in 0..CANDIDATES {
        let place = of_good.draw(&mut numbers);
        let ratio = libm::log(of_good.at(place)) - libm::log(of_bad.at(place));
        if ratio > best.0 {
            best = (ratio, place);
        }
    }
    best.1
}

/// A density over the places from 0 to 1.
enum Density {
    /// Shares of equal parts.
    Parts(Vec<f64>),
    /// Normal distributions cut to the range, all of one weight: means and deviations.
    Mixture(Vec<(f64, f64)>),
}

impl Density {
    fn new(domain: &Domain, places: &[f64]) -> Density {
        if let Domain::Choice(values) = domain {
            let mut counts = vec![1.0; values.len()];
            for place in places {
                counts[((place * values.len() as f64) as usize).min(values.len() - 1)] += 1.0;
            }
            let all: f64 = counts.iter().sum();
            return Density::Parts(counts.iter().map(|count| count / all).collect());
        }
        // The even distribution is one wide kernel in the middle.
        let mut means: Vec<f64> = places.iter().copied().chain([0.5]).collect();
        means.sort_by(f64::total_cmp);
        let narrowest = 1.0 / (means.len() as f64 + 1.0).min(100.0);
        let deviation = |i: usize| {
            let below = means[i] - if i > 0 { means[i - 1] } else { 0.0 };
            let above = if i + 1 < means.len() { means[i + 1] } else { 1.0 } - means[i];
            below.max(above).clamp(narrowest, 1.0)
        };
        let kernels = (0..means.len()).map(|i| (means[i], deviation(i))).collect::<Vec<_>>();
        Density::Mixture(kernels.into_iter().chain([(0.5, 1.0)]).collect())
    }

    fn at(&self, place: f64) -> f64 {
        match self {
            Density::Parts(shares) => shares[((place * shares.len() as f64) as usize).min(shares.len() - 1)],
            Density::Mixture(kernels) => {
                let one = |(mean, deviation): &(f64, f64)| {
                    let z = (place - mean) / deviation;
                    libm::exp(-z * z / 2.0) / (deviation * within(*mean, *deviation))
                };
                kernels.iter().map(one).sum::<f64>() / kernels.len() as f64
            }
        }
    }

    fn draw(&self, numbers: &mut Numbers) -> f64 {
        match self {
            Density::Parts(shares) => {
                let mut rest = numbers.unit();
                let part = shares.iter().position(|share| {
                    rest -= share;
                    rest < 0.0
                });
                (part.unwrap_or(shares.len() - 1) as f64 + 0.5) / shares.len() as f64
            }
            Density::Mixture(kernels) => {
                let (mean, deviation) =
                    kernels[((numbers.unit() * kernels.len() as f64) as usize).min(kernels.len() - 1)];
                // Drawn again until it is within the range; at least a third of a kernel is, so this soon ends.
                for _ in 0..64 {
                    let (u, v) = (1.0 - numbers.unit(), numbers.unit());
                    let normal = libm::sqrt(-2.0 * libm::log(u)) * libm::cos(2.0 * std::f64::consts::PI * v);
                    let place = mean + deviation * normal;
                    if (0.0..=1.0).contains(&place) {
                        return place;
                    }
                }
                mean
            }
        }
    }
}

/// The part of a normal distribution between 0 and 1, times √(2π).
fn within(mean: f64, deviation: f64) -> f64 {
    let below = |x: f64| 0.5 * libm::erfc(-(x - mean) / (deviation * std::f64::consts::SQRT_2));
    (below(1.0) - below(0.0)) * libm::sqrt(2.0 * std::f64::consts::PI)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn densities_have_an_integral_of_one_and_are_what_is_drawn() {
        let real = Domain::Real { low: 0.0, high: 1.0, log: false };
        for places in [&[][..], &[0.1, 0.15, 0.9], &[0.5; 20]] {
            let density = Density::new(&real, places);
            let integral: f64 = (0..10_000).map(|i| density.at((f64::from(i) + 0.5) / 1e4) / 1e4).sum();
            assert!((integral - 1.0).abs() < 1e-4, "{places:?}: {integral}");
            let mut numbers = Numbers { random: Stream::new(1, 2), next: 0 };
            let drawn = (0..20_000).filter(|_| density.draw(&mut numbers) < 0.3).count() as f64 / 20_000.0;
            let expected: f64 = (0..3000).map(|i| density.at((f64::from(i) + 0.5) / 1e4) / 1e4).sum();
            assert!((drawn - expected).abs() < 0.02, "{places:?}: {drawn} of {expected}");
        }
        let choice = Density::new(&Domain::Choice(vec![1.into(), 2.into()]), &[0.25, 0.25, 0.75]);
        assert_eq!((choice.at(0.1), choice.at(0.9)), (0.6, 0.4));
    }
}
