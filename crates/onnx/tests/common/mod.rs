//! Running an imported network on tensors as ONNX has them.
#![allow(dead_code, reason = "each test uses some of it")]

use std::path::Path;
use std::sync::Arc;

use kernels::device::Device;
use kernels::simd::Isa;
use pellucid::graph::{PlanOptions, Session};
use pellucid_onnx::external::Folder;
use pellucid_onnx::proto;
use pellucid_onnx::{Constant, Imported};
use prost::Message;

/// A tensor from a file in protobuf.
pub fn tensor(path: &Path) -> Result<Constant, String> {
    let bytes = std::fs::read(path).map_err(|error| error.to_string())?;
    let tensor = proto::Tensor::decode(bytes.as_slice()).map_err(|error| error.to_string())?;
    Constant::read(&tensor, &Folder::default()).map_err(|error| error.to_string())
}

/// Sizes and values.
pub type Array = (Vec<usize>, Vec<f32>);

/// The outputs of `network` on `inputs`, in the order of its inputs: sizes and values.
pub fn run(network: Imported, inputs: &[Constant]) -> Result<Vec<Array>, String> {
    let graph = Arc::new(network.graph);
    let mut rows = 1;
    let mut fed = Vec::new();
    for (port, input) in network.inputs.iter().zip(inputs) {
        let (own, values) = port.to_rows(&input.dims, &input.narrow());
        rows = rows.max(own);
        fed.push(values);
    }
    let device = Arc::new(Device::new(Isa::best(), 1));
    let mut session = Session::new(graph.clone(), device, network.parameters, 0);
    let options = PlanOptions { batch: rows, outputs: graph.outputs(), ..Default::default() };
    let plan = session.plan(&options).map_err(|error| error.to_string())?;
    let slices: Vec<&[f32]> = fed.iter().map(Vec::as_slice).collect();
    session.forward_on(plan, &slices);
    let mut ids = graph.outputs().iter();
    let mut outputs = Vec::new();
    for port in &network.outputs {
        if port.constant && port.dims.contains(&Some(0)) {
            outputs.push(port.from_rows(rows, &[]));
            continue;
        }
        let id = *ids.next().ok_or("an output is missing")?;
        outputs.push(port.from_rows(rows, session.value(plan, id)));
    }
    Ok(outputs)
}

/// Is every value within `absolute + relative · |expected|`?
pub fn compare(got: &[f32], expected: &[f32], relative: f32, absolute: f32) -> Result<(), String> {
    if got.len() != expected.len() {
        return Err(format!("{} values, expected {}", got.len(), expected.len()));
    }
    for (place, (&got, &expected)) in got.iter().zip(expected).enumerate() {
        let same = got == expected || (got.is_nan() && expected.is_nan());
        // A NaN is near nothing.
        let near = (got - expected).abs() <= absolute + relative * expected.abs();
        if !same && !near {
            return Err(format!("value {place} is {got}, expected {expected}"));
        }
    }
    Ok(())
}
