//! What is wrong with settings of optimisers and schedules, or with a stored state.

use crate::suggest::nearest;

/// Why an optimiser or schedule could not be made or restored.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OptimError {
    /// Nothing has this name.
    #[error("there is no {what} '{name}'; {hint}")]
    UnknownName {
        /// `optimizer`, `schedule` or `clipping`.
        what: &'static str,
        /// The name.
        name: String,
        /// The nearest name, or all.
        hint: String,
    },
    /// The optimiser or schedule has no such setting.
    #[error("{of} has no setting '{setting}'; {hint}")]
    UnknownSetting {
        /// Whose setting.
        of: String,
        /// The setting.
        setting: String,
        /// The nearest setting, or all.
        hint: String,
    },
    /// A setting has a value that it cannot have.
    #[error("'{setting}' must be {expected}, got {value}")]
    Value {
        /// The setting.
        setting: String,
        /// What it can be.
        expected: String,
        /// What it is.
        value: String,
    },
    /// The pattern of a group fits no parameter.
    #[error("no parameter fits '{pattern}'; {hint}")]
    NoParameter {
        /// The pattern.
        pattern: String,
        /// The nearest parameter, or all.
        hint: String,
    },
    /// An optimiser for full batches was asked for single updates.
    #[error(
        "lbfgs evaluates the loss several times an update, on the full batch; other optimizers take single batches"
    )]
    FullBatch,
    /// L-BFGS cannot do this.
    #[error("lbfgs takes weight_decay, but not {setting}; use another optimizer or leave it out")]
    NotWithLbfgs {
        /// What was asked for.
        setting: &'static str,
    },
    /// A stored state is of another optimiser or schedule, or no state at all.
    #[error("the stored state is not one of {expected}: {found}")]
    State {
        /// Whose state was expected.
        expected: String,
        /// What was found.
        found: String,
    },
}

/// `did you mean 'adam'?`, or all that there is.
pub(super) fn hint<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let known: Vec<&str> = known.into_iter().collect();
    match nearest(name, known.iter().copied()) {
        Some(near) => format!("did you mean '{near}'?"),
        None => format!("there are: {}", known.join(", ")),
    }
}

/// Fails unless `holds`; `expected` says what the setting can be.
pub(super) fn check(setting: &str, value: f64, holds: bool, expected: &str) -> Result<(), OptimError> {
    if holds {
        return Ok(());
    }
    Err(OptimError::Value {
        setting: setting.to_string(),
        expected: expected.to_string(),
        value: format!("{value:?}").trim_end_matches(".0").to_string(),
    })
}

/// Fails unless `value` is 0 or more and finite.
pub(super) fn not_negative(setting: &str, value: f64) -> Result<(), OptimError> {
    check(setting, value, value >= 0.0 && value.is_finite(), "0 or more")
}

/// Fails unless `value` is more than 0 and finite.
pub(super) fn positive(setting: &str, value: f64) -> Result<(), OptimError> {
    check(setting, value, value > 0.0 && value.is_finite(), "more than 0")
}

/// Fails unless `value` is in [0, 1).
pub(super) fn fraction(setting: &str, value: f64) -> Result<(), OptimError> {
    check(setting, value, (0.0..1.0).contains(&value), "at least 0 and less than 1")
}

/// Fails unless `eps` is more than 0 in f32: of a gradient that was always zero, 0 / (0 + eps) must be 0.
pub(super) fn divisor(setting: &str, eps: f64) -> Result<(), OptimError> {
    check(setting, eps, eps as f32 > 0.0 && eps.is_finite(), "more than 1e-45, the least number of f32")
}
