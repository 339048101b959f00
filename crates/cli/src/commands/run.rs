//! `pellucid run`: arrays in, arrays out, without anything in between.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use pellucid::graph::{Graph, Parameters, PlanOptions, Session};
use pellucid::model::atomic::write_atomically;
use pellucid::tensor::Dim;
use pellucid_onnx::{Kind, Port};
use serde_json::json;

use crate::args::RunArgs;
use crate::device::device;
use crate::error::{Failure, Outcome};
use crate::onnx::{array, open};
use crate::run_folder::model_path;
use crate::say::Say;
use crate::trained::open_model;

/// A network with what its inputs and outputs are called.
struct Network {
    graph: Graph,
    parameters: Parameters,
    inputs: Vec<Port>,
    outputs: Vec<Port>,
}

/// Computes the outputs for the inputs given.
pub fn run(arguments: &RunArgs) -> Outcome<()> {
    let say = Say::new(arguments.look);
    let Network { graph, parameters, inputs, outputs } = network(arguments)?;
    let (mut rows, mut fed) = (None, Vec::new());
    for port in &inputs {
        let path = file_of(&port.name, inputs.len(), &arguments.input)?;
        let (dims, values, _) = array(Path::new(&path))?;
        let fits = dims.len() == port.dims.len()
            && dims.iter().zip(&port.dims).all(|(size, due)| due.is_none_or(|due| due == *size));
        if !fits {
            let due: Vec<String> =
                port.dims.iter().map(|size| size.map_or("batch".to_string(), |size| size.to_string())).collect();
            let message = format!("{path} has the shape {dims:?}, the input '{}' is [{}]", port.name, due.join(", "));
            return Err(Failure::new(message));
        }
        let (own, values) = port.to_rows(&dims, &values);
        match rows {
            Some(rows) if port.batch.is_some() && rows != own => {
                return Err(Failure::new(format!("{path} has {own} rows, others have {rows}")));
            }
            _ if port.batch.is_some() => rows = Some(own),
            _ => {}
        }
        fed.push(values);
    }
    let rows = rows.unwrap_or(1);
    let graph = Arc::new(graph);
    let mut session = Session::new(graph.clone(), device(None, None)?, parameters, 0);
    let plan = session.plan(&PlanOptions {
        batch: rows,
        outputs: graph.outputs(),
        lent_inputs: true,
        ..Default::default()
    })?;
    session.pack();
    session.forward_on(plan, &fed.iter().map(Vec::as_slice).collect::<Vec<_>>());
    let mut written = Vec::new();
    for (number, (port, &id)) in outputs.iter().zip(graph.outputs()).enumerate() {
        let (dims, values) = port.from_rows(rows, session.value(plan, id));
        let path = arguments.out.as_ref().map(|out| if number == 0 { out.clone() } else { beside(out, &port.name) });
        match &path {
            Some(path) => write_atomically(path, |file| write_array(file, &dims, &values))?,
            None => {
                const SHOWN: usize = 10;
                let shown: Vec<String> = values.iter().take(SHOWN).map(f32::to_string).collect();
                let more = if values.len() > SHOWN { ", …" } else { "" };
                say.result(&format!("{} {dims:?}: {}{more}\n", port.name, shown.join(", ")))?;
            }
        }
        written.push(json!({ "name": port.name, "shape": dims, "file": path.map(|path| path.display().to_string()) }));
    }
    say.json(&json!({ "rows": rows, "outputs": written }))
}

fn network(arguments: &RunArgs) -> Outcome<Network> {
    if arguments.model.extension().is_some_and(|extension| extension == "onnx") {
        let imported = open(&arguments.model, &arguments.inputs, true)?;
        let (graph, parameters) = (imported.graph, imported.parameters);
        return Ok(Network { graph, parameters, inputs: imported.inputs, outputs: imported.outputs });
    }
    let model = open_model(&model_path(&arguments.model))?;
    let graph = (*model.graph).clone();
    let port = |name: &str, value| {
        let dims =
            graph.shape(value).axes().iter().map(|axis| if let Dim::Fixed(size) = axis { Some(*size) } else { None });
        Port { name: name.to_string(), kind: Kind::Float, dims: dims.collect(), batch: Some(0), constant: false }
    };
    let inputs = graph.inputs().iter().map(|input| port(&input.name, input.value)).collect();
    let outputs = graph.outputs().iter().enumerate().map(|(i, &output)| port(&format!("output {i}"), output)).collect();
    Ok(Network { parameters: model.parameters, inputs, outputs, graph })
}

/// The file for the input `name` of `count`.
fn file_of(name: &str, count: usize, given: &[String]) -> Outcome<String> {
    let named = given.iter().filter_map(|text| text.split_once('=')).find(|(other, _)| *other == name);
    match (named, given) {
        (Some((_, file)), _) => Ok(file.to_string()),
        (None, [file]) if count == 1 => Ok(file.clone()),
        _ => Err(Failure::new(format!("there is no file for the input '{name}'; give --input {name}=FILE"))),
    }
}

/// `y.npy` for the output `name`: `y.name.npy`.
fn beside(out: &Path, name: &str) -> PathBuf {
    let stem = out.file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned());
    let plain: String = name.chars().map(|c| if c.is_alphanumeric() { c } else { '-' }).collect();
    out.with_file_name(format!("{stem}.{plain}.npy"))
}

/// The format of NumPy, version 1.0: a header padded so that the values begin at a multiple of 64 bytes.
fn write_array(file: &mut dyn Write, dims: &[usize], values: &[f32]) -> io::Result<()> {
    let sizes: String = dims.iter().map(|size| format!("{size},")).collect();
    let mut header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({sizes}), }}");
    let padding = (64 - (10 + header.len() + 1) % 64) % 64;
    header.extend(std::iter::repeat_n(' ', padding));
    header.push('\n');
    file.write_all(b"\x93NUMPY\x01\x00")?;
    file.write_all(&(header.len() as u16).to_le_bytes())?;
    file.write_all(header.as_bytes())?;
    values.iter().try_for_each(|value| file.write_all(&value.to_le_bytes()))
}
