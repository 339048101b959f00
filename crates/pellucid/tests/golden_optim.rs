//! The reference cases of optimisers, gradient clipping and schedules.

mod golden;

use golden::{Case, Golden};
use kernels::device::Device;
use kernels::simd::Isa;
use pellucid::graph::{Role, Segment};
use pellucid::optim::{Clipping, Groups, Optimizer, OptimizerConfig, Schedule, ScheduleConfig};
use serde::de::DeserializeOwned;
use serde_json::Value;

fn devices() -> Vec<Device> {
    Isa::available().flat_map(|isa| [1, 2, 3].map(|threads| Device::new(isa, threads))).collect()
}

/// The settings of a case as a document of ours: the reference has our names for all of them, so an unknown name fails.
fn config<T: DeserializeOwned>(case: &Case, kind: &str) -> T {
    let mut document = case.field("config").clone();
    let fields = document.as_object_mut().expect("settings are an object");
    fields.insert("name".to_string(), Value::from(case.text(kind)));
    serde_json::from_value(document).unwrap_or_else(|error| panic!("{}: {error}", case.name))
}

#[test]
fn optimizers() {
    let Some(golden) = Golden::load() else { return };
    for case in golden.cases("optimizer") {
        let config: OptimizerConfig = config(&case, "optimizer");
        let (initial, gradients, expected) = (case.array("initial"), case.array("gradients"), case.array("parameters"));
        let count = initial.data.len();
        let dims = initial.dims.iter().copied().collect();
        let segment = Segment { name: "weight".into(), dims, range: 0..count, role: Role::Weight, frozen: false };
        for device in devices() {
            let mut optimizer = Optimizer::new(&config, std::slice::from_ref(&segment), &Groups::default())
                .unwrap_or_else(|error| panic!("{}: {error}", case.name));
            let mut parameters = initial.data.clone();
            let mut got = Vec::new();
            for gradients in gradients.data.chunks_exact(count) {
                assert!(optimizer.update(&device, config.learning_rate(), &mut parameters, gradients));
                got.extend_from_slice(&parameters);
            }
            case.assert_close(&format!("on {device:?}"), &got, &expected.data);
        }
    }
}

#[test]
fn gradient_clipping() {
    let Some(golden) = Golden::load() else { return };
    for case in golden.cases("gradient_clipping") {
        let value = case.field("value").as_f64().expect("a limit");
        let clipping: Clipping = serde_json::from_value(serde_json::json!({ case.text("mode"): value }))
            .unwrap_or_else(|error| panic!("{}: {error}", case.name));
        let tensors = case.field("tensors").as_u64().expect("a count");
        let arrays = |name: &str| -> Vec<Vec<f32>> {
            (0..tensors).map(|tensor| case.array(&format!("{name}{tensor}")).data).collect()
        };
        // As in a slab, with gaps of zeros.
        let slab = |tensors: Vec<Vec<f32>>| -> Vec<f32> {
            let padded = tensors.into_iter().map(|mut tensor| {
                tensor.resize(tensor.len().next_multiple_of(16), 0.0);
                tensor
            });
            padded.collect::<Vec<_>>().concat()
        };
        for device in devices() {
            let mut gradients = slab(arrays("g"));
            clipping.apply(&device, &mut gradients);
            case.assert_close(&format!("on {device:?}"), &gradients, &slab(arrays("clipped")));
        }
    }
}

#[test]
fn schedules() {
    let Some(golden) = Golden::load() else { return };
    for case in golden.cases("schedule") {
        let config: ScheduleConfig = config(&case, "schedule");
        let base = case.field("base_lr").as_f64().expect("a learning rate");
        let expected = case.array("lr").data;
        // An epoch is one update. No case may depend on the length of the run, so a wrong one is given.
        let mut schedule =
            Schedule::new(&config, base, 1_000_003, 1).unwrap_or_else(|error| panic!("{}: {error}", case.name));
        let metrics = case.find_array("metric");
        let mut got = Vec::new();
        for step in 0..expected.len() {
            got.push(schedule.rate(step as u64) as f32);
            if let Some(metrics) = &metrics {
                schedule.observe(f64::from(metrics.data[step]));
            }
        }
        case.assert_close("lr", &got, &expected);
    }
}
