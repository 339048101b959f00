//! Dates and times in a column, and the numbers that they become.

use serde::{Deserialize, Serialize};

/// How the dates of a column are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DateFormat {
    /// ISO 8601: `2024-03-31`, `2024-03`, also with slashes (`2024/03/31`).
    Iso,
    /// `31/03/2024`, `31.03.2024` or `31-03-2024`.
    DayFirst,
    /// `03/31/2024` or `03-31-2024`.
    MonthFirst,
}

impl DateFormat {
    /// All formats, in the order in which they are tried. Where all dates of a column could be read with the day first
    /// or with the month first, the day comes first.
    pub const ALL: [DateFormat; 3] = [DateFormat::Iso, DateFormat::DayFirst, DateFormat::MonthFirst];
}

/// A point in time, on the proleptic Gregorian calendar.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Date {
    /// Year, 0 to 9999.
    pub year: i32,
    /// Month, 1 to 12.
    pub month: u32,
    /// Day of the month, 1 to 31.
    pub day: u32,
    /// Seconds since midnight, 0 up to 86,400; an offset from UTC may carry it below or above.
    pub seconds: f64,
}

impl Date {
    /// Whole days since 1970-01-01; Howard Hinnant's `days_from_civil`
    /// (<https://howardhinnant.github.io/date_algorithms.html>).
    pub fn days(&self) -> i64 {
        let year = i64::from(self.year) - i64::from(self.month <= 2);
        let era = year.div_euclid(400);
        let year_of_era = year.rem_euclid(400);
        let day_of_year = (153 * ((i64::from(self.month) + 9) % 12) + 2) / 5 + i64::from(self.day) - 1;
        let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
        era * 146_097 + day_of_era - 719_468
    }

    /// Day of the week: 0 for Monday to 6 for Sunday.
    pub fn weekday(&self) -> u32 {
        // 1970-01-01 was a Thursday.
        (self.days() + 3).rem_euclid(7) as u32
    }

    /// Days since 1970-01-01 with the time as a fraction.
    pub fn days_and_time(&self) -> f64 {
        self.days() as f64 + self.seconds / 86_400.0
    }
}

/// The date in `text`: a date of `format`, optionally followed by `T` or a space and a time `HH:MM`, `HH:MM:SS` or
/// `HH:MM:SS.fff`, and that by `Z` or an offset such as `+02:00`, which is taken off.
pub fn parse_date(text: &str, format: DateFormat) -> Option<Date> {
    if !text.as_bytes().first()?.is_ascii_digit() {
        return None;
    }
    let (date, time) = match text.find(['T', ' ']) {
        Some(at) => (&text[..at], Some(text[at + 1..].trim_start())),
        None => (text, None),
    };
    let separator = date.bytes().find(|byte| !byte.is_ascii_digit())?;
    if !matches!(separator, b'-' | b'/' | b'.') || (separator == b'.' && format != DateFormat::DayFirst) {
        return None;
    }
    let mut parts = date.split(separator as char);
    let mut next = |digits: std::ops::RangeInclusive<usize>| -> Option<u32> {
        let part = parts.next()?;
        let plain = digits.contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit());
        if plain { part.parse().ok() } else { None }
    };
    let (year, month, day) = match format {
        DateFormat::Iso => {
            let (year, month) = (next(4..=4)?, next(1..=2)?);
            let whole = date.bytes().filter(|byte| *byte == separator).count() == 2;
            (year, month, if whole { next(1..=2)? } else { 1 })
        }
        DateFormat::DayFirst => {
            let (day, month) = (next(1..=2)?, next(1..=2)?);
            (next(4..=4)?, month, day)
        }
        DateFormat::MonthFirst => {
            let (month, day) = (next(1..=2)?, next(1..=2)?);
            (next(4..=4)?, month, day)
        }
    };
    if parts.next().is_some() || !(1..=12).contains(&month) || day < 1 || day > days_in(year, month) {
        return None;
    }
    let seconds = match time {
        Some(time) => parse_time(time)?,
        None => 0.0,
    };
    Some(Date { year: year as i32, month, day, seconds })
}

fn days_in(year: u32, month: u32) -> u32 {
    let leap = (year.is_multiple_of(4) && !year.is_multiple_of(100)) || year.is_multiple_of(400);
    match month {
        2 => 28 + u32::from(leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Seconds since midnight, UTC where an offset is given.
fn parse_time(text: &str) -> Option<f64> {
    let end = text.find(['Z', '+', '-']).unwrap_or(text.len());
    let (clock, offset) = text.split_at(end);
    let offset_minutes = match offset.as_bytes() {
        [] | [b'Z'] => 0.0,
        [sign, ..] if *sign != b'Z' => {
            let digits = offset[1..].replacen(':', "", 1);
            if !matches!(digits.len(), 2 | 4) || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
                return None;
            }
            let (hours, minutes) = (two(&digits[..2])?, if digits.len() == 4 { two(&digits[2..])? } else { 0 });
            let minutes = f64::from(hours * 60 + minutes);
            if *sign == b'-' { -minutes } else { minutes }
        }
        _ => return None,
    };
    let mut parts = clock.trim_end().split(':');
    let (hours, minutes) = (two(parts.next()?)?, two(parts.next()?)?);
    let seconds = match parts.next() {
        None => 0.0,
        Some(part) => {
            two(part.get(..2)?)?;
            part.parse::<f64>().ok()?
        }
    };
    let valid = parts.next().is_none() && hours < 24 && minutes < 60 && seconds < 61.0;
    valid.then(|| f64::from(hours * 3600 + minutes * 60) + seconds - offset_minutes * 60.0)
}

fn two(text: &str) -> Option<u32> {
    let plain = (1..=2).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    if plain { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_weekdays_agree_with_the_calendar() {
        // Days and weekdays from GNU date: date -u -d DATE +%s, +%u.
        for (text, days, weekday) in
            [("1970-01-01", 0, 3), ("2000-02-29", 11_016, 1), ("1949-01", -7670, 5), ("2024/12/31", 20_088, 1)]
        {
            let date = parse_date(text, DateFormat::Iso).expect(text);
            assert_eq!((date.days(), date.weekday()), (days, weekday), "{text}");
        }
    }

    #[test]
    fn times_and_offsets_are_read() {
        let seconds = |text| parse_date(text, DateFormat::Iso).map(|date| date.seconds);
        assert_eq!(seconds("2024-03-31T12:30"), Some(45_000.0));
        assert_eq!(seconds("2024-03-31 00:00:01.5Z"), Some(1.5));
        assert_eq!(seconds("2024-03-31T00:00:00+02:00"), Some(-7200.0));
        for text in
            ["2024-03-31T25:00", "2024-03-31T12", "2024-03-31Tx", "2024-02-30", "2024-13-01", "2024", "24-01-01"]
        {
            assert_eq!(seconds(text), None, "{text}");
        }
        assert_eq!(seconds("2024-03-31T12:00:0é"), None);
    }

    #[test]
    fn the_order_of_day_and_month_is_that_of_the_format() {
        let day_first = parse_date("03.04.2021", DateFormat::DayFirst).expect("day first");
        assert_eq!((day_first.month, day_first.day), (4, 3));
        let month_first = parse_date("03/14/2021", DateFormat::MonthFirst).expect("month first");
        assert_eq!((month_first.month, month_first.day), (3, 14));
        assert_eq!(parse_date("03/14/2021", DateFormat::DayFirst), None);
        assert_eq!(parse_date("1.5.2", DateFormat::DayFirst), None);
    }
}
