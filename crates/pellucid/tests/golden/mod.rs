//! The reference cases: `golden.json` says what they mean, `golden.safetensors` holds the arrays, each called
//! `CASE.ARRAY`. The folder is `GOLDEN_DIR`, else the one beside the repository.

#![allow(dead_code, reason = "every test file uses its own part")]

use std::path::{Path, PathBuf};

use safetensors::{Dtype, SafeTensors};
use serde_json::{Map, Value};

/// All reference cases.
pub struct Golden {
    folder: PathBuf,
    cases: Vec<Map<String, Value>>,
    arrays: Vec<u8>,
}

/// Sizes and values; whole numbers become f32, which holds the labels and ids of the cases exactly.
#[derive(Clone, Debug, PartialEq)]
pub struct Array {
    pub dims: Vec<usize>,
    pub data: Vec<f32>,
}

/// One reference case.
pub struct Case<'a> {
    pub name: &'a str,
    pub kind: &'a str,
    /// Largest difference relative to the expected value.
    pub relative: f64,
    /// Largest difference in addition.
    pub absolute: f64,
    /// Everything that the manifest says of the case.
    pub fields: &'a Map<String, Value>,
    arrays: SafeTensors<'a>,
}

impl Golden {
    /// The reference, or, after a loud line, none where there is no folder.
    pub fn load() -> Option<Golden> {
        let Some(folder) = folder() else {
            eprintln!("SKIPPED: no reference cases; set GOLDEN_DIR to their folder");
            return None;
        };
        let read = |name: &str| {
            let path = folder.join(name);
            std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
        };
        let manifest: Value = serde_json::from_slice(&read("golden.json")).expect("golden.json is JSON");
        let cases = manifest["cases"].as_array().expect("a list of cases");
        let cases = cases.iter().map(|case| case.as_object().expect("a case is an object").clone()).collect();
        let arrays = read("golden.safetensors");
        Some(Golden { folder, cases, arrays })
    }

    /// The cases of one kind (`layer`, `loss`, `optimizer`, `schedule`, …); panics when there are none.
    pub fn cases(&self, kind: &str) -> Vec<Case<'_>> {
        let of_kind = self.cases.iter().filter(|case| case.get("kind").is_some_and(|found| found == kind));
        let cases: Vec<Case> = of_kind.map(|case| self.case(case)).collect();
        assert!(!cases.is_empty(), "{} has no cases of kind '{kind}'", self.folder.display());
        cases
    }

    fn case<'a>(&'a self, fields: &'a Map<String, Value>) -> Case<'a> {
        Case {
            name: text(fields, "name"),
            kind: text(fields, "kind"),
            relative: number(fields, "rtol"),
            absolute: number(fields, "atol"),
            fields,
            arrays: SafeTensors::deserialize(&self.arrays).expect("golden.safetensors is a safetensors file"),
        }
    }
}

impl<'a> Case<'a> {
    /// The text of a field; panics when it is missing.
    pub fn text(&self, field: &str) -> &'a str {
        text(self.fields, field)
    }

    /// The list of texts in a field; panics when it is missing.
    pub fn texts(&self, field: &str) -> Vec<&'a str> {
        let list = self.field(field).as_array().unwrap_or_else(|| panic!("{}: '{field}' is no list", self.name));
        list.iter().map(|text| text.as_str().expect("a list of texts")).collect()
    }

    /// A field; panics when it is missing.
    pub fn field(&self, field: &str) -> &'a Value {
        self.fields.get(field).unwrap_or_else(|| panic!("{} has no field '{field}'", self.name))
    }

    /// A setting of `config`; `Null` when it is missing.
    pub fn setting(&self, name: &str) -> &'a Value {
        self.fields.get("config").and_then(|config| config.get(name)).unwrap_or(&Value::Null)
    }

    /// A number of `config`; panics when it is missing.
    pub fn number(&self, name: &str) -> f32 {
        let number = self.setting(name).as_f64();
        number.unwrap_or_else(|| panic!("{}: '{name}' is no number", self.name)) as f32
    }

    /// The array called `name` within the case; panics when it is missing.
    pub fn array(&self, name: &str) -> Array {
        self.find_array(name).unwrap_or_else(|| panic!("{} has no array '{name}'", self.name))
    }

    /// The array called `name` within the case, if there is one.
    pub fn find_array(&self, name: &str) -> Option<Array> {
        let view = self.arrays.tensor(&format!("{}.{name}", self.name)).ok()?;
        let bytes = view.data();
        let data = match view.dtype() {
            Dtype::F32 => bytes.as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect(),
            Dtype::I64 => bytes.as_chunks().0.iter().map(|&bytes| i64::from_le_bytes(bytes) as f32).collect(),
            other => panic!("{}.{name} holds {other:?}", self.name),
        };
        Some(Array { dims: view.shape().to_vec(), data })
    }

    /// Names of the case's arrays, without the case, sorted.
    pub fn array_names(&self) -> Vec<String> {
        let prefix = format!("{}.", self.name);
        let names = self.arrays.names();
        let mut names: Vec<String> =
            names.iter().filter_map(|name| name.strip_prefix(&prefix)).map(str::to_string).collect();
        names.sort();
        names
    }

    /// Panics unless `got` is the array `expected` within the bounds of the case.
    pub fn assert_array(&self, expected: &str, got: &[f32]) {
        self.assert_close(expected, got, &self.array(expected).data);
    }

    /// Panics unless `got` is `expected` within the bounds of the case; `what` names the values.
    pub fn assert_close(&self, what: &str, got: &[f32], expected: &[f32]) {
        if let Err(message) = self.compare(got, expected) {
            panic!("{} {what}: {message}", self.name);
        }
    }

    fn compare(&self, got: &[f32], expected: &[f32]) -> Result<(), String> {
        if got.len() != expected.len() {
            return Err(format!("{} values, expected {}", got.len(), expected.len()));
        }
        let excess = |i: usize| {
            let (got, expected) = (f64::from(got[i]), f64::from(expected[i]));
            // Infinities of one sign have a difference of NaN.
            let difference = if got == expected { 0.0 } else { (got - expected).abs() };
            difference / (self.absolute + self.relative * expected.abs())
        };
        // Written so that a NaN counts as a mismatch.
        let is_off = |i: &usize| !matches!(excess(*i).partial_cmp(&1.0), Some(order) if order.is_le());
        let off: Vec<usize> = (0..got.len()).filter(is_off).collect();
        let Some(&worst) = off.iter().max_by(|&&a, &&b| excess(a).total_cmp(&excess(b))) else { return Ok(()) };
        Err(format!(
            "{} of {} values are off, worst at {worst}: {}, expected {} ({:.3} times the bound)",
            off.len(),
            got.len(),
            got[worst],
            expected[worst],
            excess(worst)
        ))
    }
}

fn text<'a>(fields: &'a Map<String, Value>, field: &str) -> &'a str {
    fields
        .get(field)
        .and_then(Value::as_str)
        .unwrap_or_else(|| panic!("{:?} has no text '{field}'", fields.get("name")))
}

fn number(fields: &Map<String, Value>, field: &str) -> f64 {
    let number = fields.get(field).and_then(Value::as_f64);
    number.unwrap_or_else(|| panic!("{:?} has no number '{field}'", fields.get("name")))
}

fn folder() -> Option<PathBuf> {
    if let Some(folder) = std::env::var_os("GOLDEN_DIR") {
        return Some(PathBuf::from(folder));
    }
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/golden");
    beside.is_dir().then_some(beside)
}

#[test]
fn the_comparison_notices_every_kind_of_difference() {
    let fields = Map::new();
    let nothing = safetensors::serialize(Vec::<(String, safetensors::tensor::TensorView)>::new(), None).expect("empty");
    let arrays = SafeTensors::deserialize(&nothing).expect("an empty file");
    let case = Case { name: "a", kind: "b", relative: 1e-4, absolute: 1e-5, fields: &fields, arrays };
    for (got, expected) in [
        (&[][..], &[][..]),
        (&[0.0, 1.0], &[-0.0, 1.0001]),
        (&[f32::INFINITY, 1e-5], &[f32::INFINITY, 0.0]),
        (&[1e-40], &[0.0]),
    ] {
        assert_eq!(case.compare(got, expected), Ok(()));
    }
    for (got, expected) in [
        (&[1.0][..], &[][..]),
        (&[1.0], &[1.0002]),
        (&[0.0], &[2e-5]),
        (&[f32::NAN], &[1.0]),
        (&[1.0], &[f32::NAN]),
        (&[f32::INFINITY], &[f32::NEG_INFINITY]),
        (&[1.0], &[f32::INFINITY]),
        (&[1.0, 2.0], &[2.0, 1.0]),
    ] {
        assert!(case.compare(got, expected).is_err(), "{got:?} {expected:?}");
    }
}
