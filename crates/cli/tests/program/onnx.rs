//! Networks handed over and taken back.

use std::fs;

use super::{Bench, flowers, hash, text};

/// The format of NumPy for a matrix.
fn array(rows: &[Vec<f32>]) -> Vec<u8> {
    let mut header =
        format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({}, {}), }}", rows.len(), rows[0].len());
    while (10 + header.len() + 1) % 64 != 0 {
        header.push(' ');
    }
    header.push('\n');
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.as_bytes());
    bytes.extend(rows.iter().flatten().flat_map(|value| value.to_le_bytes()));
    bytes
}

/// The values of a matrix that the program wrote.
fn values(bytes: &[u8]) -> Vec<f32> {
    let start = 10 + usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    bytes[start..].chunks_exact(4).map(|part| f32::from_le_bytes(part.try_into().expect("four bytes"))).collect()
}

#[test]
fn a_model_of_a_table_goes_to_onnx_with_its_preprocessing_and_comes_back_the_same() {
    let bench = Bench::new();
    let table = flowers(300);
    bench.write("flowers.csv", &table);
    bench.ok(&["train", "flowers.csv", "--target", "kind", "--epochs", "8", "--lr", "1e-2", "--out", "run", "-q"]);
    bench.ok(&["export", "run", "--out", "net.onnx"]);
    let back = bench.json(&["import", "net.onnx", "--out", "back.safetensors"]);
    let model = bench.json(&["evaluate", "run", "--data", "flowers.csv"]);
    assert_eq!(hash(&back), hash(&model));
    let again = bench.json(&["evaluate", "back.safetensors", "--data", "flowers.csv"]);
    assert_eq!(again["metrics"], model["metrics"]);
    bench.ok(&["summary", "back.safetensors"]);

    // The file itself takes rows as they are in the table, colours by their place among blue, red and white.
    let row = |line: &str| {
        let parts: Vec<&str> = line.split(',').collect();
        let colour = ["blue", "red", "white"].iter().position(|colour| *colour == parts[2]).expect("a colour");
        vec![parts[0].parse().expect("a number"), parts[1].parse().expect("a number"), colour as f32]
    };
    let rows: Vec<Vec<f32>> = table.lines().skip(1).map(row).collect();
    fs::write(bench.path("rows.npy"), array(&rows)).expect("writes");
    bench.ok(&["run", "net.onnx", "--input", "rows.npy", "--out", "logits.npy"]);
    let logits = values(&fs::read(bench.path("logits.npy")).expect("an array"));
    bench.ok(&["predict", "run", "--data", "flowers.csv", "--out", "predicted.csv", "-q"]);
    let predicted = bench.read("predicted.csv");
    assert_eq!(logits.len(), 3 * rows.len());
    for (line, logits) in predicted.lines().skip(1).zip(logits.chunks_exact(3)) {
        let best = (0..3).max_by(|&a, &b| logits[a].total_cmp(&logits[b])).expect("three classes");
        let class = ["aster", "lily", "rose"][best];
        assert!(line.split(',').skip(4).any(|field| field == class), "{line}: {logits:?}");
    }
    // Arrays that do not fit are refused with both shapes.
    fs::write(bench.path("wide.npy"), array(&[vec![0.0; 4]])).expect("writes");
    let error = bench.fails(&["run", "net.onnx", "--input", "wide.npy"]);
    assert!(error.contains("[1, 4]") && error.contains("[batch, 3]"), "{error}");
    let shown = text(&bench.output(&["run", "net.onnx", "--input", "rows.npy"]).stdout);
    assert!(shown.starts_with("output [300, 3]: "), "{shown}");
}

#[test]
fn what_is_no_network_is_refused() {
    let bench = Bench::new();
    bench.write("net.onnx", "no network");
    assert!(bench.fails(&["import", "net.onnx"]).contains("net.onnx: this is no ONNX model"));
    assert!(bench.fails(&["import", "missing.onnx"]).contains("missing.onnx"));
    assert!(bench.fails(&["import", "net.onnx", "--size", "time"]).contains("--size is NAME=N"));
    assert!(!bench.path("model.safetensors").exists());
}
