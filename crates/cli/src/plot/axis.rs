//! Axes: the range to show, where the ticks go and what they say. The terminal and the SVG plots share them.

/// A labelled place on an axis.
#[derive(Clone, Debug, PartialEq)]
pub struct Tick {
    /// Where it stands, in data units.
    pub value: f64,
    /// What it says.
    pub label: String,
}

/// A range of values, linear or logarithmic, with its ticks in rising order.
#[derive(Clone, Debug, PartialEq)]
pub struct Axis {
    /// Lower end, in data units.
    pub low: f64,
    /// Upper end, above `low`.
    pub high: f64,
    /// Whether equal distances are equal ratios; `low` is positive then.
    pub log: bool,
    /// Ticks within the range.
    pub ticks: Vec<Tick>,
}

/// Above this ratio of largest to smallest value (one and a half decades) a linear axis hides the lower part.
const LOG_FROM_RATIO: f64 = 31.6;

impl Axis {
    /// An axis over all finite `values` with about `count` ticks, logarithmic if they are positive and span more than
    /// one and a half decades. The ends are rounded outwards to whole ticks.
    pub fn fit(values: impl IntoIterator<Item = f64>, count: usize) -> Axis {
        let (low, high) = finite_range(values);
        if low > 0.0 && high / low > LOG_FROM_RATIO {
            Axis::log(low, high, count)
        } else {
            Axis::linear(low, high, count)
        }
    }

    /// A linear axis over all finite `values`; see [`Axis::fit`].
    pub fn fit_linear(values: impl IntoIterator<Item = f64>, count: usize) -> Axis {
        let (low, high) = finite_range(values);
        Axis::linear(low, high, count)
    }

    /// A linear axis with about `count` ticks at multiples of 1, 2 or 5 times a power of ten; the ends are moved
    /// outwards to a tick. A range of no width is widened around its value.
    pub fn linear(low: f64, high: f64, count: usize) -> Axis {
        let (low, high) = widened(low, high);
        let step = nice_step((high - low) / count.max(1) as f64);
        // A value that lies on a tick but for rounding must not open a further interval.
        let first = libm::floor(low / step + 1e-9);
        let last = libm::ceil(high / step - 1e-9).max(first + 1.0);
        let ticks = ticks_at(first, last, step);
        Axis { low: first * step, high: last * step, log: false, ticks }
    }

    /// A linear axis from exactly `low` to `high` with whole-numbered ticks (epochs, for one).
    pub fn whole(low: f64, high: f64, count: usize) -> Axis {
        let (low, high) = if high > low { (low, high) } else { (low - 0.5, low + 0.5) };
        let step = nice_step((high - low) / count.max(1) as f64).max(1.0);
        let mut ticks = ticks_at(libm::ceil(low / step), libm::floor(high / step), step);
        // Multiples of the step seldom include the first epoch, which readers look for; it takes the place of a near one.
        if low.fract() == 0.0 && ticks.first().is_none_or(|tick| tick.value > low) {
            if ticks.first().is_some_and(|tick| tick.value - low < step * 0.4) {
                ticks.remove(0);
            }
            ticks.insert(0, Tick { value: low, label: format!("{low:.0}") });
        }
        Axis { low, high, log: false, ticks }
    }

    /// A logarithmic axis with ticks at powers of ten, and at 2 and 5 times them where these are few.
    fn log(low: f64, high: f64, count: usize) -> Axis {
        let (from, to) = (libm::log10(low), libm::log10(high));
        let margin = (to - from) * 0.03;
        let (from, to) = (from - margin, to + margin);
        let decades = (libm::floor(from) as i32, libm::ceil(to) as i32);
        let factors: &[f64] = if to - from < count as f64 / 2.0 { &[1.0, 2.0, 5.0] } else { &[1.0] };
        let every = (((to - from) / count.max(1) as f64).ceil() as i32).max(1);
        let mut ticks = Vec::new();
        for decade in (decades.0..=decades.1).filter(|decade| decade.rem_euclid(every) == 0) {
            for factor in factors {
                let value = factor * power_of_ten(decade);
                if (from..=to).contains(&libm::log10(value)) {
                    ticks.push(Tick { value, label: log_label(value, decade) });
                }
            }
        }
        Axis { low: libm::pow(10.0, from), high: libm::pow(10.0, to), log: true, ticks }
    }

    /// Where `value` lies between the ends: 0 at `low`, 1 at `high`; held within them. NaN for a value that is not finite.
    pub fn position(&self, value: f64) -> f64 {
        if !value.is_finite() {
            return f64::NAN;
        }
        let share = if self.log {
            // What is not positive has no place on a logarithmic axis and sits at its foot.
            let value = value.max(self.low);
            libm::log(value / self.low) / libm::log(self.high / self.low)
        } else {
            (value - self.low) / (self.high - self.low)
        };
        share.clamp(0.0, 1.0)
    }
}

fn finite_range(values: impl IntoIterator<Item = f64>) -> (f64, f64) {
    let mut range: Option<(f64, f64)> = None;
    for value in values.into_iter().filter(|value| value.is_finite()) {
        let (low, high) = range.unwrap_or((value, value));
        range = Some((low.min(value), high.max(value)));
    }
    range.unwrap_or((0.0, 1.0))
}

/// A range with some width: one value stands in the middle of its surroundings. Also keeps the ends apart by more than
/// rounding, and small enough that their difference is finite.
fn widened(low: f64, high: f64) -> (f64, f64) {
    let (low, high) = (low.clamp(-1e300, 1e300), high.clamp(-1e300, 1e300));
    let size = low.abs().max(high.abs());
    if high - low > size * 1e-9 && high > low {
        (low, high)
    } else if size < 1e-300 {
        (0.0, 1.0)
    } else {
        (low - size * 0.1, high + size * 0.1)
    }
}

/// The least of 1, 2, 5 times a power of ten that is not below `raw`.
fn nice_step(raw: f64) -> f64 {
    let power = power_of_ten(libm::floor(libm::log10(raw)) as i32);
    let fraction = raw / power;
    let factor = [1.0, 2.0, 5.0].into_iter().find(|factor| fraction <= factor * 1.000_001).unwrap_or(10.0);
    factor * power
}

fn power_of_ten(exponent: i32) -> f64 {
    libm::pow(10.0, f64::from(exponent))
}

fn ticks_at(first: f64, last: f64, step: f64) -> Vec<Tick> {
    let mut ticks = Vec::new();
    let mut index = first;
    while index <= last {
        let value = if index == 0.0 { 0.0 } else { index * step };
        ticks.push(Tick { value, label: linear_label(value, step, first.abs().max(last.abs()) * step) });
        index += 1.0;
    }
    ticks
}

/// All labels of a linear axis have the same digits behind the point, as many as the step needs.
fn linear_label(value: f64, step: f64, largest: f64) -> String {
    if value == 0.0 {
        return "0".to_string();
    }
    if !(1e-4..1e6).contains(&largest) {
        let text = format!("{value:.2e}");
        let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        return format!("{}e{exponent}", digits.trim_end_matches('0').trim_end_matches('.'));
    }
    let decimals = (-libm::floor(libm::log10(step) + 1e-9)).max(0.0) as usize;
    format!("{value:.decimals$}")
}

fn log_label(value: f64, decade: i32) -> String {
    match decade {
        -3..=0 => format!("{value:.*}", decade.unsigned_abs() as usize),
        1..=5 => format!("{value:.0}"),
        _ => format!("{value:.0e}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(axis: &Axis) -> Vec<&str> {
        axis.ticks.iter().map(|tick| tick.label.as_str()).collect()
    }

    #[test]
    fn linear_ticks_are_round_and_cover_the_values() {
        let axis = Axis::linear(0.913, 0.984, 4);
        assert_eq!(labels(&axis), ["0.90", "0.92", "0.94", "0.96", "0.98", "1.00"]);
        assert!(axis.low <= 0.913 && axis.high >= 0.984);
        assert_eq!(labels(&Axis::linear(0.0, 1.0, 5)), ["0", "0.2", "0.4", "0.6", "0.8", "1.0"]);
        assert_eq!(labels(&Axis::linear(-3e6, 4e6, 4)), ["-4e6", "-2e6", "0", "2e6", "4e6"]);
    }

    #[test]
    fn a_single_value_or_none_still_gives_an_axis() {
        for values in [vec![], vec![0.0], vec![5.0, 5.0], vec![f64::NAN], vec![-1e-320, 0.0], vec![f64::MAX, f64::MIN]]
        {
            let axis = Axis::fit(values.iter().copied(), 5);
            assert!(axis.low < axis.high && axis.low.is_finite() && axis.high.is_finite(), "{values:?}: {axis:?}");
            assert!((2..20).contains(&axis.ticks.len()), "{values:?}: {axis:?}");
        }
        let axis = Axis::whole(1.0, 1.0, 5);
        assert_eq!(labels(&axis), ["1"]);
        assert_eq!(axis.position(1.0), 0.5);
    }

    #[test]
    fn decades_make_a_logarithmic_axis() {
        let axis = Axis::fit([2.3, 0.5, 0.004], 5);
        assert!(axis.log);
        assert_eq!(labels(&axis), ["0.01", "0.1", "1"]);
        assert!((axis.position(0.004) - 0.028).abs() < 0.002, "{}", axis.position(0.004));
        let wide = Axis::fit([1.0, 1e-12], 5);
        assert!(wide.ticks.len() <= 6, "{wide:?}");
        assert!(!Axis::fit([1.0, 0.5], 5).log);
        assert!(!Axis::fit([1.0, 0.0], 5).log, "zero has no logarithm");
        assert_eq!(axis.position(-1.0), 0.0);
        assert!(axis.position(f64::NAN).is_nan());
    }

    #[test]
    fn epochs_get_whole_ticks_and_the_first_one() {
        assert_eq!(labels(&Axis::whole(1.0, 10.0, 5)), ["1", "2", "4", "6", "8", "10"]);
        assert_eq!(labels(&Axis::whole(1.0, 3.0, 10)), ["1", "2", "3"]);
        assert_eq!(labels(&Axis::whole(1.0, 100.0, 5)), ["1", "20", "40", "60", "80", "100"]);
    }
}
