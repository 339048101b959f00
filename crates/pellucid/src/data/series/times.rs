//! The column of times: in order, and in equal steps.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::SeriesError;
use crate::data::table::{Date, DateFormat, Table, parse_date, parse_number};

/// How far two times that follow each other are apart.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TimeStep {
    /// Numbers that grow by this one.
    Number(f64),
    /// Dates, so many seconds apart.
    Seconds(i64),
    /// Dates, so many months apart.
    Months(i64),
}

const DAY: i64 = 86_400;

impl fmt::Display for TimeStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TimeStep::Number(step) => step.fmt(f),
            TimeStep::Months(1) => f.write_str("a month"),
            TimeStep::Months(12) => f.write_str("a year"),
            TimeStep::Months(months) => write!(f, "{months} months"),
            TimeStep::Seconds(DAY) => f.write_str("a day"),
            TimeStep::Seconds(3600) => f.write_str("an hour"),
            TimeStep::Seconds(seconds) if seconds % DAY == 0 => write!(f, "{} days", seconds / DAY),
            TimeStep::Seconds(seconds) => write!(f, "{seconds} seconds"),
        }
    }
}

impl TimeStep {
    /// Steps after which values are likely to resemble each other: a year of months or quarters, a week of days, a day of
    /// hours; 1 where nothing is known.
    pub fn season(self) -> usize {
        match self {
            TimeStep::Months(months) if months > 0 && 12 % months == 0 && months < 12 => (12 / months) as usize,
            TimeStep::Seconds(DAY) => 7,
            TimeStep::Seconds(seconds) if seconds > 0 && seconds < DAY && DAY % seconds == 0 => {
                (DAY / seconds) as usize
            }
            _ => 1,
        }
    }
}

/// The times of a series.
#[derive(Clone, Debug, PartialEq)]
pub struct TimeColumn {
    /// Name of the column.
    pub name: String,
    /// As they stand in the file, step by step.
    pub texts: Vec<String>,
    /// How far apart they are.
    pub step: TimeStep,
    format: Option<DateFormat>,
}

/// Is every value of the column a date?
pub(super) fn are_dates(table: &Table, column: usize) -> bool {
    table.rows() > 1 && date_format(table, column).is_some()
}

fn date_format(table: &Table, column: usize) -> Option<DateFormat> {
    let all = |format: &DateFormat| (0..table.rows()).all(|row| parse_date(table.cell(row, column), *format).is_some());
    DateFormat::ALL.into_iter().find(all)
}

impl TimeColumn {
    /// Reads the times of a table, and finds their step.
    ///
    /// # Errors
    /// A time that cannot be read, that is not after the one before, or comes at another distance than the others.
    pub(super) fn read(table: &Table, column: usize) -> Result<TimeColumn, SeriesError> {
        let texts: Vec<String> = (0..table.rows()).map(|row| table.cell(row, column).to_string()).collect();
        let format = date_format(table, column);
        let distances = Distances::read(table, column, format, 0..table.rows())?;
        let step = distances.first().unwrap_or(TimeStep::Number(1.0));
        for row in 1..texts.len() {
            let (source_name, line) = (table.name().to_string(), table.line(row));
            let (time, before) = (texts[row].clone(), texts[row - 1].clone());
            distances.check_order(table, column, row, (row - 1, row))?;
            if !distances.is(row, step) {
                return Err(SeriesError::Gap { source_name, line, time, before, step: step.to_string() });
            }
        }
        Ok(TimeColumn { name: table.names()[column].clone(), texts, step, format })
    }

    /// The time of step `step`, counted from 0; of one behind the last, written as the others are.
    pub fn at(&self, step: usize) -> String {
        let Some(steps) = (step + 1).checked_sub(self.texts.len()).filter(|steps| *steps > 0) else {
            return self.texts[step].clone();
        };
        let last = self.texts.last().map(String::as_str).unwrap_or_default();
        match (self.step, self.format) {
            (TimeStep::Number(step), _) => {
                let next = parse_number(last, false).unwrap_or(0.0) + step * steps as f64;
                // What a sum of decimals adds behind their last place.
                ((next * 1e9).round() / 1e9).to_string()
            }
            (step, format) => {
                let Some(date) = format.and_then(|format| parse_date(last, format)) else { return String::new() };
                let with_day = last.split(['T', ' ']).next().unwrap_or_default().matches(['-', '/', '.']).count() == 2;
                let with_time = last.contains([':']);
                moved(date, step, steps as i64).text(with_day, with_time)
            }
        }
    }
}

/// The times as numbers: of months where all are the same day and time of a month, else of seconds.
enum Distances {
    Numbers(Vec<f64>),
    Months(Vec<i64>),
    Seconds(Vec<i64>),
}

/// Refuses rows of a table whose times do not grow from one to the next, in any of the sequences.
///
/// # Errors
/// A time that cannot be read, or is not after the one before.
pub(in crate::data) fn check_order(table: &Table, column: usize, sequences: &[Vec<u32>]) -> Result<(), SeriesError> {
    let format = date_format(table, column);
    for rows in sequences {
        let distances = Distances::read(table, column, format, rows.iter().map(|row| *row as usize))?;
        for (step, rows) in rows.windows(2).enumerate() {
            distances.check_order(table, column, step + 1, (rows[0] as usize, rows[1] as usize))?;
        }
    }
    Ok(())
}

/// The place in time of these rows of a table, by the dates or numbers in a column: 0 for the earliest, equal times the same.
///
/// # Errors
/// A column that is not there, or a time that cannot be read.
pub fn time_ranks(table: &Table, column: &str, rows: &[u32]) -> Result<Vec<u32>, SeriesError> {
    let column = super::find_column(table, column)?;
    let format = date_format(table, column);
    Ok(Distances::read(table, column, format, rows.iter().map(|row| *row as usize))?.ranks())
}

impl Distances {
    /// The times in these rows of a table, which are dates if there is a format.
    fn read(
        table: &Table,
        column: usize,
        format: Option<DateFormat>,
        rows: impl Iterator<Item = usize>,
    ) -> Result<Distances, SeriesError> {
        if let Some(format) = format {
            let dates: Vec<Date> = rows.filter_map(|row| parse_date(table.cell(row, column), format)).collect();
            return Ok(Distances::of_dates(&dates));
        }
        let number = |row: usize| {
            let text = table.cell(row, column);
            parse_number(text, table.decimal_comma()).ok_or_else(|| SeriesError::Time {
                source_name: table.name().to_string(),
                line: table.line(row),
                text: text.to_string(),
            })
        };
        rows.map(number).collect::<Result<_, _>>().map(Distances::Numbers)
    }

    /// Refuses the time at `place` if it is not after the one before; `rows` of the table are where these two stand.
    fn check_order(
        &self,
        table: &Table,
        column: usize,
        place: usize,
        (before, row): (usize, usize),
    ) -> Result<(), SeriesError> {
        if self.grows(place) {
            return Ok(());
        }
        let [time, before] = [row, before].map(|row| table.cell(row, column).to_string());
        Err(SeriesError::Order { source_name: table.name().to_string(), line: table.line(row), time, before })
    }

    fn of_dates(dates: &[Date]) -> Distances {
        let same = dates.windows(2).all(|pair| pair[0].day == pair[1].day && pair[0].seconds == pair[1].seconds);
        if same {
            return Distances::Months(
                dates.iter().map(|date| i64::from(date.year) * 12 + i64::from(date.month)).collect(),
            );
        }
        Distances::Seconds(dates.iter().map(|date| date.days() * DAY + date.seconds as i64).collect())
    }

    /// How many different times there are before each.
    fn ranks(&self) -> Vec<u32> {
        let compare = |a: &usize, b: &usize| match self {
            Distances::Numbers(times) => times[*a].total_cmp(&times[*b]),
            Distances::Months(times) | Distances::Seconds(times) => times[*a].cmp(&times[*b]),
        };
        let count = match self {
            Distances::Numbers(times) => times.len(),
            Distances::Months(times) | Distances::Seconds(times) => times.len(),
        };
        let mut order: Vec<usize> = (0..count).collect();
        order.sort_by(compare);
        let (mut ranks, mut rank) = (vec![0; count], 0);
        for pair in order.windows(2) {
            rank += u32::from(compare(&pair[0], &pair[1]).is_lt());
            ranks[pair[1]] = rank;
        }
        ranks
    }

    fn first(&self) -> Option<TimeStep> {
        match self {
            Distances::Numbers(times) => times.get(1).map(|second| TimeStep::Number(second - times[0])),
            Distances::Months(times) => times.get(1).map(|second| TimeStep::Months(second - times[0])),
            Distances::Seconds(times) => times.get(1).map(|second| TimeStep::Seconds(second - times[0])),
        }
    }

    fn grows(&self, row: usize) -> bool {
        match self {
            Distances::Numbers(times) => times[row] > times[row - 1],
            Distances::Months(times) | Distances::Seconds(times) => times[row] > times[row - 1],
        }
    }

    fn is(&self, row: usize, step: TimeStep) -> bool {
        match (self, step) {
            (Distances::Numbers(times), TimeStep::Number(step)) => {
                (times[row] - times[row - 1] - step).abs() <= 1e-6 * step.abs().max(times[row].abs() * 1e-6)
            }
            (Distances::Months(times), TimeStep::Months(step)) => times[row] - times[row - 1] == step,
            (Distances::Seconds(times), TimeStep::Seconds(step)) => times[row] - times[row - 1] == step,
            _ => false,
        }
    }
}

struct Moved {
    year: i64,
    month: i64,
    day: i64,
    seconds: i64,
}

impl Moved {
    fn text(&self, with_day: bool, with_time: bool) -> String {
        let Moved { year, month, day, seconds } = self;
        let mut text = format!("{year:04}-{month:02}");
        if with_day {
            text += &format!("-{day:02}");
        }
        if with_time {
            text += &format!(" {:02}:{:02}", seconds / 3600, seconds / 60 % 60);
            if seconds % 60 != 0 {
                text += &format!(":{:02}", seconds % 60);
            }
        }
        text
    }
}

fn moved(date: Date, step: TimeStep, steps: i64) -> Moved {
    match step {
        TimeStep::Months(months) => {
            let index = i64::from(date.year) * 12 + i64::from(date.month) - 1 + months * steps;
            let (day, seconds) = (i64::from(date.day), date.seconds as i64);
            Moved { year: index.div_euclid(12), month: index.rem_euclid(12) + 1, day, seconds }
        }
        TimeStep::Seconds(length) => {
            let all = date.days() * DAY + date.seconds as i64 + length * steps;
            let (year, month, day) = civil(all.div_euclid(DAY));
            Moved { year, month, day, seconds: all.rem_euclid(DAY) }
        }
        TimeStep::Number(_) => unreachable!("dates are no numbers"),
    }
}

/// Year, month and day of a number of days since 1970-01-01; Howard Hinnant's `civil_from_days`
/// (<https://howardhinnant.github.io/date_algorithms.html>).
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::TableOptions;

    fn times(times: &[&str]) -> Result<TimeColumn, SeriesError> {
        let lines: String = times.iter().map(|time| format!("{time},1\n")).collect();
        let table = Table::from_reader("s.csv", format!("t,y\n{lines}").as_bytes(), &TableOptions::default());
        TimeColumn::read(&table.expect("a table"), 0)
    }

    #[test]
    fn steps_are_found_and_go_on() {
        for (given, step, season, next, later) in [
            (vec!["1949-11", "1949-12", "1950-01"], TimeStep::Months(1), 12, "1950-02", "1951-01"),
            (vec!["2020-01-01", "2020-04-01"], TimeStep::Months(3), 4, "2020-07-01", "2023-04-01"),
            (vec!["2020-02-27", "2020-02-28"], TimeStep::Seconds(DAY), 7, "2020-02-29", "2020-03-11"),
            (
                vec!["2020-12-31 22:00", "2020-12-31 23:00"],
                TimeStep::Seconds(3600),
                24,
                "2021-01-01 00:00",
                "2021-01-01 11:00",
            ),
            (vec!["0", "0.5", "1"], TimeStep::Number(0.5), 1, "1.5", "7"),
            (vec!["2001", "2002", "2003"], TimeStep::Number(1.0), 1, "2004", "2015"),
        ] {
            let column = times(&given).expect("in order");
            assert_eq!((column.step, column.step.season()), (step, season), "{given:?}");
            assert_eq!([0, 11].map(|more| column.at(given.len() + more)), [next, later], "{given:?}");
        }
    }

    #[test]
    fn disorder_and_gaps_are_named() {
        let error = |given: &[&str]| times(given).expect_err("refused").to_string();
        assert!(error(&["2020-01-01", "2020-01-02", "2020-01-02"]).contains("line 4: 2020-01-02 does not come after"));
        assert!(error(&["1", "2", "4"]).contains("line 4: 4 follows 2, but a step is 1"));
        assert!(error(&["1", "x"]).contains("line 3: \"x\" is no time"));
        assert!(error(&["2020-01-01 00:00", "2020-01-01 01:00", "2020-01-01 03:00"]).contains("a step is an hour"));
    }
}
