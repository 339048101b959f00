//! Which schedule, with which settings: the table of all, and their text.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::curve::Formula;
use super::{
    Constant, Cosine, CosineRestarts, Exponential, Linear, MultiStep, OneCycle, Polynomial, ReduceOnPlateau, Step,
};
use crate::optim::{OptimError, text};

/// Writes the type of all schedules, and what is asked of each by its name, from one table.
macro_rules! schedules {
    ($($name:literal $curve:ident,)*) => {
        /// How the learning rate goes, after the warm-up.
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        #[serde(tag = "name")]
        pub enum Curve { $(#[doc = concat!("`", $name, "`")] #[serde(rename = $name)] $curve($curve),)* }

        impl Curve {
            /// The names of all schedules.
            pub const NAMES: &'static [&'static str] = &[$($name),*];

            /// The schedule `name` with its defaults.
            pub fn named(name: &str) -> Option<Curve> {
                match name { $($name => Some(Curve::$curve($curve::default())),)* _ => None }
            }
            /// Its name.
            pub fn name(&self) -> &'static str {
                match self { $(Curve::$curve(_) => $name,)* }
            }
            pub(super) fn formula(&self) -> &dyn Formula {
                match self { $(Curve::$curve(curve) => curve,)* }
            }
        }
    };
}

schedules! {
    "constant" Constant,
    "step" Step,
    "multi_step" MultiStep,
    "exponential" Exponential,
    "cosine" Cosine,
    "cosine_restarts" CosineRestarts,
    "linear" Linear,
    "polynomial" Polynomial,
    "one_cycle" OneCycle,
    "reduce_on_plateau" ReduceOnPlateau,
}

impl Default for Curve {
    fn default() -> Curve {
        Curve::Constant(Constant::default())
    }
}

/// What `step`, `multi_step`, `exponential` and `cosine_restarts` count. Settings called `steps` are always updates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// Epochs.
    #[default]
    Epoch,
    /// Updates.
    Step,
}

/// A schedule and its settings.
///
/// As a document (TOML, JSON) a table with `name` and the settings that differ from the defaults, as a line
/// `name:setting=value,…` (see [`ScheduleConfig::parse`]).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ScheduleConfig {
    /// Updates at the start in which the rate rises evenly, update i (from 1) having i / (warmup + 1) of the rate that
    /// the schedule begins with; 0. The schedule begins after them, and one over the whole run still ends with the run.
    #[serde(default)]
    pub warmup: u64,
    /// What is counted; `epoch`.
    #[serde(default)]
    pub unit: Unit,
    /// How the rate goes then.
    #[serde(flatten)]
    pub curve: Curve,
}

impl ScheduleConfig {
    /// Reads a line such as `cosine`, `step:30:0.1`, `multi_step:30:60:80,gamma=0.2`, `one_cycle:max_lr=0.01`,
    /// `linear:warmup=100`, `step:1000:0.5,unit=step`.
    ///
    /// # Errors
    /// If there is no such schedule or setting (with the nearest one that there is), or a value is out of its range.
    pub fn parse(text: &str) -> Result<ScheduleConfig, OptimError> {
        let named = |name: &str| Some(ScheduleConfig { curve: Curve::named(name)?, ..ScheduleConfig::default() });
        let bare = |config: &ScheduleConfig| config.curve.formula().bare();
        let config = text::parse("schedule", Curve::NAMES, text, named, bare)?;
        config.check()?;
        Ok(config)
    }

    /// Sets one setting from text, for example `("warmup", "500")`.
    ///
    /// # Errors
    /// As [`ScheduleConfig::parse`]; the settings are then as before.
    pub fn set(&mut self, setting: &str, value: &str) -> Result<(), OptimError> {
        let mut config = self.clone();
        text::set(&mut config, setting, value)?;
        config.check()?;
        *self = config;
        Ok(())
    }

    /// Checks the ranges of all settings; for settings that come from elsewhere than [`ScheduleConfig::parse`].
    ///
    /// # Errors
    /// With the first setting that is out of its range.
    pub fn check(&self) -> Result<(), OptimError> {
        self.curve.formula().check()
    }
}

impl From<Curve> for ScheduleConfig {
    /// Without warm-up, counted in epochs.
    fn from(curve: Curve) -> ScheduleConfig {
        ScheduleConfig { curve, ..ScheduleConfig::default() }
    }
}

impl FromStr for ScheduleConfig {
    type Err = OptimError;
    fn from_str(text: &str) -> Result<ScheduleConfig, OptimError> {
        ScheduleConfig::parse(text)
    }
}

impl fmt::Display for ScheduleConfig {
    /// The line that [`ScheduleConfig::parse`] reads.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let default = Curve::named(self.curve.name()).expect("every schedule has its name");
        f.write_str(&text::print(self, &default.into()))
    }
}
