//! What happens to raw numbers before they reach a network, as nodes in front of it: pictures of bytes, and columns of a table.
//!
//! A row of a table is a number for each column: a number as it is, the place of a category among its levels (-1 for one that is
//! none), 1 or 0 for truth, NaN where it is missing.

use pellucid::data::pipeline::{Encoding, Scaling};
use pellucid::model::Preprocessing;

use crate::export::{Export, Setting};

/// Columns or pictures that ONNX can prepare.
#[derive(Clone, Debug)]
pub struct Front {
    /// What the raw input is called.
    pub name: &'static str,
    /// Sizes of a row of it; `None` for those of the network's own input.
    pub sizes: Option<Vec<usize>>,
    /// What its columns are, for people: names, and the levels of categories.
    pub about: Option<String>,
    steps: Steps,
}

#[derive(Clone, Debug)]
enum Steps {
    Pictures { scale: Vec<f32>, shift: Vec<f32> },
    Columns(Vec<Encoding>),
}

impl Front {
    /// What goes in front of a network with this preprocessing, if ONNX can say it.
    pub fn of(preprocessing: &Preprocessing) -> Option<Front> {
        match preprocessing {
            Preprocessing::Images { scale, shift, .. } => {
                let steps = Steps::Pictures { scale: scale.clone(), shift: shift.clone() };
                Some(Front { name: "bytes", sizes: None, about: None, steps })
            }
            Preprocessing::Table { pipeline } => {
                let (mut encodings, mut about) = (Vec::new(), Vec::new());
                for (name, encoding) in pipeline.encodings() {
                    let levels: &[String] = match encoding {
                        // ONNX has no dates.
                        Encoding::Date { .. } => return None,
                        Encoding::Category { levels, .. } => levels,
                        Encoding::Number { .. } | Encoding::Raw { .. } | Encoding::Boolean { .. } => &[],
                    };
                    about.push(serde_json::json!({ "name": name, "levels": levels }));
                    encodings.push(encoding.clone());
                }
                let about = serde_json::to_string(&about).ok();
                Some(Front {
                    name: "rows",
                    sizes: Some(vec![encodings.len()]),
                    about,
                    steps: Steps::Columns(encodings),
                })
            }
            _ => None,
        }
    }

    /// Writes the nodes that make the value `output` of the raw input.
    pub(crate) fn write(&self, export: &mut Export, output: &str) {
        match &self.steps {
            Steps::Pictures { scale, shift } => {
                let [scale, shift] = [scale, shift].map(|values| export.constant(&[values.len(), 1, 1], values));
                let scaled = export.make("Mul", &[self.name, &scale], vec![]);
                export.node("Add", &[&scaled, &shift], &[output], vec![]);
            }
            Steps::Columns(encodings) => {
                let mut parts = Vec::new();
                for (number, encoding) in encodings.iter().enumerate() {
                    let column = export.slice(self.name, 1, number as i64, number as i64 + 1);
                    write_column(encoding, export, &column, &mut parts);
                }
                let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
                export.node("Concat", &parts, &[output], vec![("axis", Setting::Int(1))]);
            }
        }
    }
}

/// Writes what a column becomes, value by value of `parts`.
fn write_column(encoding: &Encoding, export: &mut Export, column: &str, parts: &mut Vec<String>) {
    let missing = export.make("IsNaN", &[column], vec![]);
    let filled = |export: &mut Export, fill: f64| {
        let fill = export.number(fill as f32);
        export.make("Where", &[&missing, &fill, column], vec![])
    };
    let is_shown = match encoding {
        Encoding::Number { scaling: Scaling { log, mean, std }, fill, edges, indicator } => {
            let value = filled(export, *fill);
            let mut scaled = value.clone();
            if *log {
                let (size, sign, one) =
                    (export.make("Abs", &[&value], vec![]), export.make("Sign", &[&value], vec![]), export.number(1.0));
                let more = export.make("Add", &[&size, &one], vec![]);
                let logarithm = export.make("Log", &[&more], vec![]);
                scaled = export.make("Mul", &[&sign, &logarithm], vec![]);
            }
            let [mean, std] = [mean, std].map(|&value| export.number(value as f32));
            let centred = export.make("Sub", &[&scaled, &mean], vec![]);
            let standardised = export.make("Div", &[&centred, &std], vec![]);
            let [low, high] = [-Scaling::FARTHEST, Scaling::FARTHEST].map(|value| export.number(value as f32));
            parts.push(export.make("Clip", &[&standardised, &low, &high], vec![]));
            if edges.len() > 1 {
                let count = edges.len() - 1;
                let starts: Vec<f32> = edges[..count].iter().map(|&edge| edge as f32).collect();
                let widths: Vec<f32> = edges.windows(2).map(|pair| (pair[1] - pair[0]) as f32).collect();
                let [starts, widths] = [starts, widths].map(|values| export.constant(&[1, count], &values));
                let above = export.make("Sub", &[&value, &starts], vec![]);
                let share = export.make("Div", &[&above, &widths], vec![]);
                let [low, high] = [0.0, 1.0].map(|value| export.number(value));
                parts.push(export.make("Clip", &[&share, &low, &high], vec![]));
            }
            *indicator
        }
        Encoding::Category { levels, other, missing } => {
            let count = levels.len();
            let places: Vec<f32> = (0..count).map(|place| place as f32).collect();
            let places = export.constant(&[1, count], &places);
            let hit = export.make("Equal", &[column, &places], vec![]);
            parts.push(export.cast(&hit, 1));
            if *other {
                // Whatever is there and is none of the levels.
                let below = export.number(0.0);
                let none = export.make("Less", &[column, &below], vec![]);
                parts.push(export.cast(&none, 1));
            }
            *missing
        }
        Encoding::Raw { fill } => {
            parts.push(filled(export, *fill));
            false
        }
        Encoding::Boolean { fill, indicator } => {
            parts.push(filled(export, *fill));
            *indicator
        }
        Encoding::Date { .. } => unreachable!("a table with dates has no front"),
    };
    if is_shown {
        parts.push(export.cast(&missing, 1));
    }
}
