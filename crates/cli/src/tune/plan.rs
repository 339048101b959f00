//! What is searched: settings that stay, and a space of those that do not.
//!
//! A dimension that is named as a setting (`lr`, `batch-size`, `optimizer`) is that setting. Any other stands in a setting as
//! `{name}`: `net = "{layers} * (dense {width} {activation}) -> dense"`, `optimizer = "sgd:momentum={momentum}"`.

use std::collections::BTreeMap;

use clap::CommandFactory;
use pellucid::suggest::nearest;
use pellucid::tune::{Assignment, Dimension, Domain, Space};
use serde_json::{Map, Value, json};

use crate::args::Cli;
use crate::defaults::{Facts, fill};
use crate::error::{Failure, Outcome};
use crate::settings::Settings;

/// Settings, and what is searched for.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// What stays as it is, with `{name}` where something is to be filled in.
    pub settings: Settings,
    /// What may be filled in.
    pub space: Space,
}

/// The network of tables where nothing is said.
const TABLE_NET: &str = "{layers} * (dense {width} {activation} -> dropout {dropout}) -> dense";

impl Plan {
    /// The plan of these settings; where they name no space, the usual one for such data. With folds the number of epochs is searched
    /// for instead of the best one being kept: that would be chosen by the rows that it is judged by, for each fold anew, and the
    /// network that is trained in the end can learn from all rows then.
    ///
    /// # Errors
    /// A space that cannot be read, or names something that is neither a setting nor stands in one.
    pub fn new(settings: &Settings, facts: &Facts, folds: usize) -> Outcome<Plan> {
        let mut settings = settings.clone();
        let space = match settings.space.take() {
            Some(space) => Space::from_json(&space).map_err(|error| Failure::new(format!("[space] {error}")))?,
            None => usual(&mut settings, facts, folds > 1)?,
        };
        settings.tune = None;
        let plan = Plan { settings, space };
        plan.check()?;
        Ok(plan)
    }

    /// The settings of a trial.
    ///
    /// # Errors
    /// Values that a setting cannot have.
    pub fn settings_of(&self, values: &Assignment) -> Outcome<Settings> {
        let mut map = as_map(&self.settings);
        let (places, settings): (BTreeMap<_, _>, BTreeMap<_, _>) =
            values.iter().partition(|(name, _)| self.is_place(name));
        map.extend(settings.into_iter().map(|(name, value)| (name.clone(), value.clone())));
        for value in map.values_mut() {
            put(value, &places);
        }
        let open = |value: &Value| value.as_str().is_some_and(|text| text.contains('{'));
        if let Some((name, value)) = map.iter().find(|(_, value)| open(value)) {
            let known: Vec<&str> = places.keys().map(|name| name.as_str()).collect();
            let message = format!("{name} = {value}: a place in braces is not filled; there are {}", known.join(", "));
            return Err(Failure::new(message));
        }
        let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_string);
        let shown: Vec<String> = values.iter().map(|(name, value)| format!("{name} = {}", text(value))).collect();
        serde_json::from_value(map.into()).map_err(|error| Failure::new(format!("{}: {error}", shown.join(", "))))
    }

    /// Whether a dimension stands in a setting, or in a choice for one, as `{name}`.
    fn is_place(&self, name: &str) -> bool {
        let place = format!("{{{name}}}");
        let has = |value: &Value| value.as_str().is_some_and(|text| text.contains(&place));
        let choices = |dimension: &Dimension| match &dimension.domain {
            Domain::Choice(values) => values.iter().any(has),
            _ => false,
        };
        as_map(&self.settings).values().any(has) || self.space.dimensions().iter().any(choices)
    }

    fn check(&self) -> Outcome<()> {
        let command = Cli::command();
        let train = command.find_subcommand("train").expect("a command");
        let known: Vec<(&str, &str)> = train
            .get_arguments()
            .filter_map(|argument| Some((argument.get_long()?, argument.get_help_heading().unwrap_or_default())))
            .collect();
        for dimension in self.space.dimensions().iter().filter(|dimension| !self.is_place(&dimension.name)) {
            let name = dimension.name.as_str();
            let problem = match known.iter().find(|(known, _)| *known == name) {
                Some(("seed", _)) => {
                    "the seed is not searched for; give several seeds to `train`, and `compare`".to_string()
                }
                Some((_, "Network" | "Training")) => continue,
                Some(_) => "it belongs to the data or the run, which are the same in all trials".to_string(),
                None => {
                    let near = nearest(name, known.iter().map(|(name, _)| *name));
                    let near = near.map_or(String::new(), |near| format!(" (did you mean {near}?)"));
                    format!("it is no setting{near}, and stands in none as {{{name}}}")
                }
            };
            return Err(Failure::new(format!("[space] {name}: {problem}")));
        }
        Ok(())
    }
}

/// What is searched where nothing is said: of tables the network too, unless it was given.
fn usual(settings: &mut Settings, facts: &Facts, in_folds: bool) -> Outcome<Space> {
    let rate = |low: f64, high: f64| json!({"low": low, "high": high, "log": true});
    let mut space = Map::new();
    space.insert("lr".to_string(), rate(3e-4, 3e-2));
    space.insert("weight-decay".to_string(), rate(1e-4, 0.3));
    let rows = facts.rows;
    let sizes: Vec<usize> =
        [16, 32, 64, 128, 256].into_iter().filter(|size| *size == 16 || size * 20 <= rows).collect();
    space.insert("batch-size".to_string(), json!({ "values": sizes }));
    let is_table = facts.picture.is_none()
        && facts.forecast.is_none()
        && !facts.documents
        && !facts.sequences
        && facts.task != pellucid::data::TaskKind::Tokens;
    if settings.net.is_none() && settings.from.is_none() && is_table {
        settings.net = Some(TABLE_NET.to_string());
        space.insert("layers".to_string(), json!({"low": 1, "high": 3, "whole": true}));
        space.insert("width".to_string(), json!({"low": 16, "high": 256, "log": true, "whole": true}));
        space.insert("activation".to_string(), json!({"values": ["relu", "tanh", "gelu"]}));
        space.insert("dropout".to_string(), json!({"low": 0, "high": 0.5}));
    }
    let stops = settings.patience.is_some() || settings.monitor.is_some();
    if in_folds && !stops && !settings.no_early_stopping {
        settings.no_early_stopping = true;
        let most = fill(settings, facts).epochs.unwrap_or(1).max(2);
        space.insert("epochs".to_string(), json!({"low": most.div_ceil(40), "high": most, "log": true, "whole": true}));
    }
    // Whoever chose one of these has chosen.
    let chosen = as_map(settings);
    space.retain(|name, _| !chosen.contains_key(name));
    settings.optimizer.get_or_insert_with(|| "adamw".to_string());
    settings.schedule.get_or_insert_with(|| "cosine".to_string());
    Ok(Space::from_json(&space)?)
}

fn as_map(settings: &Settings) -> Map<String, Value> {
    match serde_json::to_value(settings) {
        Ok(Value::Object(map)) => map,
        _ => unreachable!("settings are a map"),
    }
}

/// Puts values where their names stand in braces.
fn put(value: &mut Value, places: &BTreeMap<&String, &Value>) {
    let Value::String(text) = value else { return };
    for (name, value) in places {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_string);
        *text = text.replace(&format!("{{{name}}}"), &value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts() -> Facts {
        Facts {
            task: pellucid::data::TaskKind::Binary,
            rows: 700,
            width: 8,
            picture: None,
            documents: false,
            sequences: false,
            forecast: None,
            validation: true,
            pretrained: false,
        }
    }

    fn plan(text: &str) -> Outcome<Plan> {
        Plan::new(&Settings::parse(text)?, &facts(), 1)
    }

    fn values(text: &str) -> Assignment {
        serde_json::from_str(text).expect("values")
    }

    #[test]
    fn values_become_settings_or_stand_in_them() {
        let plan = plan(
            "net = \"{layers} * (dense {width} relu) -> dense\"\nepochs = 5\n[space]\n\
             lr = { low = 1e-4, high = 0.1, log = true }\nlayers = { low = 1, high = 3, whole = true }\n\
             width = { values = [8, 16] }\n\
             optimizer = { values = [\"adam\", \"sgd:momentum={momentum}\"] }\n\
             momentum = { low = 0.5, high = 0.99, when = { optimizer = \"sgd:momentum={momentum}\" } }",
        );
        let plan = plan.expect("a plan");
        let first = plan.settings_of(&values(r#"{"lr": 0.01, "layers": 2, "width": 16, "optimizer": "adam"}"#));
        let first = first.expect("settings");
        assert_eq!(first.net.as_deref(), Some("2 * (dense 16 relu) -> dense"));
        assert_eq!((first.lr, first.epochs, first.optimizer.as_deref()), (Some(0.01), Some(5), Some("adam")));
        let second = plan.settings_of(&values(
            r#"{"lr": 0.01, "layers": 1, "width": 8, "optimizer": "sgd:momentum={momentum}", "momentum": 0.9}"#,
        ));
        assert_eq!(second.expect("settings").optimizer.as_deref(), Some("sgd:momentum=0.9"));
    }

    #[test]
    fn what_is_not_said_is_searched_for() {
        let plan = plan("lr = 0.01\nepochs = 3").expect("the usual space");
        let names: Vec<&str> = plan.space.dimensions().iter().map(|one| one.name.as_str()).collect();
        assert!(!names.contains(&"lr") && names.contains(&"width") && names.contains(&"batch-size"), "{names:?}");
        let net = Settings { net: Some("dense 8 -> dense".into()), ..Settings::default() };
        let plan = Plan::new(&net, &facts(), 5).expect("a plan");
        let names: Vec<&str> = plan.space.dimensions().iter().map(|one| one.name.as_str()).collect();
        assert!(!names.contains(&"width") && names.contains(&"epochs") && plan.settings.no_early_stopping, "{names:?}");
    }

    #[test]
    fn mistakes_are_named() {
        for (text, part) in [
            ("[space]\nwidht = { low = 1, high = 2 }", "no setting (did you mean width"),
            ("[space]\nepoch = { low = 1, high = 2 }", "did you mean epochs?"),
            ("[space]\nseed = { low = 1, high = 9, whole = true }", "the seed is not searched for"),
            ("[space]\nwindow = { values = [8, 16] }", "belongs to the data"),
            ("[space]\nlr = { low = 2, high = 1 }", "[space] lr: low must be below high"),
        ] {
            // `width` is no flag of train: nothing is near it.
            let part = part.split(" (did you mean width").next().unwrap_or(part);
            let error = plan(text).expect_err(text);
            assert!(error.message().contains(part), "{text}: {}", error.message());
        }
        let open = plan("net = \"dense {width} -> dense {units}\"\n[space]\nwidth = { values = [8] }").expect("a plan");
        let error = open.settings_of(&values(r#"{"width": 8}"#)).expect_err("units are not said");
        assert!(error.message().contains("not filled"), "{}", error.message());
        let wrong = plan("[space]\nbatch-size = { values = [0] }").expect("a plan");
        let error = wrong.settings_of(&values(r#"{"batch-size": 0}"#)).expect_err("no size");
        assert!(error.message().contains("batch-size = 0"), "{}", error.message());
    }
}
