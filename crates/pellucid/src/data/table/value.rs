//! How the text of a cell is read as a number or a truth value.

/// The finite number that `text` stands for.
///
/// Digits with an optional sign, point and exponent (`-1.5e3`, `.5`); where `decimal_comma`, the comma may stand for
/// the point (`1,5`), else it may group digits by three (`1,234,567.8`). Words such as `inf` and `nan` are no numbers.
pub fn parse_number(text: &str, decimal_comma: bool) -> Option<f64> {
    let first = *text.as_bytes().first()?;
    if !(first.is_ascii_digit() || matches!(first, b'-' | b'+' | b'.' | b',')) {
        return None;
    }
    if let Ok(number) = text.parse::<f64>() {
        return number.is_finite().then_some(number);
    }
    if !text.contains(',') {
        return None;
    }
    let plain = if decimal_comma {
        if text.contains('.') {
            return None;
        }
        text.replacen(',', ".", 1)
    } else {
        ungrouped(text)?
    };
    plain.parse::<f64>().ok().filter(|number| number.is_finite())
}

/// `1,234,567.8` without its commas, where each stands before a group of three digits.
fn ungrouped(text: &str) -> Option<String> {
    let (sign, unsigned) = text.split_at(usize::from(text.starts_with(['-', '+'])));
    let (whole, fraction) = unsigned.split_at(unsigned.find('.').unwrap_or(unsigned.len()));
    let mut groups = whole.split(',');
    let digits = |group: &str| group.bytes().all(|byte| byte.is_ascii_digit());
    let first = groups.next().filter(|group| (1..=3).contains(&group.len()) && digits(group))?;
    let mut plain = format!("{sign}{first}");
    for group in groups {
        if group.len() != 3 || !digits(group) {
            return None;
        }
        plain.push_str(group);
    }
    plain.push_str(fraction);
    Some(plain)
}

/// The truth value of `true`, `false`, `yes`, `no`, `t`, `f`, `y`, `n` in any case. 0 and 1 are numbers.
pub fn parse_boolean(text: &str) -> Option<bool> {
    let is = |words: [&str; 4]| words.iter().any(|word| text.eq_ignore_ascii_case(word));
    if is(["true", "yes", "t", "y"]) {
        Some(true)
    } else if is(["false", "no", "f", "n"]) {
        Some(false)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_people_write_them() {
        for (text, number) in [("0", 0.0), ("-1.5e3", -1500.0), (".5", 0.5), ("+7", 7.0), ("3.", 3.0)] {
            assert_eq!(parse_number(text, false), Some(number), "{text}");
        }
        for text in ["", "-", "nan", "inf", "-inf", "1e999", "12a", "1 2", "0x10", "1949-01", "1,23,456", ",5", "1,5"] {
            assert_eq!(parse_number(text, false), None, "{text}");
        }
        assert_eq!(parse_number("-1,234,567.25", false), Some(-1_234_567.25));
        assert_eq!(parse_number("1,5", true), Some(1.5));
        assert_eq!(parse_number("1.234,5", true), None);
    }

    #[test]
    fn truth_values_are_words() {
        assert_eq!(["TRUE", "y", "No", "F"].map(parse_boolean), [Some(true), Some(true), Some(false), Some(false)]);
        assert_eq!(["0", "1", "", "on"].map(parse_boolean), [None; 4]);
    }
}
