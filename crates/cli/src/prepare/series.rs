//! Series to forecast.

use std::path::Path;
use std::sync::Arc;

use pellucid::data::series::{Series, SeriesError, SeriesOptions, SeriesPlan};
use pellucid::data::{Fold, Table, TaskKind};
use pellucid::model::Preprocessing;

use super::{Prepared, Rows, Shares, images, read_table};
use crate::error::{Failure, Outcome};
use crate::format::count;
use crate::settings::{Settings, Validation};

/// Share of the steps for the test where nothing is said.
const TEST: f64 = 0.2;
/// Share of the steps before these for validation.
const VALIDATION: f64 = 0.15;

/// A series with what was learnt about it: for baselines and pictures.
#[derive(Clone, Debug)]
pub struct Forecasting {
    /// All of it.
    pub series: Arc<Series>,
    /// What was learnt.
    pub plan: SeriesPlan,
}

impl Forecasting {
    /// `Passengers, 12 steps ahead`.
    pub fn words(&self) -> String {
        let horizon = self.plan.horizon;
        let names = self.series.names[..self.plan.targets].join(", ");
        format!("{names}, {horizon} step{} ahead", if horizon == 1 { "" } else { "s" })
    }

    /// The step that row `row` of the data forecasts first.
    pub fn origin(&self, row: u32) -> usize {
        self.plan.window + row as usize
    }
}

/// Reads a table as a series, and cuts it in its order: the beginning is to be learnt from, then come validation and test.
pub(super) fn load(path: &Path, settings: &Settings) -> Outcome<Prepared> {
    let name = path.display().to_string();
    refuse(settings, &name)?;
    let series = read(&read_table(path, settings)?, settings)?;
    let horizon = settings.horizon.unwrap_or(1);
    let step = series.time.as_ref().map(|time| time.step);
    let season = settings.season.or(step.map(|step| step.season())).unwrap_or(1);
    let steps = series.steps();
    let shares = shares(settings)?;
    let apart = |share: f64| (steps as f64 * share).round() as usize;
    let test = apart(shares.test.unwrap_or(0.0));
    let validation = apart(shares.validation.unwrap_or(0.0) * (1.0 - shares.test.unwrap_or(0.0)));
    let rest = steps.saturating_sub(test);
    // In one part more than there are folds: what comes before the fold is learnt from.
    let part_of = |part: usize, of: usize| rest * part / (of + 1);
    let (learnt, validation) = match settings.fold {
        Some(Fold { number, of }) => (part_of(number, of), part_of(number + 1, of) - part_of(number, of)),
        None => (rest.saturating_sub(validation), validation),
    };
    let window = settings.window.unwrap_or_else(|| {
        let least = if series.known.is_empty() { 1 } else { horizon };
        usual_window(season, learnt, horizon).max(least)
    });
    let plan = SeriesPlan::learn(&series, learnt, (window, horizon), season)?;
    // Row r forecasts from step window + r; no window of one part has a target in another.
    let data = Arc::new(plan.dataset(&series, window..steps + 1 - horizon)?);
    let part = |first: usize, end: usize| {
        let last = (end + 1).saturating_sub(horizon + window);
        let rows = (first.max(window) - window..last.max(first.max(window) - window)).map(|row| row as u32).collect();
        Rows { data: data.clone(), rows, cells: None }
    };
    let (train, validation_rows, test_rows) =
        (part(window, learnt), part(learnt, learnt + validation), part(steps - test, steps));
    for (share, rows, what) in [(validation, &validation_rows, "--validation"), (test, &test_rows, "--test-fraction")] {
        if share > 0 && rows.is_empty() {
            return Err(Failure::new(format!(
                "{name}: the {share} steps for {what} are fewer than a forecast of {horizon}; make it larger, or 0"
            )));
        }
    }
    let mut notes = Vec::new();
    if !series.left_out.is_empty() {
        notes.push(format!("columns without numbers are left out: {}", series.left_out.join(", ")));
    }
    let every = step.map_or(String::new(), |step| format!(", a step is {step}"));
    let inputs = match series.names.len() {
        1 => String::new(),
        columns if series.known.is_empty() => format!(" from {columns} columns"),
        columns => {
            let known = series.known.iter().map(|column| series.names[*column].as_str()).collect::<Vec<_>>().join(", ");
            format!(" from {columns} columns ({known} known in advance)")
        }
    };
    let forecast = series.names[..series.targets].join(", ");
    let description = format!("{name}: {} steps of {forecast}{inputs}{every}", count(steps as u64));
    let split = format!(
        "each sees {window} steps and forecasts {horizon}; in order of time: {learnt} steps to learn from, {validation} for \
         validation, {test} for the test"
    );
    let parts = [train, validation_rows, test_rows];
    let prepared = Prepared::of(plan.task(), Preprocessing::Series { plan: plan.clone() }, parts);
    Ok(Prepared {
        name: super::locate::stem(path),
        description,
        targets: series.names[..series.targets].to_vec(),
        shares,
        forecasting: Some(Forecasting { series: Arc::new(series), plan }),
        split,
        notes,
        ..prepared
    })
}

fn read(table: &Table, settings: &Settings) -> Outcome<Series> {
    let Settings { target, time, known, .. } = settings;
    let options = SeriesOptions { targets: target.clone(), time: time.clone(), known: known.clone() };
    Ok(Series::read(table, &options)?)
}

/// The series of a file as a model knows it: the same columns.
///
/// # Errors
/// A column that is not there, or a file that is no series.
pub fn known_series(table: &Table, plan: &SeriesPlan) -> Outcome<Series> {
    let targets = plan.columns[..plan.targets].iter().map(|column| column.name.clone()).collect();
    let time = plan.time.as_ref().map(|(name, _)| name.clone());
    let known = plan.known.iter().map(|column| plan.columns[*column].name.clone()).collect();
    let mut series = Series::read(table, &SeriesOptions { targets, time, known })?;
    let mut values = Vec::new();
    for column in &plan.columns {
        let Some(position) = series.names.iter().position(|name| *name == column.name) else {
            let message = format!("{}: the model needs a column of numbers called {}", series.source, column.name);
            return Err(Failure::new(message));
        };
        values.push(series.values[position].clone());
    }
    series.names = plan.columns.iter().map(|column| column.name.clone()).collect();
    (series.values, series.known) = (values, plan.known.clone());
    Ok(series)
}

/// A row for every forecast whose window and truth are in the series.
///
/// # Errors
/// A series that is too short.
pub fn all_forecasts(plan: &SeriesPlan, series: &Series) -> Outcome<Rows> {
    let (window, horizon, steps) = (plan.window, plan.horizon, series.steps());
    let needed = window + horizon;
    if steps < needed {
        return Err(SeriesError::TooShort {
            source_name: series.source.clone(),
            steps,
            what: "",
            window,
            horizon,
            needed,
        }
        .into());
    }
    let data = plan.dataset(series, window..steps + 1 - horizon)?;
    Ok(Rows { rows: (0..data.rows() as u32).collect(), data: Arc::new(data), cells: None })
}

/// Two seasons and a step where there is a season, else two dozen; not more than leaves windows to learn from.
fn usual_window(season: usize, learnt: usize, horizon: usize) -> usize {
    let wanted = if season > 1 { (2 * season + 1).min(200) } else { 24 };
    wanted.min(learnt.saturating_sub(horizon) / 3).max(1)
}

fn refuse(settings: &Settings, name: &str) -> Outcome<()> {
    let kind = TaskKind::Regression.name();
    if settings.task.as_deref().is_some_and(|task| task != kind) {
        return Err(Failure::new(format!(
            "--horizon makes {name} a series to forecast: the task is {kind}; drop --task"
        )));
    }
    if let Some(flag) = settings.picture_setting() {
        return Err(Failure::new(format!("{flag} is for pictures, not for the series {name}")));
    }
    let given = [
        ("--test", settings.test.is_some()),
        ("--validation with a file", matches!(settings.validation, Some(Validation::File(_)))),
        ("--weights", settings.weights.is_some()),
        ("--tokens", settings.tokens.is_some()),
        ("--tokenizer", settings.tokenizer.is_some()),
        ("--carry", settings.carry.is_some()),
    ];
    if let Some((flag, _)) = given.into_iter().find(|(_, given)| *given) {
        return Err(Failure::new(format!("{flag} does not go with --horizon: a series is cut in its own order")));
    }
    for (flag, value) in [("--horizon", settings.horizon), ("--window", settings.window), ("--season", settings.season)]
    {
        if value == Some(0) {
            return Err(Failure::new(format!("{flag} is a number of steps from 1 on")));
        }
    }
    images::refuse_augmentation(settings)
}

fn shares(settings: &Settings) -> Outcome<Shares> {
    let test = settings.test_fraction.unwrap_or(TEST);
    if !(0.0..1.0).contains(&test) {
        return Err(Failure::new(format!("--test-fraction is a share of at least 0 and below 1; got {test}")));
    }
    let validation = match settings.validation {
        _ if settings.fold.is_some() => None,
        Some(Validation::Fraction(share)) => Some(share),
        _ => Some(VALIDATION),
    };
    Ok(Shares { validation, test: Some(test) })
}
