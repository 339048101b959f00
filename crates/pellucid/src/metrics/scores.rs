//! Named metric values in the order in which they are shown.

use std::fmt;

use serde::de::{MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Metrics of which less is better.
const ERRORS: [&str; 14] = [
    "loss",
    "log_loss",
    "brier",
    "mae",
    "mse",
    "rmse",
    "median_ae",
    "max_error",
    "mape",
    "smape",
    "mase",
    "hamming_loss",
    "perplexity",
    "bits_per_character",
];

/// Whether less of this metric is better; of all others more is.
pub fn is_error(name: &str) -> bool {
    ERRORS.contains(&name)
}

/// Metric names and values, in order; names are those of scikit-learn (`accuracy`, `f1_macro`, `roc_auc`, `rmse`, …).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Scores(Vec<(String, f64)>);

impl Scores {
    /// No metrics yet.
    pub fn new() -> Scores {
        Scores::default()
    }

    /// Sets `name`, replacing an earlier value in place.
    pub fn set(&mut self, name: impl Into<String>, value: f64) {
        let name = name.into();
        match self.0.iter_mut().find(|(known, _)| *known == name) {
            Some(entry) => entry.1 = value,
            None => self.0.push((name, value)),
        }
    }

    /// The value of `name`, if it was set.
    pub fn get(&self, name: &str) -> Option<f64> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| *value)
    }

    /// Names and values in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, f64)> {
        self.0.iter().map(|(name, value)| (name.as_str(), *value))
    }

    /// True when no metric was set.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Serialize for Scores {
    /// A map from names to numbers; what JSON cannot hold (NaN, infinity) becomes null there.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in self.iter() {
            map.serialize_entry(name, &value)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Scores {
    /// From a map; null is NaN.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Scores, D::Error> {
        struct Map;
        impl<'de> Visitor<'de> for Map {
            type Value = Scores;
            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a map from names to numbers")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Scores, A::Error> {
                let mut scores = Scores::new();
                while let Some((name, value)) = map.next_entry::<String, Option<f64>>()? {
                    scores.set(name, value.unwrap_or(f64::NAN));
                }
                Ok(scores)
            }
        }
        deserializer.deserialize_map(Map)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_score_keeps_its_place_when_it_is_set_again() {
        let mut scores = Scores::new();
        scores.set("loss", 2.0);
        scores.set("accuracy", 0.5);
        scores.set("loss", f64::NAN);
        assert_eq!(scores.iter().map(|(name, _)| name).collect::<Vec<_>>(), ["loss", "accuracy"]);
        assert_eq!(scores.get("accuracy"), Some(0.5));
        assert_eq!(scores.get("f1"), None);
        let text = serde_json::to_string(&scores).expect("a map of numbers");
        assert_eq!(text, r#"{"loss":null,"accuracy":0.5}"#);
        let back: Scores = serde_json::from_str(&text).expect("the same map");
        assert!(back.get("loss").is_some_and(f64::is_nan) && back.get("accuracy") == Some(0.5));
    }
}
