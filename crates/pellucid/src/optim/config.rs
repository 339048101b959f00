//! Which optimiser, with which settings: the table of all, and their text.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::error::{OptimError, not_negative};
use super::method::{Method, Settings};
use super::{Adadelta, Adagrad, Adam, AdamW, Adamax, Lbfgs, NAdam, RAdam, RmsProp, Sgd, text};

/// Writes the type of all optimisers, and what is asked of each by its name, from one table.
macro_rules! optimizers {
    ($($name:literal $method:ident,)*) => {
        /// An optimiser and its settings.
        ///
        /// As a document (TOML, JSON) a table with `name` and the settings that differ from the defaults, as a line
        /// `name:setting=value,…` (see [`OptimizerConfig::parse`]).
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        #[serde(tag = "name")]
        pub enum OptimizerConfig { $(#[doc = concat!("`", $name, "`")] #[serde(rename = $name)] $method($method),)* }

        impl OptimizerConfig {
            /// The names of all optimisers.
            pub const NAMES: &'static [&'static str] = &[$($name),*];

            /// The optimiser `name` with its defaults.
            pub fn named(name: &str) -> Option<OptimizerConfig> {
                match name { $($name => Some(OptimizerConfig::$method($method::default())),)* _ => None }
            }
            /// Its name.
            pub fn name(&self) -> &'static str {
                match self { $(OptimizerConfig::$method(_) => $name,)* }
            }
            pub(super) fn method(&self) -> &dyn Method {
                match self { $(OptimizerConfig::$method(method) => method,)* }
            }
        }
    };
}

optimizers! {
    "sgd" Sgd,
    "adagrad" Adagrad,
    "rmsprop" RmsProp,
    "adadelta" Adadelta,
    "adam" Adam,
    "adamw" AdamW,
    "adamax" Adamax,
    "nadam" NAdam,
    "radam" RAdam,
    "lbfgs" Lbfgs,
}

impl OptimizerConfig {
    /// Reads a line such as `adam`, `sgd:momentum=0.9,nesterov`, `adam:lr=3e-4,betas=0.9:0.99`.
    ///
    /// # Errors
    /// If there is no such optimiser or setting (with the nearest one that there is), or a value is out of its range.
    pub fn parse(text: &str) -> Result<OptimizerConfig, OptimError> {
        let config = text::parse("optimizer", OptimizerConfig::NAMES, text, OptimizerConfig::named, |_| &["lr"])?;
        config.check()?;
        Ok(config)
    }

    /// Sets one setting from text, for example `("weight_decay", "1e-4")`.
    ///
    /// # Errors
    /// As [`OptimizerConfig::parse`]; the settings are then as before.
    pub fn set(&mut self, setting: &str, value: &str) -> Result<(), OptimError> {
        let mut config = self.clone();
        text::set(&mut config, setting, value)?;
        config.check()?;
        *self = config;
        Ok(())
    }

    /// The learning rate, which a schedule starts from.
    pub fn learning_rate(&self) -> f64 {
        self.method().settings().lr
    }

    /// Checks the ranges of all settings; for settings that come from elsewhere than [`OptimizerConfig::parse`].
    ///
    /// # Errors
    /// With the first setting that is out of its range.
    pub fn check(&self) -> Result<(), OptimError> {
        let Settings { lr, weight_decay, .. } = self.method().settings();
        not_negative("lr", lr)?;
        not_negative("weight_decay", weight_decay)?;
        self.method().check()
    }
}

impl Default for OptimizerConfig {
    /// Adam with its defaults.
    fn default() -> OptimizerConfig {
        OptimizerConfig::Adam(Adam::default())
    }
}

impl FromStr for OptimizerConfig {
    type Err = OptimError;
    fn from_str(text: &str) -> Result<OptimizerConfig, OptimError> {
        OptimizerConfig::parse(text)
    }
}

impl fmt::Display for OptimizerConfig {
    /// The line that [`OptimizerConfig::parse`] reads.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let default = OptimizerConfig::named(self.name()).expect("every optimiser has its name");
        f.write_str(&text::print(self, &default))
    }
}
