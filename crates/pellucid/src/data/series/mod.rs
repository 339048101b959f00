//! Series: values that follow each other in equal steps of time, and the windows of them that a forecast is learnt from.
//!
//! A network reads the last `window` steps of all columns and gives the next `horizon` steps of those that are predicted. Of
//! columns that are known in advance it reads the steps ahead too: each step of the window has, last, their values `horizon` steps
//! later. All
//! that is learnt about the columns, mean and deviation, is learnt from the steps to be learnt from.

mod plan;
mod times;

pub use plan::{ColumnScale, SeriesPlan};
pub use times::{TimeColumn, TimeStep, time_ranks};

pub(super) use times::check_order;

use std::ops::Range;

use crate::data::pipeline::{PipelineError, find_column};
use crate::data::table::{Table, parse_number};

/// Which columns are what.
#[derive(Clone, Debug, Default)]
pub struct SeriesOptions {
    /// The columns that are predicted, by name or index; the last one if none is given.
    pub targets: Vec<String>,
    /// The column of times, by name or index; by default the first whose values are all dates, if there is one.
    pub time: Option<String>,
    /// Columns whose future is known in advance, by name or index: a calendar, a price, a weather forecast. Rows at the end that
    /// say nothing of what is predicted are that future.
    pub known: Vec<String>,
}

/// Columns of numbers in the order of time, those that are predicted first.
#[derive(Clone, Debug)]
pub struct Series {
    /// The file that it came from.
    pub source: String,
    /// Names of the columns.
    pub names: Vec<String>,
    /// How many of them, from the first, are predicted.
    pub targets: usize,
    /// The columns whose future is known.
    pub known: Vec<usize>,
    /// Values of each column, step by step; of those whose future is known with it.
    pub values: Vec<Vec<f64>>,
    /// The line of each step, and of each step of the future.
    pub lines: Vec<usize>,
    /// The times, if a column says them.
    pub time: Option<TimeColumn>,
    /// Columns that hold no numbers, and are left out.
    pub left_out: Vec<String>,
}

/// Why a table is no series, or a series does not fit.
#[derive(Debug, thiserror::Error)]
pub enum SeriesError {
    /// A column that is not there.
    #[error(transparent)]
    Column(#[from] PipelineError),
    /// A column without a number in every line.
    #[error(
        "{source_name}: line {line}: {column} is {text:?}, a series needs a number at every step; fill in what is missing"
    )]
    Value {
        /// The file.
        source_name: String,
        /// The line.
        line: usize,
        /// The column.
        column: String,
        /// What stands there.
        text: String,
    },
    /// A column whose future is known for two things.
    #[error("column `{0}` is predicted or says the time; only other columns can be known in advance")]
    Known(String),
    /// What is known in advance has to be seen.
    #[error(
        "a window of {window} steps is too short for {horizon} steps of what is known in advance; choose a window of {horizon} at least"
    )]
    Short {
        /// Steps of a window.
        window: usize,
        /// Steps of a forecast.
        horizon: usize,
    },
    /// A time that cannot be read.
    #[error(
        "{source_name}: line {line}: {text:?} is no time; times are numbers or dates such as 2024-05-31, 2024-05 or 2024-05-31 14:00"
    )]
    Time {
        /// The file.
        source_name: String,
        /// The line.
        line: usize,
        /// What stands there.
        text: String,
    },
    /// A time that is not after the one before.
    #[error(
        "{source_name}: line {line}: {time} does not come after {before}; sort the lines by time, one line for each"
    )]
    Order {
        /// The file.
        source_name: String,
        /// The line.
        line: usize,
        /// Its time.
        time: String,
        /// The time of the line before.
        before: String,
    },
    /// A step of another length.
    #[error(
        "{source_name}: line {line}: {time} follows {before}, but a step is {step}; fill in the lines between, or leave the column of times out"
    )]
    Gap {
        /// The file.
        source_name: String,
        /// The line.
        line: usize,
        /// Its time.
        time: String,
        /// The time of the line before.
        before: String,
        /// How long a step is.
        step: String,
    },
    /// Too few steps.
    #[error(
        "{source_name} has {steps} steps{what}; a window of {window} and a horizon of {horizon} need {needed}; choose smaller ones or give more data"
    )]
    TooShort {
        /// The file.
        source_name: String,
        /// Steps that there are.
        steps: usize,
        /// Which steps, with a space in front.
        what: &'static str,
        /// Steps of a window.
        window: usize,
        /// Steps of a forecast.
        horizon: usize,
        /// Steps that are needed at least.
        needed: usize,
    },
    /// Too few steps to forecast from.
    #[error("{source_name} has {steps} steps; the model needs {window} to forecast from")]
    Window {
        /// The file.
        source_name: String,
        /// Steps that there are.
        steps: usize,
        /// Steps of a window.
        window: usize,
    },
    /// The future of what is known in advance is not there.
    #[error(
        "{source_name}: {column} must be known {horizon} steps ahead, but there are {found} lines behind the last {target}; add lines with {column}, and {target} left empty"
    )]
    Future {
        /// The file.
        source_name: String,
        /// The column that is known.
        column: String,
        /// The column that is predicted.
        target: String,
        /// Steps of a forecast.
        horizon: usize,
        /// Steps of the future that are there.
        found: usize,
    },
    /// A value without a logarithm.
    #[error(
        "{source_name}: line {line}: {column} is {value}; the model takes its logarithm, since all that it learnt from were above 0"
    )]
    NotPositive {
        /// The file.
        source_name: String,
        /// The line.
        line: usize,
        /// The column.
        column: String,
        /// The value.
        value: f64,
    },
}

impl Series {
    /// Reads a table as a series.
    ///
    /// # Errors
    /// A column that is not there; a value that is missing or no number; times that are not in order or not in equal steps.
    pub fn read(table: &Table, options: &SeriesOptions) -> Result<Series, SeriesError> {
        let source = table.name().to_string();
        let time = match &options.time {
            Some(name) => Some(find_column(table, name)?),
            None => (0..table.columns()).find(|&column| times::are_dates(table, column)),
        };
        let time_column = time.map(|column| TimeColumn::read(table, column)).transpose()?;
        let mut targets = Vec::new();
        for target in &options.targets {
            targets.push(find_column(table, target)?);
        }
        if targets.is_empty() {
            targets.extend((0..table.columns()).rev().find(|&column| Some(column) != time));
        }
        let mut known = Vec::new();
        for name in &options.known {
            let column = find_column(table, name)?;
            if targets.contains(&column) || time == Some(column) {
                return Err(SeriesError::Known(table.names()[column].clone()));
            }
            if !known.contains(&column) {
                known.push(column);
            }
        }
        let is_future = |row: &usize| targets.iter().all(|column| table.value(*row, *column).is_none());
        let rows = table.rows();
        let future = if known.is_empty() { 0 } else { (0..rows).rev().take_while(is_future).count() };
        let others = (0..table.columns()).filter(|column| Some(*column) != time && !targets.contains(column));
        let mut series = Series {
            source,
            names: Vec::new(),
            targets: targets.len(),
            known: Vec::new(),
            values: Vec::new(),
            lines: (0..rows).map(|row| table.line(row)).collect(),
            time: time_column,
            left_out: Vec::new(),
        };
        for column in targets.iter().copied().chain(others) {
            let (is_target, is_known) = (series.names.len() < series.targets, known.contains(&column));
            match numbers(table, column, 0..if is_known { rows } else { rows - future }) {
                Ok(values) => {
                    if is_known {
                        series.known.push(series.names.len());
                    }
                    series.names.push(table.names()[column].clone());
                    series.values.push(values);
                }
                // A column without any number is something else; one with some has a mistake in it.
                Err(error) if is_target || is_known || has_number(table, column) => return Err(error),
                Err(_) => series.left_out.push(table.names()[column].clone()),
            }
        }
        Ok(series)
    }

    /// How many steps there are of what is predicted.
    pub fn steps(&self) -> usize {
        self.values[0].len()
    }
}

pub(super) fn has_number(table: &Table, column: usize) -> bool {
    (0..table.rows()).any(|row| parse_number(table.cell(row, column), table.decimal_comma()).is_some())
}

pub(super) fn numbers(table: &Table, column: usize, rows: Range<usize>) -> Result<Vec<f64>, SeriesError> {
    let number = |row: usize| {
        let parsed = table.value(row, column).and_then(|text| parse_number(text, table.decimal_comma()));
        parsed.filter(|value| value.is_finite()).ok_or_else(|| SeriesError::Value {
            source_name: table.name().to_string(),
            line: table.line(row),
            column: table.names()[column].clone(),
            text: table.cell(row, column).to_string(),
        })
    };
    rows.map(number).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::TableOptions;

    fn table(text: &str) -> Table {
        Table::from_reader("s.csv", text.as_bytes(), &TableOptions::default()).expect("a table")
    }

    #[test]
    fn columns_are_ordered_with_what_is_predicted_first() {
        let table = table("month,rain,place,sales\n2020-01,1.5,x,10\n2020-02,2,y,11\n2020-03,0,z,12\n");
        let series = Series::read(&table, &SeriesOptions::default()).expect("a series");
        assert_eq!((series.names, series.targets), (vec!["sales".to_string(), "rain".to_string()], 1));
        assert_eq!(series.values, [[10.0, 11.0, 12.0], [1.5, 2.0, 0.0]]);
        assert_eq!(series.left_out, ["place"]);
        let time = series.time.expect("a column of months");
        assert_eq!((time.name.as_str(), time.step), ("month", TimeStep::Months(1)));
        let options = SeriesOptions { targets: vec!["rain".to_string()], ..SeriesOptions::default() };
        assert_eq!(Series::read(&table, &options).expect("a series").names, ["rain", "sales"]);
    }

    #[test]
    fn what_is_missing_has_its_line() {
        let error =
            |text: &str| Series::read(&table(text), &SeriesOptions::default()).expect_err("no series").to_string();
        let missing = error("t,y\n2020-01-01,1\n2020-01-02,?\n2020-01-03,3\n");
        assert!(missing.contains("s.csv: line 3: y is \"?\", a series needs a number"), "{missing}");
        let order = error("t,y\n2020-01-02,1\n2020-01-01,2\n");
        assert!(order.contains("line 3: 2020-01-01 does not come after 2020-01-02"), "{order}");
        let gap = error("t,y\n2020-01,1\n2020-02,2\n2020-04,2\n");
        assert!(gap.contains("line 4: 2020-04 follows 2020-02, but a step is a month"), "{gap}");
    }

    #[test]
    fn rows_behind_the_last_target_are_the_future_of_what_is_known() {
        let text = "t,price,rain,sales\n1,5,1,10\n2,6,2,11\n3,7,0,12\n4,8,,\n5,9,?,\n";
        let read = |known: &[&str]| {
            let known = known.iter().map(|name| name.to_string()).collect();
            Series::read(&table(text), &SeriesOptions { known, time: Some("t".into()), ..SeriesOptions::default() })
        };
        let series = read(&["price", "1"]).expect("a series");
        assert_eq!((series.steps(), &series.known), (3, &vec![1]));
        assert_eq!(series.values, [vec![10.0, 11.0, 12.0], vec![5.0, 6.0, 7.0, 8.0, 9.0], vec![1.0, 2.0, 0.0]]);
        let time = series.time.expect("a column of times");
        assert_eq!([2, 3, 4, 6].map(|step| time.at(step)), ["3", "4", "5", "7"]);
        let error = |known: &[&str]| read(known).expect_err("no series").to_string();
        assert!(error(&[]).contains("line 5: sales is \"\", a series needs a number"));
        assert!(error(&["rain"]).contains("line 5: rain is \"\", a series needs a number"));
        assert!(error(&["sales"]).contains("`sales` is predicted or says the time"));
        assert!(error(&["t"]).contains("`t` is predicted or says the time"));
    }
}
