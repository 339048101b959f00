//! Why a table does not fit: to be learnt from, or to what was learnt.

/// Why a pipeline could not be fitted or applied. Lines are those of the file, counted from 1.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum PipelineError {
    /// No column of that name or index.
    #[error("{table} has no column {column:?}; give one of {known}, or an index from {lowest} to {highest}", lowest = -(*.columns as i64), highest = .columns.saturating_sub(1))]
    NoColumn {
        /// Name of the table.
        table: String,
        /// The name or index given.
        column: String,
        /// Names of the columns, shortened.
        known: String,
        /// Number of columns.
        columns: usize,
    },
    /// No target was named.
    #[error("no target column is given; name the column to be predicted, or give its index (-1 is the last)")]
    NoTarget,
    /// One column in two roles.
    #[error("column `{column}` is given twice; a column can be one target, or the sample weights")]
    Twice {
        /// Name of the column.
        column: String,
    },
    /// No row to learn from.
    #[error("{table} has no row with a value in every target column; there is nothing to learn from")]
    NoRows {
        /// Name of the table.
        table: String,
    },
    /// No column to learn from.
    #[error("{table} has no column to predict from: {reasons}")]
    NoInputs {
        /// Name of the table.
        table: String,
        /// Why each column is left out.
        reasons: String,
    },
    /// A target of the wrong type for the task.
    #[error("column `{column}` cannot be the target of {task}: it holds {found}, and {needed} needed")]
    TargetType {
        /// Name of the column.
        column: String,
        /// The task, set or inferred.
        task: String,
        /// What the column holds.
        found: String,
        /// What the task needs, with its verb.
        needed: &'static str,
    },
    /// Fewer or more classes than the task has.
    #[error("column `{column}` has {found} classes ({classes}) in the training rows, but {needed} needed")]
    ClassCount {
        /// Name of the column.
        column: String,
        /// Classes found.
        found: usize,
        /// Their names, shortened.
        classes: String,
        /// What the task needs, with its verb.
        needed: &'static str,
    },
    /// Text that is different in nearly every row.
    #[error(
        "column `{column}` has {distinct} different texts in {rows} rows; that is no set of classes: \
         choose another target"
    )]
    TooManyClasses {
        /// Name of the column.
        column: String,
        /// Different texts.
        distinct: usize,
        /// Rows with a value.
        rows: usize,
    },
    /// A target value that is missing where it is needed.
    #[error("{table}, line {line}, column `{column}`: the target is missing; leave the row out, or only predict")]
    MissingTarget {
        /// Name of the table.
        table: String,
        /// Line in the file.
        line: usize,
        /// Name of the column.
        column: String,
    },
    /// A class that did not occur in training.
    #[error(
        "{table}, line {line}, column `{column}`: class `{label}` does not occur in the training rows; known are {known}"
    )]
    UnknownClass {
        /// Name of the table.
        table: String,
        /// Line in the file.
        line: usize,
        /// Name of the column.
        column: String,
        /// The class found.
        label: String,
        /// The classes known, shortened.
        known: String,
    },
    /// A target that is no number, or no 0 or 1.
    #[error("{table}, line {line}, column `{column}`: the target `{text}` is not {needed}")]
    TargetValue {
        /// Name of the table.
        table: String,
        /// Line in the file.
        line: usize,
        /// Name of the column.
        column: String,
        /// What the cell holds.
        text: String,
        /// "a number", "0 or 1".
        needed: &'static str,
    },
    /// A sample weight that is missing, no number, or negative.
    #[error("{table}, line {line}, column `{column}`: the sample weight `{text}` is not a finite number of 0 or more")]
    Weight {
        /// Name of the table.
        table: String,
        /// Line in the file.
        line: usize,
        /// Name of the column.
        column: String,
        /// What the cell holds.
        text: String,
    },
    /// A table without names and with another number of columns.
    #[error("{table} has {found} columns, but the model was trained on {expected} ({roles}); {advice}")]
    ColumnCount {
        /// Name of the table.
        table: String,
        /// Columns found.
        found: usize,
        /// Columns of the training table.
        expected: usize,
        /// How many of them are inputs, targets and weights.
        roles: String,
        /// What to do.
        advice: String,
    },
    /// Columns that the model needs and the table lacks.
    #[error("{table} lacks the column(s) {missing}; it has {found}")]
    MissingColumns {
        /// Name of the table.
        table: String,
        /// Names of those needed.
        missing: String,
        /// Names of those there, shortened.
        found: String,
    },
    /// A column that was to be taken as it is.
    #[error(
        "{table}: column `{column}` is of type {found}, but the network takes numbers as they are; leave the column out of the file, or \
         write it as numbers"
    )]
    NoNumbers {
        /// Name of the table.
        table: String,
        /// Name of the column.
        column: String,
        /// What it holds.
        found: &'static str,
    },
    /// A column that was an input before, and is named as a target or as weights.
    #[error(
        "{table}: column `{column}` is an input of the network that is gone on with, so it can be nothing else; choose another"
    )]
    KnownInput {
        /// Name of the table.
        table: String,
        /// Name of the column.
        column: String,
    },
}

/// Names in back quotes, the first ten of them.
pub(super) fn shortened<S: AsRef<str>>(names: &[S]) -> String {
    const SHOWN: usize = 10;
    let mut text = names.iter().take(SHOWN).map(|name| format!("`{}`", name.as_ref())).collect::<Vec<_>>().join(", ");
    if names.len() > SHOWN {
        text.push_str(&format!(" and {} more", names.len() - SHOWN));
    }
    text
}
