//! How a search goes about it: flags of `tune`, and the keys below `[tune]` in a run.toml.

use std::str::FromStr;
use std::time::Duration;

use clap::Args;
use pellucid::tune::{Pruner, Sampler};
use serde::{Deserialize, Serialize};

/// Settings of a search; what is absent has its default.
#[derive(Args, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct TuneOptions {
    /// Trials in all [default: 50, or as many as --budget allows]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1_000_000), help_heading = SEARCH)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trials: Option<u64>,
    /// Time after which no trial is begun, such as 90s, 20m or 2h
    #[arg(long, value_name = "TIME", help_heading = SEARCH)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub budget: Option<Budget>,
    /// What is tried next: random, grid, or tpe, which learns from the trials before [default: tpe]
    #[arg(long, value_name = "NAME", help_heading = SEARCH)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sampler: Option<Sampler>,
    /// What is given up early, after so many epochs (or folds) at first: none, asha[:N] (goes on if among the best third),
    /// hyperband[:N] [default: asha]
    #[arg(long, value_name = "NAME[:N]", help_heading = SEARCH)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pruner: Option<Early>,
    /// Folds of cross-validation: a trial is trained once for each, and judged by the mean [default: 1, the validation part alone]
    #[arg(long, value_name = "K", value_parser = clap::value_parser!(u64).range(1..=1000), help_heading = SEARCH)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub folds: Option<u64>,
    /// Validation metric to search by [default: accuracy, f1_micro, r2 or perplexity]
    #[arg(long, value_name = "METRIC", help_heading = SEARCH)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metric: Option<String>,
    /// Trials that may run at a time, in all processes together; what is tried depends on it, so that it does not depend on which
    /// trial ends first [default: 4]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=256), help_heading = SEARCH)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parallel: Option<u64>,
}

const SEARCH: &str = "Search";

/// Trials where nothing is said.
const TRIALS: u64 = 50;
/// Trials at a time where nothing is said.
const PARALLEL: u64 = 4;

impl TuneOptions {
    /// These where they say something, those of `file` elsewhere.
    pub fn over(self, file: TuneOptions) -> TuneOptions {
        TuneOptions {
            trials: self.trials.or(file.trials),
            budget: self.budget.or(file.budget),
            sampler: self.sampler.or(file.sampler),
            pruner: self.pruner.or(file.pruner),
            folds: self.folds.or(file.folds),
            metric: self.metric.or(file.metric),
            parallel: self.parallel.or(file.parallel),
        }
    }

    /// Trials in all.
    pub fn limit(&self) -> usize {
        let usual = if self.budget.is_some() { u64::from(u32::MAX) } else { TRIALS };
        self.trials.unwrap_or(usual) as usize
    }

    /// How many may run at a time.
    pub fn lanes(&self) -> usize {
        self.parallel.unwrap_or(PARALLEL) as usize
    }

    /// How many folds.
    pub fn folds(&self) -> usize {
        self.folds.unwrap_or(1) as usize
    }

    /// What gives up trials of so many epochs.
    pub fn pruner(&self, epochs: usize) -> Pruner {
        let units = if self.folds() > 1 { self.folds() } else { epochs };
        let usual = (units / 9).max(1);
        match self.pruner.unwrap_or(Early::Asha(None)) {
            Early::None => Pruner::None,
            Early::Asha(first) => Pruner::Asha { first: first.unwrap_or(usual) },
            Early::Hyperband(first) => Pruner::Hyperband { first: first.unwrap_or(usual), most: units },
        }
    }
}

/// What gives trials up, and its first rung if it was said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Early {
    /// Nothing does.
    None,
    /// Successive halving.
    Asha(Option<usize>),
    /// Successive halving from one of several first rungs.
    Hyperband(Option<usize>),
}

impl FromStr for Early {
    type Err = String;
    fn from_str(text: &str) -> Result<Early, String> {
        let (name, first) = match text.split_once(':') {
            Some((name, first)) => (name, first.parse().ok().filter(|first| *first > 0).map(Some)),
            None => (text, Some(None)),
        };
        match (name, first) {
            ("none", Some(None)) => Ok(Early::None),
            ("asha", Some(first)) => Ok(Early::Asha(first)),
            ("hyperband", Some(first)) => Ok(Early::Hyperband(first)),
            _ => Err(format!("it is none, asha, asha:N, hyperband or hyperband:N with N from 1; got {text:?}")),
        }
    }
}

impl TryFrom<String> for Early {
    type Error = String;
    fn try_from(text: String) -> Result<Early, String> {
        text.parse()
    }
}

impl From<Early> for String {
    fn from(early: Early) -> String {
        let named =
            |name: &str, first: Option<usize>| first.map_or(name.to_string(), |first| format!("{name}:{first}"));
        match early {
            Early::None => "none".to_string(),
            Early::Asha(first) => named("asha", first),
            Early::Hyperband(first) => named("hyperband", first),
        }
    }
}

/// A time to search, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Budget(pub u64);

impl Budget {
    /// The same as a duration.
    pub fn duration(self) -> Duration {
        Duration::from_secs(self.0)
    }
}

impl FromStr for Budget {
    type Err = String;
    fn from_str(text: &str) -> Result<Budget, String> {
        let number = text.trim_end_matches(|symbol: char| symbol.is_ascii_alphabetic());
        let unit = match &text[number.len()..] {
            "s" => Some(1),
            "m" => Some(60),
            "h" => Some(3600),
            _ => None,
        };
        let seconds = unit.and_then(|unit| number.parse::<u64>().ok()?.checked_mul(unit)).filter(|all| *all > 0);
        seconds.map(Budget).ok_or_else(|| format!("a time is such as 90s, 20m or 2h; got {text:?}"))
    }
}

impl TryFrom<String> for Budget {
    type Error = String;
    fn try_from(text: String) -> Result<Budget, String> {
        text.parse()
    }
}

impl From<Budget> for String {
    fn from(budget: Budget) -> String {
        format!("{}s", budget.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_pruners_are_read_as_they_are_written() {
        assert_eq!(("90s".parse(), "20m".parse(), "2h".parse()), (Ok(Budget(90)), Ok(Budget(1200)), Ok(Budget(7200))));
        for wrong in ["", "90", "0s", "1d", "-3m", "1.5h", "99999999999999999999h"] {
            assert!(wrong.parse::<Budget>().is_err(), "{wrong}");
        }
        for text in ["none", "asha", "asha:3", "hyperband", "hyperband:2"] {
            assert_eq!(String::from(text.parse::<Early>().expect(text)), text);
        }
        for wrong in ["", "none:1", "asha:0", "asha:x", "halving"] {
            assert!(wrong.parse::<Early>().is_err(), "{wrong}");
        }
        let options = TuneOptions { folds: Some(5), ..TuneOptions::default() };
        assert_eq!(options.pruner(100), Pruner::Asha { first: 1 });
        assert_eq!(TuneOptions::default().pruner(100), Pruner::Asha { first: 11 });
    }
}
