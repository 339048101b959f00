//! ONNX's own backend node tests, which `node_tests.py` writes into a folder: ONNX_NODE_TESTS names it.
//!
//! Each is run as a network is: read once, built, planned, run. What a network of Pellucid must know when it is built (weights of
//! layers, sizes) is given then, as an initialiser would; everything else flows through the graph.

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use pellucid_onnx::proto;
use pellucid_onnx::{Constant, Import, OnnxError, Problem};
use prost::Message;

/// What is not passed, and why.
const NOT_PASSED: &str = include_str!("node_tests_not_passed.txt");

struct Case {
    name: String,
    op: String,
    relative: f32,
    absolute: f32,
}

/// The inputs of a model in the order of its file.
fn names(path: &Path) -> Result<Vec<String>, String> {
    let bytes = std::fs::read(path).map_err(|error| error.to_string())?;
    let model = proto::Model::decode(bytes.as_slice()).map_err(|error| error.to_string())?;
    let graph = model.graph.ok_or("no graph")?;
    Ok(graph.input.into_iter().map(|input| input.name.unwrap_or_default()).collect())
}

/// The inputs that must be known, as the error says.
fn needed(error: &OnnxError) -> Vec<String> {
    let OnnxError::Nodes { problems } = error else { return vec![] };
    let needs = problems.iter().filter_map(|problem| match &problem.problem {
        Problem::Needs { inputs, .. } => Some(inputs.clone()),
        _ => None,
    });
    needs.flatten().collect()
}

fn run(folder: &Path, case: &Case) -> Result<(), String> {
    let folder = folder.join(&case.name);
    let model = folder.join("model.onnx");
    let names = names(&model)?;
    let mut inputs = Vec::new();
    for number in 0..names.len() {
        inputs.push(common::tensor(&folder.join(format!("input_{number}.pb")))?);
    }
    let mut import = Import::default();
    let network = loop {
        match import.open(&model) {
            Ok(network) => break network,
            Err(error) => {
                let before = import.fixed.len();
                for name in needed(&error) {
                    let place = names.iter().position(|known| *known == name).ok_or("no such input")?;
                    let constant = Constant { name: Some(name.clone()), ..inputs[place].clone() };
                    import.fixed.insert(name, constant);
                }
                if import.fixed.len() == before {
                    return Err(error.to_string());
                }
            }
        }
    };
    let fed: Vec<Constant> = network
        .inputs
        .iter()
        .map(|port| inputs[names.iter().position(|name| *name == port.name).expect("an input")].clone())
        .collect();
    let kinds: Vec<_> = network.outputs.iter().map(|port| port.kind).collect();
    for (number, (dims, values)) in common::run(network, &fed)?.into_iter().enumerate() {
        let expected = common::tensor(&folder.join(format!("output_{number}.pb")))?;
        if dims != expected.dims {
            return Err(format!("output {number} has the sizes {dims:?}, expected {:?}", expected.dims));
        }
        if kinds[number] != expected.kind {
            return Err(format!("output {number} is {:?}, expected {:?}", kinds[number], expected.kind));
        }
        common::compare(&values, &expected.narrow(), case.relative, case.absolute)
            .map_err(|difference| format!("output {number}: {difference}"))?;
    }
    Ok(())
}

#[test]
fn onnx_node_tests_pass_but_for_those_with_a_stated_reason() {
    let Some(folder) = std::env::var_os("ONNX_NODE_TESTS").map(PathBuf::from) else {
        eprintln!(
            "SKIPPED: ONNX's node tests. `python crates/onnx/tests/node_tests.py FOLDER` and ONNX_NODE_TESTS=FOLDER run them."
        );
        return;
    };
    let index = std::fs::read_to_string(folder.join("index.txt")).expect("index.txt, which node_tests.py writes last");
    let mut table: BTreeMap<String, [usize; 2]> = BTreeMap::new();
    let mut failures = Vec::new();
    for line in index.lines() {
        let [name, op, relative, absolute] = line.split(' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
        let [relative, absolute] = [relative, absolute].map(|text| text.parse().expect("a number"));
        let case = Case { name: name.into(), op: op.into(), relative, absolute };
        let result = catch_unwind(AssertUnwindSafe(|| run(&folder, &case))).unwrap_or_else(|panic| {
            let text = panic.downcast_ref::<String>().cloned();
            Err(format!(
                "PANIC {}",
                text.or(panic.downcast_ref::<&str>().map(|text| text.to_string())).unwrap_or_default()
            ))
        });
        let row = table.entry(case.op.clone()).or_default();
        row[1] += 1;
        match result {
            Ok(()) => row[0] += 1,
            Err(reason) => failures.push((case, reason)),
        }
    }
    let all: usize = table.values().map(|row| row[1]).sum();
    let passed: usize = table.values().map(|row| row[0]).sum();
    let ops = table.values().filter(|row| row[0] > 0).count();
    let mut text = format!(
        "{passed} of {all} tests pass ({:.1} %), {ops} of {} ops.\n\n| op | tests | passed |\n|---|---|---|\n",
        100.0 * passed as f64 / all as f64,
        table.len()
    );
    for (op, [passed, all]) in &table {
        text += &format!("| {op} | {all} | {passed} |\n");
    }
    println!("{text}");
    for (case, reason) in &failures {
        println!("{} ({}): {reason}", case.name, case.op);
    }
    // A line is the beginning of names, and the reason.
    let reasons: Vec<(&str, &str)> = NOT_PASSED.lines().filter_map(|line| line.split_once(": ")).collect();
    let stated = |name: &str| reasons.iter().position(|(start, _)| name.starts_with(start));
    let surprising: Vec<String> = failures
        .iter()
        .filter(|(case, reason)| stated(&case.name).is_none() || reason.starts_with("PANIC"))
        .map(|(case, reason)| format!("{}: {reason}", case.name))
        .collect();
    assert!(
        surprising.is_empty(),
        "{} tests fail without a stated reason:\n{}",
        surprising.len(),
        surprising.join("\n")
    );
    let used: BTreeSet<usize> = failures.iter().filter_map(|(case, _)| stated(&case.name)).collect();
    let stale: Vec<&str> =
        (0..reasons.len()).filter(|place| !used.contains(place)).map(|place| reasons[place].0).collect();
    assert!(stale.is_empty(), "these pass, so the reason is to be deleted: {stale:?}");
    assert!(ops >= 120 && passed * 100 >= all * 85, "{ops} ops, {passed} of {all}");
    let documented = include_str!("../../../docs/onnx.md");
    assert!(documented.contains(&text), "docs/onnx.md should hold this table:\n{text}");
}
