//! How one input column becomes numbers: what is learnt from it, and how it is applied.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::column::{Content, Profile, mean_and_std, median};
use super::pieces;
use crate::data::table::{Date, DateFormat, Table, parse_boolean, parse_date, parse_number};

/// Columns whose skewness is beyond this are compressed by a logarithm.
const SKEWED: f64 = 3.0;

/// Text columns in which this share of the values (numerator, denominator) is different are names, not categories.
const ID_SHARE: (usize, usize) = (9, 10);
const ID_ROWS: usize = 20;

/// What was learnt about an input column.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum Encoding {
    /// A number: itself, scaled, and its pieces.
    Number {
        /// How it is scaled.
        #[serde(flatten)]
        scaling: Scaling,
        /// The median, for missing values.
        fill: f64,
        /// Edges b of the pieces of its range, each an input clamp((x - bᵢ) / (bᵢ₊₁ - bᵢ), 0, 1); none for few rows.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        edges: Vec<f64>,
        /// A further input says where the value is missing.
        indicator: bool,
    },
    /// A number, itself.
    Raw {
        /// The median, for missing values.
        fill: f64,
    },
    /// One of several levels.
    Category {
        /// One input for each level, 1 where it holds.
        levels: Vec<String>,
        /// A further one for all other levels.
        other: bool,
        /// A further one for missing values.
        missing: bool,
    },
    /// True (1) or false (0).
    Boolean {
        /// Share of true, for missing values.
        fill: f64,
        /// A further input says where the value is missing.
        indicator: bool,
    },
    /// A date or time.
    Date {
        /// How it is written.
        format: DateFormat,
        /// Its parts, each a scaled input.
        parts: Vec<(DatePart, Scaling)>,
        /// A further input says where the value is missing.
        indicator: bool,
    },
}

/// `(f(value) - mean) / std`, where f is the signed logarithm `sign(x) · ln(1 + |x|)` or nothing.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Scaling {
    /// Whether f is the logarithm.
    pub log: bool,
    /// Mean of f over the training rows.
    pub mean: f64,
    /// Their standard deviation, above 0.
    pub std: f64,
}

impl Scaling {
    /// Inputs are kept within this many standard deviations, so that one absurd value cannot carry a network to infinity.
    pub const FARTHEST: f64 = 1000.0;

    /// Of ascending values. Where they are heavily skewed (capital gains, prices, counts) and the logarithm makes them
    /// less so, it is taken.
    fn of(values: &[f64]) -> Scaling {
        let plain = skewness(values);
        let logs: Vec<f64> =
            if plain.abs() > SKEWED { values.iter().map(|x| signed_log(*x)).collect() } else { vec![] };
        let log = !logs.is_empty() && skewness(&logs).abs() < plain.abs();
        let (mean, std) = mean_and_std(if log { logs.iter().copied() } else { values.iter().copied() });
        let std = if std > 0.0 && std.is_finite() { std } else { 1.0 };
        Scaling { log, mean, std }
    }

    fn apply(&self, value: f64) -> f32 {
        let value = if self.log { signed_log(value) } else { value };
        ((value - self.mean) / self.std).clamp(-Scaling::FARTHEST, Scaling::FARTHEST) as f32
    }
}

fn signed_log(value: f64) -> f64 {
    libm::copysign(libm::log1p(value.abs()), value)
}

/// Third standardised moment; 0 for constant values.
fn skewness(values: &[f64]) -> f64 {
    let (mean, std) = mean_and_std(values.iter().copied());
    if !(std > 0.0 && std.is_finite()) {
        return 0.0;
    }
    let cubes = values.iter().map(|value| {
        let z = (value - mean) / std;
        z * z * z
    });
    cubes.sum::<f64>() / values.len() as f64
}

/// What of a date becomes an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DatePart {
    /// The year.
    Year,
    /// The month, from 1.
    Month,
    /// The day of the month, from 1.
    Day,
    /// The day of the week: 0 for Monday to 6 for Sunday.
    Weekday,
    /// The hour, minutes as a fraction.
    Hour,
    /// Days since 1970-01-01, the time as a fraction.
    Days,
}

impl DatePart {
    const ALL: [DatePart; 6] =
        [DatePart::Year, DatePart::Month, DatePart::Day, DatePart::Weekday, DatePart::Hour, DatePart::Days];

    fn name(self) -> &'static str {
        match self {
            DatePart::Year => "year",
            DatePart::Month => "month",
            DatePart::Day => "day",
            DatePart::Weekday => "weekday",
            DatePart::Hour => "hour",
            DatePart::Days => "days",
        }
    }

    fn of(self, date: &Date) -> f64 {
        match self {
            DatePart::Year => f64::from(date.year),
            DatePart::Month => f64::from(date.month),
            DatePart::Day => f64::from(date.day),
            DatePart::Weekday => f64::from(date.weekday()),
            DatePart::Hour => date.seconds / 3600.0,
            DatePart::Days => date.days_and_time(),
        }
    }
}

/// What to do with a column: encode it, or leave it out for a reason; and what the user should know.
pub(super) enum Learnt {
    Encoding(Encoding, Vec<String>),
    LeftOut(String),
}

/// Learns how the input column `name` is encoded.
pub(super) fn learn(name: &str, profile: &Profile, max_levels: usize) -> Learnt {
    let indicator = profile.missing > 0;
    if !indicator && profile.distinct() == 1 {
        return Learnt::LeftOut("it has the same value in every training row".to_string());
    }
    let mut notes = Vec::new();
    let encoding = match &profile.content {
        Content::Empty => return Learnt::LeftOut("it has no value in any training row".to_string()),
        Content::Numbers { sorted, words } => {
            let whole = sorted.iter().all(|value| value.trunc() == *value);
            if named_id(name) && whole && sorted.len() >= ID_ROWS && profile.distinct() == sorted.len() {
                return Learnt::LeftOut(
                    "its name and its values, all different, say that it numbers the rows".to_string(),
                );
            }
            for (word, line) in words {
                notes.push(format!(
                    "column `{name}` holds numbers, but `{word}` in line {line}; it is taken as missing"
                ));
            }
            Encoding::Number {
                scaling: Scaling::of(sorted),
                fill: median(sorted),
                edges: pieces::edges(sorted),
                indicator,
            }
        }
        Content::Booleans { trues, falses } => {
            Encoding::Boolean { fill: *trues as f64 / (trues + falses) as f64, indicator }
        }
        Content::Dates { format, dates } => {
            let parts = DatePart::ALL.into_iter().filter_map(|part| {
                let mut values: Vec<f64> = dates.iter().map(|date| part.of(date)).collect();
                values.sort_by(f64::total_cmp);
                // Dates cluster by their nature; a logarithm would not make them any rounder.
                let (mean, std) = mean_and_std(values.iter().copied());
                (values[0] != values[values.len() - 1]).then_some((part, Scaling { log: false, mean, std }))
            });
            if *format == DateFormat::DayFirst && dates.iter().all(|date| date.day <= 12) {
                notes.push(format!(
                    "the dates of column `{name}` are read with the day first; write YYYY-MM-DD to be sure"
                ));
            }
            Encoding::Date { format: *format, parts: parts.collect(), indicator }
        }
        Content::Texts(counts) => {
            if profile.present >= ID_ROWS && counts.len() * ID_SHARE.1 >= profile.present * ID_SHARE.0 {
                return Learnt::LeftOut(format!(
                    "its texts are (nearly) all different: {} in {} rows",
                    counts.len(),
                    profile.present
                ));
            }
            let other = counts.len() > max_levels;
            let kept = if other { max_levels.saturating_sub(1) } else { counts.len() };
            if other {
                notes.push(format!(
                    "column `{name}` has {} levels; the {kept} most frequent are kept, the others are one",
                    counts.len()
                ));
            }
            let mut levels: Vec<String> = counts[..kept].iter().map(|(text, _)| text.to_string()).collect();
            levels.sort();
            Encoding::Category { levels, other, missing: indicator }
        }
    };
    Learnt::Encoding(encoding, notes)
}

/// How a column of numbers (or of true and false) is taken as it is.
pub(super) fn raw(profile: &Profile) -> Option<Encoding> {
    match &profile.content {
        Content::Numbers { sorted, .. } => Some(Encoding::Raw { fill: median(sorted) }),
        Content::Booleans { trues, falses } => {
            Some(Encoding::Boolean { fill: *trues as f64 / (trues + falses) as f64, indicator: false })
        }
        Content::Empty | Content::Dates { .. } | Content::Texts(_) => None,
    }
}

fn named_id(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    matches!(lower.as_str(), "id" | "index" | "row" | "rowid") || lower.ends_with("_id") || name.ends_with("Id")
}

/// What could not be read as in training, while one column was encoded.
#[derive(Default)]
pub(super) struct Surprises<'t> {
    /// Categories that are new, or texts that are no numbers, booleans or dates; with one of them and its line.
    pub unknown: usize,
    pub example: Option<(&'t str, usize)>,
    /// Missing values where none was missing in training.
    pub missing: usize,
}

impl<'t> Surprises<'t> {
    fn unknown(&mut self, text: &'t str, line: usize) {
        self.unknown += 1;
        self.example.get_or_insert((text, line));
    }
}

impl Encoding {
    /// Names of the inputs that the column `name` becomes.
    pub(super) fn names(&self, name: &str) -> Vec<String> {
        let mut names = Vec::new();
        let indicated = match self {
            Encoding::Number { edges, indicator, .. } => {
                names.push(name.to_string());
                names.extend(edges.windows(2).map(|pair| format!("{name} {}–{}", pair[0], pair[1])));
                *indicator
            }
            Encoding::Raw { .. } => {
                names.push(name.to_string());
                false
            }
            Encoding::Boolean { indicator, .. } => {
                names.push(name.to_string());
                *indicator
            }
            Encoding::Category { levels, other, missing } => {
                names.extend(levels.iter().map(|level| format!("{name}={level}")));
                if *other {
                    names.push(format!("{name}=(other)"));
                }
                if *missing {
                    names.push(format!("{name}=(missing)"));
                }
                false
            }
            Encoding::Date { parts, indicator, .. } => {
                names.extend(parts.iter().map(|(part, _)| format!("{name} {}", part.name())));
                *indicator
            }
        };
        if indicated {
            names.push(format!("{name} missing"));
        }
        names
    }

    /// How many inputs the column becomes.
    pub(super) fn width(&self) -> usize {
        match self {
            Encoding::Number { edges, indicator, .. } => 1 + pieces::width(edges) + usize::from(*indicator),
            Encoding::Raw { .. } => 1,
            Encoding::Boolean { indicator, .. } => 1 + usize::from(*indicator),
            Encoding::Category { levels, other, missing } => levels.len() + usize::from(*other) + usize::from(*missing),
            Encoding::Date { parts, indicator, .. } => parts.len() + usize::from(*indicator),
        }
    }

    /// Writes the inputs of `column` for each of `rows` to `out[row · stride + offset ..]`, which holds zeros.
    pub(super) fn encode<'t>(
        &self,
        table: &'t Table,
        column: usize,
        rows: &[u32],
        out: &mut [f32],
        (stride, offset): (usize, usize),
    ) -> Surprises<'t> {
        let mut surprises = Surprises::default();
        let levels: HashMap<&str, usize> = match self {
            Encoding::Category { levels, .. } => {
                levels.iter().enumerate().map(|(i, text)| (text.as_str(), i)).collect()
            }
            _ => HashMap::new(),
        };
        let comma = table.decimal_comma();
        for (&row, out) in rows.iter().zip(out.chunks_exact_mut(stride)) {
            let out = &mut out[offset..offset + self.width()];
            let text = table.value(row as usize, column);
            let known = match (self, text) {
                (_, None) => false,
                (Encoding::Number { scaling, edges, .. }, Some(text)) => {
                    let number = parse_number(text, comma);
                    if let Some(number) = number {
                        out[0] = scaling.apply(number);
                        pieces::encode(edges, number, &mut out[1..]);
                    }
                    number.is_some()
                }
                (Encoding::Raw { .. }, Some(text)) => {
                    parse_number(text, comma).map(|number| out[0] = number as f32).is_some()
                }
                (Encoding::Boolean { .. }, Some(text)) => {
                    parse_truth(text).map(|value| out[0] = f32::from(u8::from(value))).is_some()
                }
                (Encoding::Date { format, parts, .. }, Some(text)) => {
                    let date = parse_date(text, *format);
                    if let Some(date) = &date {
                        for ((part, scaling), out) in parts.iter().zip(out.iter_mut()) {
                            *out = scaling.apply(part.of(date));
                        }
                    }
                    date.is_some()
                }
                (Encoding::Category { levels: all, other, .. }, Some(text)) => {
                    let level = levels.get(text).copied();
                    if let Some(level) = level.or(other.then_some(all.len())) {
                        out[level] = 1.0;
                    }
                    // With room for other levels, a level unseen in training is one of these.
                    level.is_some() || *other
                }
            };
            if known {
                continue;
            }
            match text {
                Some(text) => surprises.unknown(text, table.line(row as usize)),
                None => surprises.missing += usize::from(!self.expects_missing()),
            }
            self.fill(out, text.is_some());
        }
        surprises
    }

    fn expects_missing(&self) -> bool {
        match self {
            Encoding::Number { indicator, .. }
            | Encoding::Boolean { indicator, .. }
            | Encoding::Date { indicator, .. } => *indicator,
            Encoding::Category { missing, .. } => *missing,
            Encoding::Raw { .. } => false,
        }
    }

    /// What stands for a value that is missing or cannot be read. An unknown category is none of the levels.
    fn fill(&self, out: &mut [f32], unknown: bool) {
        match self {
            Encoding::Number { scaling, fill, edges, .. } => {
                out[0] = scaling.apply(*fill);
                pieces::encode(edges, *fill, &mut out[1..]);
            }
            Encoding::Raw { fill } | Encoding::Boolean { fill, .. } => out[0] = *fill as f32,
            // The mean of each part, which is 0.
            Encoding::Date { .. } => {}
            Encoding::Category { .. } => {}
        }
        let category = matches!(self, Encoding::Category { .. });
        if self.expects_missing() && !(category && unknown) {
            out[self.width() - 1] = 1.0;
        }
    }
}

/// Truth values as words, and as 0 and 1 where another file writes them so.
fn parse_truth(text: &str) -> Option<bool> {
    match text {
        "0" => Some(false),
        "1" => Some(true),
        _ => parse_boolean(text),
    }
}
