//! What a column holds: its type, and the figures that describe it.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use crate::data::table::{Date, DateFormat, Table, parse_boolean, parse_date, parse_number};

/// Type of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ColumnType {
    /// Numbers.
    Number,
    /// Text with values that come again.
    Category,
    /// `true`, `false`, `yes`, `no`, `t`, `f`, `y`, `n`.
    Boolean,
    /// Dates, with or without time.
    Date,
    /// No value at all.
    Empty,
}

impl ColumnType {
    /// `number`, `category`, `boolean`, `date` or `empty`.
    pub fn name(self) -> &'static str {
        match self {
            ColumnType::Number => "number",
            ColumnType::Category => "category",
            ColumnType::Boolean => "boolean",
            ColumnType::Date => "date",
            ColumnType::Empty => "empty",
        }
    }
}

/// What a column holds, in a few figures.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ColumnSummary {
    /// Name of the column.
    pub name: String,
    /// Its type.
    pub column_type: ColumnType,
    /// Rows without a value.
    pub missing: usize,
    /// Different values.
    pub distinct: usize,
    /// Mean, standard deviation (1/n), smallest and largest value; of numbers only.
    pub numbers: Option<NumberSummary>,
    /// The most frequent values with their counts, at most [`ColumnSummary::TOP`]; of categories and booleans only.
    pub top: Vec<(String, usize)>,
    /// First and last date, as `YYYY-MM-DD`; of dates only.
    pub dates: Option<(String, String)>,
}

/// Figures of a column of numbers, over the rows that have one.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct NumberSummary {
    /// Mean.
    pub mean: f64,
    /// Standard deviation (1/n).
    pub std: f64,
    /// Smallest value.
    pub min: f64,
    /// Median.
    pub median: f64,
    /// Largest value.
    pub max: f64,
}

impl ColumnSummary {
    /// How many of the most frequent values are kept.
    pub const TOP: usize = 5;
}

/// Describes each column over all rows of a table.
pub fn summarise(table: &Table) -> Vec<ColumnSummary> {
    let rows: Vec<u32> = (0..table.rows() as u32).collect();
    (0..table.columns()).map(|column| Profile::of(table, column, &rows).summary(&table.names()[column])).collect()
}

/// All values of a column by its type.
pub(super) struct Profile<'t> {
    pub missing: usize,
    /// Rows with a value.
    pub present: usize,
    pub content: Content<'t>,
}

pub(super) enum Content<'t> {
    Empty,
    Numbers {
        /// Ascending.
        sorted: Vec<f64>,
        /// Words among the numbers, with the line of one of them; taken as missing.
        words: Vec<(&'t str, usize)>,
    },
    Booleans {
        trues: usize,
        falses: usize,
    },
    Dates {
        format: DateFormat,
        dates: Vec<Date>,
    },
    /// The most frequent first, equals in text order.
    Texts(Vec<(&'t str, usize)>),
}

/// A column is one of numbers with a few words in it (`unknown`, `-`) when at most this many different words make up
/// at most one in [`WORD_SHARE`] values; the words are then taken as missing.
const WORDS: usize = 5;
const WORD_SHARE: usize = 20;

impl<'t> Profile<'t> {
    pub fn of(table: &'t Table, column: usize, rows: &[u32]) -> Profile<'t> {
        let comma = table.decimal_comma();
        let mut numbers = Vec::with_capacity(rows.len());
        let mut others: Vec<(&str, usize)> = Vec::new();
        for &row in rows {
            if let Some(text) = table.value(row as usize, column) {
                match parse_number(text, comma) {
                    Some(number) => numbers.push(number),
                    None => others.push((text, row as usize)),
                }
            }
        }
        let present = numbers.len() + others.len();
        let profile = |missing, content| Profile { missing, present: rows.len() - missing, content };
        if present == 0 {
            return profile(rows.len(), Content::Empty);
        }
        let mut words: Vec<(&str, usize)> = Vec::new();
        if others.len() * WORD_SHARE <= present {
            for &(text, row) in &others {
                if !words.iter().any(|(word, _)| *word == text) {
                    words.push((text, table.line(row)));
                }
            }
            if words.len() <= WORDS {
                numbers.sort_by(f64::total_cmp);
                let missing = rows.len() - numbers.len();
                return profile(missing, Content::Numbers { sorted: numbers, words });
            }
        }
        let missing = rows.len() - present;
        if numbers.is_empty() {
            let booleans: Option<Vec<bool>> = others.iter().map(|(text, _)| parse_boolean(text)).collect();
            if let Some(booleans) = booleans {
                let trues = booleans.iter().filter(|value| **value).count();
                return profile(missing, Content::Booleans { trues, falses: booleans.len() - trues });
            }
            for format in DateFormat::ALL {
                let dates: Option<Vec<Date>> = others.iter().map(|(text, _)| parse_date(text, format)).collect();
                if let Some(dates) = dates {
                    return profile(missing, Content::Dates { format, dates });
                }
            }
        }
        let texts = rows.iter().filter_map(|row| table.value(*row as usize, column));
        profile(missing, Content::Texts(counted(texts)))
    }

    pub fn column_type(&self) -> ColumnType {
        match self.content {
            Content::Empty => ColumnType::Empty,
            Content::Numbers { .. } => ColumnType::Number,
            Content::Booleans { .. } => ColumnType::Boolean,
            Content::Dates { .. } => ColumnType::Date,
            Content::Texts(_) => ColumnType::Category,
        }
    }

    pub fn distinct(&self) -> usize {
        match &self.content {
            Content::Empty => 0,
            Content::Numbers { sorted, .. } => 1 + sorted.windows(2).filter(|pair| pair[0] != pair[1]).count(),
            Content::Booleans { trues, falses } => usize::from(*trues > 0) + usize::from(*falses > 0),
            Content::Dates { dates, .. } => {
                let mut times: Vec<f64> = dates.iter().map(Date::days_and_time).collect();
                times.sort_by(f64::total_cmp);
                times.dedup();
                times.len()
            }
            Content::Texts(counts) => counts.len(),
        }
    }

    pub fn summary(&self, name: &str) -> ColumnSummary {
        let (mut numbers, mut top, mut dates) = (None, Vec::new(), None);
        match &self.content {
            Content::Empty => {}
            Content::Numbers { sorted, .. } => {
                let (mean, std) = mean_and_std(sorted.iter().copied());
                let (min, max) = (sorted[0], sorted[sorted.len() - 1]);
                numbers = Some(NumberSummary { mean, std, min, median: median(sorted), max });
            }
            Content::Booleans { trues, falses } => {
                top = vec![("true".to_string(), *trues), ("false".to_string(), *falses)];
                top.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
            }
            Content::Dates { dates: all, .. } => {
                let key = |date: &&Date| (date.year, date.month, date.day);
                let text = |date: &Date| format!("{:04}-{:02}-{:02}", date.year, date.month, date.day);
                dates = all.iter().min_by_key(key).zip(all.iter().max_by_key(key)).map(|(a, b)| (text(a), text(b)));
            }
            Content::Texts(counts) => {
                let kept = counts.iter().take(ColumnSummary::TOP);
                top = kept.map(|(text, count)| (text.to_string(), *count)).collect();
            }
        }
        ColumnSummary {
            name: name.to_string(),
            column_type: self.column_type(),
            missing: self.missing,
            distinct: self.distinct(),
            numbers,
            top,
            dates,
        }
    }
}

/// Each different text with how often it comes, the most frequent first, equals in text order.
pub(super) fn counted<'t>(texts: impl Iterator<Item = &'t str>) -> Vec<(&'t str, usize)> {
    let mut counts: HashMap<&str, usize> = HashMap::new();
    for text in texts {
        *counts.entry(text).or_insert(0) += 1;
    }
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_unstable_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(b.0)));
    counts
}

/// Mean and standard deviation (1/n), two passes in f64; (0, 0) of nothing.
pub(super) fn mean_and_std(values: impl ExactSizeIterator<Item = f64> + Clone) -> (f64, f64) {
    let count = values.len().max(1) as f64;
    let mean = values.clone().sum::<f64>() / count;
    let variance = values.map(|value| (value - mean) * (value - mean)).sum::<f64>() / count;
    (mean, variance.sqrt())
}

/// Mean of the middle two, or the middle one, of ascending values.
pub(super) fn median(sorted: &[f64]) -> f64 {
    let middle = sorted.len() / 2;
    if sorted.len() % 2 == 1 { sorted[middle] } else { (sorted[middle - 1] + sorted[middle]) / 2.0 }
}
