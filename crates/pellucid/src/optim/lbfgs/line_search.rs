//! A step length that satisfies the strong Wolfe conditions.
//!
//! ```text
//! φ(α) ≤ φ(0) + c₁ α φ'(0)  and  |φ'(α)| ≤ c₂ |φ'(0)|,  c₁ = 10⁻⁴, c₂ = 0.9
//! ```
//! Nocedal and Wright, "Numerical optimization", 2006, algorithms 3.5 (first a bracket) and 3.6 (then a zoom), with
//! cubic interpolation. The loss comes in f32: near the minimum its differences vanish while the slope is still known. So
//! where φ(α) is φ(0) but for one rounding, the second condition is enough, as in Hager and Zhang, "A new conjugate gradient
//! method with guaranteed descent and an efficient line search", 2005, section 4.

/// c₁, the part of the promised decrease that is asked for.
const DECREASE: f64 = 1e-4;
/// c₂, the part of the slope that may be left.
const SLOPE: f64 = 0.9;

/// Value and slope at one step length.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Probe {
    pub step: f64,
    pub value: f64,
    pub slope: f64,
}

/// A function along a line.
pub(super) trait Line {
    /// Value and slope at a step length.
    fn probe(&mut self, step: f64) -> (f64, f64);
    /// The last probe is the best so far: what belongs to it must not be lost by the next.
    fn keep(&mut self);
}

/// The step length that is kept in the end, with the number of probes; a step of 0 if none has a lower value. At most
/// `most` probes; the first has length `first`.
pub(super) fn search(line: &mut dyn Line, start: Probe, first: f64, most: u32) -> (Probe, u32) {
    let mut search = Search { line, start, most, probes: 0 };
    let end = search.bracket(first);
    (end, search.probes)
}

struct Search<'a> {
    line: &'a mut dyn Line,
    start: Probe,
    most: u32,
    probes: u32,
}

impl Search<'_> {
    fn probe(&mut self, step: f64) -> Probe {
        self.probes += 1;
        let (value, slope) = self.line.probe(step);
        // Where the loss is no number, it is too high.
        if value.is_finite() && slope.is_finite() {
            Probe { step, value, slope }
        } else {
            Probe { step, value: f64::INFINITY, slope: f64::NAN }
        }
    }

    /// Smaller differences of the value are noise.
    fn noise(&self) -> f64 {
        f64::from(f32::EPSILON) * self.start.value.abs()
    }

    fn good(&self, probe: Probe) -> bool {
        let flat = probe.slope.abs() <= SLOPE * -self.start.slope;
        let lower = probe.value <= self.start.value + DECREASE * probe.step * self.start.slope;
        flat && (lower || probe.value <= self.start.value + self.noise())
    }

    fn too_high(&self, probe: Probe) -> bool {
        probe.value > self.start.value + DECREASE * probe.step * self.start.slope
    }

    fn bracket(&mut self, first: f64) -> Probe {
        let mut low = self.start;
        let mut step = first;
        while self.probes < self.most {
            let probe = self.probe(step);
            if self.good(probe) {
                self.line.keep();
                return probe;
            }
            if self.too_high(probe) || probe.value >= low.value {
                return self.zoom(low, probe);
            }
            self.line.keep();
            if probe.slope >= 0.0 {
                return self.zoom(probe, low);
            }
            let (near, far) = (step + 0.01 * (step - low.step), 10.0 * step);
            step = minimum_of_cubic(low, probe).map_or(far, |step| step.clamp(near, far));
            low = probe;
        }
        low
    }

    /// Between `low`, the best so far, and `high`, which lies on the side to which the slope of `low` goes down.
    fn zoom(&mut self, mut low: Probe, mut high: Probe) -> Probe {
        while self.probes < self.most {
            let width = high.step - low.step;
            // Steps that f32 could not tell apart.
            if width.abs() <= f64::from(f32::EPSILON) * low.step.max(high.step) {
                break;
            }
            let (least, most) = (low.step + 0.1 * width, high.step - 0.1 * width);
            let step = minimum_of_cubic(low, high)
                .map_or(low.step + 0.5 * width, |step| step.clamp(least.min(most), least.max(most)));
            let probe = self.probe(step);
            if self.good(probe) {
                self.line.keep();
                return probe;
            }
            if self.too_high(probe) || probe.value >= low.value {
                high = probe;
            } else {
                if probe.slope * width >= 0.0 {
                    high = low;
                }
                low = probe;
                self.line.keep();
            }
        }
        low
    }
}

/// Where the cubic through two values with their slopes has its minimum, if it has one; Nocedal and Wright, equation 3.59.
fn minimum_of_cubic(a: Probe, b: Probe) -> Option<f64> {
    let d1 = a.slope + b.slope - 3.0 * (a.value - b.value) / (a.step - b.step);
    let square = d1 * d1 - a.slope * b.slope;
    if square.is_nan() || square < 0.0 {
        return None;
    }
    let d2 = (b.step - a.step).signum() * square.sqrt();
    let step = b.step - (b.step - a.step) * (b.slope + d2 - d1) / (b.slope - a.slope + 2.0 * d2);
    step.is_finite().then_some(step)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Function<F> {
        function: F,
        last: f64,
        kept: f64,
    }

    impl<F: Fn(f64) -> (f64, f64)> Line for Function<F> {
        fn probe(&mut self, step: f64) -> (f64, f64) {
            self.last = step;
            (self.function)(step)
        }
        fn keep(&mut self) {
            self.kept = self.last;
        }
    }

    fn run(function: impl Fn(f64) -> (f64, f64), first: f64) -> (Probe, u32, Probe) {
        let (value, slope) = function(0.0);
        let start = Probe { step: 0.0, value, slope };
        let mut line = Function { function, last: 0.0, kept: 0.0 };
        let (end, probes) = search(&mut line, start, first, 40);
        assert_eq!(line.kept, end.step, "what is kept is what is returned");
        (end, probes, start)
    }

    #[test]
    fn the_end_satisfies_both_conditions_whatever_the_first_step() {
        type F = fn(f64) -> (f64, f64);
        let functions: [F; 4] = [
            |a| ((a - 3.0) * (a - 3.0), 2.0 * (a - 3.0)),
            // Moré and Thuente, "Line search algorithms with guaranteed sufficient decrease", 1994, function 1.
            |a| (-a / (a * a + 2.0), (a * a - 2.0) / ((a * a + 2.0) * (a * a + 2.0))),
            // A wall: no number beyond 1.
            |a| if a < 1.0 { (-libm::log(1.0 - a) - 2.0 * a, 1.0 / (1.0 - a) - 2.0) } else { (f64::NAN, f64::NAN) },
            |a| (libm::cos(a) - 0.01 * a, -libm::sin(a) - 0.01),
        ];
        for (i, function) in functions.into_iter().enumerate() {
            for first in [1e-4, 0.01, 0.3, 1.0, 7.0, 100.0] {
                let (end, probes, start) = run(function, first);
                assert!(end.step > 0.0, "function {i} from {first}");
                assert!(
                    end.value <= start.value + DECREASE * end.step * start.slope,
                    "function {i} from {first}: {end:?}"
                );
                assert!(end.slope.abs() <= SLOPE * start.slope.abs(), "function {i} from {first}: {end:?}");
                assert!(probes <= 20, "function {i} from {first}: {probes}");
            }
        }
    }

    #[test]
    fn the_cubic_finds_the_minimum_of_a_parabola_at_once() {
        let at = |step: f64| Probe { step, value: (step - 3.0) * (step - 3.0), slope: 2.0 * (step - 3.0) };
        assert_eq!(minimum_of_cubic(at(0.0), at(1.0)), Some(3.0));
        assert_eq!(minimum_of_cubic(at(7.0), at(1.0)), Some(3.0));
        let flat = Probe { step: 0.0, value: 1.0, slope: 0.0 };
        assert_eq!(minimum_of_cubic(flat, Probe { value: f64::INFINITY, ..at(1.0) }), None);
    }

    #[test]
    fn a_function_that_only_rises_gives_no_step() {
        let (end, probes, _) = run(|a| (if a == 0.0 { 0.0 } else { 1.0 + a }, if a == 0.0 { -1.0 } else { 1.0 }), 1.0);
        assert_eq!(end.step, 0.0);
        assert!(probes > 2);
    }
}
