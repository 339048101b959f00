//! Numbers as people read them, the same in the terminal, in plots and in the report.

/// A measured value with four significant digits: `0.9712`, `12.35`, `48713`, `1.234e-6`.
pub fn number(value: f64) -> String {
    let size = value.abs();
    if value.is_nan() {
        "NaN".to_string()
    } else if value.is_infinite() {
        if value > 0.0 { "inf".to_string() } else { "-inf".to_string() }
    } else if value == 0.0 {
        "0".to_string()
    } else if !(1e-4..1e7).contains(&size) {
        format!("{value:.3e}")
    } else {
        format!("{value:.*}", decimals_of(size))
    }
}

/// Values that are read side by side, all with as many digits behind the point as the largest of them needs; each for
/// itself (see [`number`]) where that would leave a small one fewer than two digits.
pub fn numbers(values: &[f64]) -> Vec<String> {
    let sizes = || values.iter().map(|value| value.abs()).filter(|size| size.is_finite() && *size > 0.0);
    let (low, high) = (sizes().fold(f64::INFINITY, f64::min), sizes().fold(0.0, f64::max));
    let decimals = decimals_of(high);
    if (1e-4..1e7).contains(&low) && high < 1e7 && low * libm::pow(10.0, decimals as f64) >= 10.0 {
        let same = |value: &f64| if value.is_finite() { format!("{value:.decimals$}") } else { number(*value) };
        values.iter().map(same).collect()
    } else {
        values.iter().map(|value| number(*value)).collect()
    }
}

/// Digits behind the point that leave four significant ones; rounding up (9.9996) may show a fifth.
fn decimals_of(size: f64) -> usize {
    let steps = [(1e3, 0), (1e2, 1), (1e1, 2), (1.0, 3), (1e-1, 4), (1e-2, 5), (1e-3, 6)];
    steps.iter().find(|(from, _)| size >= *from).map_or(7, |(_, decimals)| *decimals)
}

/// A whole number with thousands apart: `1 234 567` (thin enough to read, no comma or point to mistake for a decimal).
pub fn count(value: u64) -> String {
    let digits = value.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(' ');
        }
        out.push(digit);
    }
    out
}

/// A number of rows: whole as a rule (see [`count`]), with digits behind the point where rows have weights.
pub fn rows(value: f64) -> String {
    // Up to 2^53 every whole number is exact.
    if value >= 0.0 && value.fract() == 0.0 && value < 9e15 { count(value as u64) } else { number(value) }
}

/// A large number in short: `987`, `12.3k`, `4.56M`, `1.20G`.
pub fn short(value: f64) -> String {
    if !value.is_finite() || value < 0.0 {
        return number(value);
    }
    for (from, unit) in [(1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")] {
        // 999.6k would read as 1000k; the next unit takes over where rounding does.
        if value >= from * 0.9995 {
            let scaled = value / from;
            let decimals = if scaled >= 99.95 { 0 } else { usize::from(scaled < 9.995) + 1 };
            return format!("{scaled:.decimals$}{unit}");
        }
    }
    format!("{value:.0}")
}

/// A length of time: `4.2 ms`, `3.4 s`, `2 min 05 s`, `1 h 02 min`.
pub fn seconds(value: f64) -> String {
    if !value.is_finite() || value < 0.0 {
        return "?".to_string();
    }
    if value < 0.9995 {
        return format!("{:.1} ms", value * 1e3);
    }
    if value < 59.95 {
        return format!("{value:.1} s");
    }
    let whole = value.round() as u64;
    let (hours, minutes, rest) = (whole / 3600, whole / 60 % 60, whole % 60);
    if hours == 0 { format!("{minutes} min {rest:02} s") } else { format!("{hours} h {minutes:02} min") }
}

/// A share in percent: `97.1 %`, and `<0.1 %` for what would otherwise read as none.
pub fn percent(share: f64) -> String {
    if share > 0.0 && share < 0.0005 { "<0.1 %".to_string() } else { format!("{:.1} %", share * 100.0) }
}

/// At most `width` characters of `text`, the last one an ellipsis (`…`, or `~` in ASCII) if something was cut.
pub fn shorten(text: &str, width: usize, unicode: bool) -> String {
    if console::measure_text_width(text) <= width {
        return text.to_string();
    }
    let (mut out, mut used) = (String::new(), 0);
    for symbol in text.chars() {
        let next = console::measure_text_width(symbol.encode_utf8(&mut [0; 4]));
        if used + next + 1 > width {
            break;
        }
        out.push(symbol);
        used += next;
    }
    out.push(if unicode { '…' } else { '~' });
    out
}

/// True for characters that would steer a terminal, break XML or reverse the reading direction: control characters,
/// bidirectional overrides and isolates, line separators, and the two non-characters that XML forbids.
///
/// Names of classes and columns come from files, so they are not trusted anywhere.
pub fn is_unsafe_to_show(symbol: char) -> bool {
    symbol.is_control()
        || matches!(symbol, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
        || matches!(symbol, '\u{fffe}' | '\u{ffff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_four_significant_digits() {
        for (value, text) in [
            (0.0, "0"),
            (0.97123, "0.9712"),
            (-0.0123456, "-0.01235"),
            (0.00123456, "0.001235"),
            (0.000123456, "0.0001235"),
            (0.0000123456, "1.235e-5"),
            (1.0, "1.000"),
            (12.3456, "12.35"),
            (48712.6, "48713"),
            (12345678.0, "1.235e7"),
            (f64::NAN, "NaN"),
            (f64::NEG_INFINITY, "-inf"),
        ] {
            assert_eq!(number(value), text);
        }
    }

    #[test]
    fn neighbours_share_their_digits_unless_one_would_vanish() {
        assert_eq!(numbers(&[0.00412, 0.0881, f64::NAN]), ["0.00412", "0.08810", "NaN"]);
        assert_eq!(numbers(&[0.000412, 0.881]), ["0.0004120", "0.8810"]);
        assert_eq!(numbers(&[48_712.4, 51_000.0]), ["48712", "51000"]);
        assert_eq!(numbers(&[0.0, 0.5]), ["0.0000", "0.5000"]);
        assert_eq!(numbers(&[]), Vec::<String>::new());
    }

    #[test]
    fn large_and_small_quantities_are_short() {
        assert_eq!(count(0), "0");
        assert_eq!(count(999), "999");
        assert_eq!(count(1_234_567), "1 234 567");
        assert_eq!(rows(1234.0), "1 234");
        assert_eq!(rows(12.5), "12.50");
        assert_eq!(short(987.4), "987");
        assert_eq!(short(999.7), "1.00k");
        assert_eq!(short(12_345.0), "12.3k");
        assert_eq!(short(123_456.0), "123k");
        assert_eq!(short(999_999.0), "1.00M");
        assert_eq!(short(4_560_000_000.0), "4.56G");
        assert_eq!(seconds(0.0042), "4.2 ms");
        assert_eq!(seconds(3.44), "3.4 s");
        assert_eq!(seconds(59.97), "1 min 00 s");
        assert_eq!(seconds(3720.0), "1 h 02 min");
        assert_eq!(seconds(f64::INFINITY), "?");
        assert_eq!(percent(0.9712), "97.1 %");
        assert_eq!(percent(0.0001), "<0.1 %");
        assert_eq!(percent(0.0), "0.0 %");
    }

    #[test]
    fn cutting_counts_columns_not_bytes() {
        assert_eq!(shorten("überaus", 7, true), "überaus");
        assert_eq!(shorten("überauser", 7, true), "überau…");
        assert_eq!(shorten("classification", 6, false), "class~");
        // Two columns each: two of them and the ellipsis fill five.
        assert_eq!(shorten("東京大阪", 5, true), "東京…");
    }
}
