//! Numbers of an explanation as text: as many digits as they are worth.

/// Values that are listed one by one; more are summed up.
pub(super) const LISTED: usize = 16;

/// A number with six digits.
pub fn figure(value: f64) -> String {
    Figures::new(false).one(value)
}

/// How numbers are written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Figures {
    /// Significant digits.
    digits: usize,
}

impl Figures {
    /// Nine digits of double precision, six of single.
    pub fn new(is_double: bool) -> Figures {
        Figures { digits: if is_double { 9 } else { 6 } }
    }

    /// A number, without zeros at its end: `0.298371109`, `0.5`, `-1.25e-7`.
    pub fn one(self, value: f64) -> String {
        if value == 0.0 {
            return "0".to_string();
        }
        let size = value.abs();
        if !size.is_finite() {
            return value.to_string();
        }
        if !(1e-4..1e9).contains(&size) {
            let text = format!("{value:.*e}", self.digits - 1);
            let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
            return format!("{}e{exponent}", without_zeros(digits));
        }
        let whole = libm::floor(libm::log10(size)) as i32 + 1;
        let decimals = (self.digits as i32 - whole).clamp(0, 12) as usize;
        without_zeros(&format!("{value:.decimals$}")).to_string()
    }

    /// A factor in a formula: negative numbers in brackets.
    pub fn factor(self, value: f64) -> String {
        let text = self.one(value);
        if value < 0.0 { format!("({text})") } else { text }
    }

    /// All of a few values; of many their norm, mean, extremes, zeros and the `top` of the greatest size, whose places `index` names.
    pub fn several(self, values: &[f64], top: usize, index: impl Fn(usize) -> String) -> Vec<String> {
        if values.len() <= LISTED {
            return vec![values.iter().map(|value| self.one(*value)).collect::<Vec<_>>().join(", ")];
        }
        let short = Figures { digits: 4 };
        let norm = libm::sqrt(values.iter().map(|value| value * value).sum());
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let [least, greatest] = [f64::min, f64::max].map(|pick| values.iter().copied().reduce(pick).unwrap_or(0.0));
        let zeros = values.iter().filter(|value| **value == 0.0).count();
        let mut lines = vec![format!(
            "{} values: norm {}, mean {}, from {} to {}{}",
            values.len(),
            short.one(norm),
            short.one(mean),
            short.one(least),
            short.one(greatest),
            if zeros > 0 { format!(", {zeros} of them 0") } else { String::new() }
        )];
        let largest: Vec<String> = largest(values, top)
            .into_iter()
            .map(|place| format!("[{}] {}", index(place), short.one(values[place])))
            .collect();
        if !largest.is_empty() {
            lines.push(format!("largest: {}", largest.join(", ")));
        }
        lines
    }
}

/// The places of the `most` values of the greatest size, the greatest first; zeros left out.
pub(super) fn largest(values: &[f64], most: usize) -> Vec<usize> {
    let mut places: Vec<usize> = (0..values.len()).filter(|place| values[*place] != 0.0).collect();
    places.sort_by(|a, b| values[*b].abs().total_cmp(&values[*a].abs()).then(a.cmp(b)));
    places.truncate(most);
    places
}

fn without_zeros(text: &str) -> &str {
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_nine_digits_or_six_and_no_zeros_at_the_end() {
        let double = Figures::new(true);
        for (value, text) in [
            (0.298_371_108_76, "0.298371109"),
            (0.149_780_716_14, "0.149780716"),
            (0.358_916_479_7, "0.35891648"),
            (0.5, "0.5"),
            (0.0, "0"),
            (-12.0, "-12"),
            (1_234.567_891_234, "1234.56789"),
            (-1.25e-7, "-1.25e-7"),
            (2e12, "2e12"),
        ] {
            assert_eq!(double.one(value), text);
        }
        assert_eq!(Figures::new(false).one(0.298_371_1), "0.298371");
        assert_eq!(double.factor(-0.5), "(-0.5)");
    }

    #[test]
    fn many_values_are_summed_up() {
        let figures = Figures::new(true);
        let index = |place: usize| format!("{},{}", place / 5, place % 5);
        assert_eq!(figures.several(&[1.0, -0.25], 3, index), ["1, -0.25"]);
        let mut values = vec![0.0; 20];
        (values[3], values[7]) = (3.0, -4.0);
        assert_eq!(
            figures.several(&values, 3, index),
            ["20 values: norm 5, mean -0.05, from -4 to 3, 18 of them 0", "largest: [1,2] -4, [0,3] 3"]
        );
    }
}
