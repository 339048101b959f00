//! What can be chosen.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Number, Value};

use crate::suggest::nearest;

/// A value for each dimension that counts, by name.
pub type Assignment = BTreeMap<String, Value>;

/// All that can be chosen, in order: a dimension may depend on those before it.
#[derive(Clone, Debug, PartialEq)]
pub struct Space {
    dimensions: Vec<Dimension>,
}

/// One hyper-parameter.
#[derive(Clone, Debug, PartialEq)]
pub struct Dimension {
    /// Its name.
    pub name: String,
    /// Its values.
    pub domain: Domain,
    /// Where it counts; everywhere if there is none.
    pub when: Option<Condition>,
}

/// The values of a hyper-parameter.
#[derive(Clone, Debug, PartialEq)]
pub enum Domain {
    /// Numbers from `low` to `high`; with `log` equally likely for each factor.
    Real {
        /// The least.
        low: f64,
        /// The greatest.
        high: f64,
        /// Over factors instead of differences.
        log: bool,
    },
    /// Whole numbers from `low` to `high`, both included.
    Whole {
        /// The least.
        low: i64,
        /// The greatest.
        high: i64,
        /// Over factors instead of differences.
        log: bool,
    },
    /// One of these.
    Choice(Vec<Value>),
}

/// Counts where a dimension before it has one of these values.
#[derive(Clone, Debug, PartialEq)]
pub struct Condition {
    /// The other dimension.
    pub name: String,
    /// Its values.
    pub values: Vec<Value>,
}

/// A space that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{name}: {problem}")]
pub struct SpaceError {
    /// The dimension, or `space`.
    pub name: String,
    /// What is wrong with it, and what it may be.
    pub problem: String,
}

/// As a dimension is written.
#[derive(Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Written {
    low: Option<f64>,
    high: Option<f64>,
    #[serde(default)]
    log: bool,
    #[serde(default)]
    whole: bool,
    values: Option<Vec<Value>>,
    #[serde(default)]
    when: Map<String, Value>,
}

impl Space {
    /// A space of these dimensions.
    ///
    /// # Errors
    /// With the first dimension that has no values, a name twice, or a condition on one that does not stand before it.
    pub fn new(dimensions: Vec<Dimension>) -> Result<Space, SpaceError> {
        let fail = |name: &str, problem: String| Err(SpaceError { name: name.to_string(), problem });
        if dimensions.is_empty() {
            return fail(
                "space",
                "it has no dimension; give at least one, such as lr = { low = 1e-4, high = 0.1, log = true }"
                    .to_string(),
            );
        }
        for (index, dimension) in dimensions.iter().enumerate() {
            let name = &dimension.name;
            if let Err(problem) = dimension.domain.check() {
                return fail(name, problem);
            }
            let before = &dimensions[..index];
            if before.iter().any(|other| other.name == *name) {
                return fail(name, "it is there twice".to_string());
            }
            let Some(when) = &dimension.when else { continue };
            let Some(other) = before.iter().find(|other| other.name == when.name) else {
                let near = nearest(&when.name, before.iter().map(|other| other.name.as_str()));
                let near = near.map_or(String::new(), |near| format!("; did you mean {near}?"));
                return fail(name, format!("it depends on '{}', which does not stand before it{near}", when.name));
            };
            if let Some(value) = when.values.iter().find(|value| !other.domain.has(value)) {
                return fail(name, format!("it depends on {} = {value}, which that cannot be", other.name));
            }
        }
        Ok(Space { dimensions })
    }

    /// Reads an object such as `{"lr": {"low": 1e-4, "high": 0.1, "log": true}, "layers": {"low": 1, "high": 3, "whole": true},
    /// "optimizer": ["sgd", "adam"], "momentum": {"low": 0, "high": 0.99, "when": {"optimizer": "sgd"}}}`; values that depend on
    /// another are `{"values": […], "when": …}`.
    ///
    /// # Errors
    /// No JSON, or as [`Space::new`].
    pub fn parse(text: &str) -> Result<Space, SpaceError> {
        let document = serde_json::from_str(text)
            .map_err(|error| SpaceError { name: "space".to_string(), problem: error.to_string() })?;
        Space::from_json(&document)
    }

    /// The same from a document that was read already.
    ///
    /// # Errors
    /// As [`Space::parse`].
    pub fn from_json(document: &Map<String, Value>) -> Result<Space, SpaceError> {
        let read = |(name, value): (&String, &Value)| {
            let fail = |problem: String| SpaceError { name: name.clone(), problem };
            let written = match value {
                Value::Array(values) => Written { values: Some(values.clone()), ..Written::default() },
                value => serde_json::from_value(value.clone()).map_err(|error| fail(error.to_string()))?,
            };
            let domain = written.domain().map_err(fail)?;
            let when = written.when.iter().next().map(|(name, value)| Condition {
                name: name.clone(),
                values: value.as_array().cloned().unwrap_or_else(|| vec![value.clone()]),
            });
            if written.when.len() > 1 {
                return Err(fail("it can depend on one other dimension alone".to_string()));
            }
            Ok(Dimension { name: name.clone(), domain, when })
        };
        let mut dimensions = document.iter().map(read).collect::<Result<Vec<_>, _>>()?;
        // A JSON object has no order of its own: what depends on another stands behind it.
        dimensions.sort_by_key(|dimension| dimension.when.is_some());
        Space::new(dimensions)
    }

    /// The dimensions.
    pub fn dimensions(&self) -> &[Dimension] {
        &self.dimensions
    }

    /// The values that `choose` gives for each dimension that counts, as a place from 0 to 1 within its domain.
    pub(super) fn assign(&self, mut choose: impl FnMut(usize, &Dimension) -> f64) -> Assignment {
        let mut assignment = Assignment::new();
        for (index, dimension) in self.dimensions.iter().enumerate() {
            if dimension.counts(&assignment) {
                assignment.insert(dimension.name.clone(), dimension.domain.at(choose(index, dimension)));
            }
        }
        assignment
    }
}

impl Written {
    fn domain(&self) -> Result<Domain, String> {
        match (&self.values, self.low, self.high) {
            (Some(values), None, None) => Ok(Domain::Choice(values.clone())),
            (None, Some(low), Some(high)) if self.whole => {
                let is_whole = [low, high].iter().all(|value| value.fract() == 0.0 && value.abs() < 1e15);
                let limits = "low and high of whole numbers are whole numbers";
                if is_whole {
                    Ok(Domain::Whole { low: low as i64, high: high as i64, log: self.log })
                } else {
                    Err(limits.to_string())
                }
            }
            (None, Some(low), Some(high)) => Ok(Domain::Real { low, high, log: self.log }),
            _ => Err("it needs low and high, or values".to_string()),
        }
    }
}

impl Dimension {
    /// Whether it counts with these values of the dimensions before it.
    pub fn counts(&self, assignment: &Assignment) -> bool {
        let has = |when: &Condition| assignment.get(&when.name).is_some_and(|value| when.values.contains(value));
        self.when.as_ref().is_none_or(has)
    }
}

impl Domain {
    fn check(&self) -> Result<(), String> {
        let is_right = match self {
            Domain::Real { low, high, log } => {
                low.is_finite() && high.is_finite() && low < high && (!log || *low > 0.0)
            }
            Domain::Whole { low, high, log } => low < high && (!log || *low > 0),
            Domain::Choice(values) => !values.is_empty(),
        };
        match self {
            _ if is_right => Ok(()),
            Domain::Choice(_) => Err("there is no value to choose from".to_string()),
            _ => Err("low must be below high, and above 0 with log".to_string()),
        }
    }

    fn has(&self, value: &Value) -> bool {
        match self {
            Domain::Choice(values) => values.contains(value),
            Domain::Whole { low, high, .. } => value.as_i64().is_some_and(|value| (low..=high).contains(&&value)),
            Domain::Real { low, high, .. } => value.as_f64().is_some_and(|value| (*low..=*high).contains(&value)),
        }
    }

    /// The value at a place from 0 to 1.
    pub fn at(&self, place: f64) -> Value {
        let place = place.clamp(0.0, 1.0);
        match self {
            Domain::Real { low, high, log } => number(between(*low, *high, *log, place).clamp(*low, *high)),
            Domain::Whole { low, high, log } => {
                // Each number has the half unit around it.
                let value = between(*low as f64 - 0.5, *high as f64 + 0.5, *log, place);
                Value::Number(Number::from((value.round() as i64).clamp(*low, *high)))
            }
            Domain::Choice(values) => values[((place * values.len() as f64) as usize).min(values.len() - 1)].clone(),
        }
    }

    /// The place of a value, from 0 to 1; of a choice the middle of its part. `None` for a value of another type, or no choice.
    pub fn place(&self, value: &Value) -> Option<f64> {
        let within = |low: f64, high: f64, log: bool, value: f64| {
            if log { libm::log(value / low) / libm::log(high / low) } else { (value - low) / (high - low) }
        };
        match self {
            Domain::Real { low, high, log } => Some(within(*low, *high, *log, value.as_f64()?)),
            Domain::Whole { low, high, log } => {
                Some(within(*low as f64 - 0.5, *high as f64 + 0.5, *log, value.as_i64()? as f64))
            }
            Domain::Choice(values) => {
                let index = values.iter().position(|known| known == value)?;
                Some((index as f64 + 0.5) / values.len() as f64)
            }
        }
    }

    /// Number of values, if they can be counted.
    pub(super) fn count(&self) -> Option<usize> {
        match self {
            Domain::Real { .. } => None,
            Domain::Whole { low, high, .. } => usize::try_from(high - low + 1).ok(),
            Domain::Choice(values) => Some(values.len()),
        }
    }
}

fn between(low: f64, high: f64, log: bool, place: f64) -> f64 {
    if log { low * libm::pow(high / low, place) } else { low + (high - low) * place }
}

fn number(value: f64) -> Value {
    Number::from_f64(value).map_or(Value::Null, Value::Number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_and_their_places_go_over_into_each_other() {
        let domains = [
            Domain::Real { low: -2.0, high: 3.0, log: false },
            Domain::Real { low: 1e-5, high: 1.0, log: true },
            Domain::Whole { low: 1, high: 6, log: false },
            Domain::Whole { low: 8, high: 512, log: true },
            Domain::Choice(vec!["a".into(), "b".into(), 3.into()]),
        ];
        for domain in &domains {
            for i in 0..=20 {
                let value = domain.at(f64::from(i) / 20.0);
                assert!(domain.has(&value), "{domain:?}: {value}");
                let place = domain.place(&value).expect("a value of it");
                let (again, value) = (domain.at(place), value);
                match (again.as_f64(), value.as_f64()) {
                    (Some(a), Some(b)) => assert!((a - b).abs() <= 1e-12 * b.abs(), "{domain:?}: {a}, {b}"),
                    _ => assert_eq!(again, value, "{domain:?}"),
                }
            }
        }
        // Whole numbers are equally likely.
        let die = &domains[2];
        let count = (0..6000).filter(|i| die.at((f64::from(*i) + 0.5) / 6000.0) == 1).count();
        assert_eq!(count, 1000);
    }

    #[test]
    fn what_depends_on_another_counts_only_there() {
        let text =
            r#"{"momentum": {"low": 0, "high": 0.99, "when": {"optimizer": "sgd"}}, "optimizer": ["sgd", "adam"]}"#;
        let space = Space::parse(text).expect("a space");
        assert_eq!(space.dimensions()[0].name, "optimizer");
        assert_eq!(space.assign(|_, _| 0.0).len(), 2);
        let assignment = space.assign(|index, _| if index == 0 { 0.9 } else { 0.5 });
        assert_eq!(assignment.keys().collect::<Vec<_>>(), ["optimizer"]);
    }

    #[test]
    fn mistakes_are_named() {
        for (text, part) in [
            ("{}", "no dimension"),
            (r#"{"a": {"low": 1}}"#, "a: it needs low and high, or values"),
            (r#"{"a": {"low": 1, "high": 1}}"#, "low must be below high"),
            (r#"{"a": {"low": 0, "high": 1, "log": true}}"#, "above 0 with log"),
            (r#"{"a": {"low": 0.5, "high": 2, "whole": true}}"#, "whole numbers"),
            (r#"{"a": {"values": []}}"#, "no value to choose"),
            (r#"{"a": []}"#, "no value to choose"),
            (r#"{"a": {"low": 0, "hihg": 2}}"#, "unknown field `hihg`"),
            (r#"{"abc": {"low": 0, "high": 2}, "b": {"low": 0, "high": 1, "when": {"abd": 1}}}"#, "did you mean abc?"),
            (r#"{"a": {"values": ["x"]}, "b": {"low": 0, "high": 1, "when": {"a": "y"}}}"#, "which that cannot be"),
        ] {
            let error = Space::parse(text).expect_err(text).to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
