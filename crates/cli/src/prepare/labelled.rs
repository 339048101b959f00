//! The rows of a table that have an answer, divided in parts.

use std::collections::HashMap;
use std::sync::Arc;

use pellucid::data::pipeline::{find_column, labelled_rows, strata};
use pellucid::data::series::time_ranks;
use pellucid::data::{Dataset, Division, FitOptions, Split, Table};

use super::tables::task_kind;
use super::{FEWEST_TO_SPLIT, Rows, Shares, shares};
use crate::error::{Failure, Outcome};
use crate::format::count;
use crate::settings::{Settings, Validation};

/// Rows with an answer, and which of them are for what.
pub(super) struct Labelled {
    /// Which columns are what.
    pub options: FitOptions,
    /// The rows, in the order of the table.
    pub rows: Vec<u32>,
    /// Those of each part.
    pub split: Split,
    /// The shares that were set apart.
    pub shares: Shares,
    /// How they were set apart.
    how: &'static str,
}

impl Labelled {
    /// Divides the rows of a table as the settings say. Notes that the last column is the target where none is named: it is
    /// `predicted`, or what else is done with it.
    ///
    /// # Errors
    /// A column or a task that is not there, or shares that are none.
    pub fn new(table: &Table, settings: &Settings, predicted: &str, notes: &mut Vec<String>) -> Outcome<Labelled> {
        let mut options = FitOptions { weights: settings.weights.clone(), ..FitOptions::default() };
        options.task = settings.task.as_deref().map(task_kind).transpose()?;
        if settings.target.is_empty() {
            let last = &table.names()[table.columns() - 1];
            notes.push(format!("the last column, `{last}`, is {predicted} (--target chooses another)"));
        } else {
            options.targets = settings.target.clone();
        }
        let rows = labelled_rows(table, &options)?;
        let classes = strata(table, &options, &rows)?;
        let shares = shares(settings, rows.len(), settings.test.is_some())?;
        if settings.groups.is_some() && settings.time.is_some() {
            return Err(Failure::new("--groups and --time each say how rows are divided; drop one"));
        }
        let groups = settings.groups.as_ref().map(|column| groups(table, column, &rows)).transpose()?;
        let times = settings.time.as_ref().map(|column| time_ranks(table, column, &rows)).transpose()?;
        options.groups = settings.groups.clone();
        let division = Division {
            strata: classes.as_deref(),
            groups: groups.as_deref(),
            times: times.as_deref(),
            fractions: shares.fractions(),
            fold: settings.fold,
            seed: settings.seed(),
        };
        let split = Split::new(&rows, &division)?;
        let how = match (&times, &groups, &classes) {
            (Some(_), ..) => "as the last in time",
            (None, Some(_), _) => "at random, groups as a whole",
            (None, None, Some(_)) => "at random, classes in proportion",
            (None, None, None) => "at random",
        };
        Ok(Labelled { options, rows, split, shares, how })
    }

    /// Training, validation and test of `data`, which has a row for each of these, in their order.
    pub fn parts(&self, table: Table, data: Dataset) -> [Rows; 3] {
        let data = Arc::new(data);
        let cells = Some((Arc::new(table), Arc::from(self.rows.as_slice())));
        // Rows of the table are positions among those with a target; both ascend.
        let position = |row: &u32| self.rows.binary_search(row).expect("a labelled row") as u32;
        let Split { train, validation, test } = &self.split;
        [train, validation, test].map(|rows| Rows {
            data: data.clone(),
            rows: rows.iter().map(position).collect(),
            cells: cells.clone(),
        })
    }

    /// That rows of the table have no answer, if some have none.
    pub fn left_out(&self, rows_of_table: usize) -> Option<String> {
        let left = rows_of_table - self.rows.len();
        (left > 0).then(|| format!("{} rows without a target are left out", count(left as u64)))
    }

    /// That all rows are for training, if they are because they are few.
    pub fn too_few(&self, settings: &Settings, test: &Rows) -> Option<String> {
        let few = self.rows.len() < FEWEST_TO_SPLIT && test.is_empty() && settings.test_fraction.is_none();
        few.then(|| format!("{} rows are too few to set any apart: all are for training", self.rows.len()))
    }

    /// How the parts that are no files of their own came about, in a few words.
    pub fn split_words(&self, settings: &Settings, validation: &Rows, test: &Rows) -> String {
        let parts = [
            ("validation", validation, matches!(settings.validation, Some(Validation::File(_)))),
            ("test", test, settings.test.is_some()),
        ];
        let apart = parts.into_iter().filter(|(_, rows, file)| !rows.is_empty() && !file);
        let apart: Vec<&str> = apart.map(|(name, ..)| name).collect();
        let fold = settings.fold.map_or(String::new(), |fold| format!("; validation is fold {fold}"));
        match apart.as_slice() {
            [] => String::new(),
            apart => format!("{} set apart {}{fold}", apart.join(" and "), self.how),
        }
    }
}

/// A number for each different value of a column.
fn groups(table: &Table, column: &str, rows: &[u32]) -> Outcome<Vec<u32>> {
    let column = find_column(table, column)?;
    let mut numbers: HashMap<&str, u32> = HashMap::new();
    let number = |row: &u32| {
        let next = numbers.len() as u32;
        *numbers.entry(table.cell(*row as usize, column)).or_insert(next)
    };
    Ok(rows.iter().map(number).collect())
}
