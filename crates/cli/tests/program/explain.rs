//! Looking inside: explain, check-gradients.

use super::{Bench, flowers};

/// The example of Mazur, "A step by step backpropagation example", 2015.
fn worked_example(bench: &Bench) -> Vec<&'static str> {
    bench.write(
        "weights.json",
        r#"{"0.weight": [[0.15, 0.20], [0.25, 0.30]], "0.bias": [0.35, 0.35],
            "2.weight": [[0.40, 0.45], [0.50, 0.55]], "2.bias": [0.60, 0.60]}"#,
    );
    bench.write("example.csv", "i1,i2,o1,o2\n0.05,0.10,0.01,0.99\n");
    let line = "explain --weights weights.json --data example.csv --target o1,o2 --lr 0.5 --step --net";
    let mut arguments: Vec<&str> = line.split(' ').collect();
    arguments.push("dense 2 sigmoid -> dense 2 sigmoid");
    arguments
}

#[test]
fn the_worked_example_is_followed_digit_by_digit() {
    let bench = Bench::new();
    let arguments = worked_example(&bench);
    let shown = bench.ok(&arguments);
    for line in [
        "  y[0] = 0.15 · 0.05 + 0.2 · 0.1 + 0.35 = 0.3775",
        "  y[0] = 1 / (1 + exp(-0.3775)) = 0.593269992",
        "  L = 0.298371109",
        "  ∂L/∂x[0] = 0.74136507 · 0.186815602 = 0.138498562",
        "  ∂L/∂W[0,0] = dy[0] · x[0] = 0.138498562 · 0.593269992 = 0.0821670406",
        "  [0,0]  0.4 → 0.35891648   (gradient 0.0821670406)",
        "  [0,0]  0.15 → 0.149780716   (gradient 0.000438567734)",
    ] {
        assert!(shown.lines().any(|shown| shown == line), "{line} is missing in:\n{shown}");
    }
    let ascii = bench.ok(&[&arguments[..], &["--ascii"]].concat());
    assert!(ascii.is_ascii() && ascii.contains("dL/dW[0,0]"), "{ascii}");

    let json = bench.ok(&[&arguments[..], &["--format", "json"]].concat());
    let object: serde_json::Value = serde_json::from_str(&json).expect("one object");
    assert_eq!((object["precision"].as_str(), object["rows"].as_u64()), (Some("double"), Some(1)));
    let updated = object["parameters"][2]["updated"][0].as_f64().expect("w5");
    assert!((updated - 0.358_916_479_717).abs() < 1e-9, "{updated}");

    bench.ok(&[&arguments[..], &["--format", "html", "--out", "step.html"]].concat());
    let page = bench.read("step.html");
    assert!(page.contains("0.35891648") && page.contains("id=\"Update\""), "{page}");
}

#[test]
fn a_trained_model_shows_what_counts_and_any_of_its_units() {
    let bench = Bench::new();
    let table = bench.write("flowers.csv", &flowers(200));
    bench.ok(&["train", &table, "--net", "dense 24 relu -> dropout 0.2 -> dense", "--out", "run", "-q"]);
    let shown = bench.ok(&["explain", "run", "--data", &table, "--row", "3", "--step"]);
    for part in
        ["true is", "Attribution", "length = ", "the parts below add up", "Forward", "Backward", "Update", "0.weight"]
    {
        assert!(shown.contains(part), "{part} is missing in:\n{shown}");
    }
    let unit = bench.ok(&["explain", "run", "--data", &table, "--row", "3", "--layer", "0", "--neuron", "5"]);
    assert!(unit.contains("y[5] = ") && !unit.contains("y[4]") && !unit.contains("layer 3"), "{unit}");
    let batch = bench.ok(&["explain", "run", "--data", &table, "--row", "0,1,2"]);
    assert!(batch.contains("target[2] = ") && batch.contains("rows 0, 1, 2"), "{batch}");

    // The weights of the model's own file change nothing; those of another network do not fit.
    let own = bench.ok(&[
        "explain",
        "run",
        "--data",
        &table,
        "--row",
        "3",
        "--weights",
        "run/model.safetensors",
        "--format",
        "json",
    ]);
    assert_eq!(own, bench.ok(&["explain", "run", "--data", &table, "--row", "3", "--format", "json"]));

    // The colour and both numbers tell the kind; of the columns one counts most, and all are there.
    let columns = bench.ok(&["explain", "run", "--data", &table, "--importance", "--format", "json"]);
    let object: serde_json::Value = serde_json::from_str(&columns).expect("one object");
    let names: Vec<&str> =
        object["columns"].as_array().expect("columns").iter().filter_map(|c| c["column"].as_str()).collect();
    assert_eq!((object["metric"].as_str(), names.len()), (Some("accuracy"), 3));
    assert!(object["columns"][0]["importance"].as_f64().expect("a number") > 0.05, "{object}");
    assert!(bench.read("run/report.html").contains("What the columns count for"));

    for (arguments, part) in [
        (&["explain", "run", "--data", &table, "--row", "200"][..], "there is no row 200"),
        (&["explain", "run", "--data", &table, "--layer", "9"], "there is no layer 9; there are 0, 1"),
        (&["explain", "run"], "--data"),
        (&["explain", "--data", &table], "MODEL"),
        (
            &["explain", "--net", "dense 1", "--data", &table, "--target", "length"],
            "line 2, column 'colour': 'blue' is no number",
        ),
        (&["explain", "none", "--data", &table], "there is no model"),
    ] {
        let error = bench.fails(arguments);
        assert!(error.contains(part), "{arguments:?}: {error}");
    }
}

#[test]
fn gradients_are_checked_layer_by_layer() {
    let bench = Bench::new();
    let network = "conv 3 3x3 -> batchnorm relu -> flatten -> dropout 0.2 -> dense 3";
    let shown = bench.ok(&["check-gradients", network, "--input", "1x6x6", "--loss", "cross_entropy"]);
    assert!(shown.contains("0.weight") && shown.contains("all agree"), "{shown}");
    let found = bench.json(&["check-gradients", "embedding 5x4 -> lstm 3 -> last -> dense 2", "--input", "6"]);
    assert!(found.as_array().expect("a list").iter().all(|one| one["agrees"] == true), "{found}");
    assert!(bench.fails(&["check-gradients", network]).contains("--input"));
}
