//! The one-line form of settings: `adam`, `sgd:momentum=0.9,nesterov`, `adam:betas=0.9:0.99`, `step:30:0.1`.
//!
//! A name, a colon, and arguments between commas. An argument is `setting=value`; the bare name of a switch; or values
//! between colons for the settings that may stand without their names, in order. A list is written with colons, too.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::error::{OptimError, hint};

/// Reads `text`. `default_of` gives the defaults of a name; `bare` the settings that may stand without their names.
pub(super) fn parse<T: Serialize + DeserializeOwned>(
    what: &'static str,
    names: &[&str],
    text: &str,
    default_of: impl Fn(&str) -> Option<T>,
    bare: impl Fn(&T) -> &'static [&'static str],
) -> Result<T, OptimError> {
    let (name, arguments) = text.split_once(':').unwrap_or((text, ""));
    let name = name.trim();
    let Some(mut config) = default_of(name) else {
        let hint = hint(name, names.iter().copied());
        return Err(OptimError::UnknownName { what, name: name.to_string(), hint });
    };
    let mut bare = bare(&config).iter();
    for argument in arguments.split(',').map(str::trim).filter(|argument| !argument.is_empty()) {
        if let Some((setting, value)) = argument.split_once('=') {
            set(&mut config, setting.trim(), value.trim())?;
        } else if argument.starts_with(|first: char| first.is_ascii_digit() || "+-.".contains(first)) {
            let mut values = argument;
            while !values.is_empty() {
                let Some(setting) = bare.next() else {
                    let expected = "a setting with its name, such as lr=0.1".to_string();
                    return Err(OptimError::Value { setting: name.to_string(), expected, value: values.to_string() });
                };
                // A list takes all that is left.
                let list = matches!(fields(&config).get(*setting), Some(Value::Array(_)));
                let (value, rest) = if list { (values, "") } else { values.split_once(':').unwrap_or((values, "")) };
                set(&mut config, setting, value.trim())?;
                values = rest;
            }
        } else {
            set(&mut config, argument, "true")?;
        }
    }
    Ok(config)
}

/// Sets one setting from text.
pub(super) fn set<T: Serialize + DeserializeOwned>(
    config: &mut T,
    setting: &str,
    value: &str,
) -> Result<(), OptimError> {
    let mut all = fields(config);
    let Some(old) = all.get_mut(setting).filter(|_| setting != NAME) else {
        let of = name_of(&all);
        let hint = hint(setting, all.keys().map(String::as_str).filter(|key| *key != NAME));
        return Err(OptimError::UnknownSetting { of, setting: setting.to_string(), hint });
    };
    let wrong = |expected: &str| OptimError::Value {
        setting: setting.to_string(),
        expected: expected.to_string(),
        value: format!("'{value}'"),
    };
    let number = |text: &str| match text.trim().parse::<u64>() {
        Ok(whole) => Some(Value::from(whole)),
        // JSON has no infinity and no NaN, and neither is a setting.
        Err(_) => text.trim().parse::<f64>().ok().filter(|x| x.is_finite()).map(Value::from),
    };
    let expected = match old {
        Value::Bool(_) => "true or false",
        Value::Array(_) => "numbers with colons between them, such as 0.9:0.999",
        Value::String(_) => "one of its words",
        _ => "a number",
    };
    *old = match old {
        Value::Bool(_) => Value::Bool(value.parse().map_err(|_| wrong(expected))?),
        Value::Array(_) => value
            .split(':')
            .map(number)
            .collect::<Option<Vec<Value>>>()
            .map(Value::Array)
            .ok_or_else(|| wrong(expected))?,
        Value::String(_) => Value::String(value.to_string()),
        _ => number(value).ok_or_else(|| wrong(expected))?,
    };
    // What the type refuses (a fraction for a whole number, a word that it does not know) it names itself.
    *config = serde_json::from_value(Value::Object(all)).map_err(|error| wrong(&format!("right ({error})")))?;
    Ok(())
}

/// The shortest text that [`parse`] reads as `config`: settings at their defaults are left out.
pub(super) fn print<T: Serialize>(config: &T, default: &T) -> String {
    let (all, defaults) = (fields(config), fields(default));
    let changed = all.iter().filter(|(key, value)| defaults.get(*key) != Some(value) && !value.is_null());
    let settings: Vec<String> = changed
        .map(|(key, value)| match value {
            Value::Bool(true) => key.clone(),
            Value::Array(list) => format!("{key}={}", list.iter().map(plain).collect::<Vec<_>>().join(":")),
            value => format!("{key}={}", plain(value)),
        })
        .collect();
    let name = name_of(&all);
    if settings.is_empty() { name } else { format!("{name}:{}", settings.join(",")) }
}

const NAME: &str = "name";

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        value => {
            let text = value.to_string();
            text.strip_suffix(".0").map(str::to_string).unwrap_or(text)
        }
    }
}

fn fields<T: Serialize>(config: &T) -> Map<String, Value> {
    match serde_json::to_value(config) {
        Ok(Value::Object(fields)) => fields,
        other => unreachable!("settings are a JSON object, not {other:?}"),
    }
}

fn name_of(fields: &Map<String, Value>) -> String {
    fields.get(NAME).and_then(Value::as_str).unwrap_or_default().to_string()
}
