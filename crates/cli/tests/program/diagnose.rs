//! What is wrong with a run, and runs side by side: diagnose, lr-find, compare, replay.

use serde_json::Value;

use super::{Bench, flowers};

fn rules(object: &Value) -> Vec<(String, String)> {
    let text = |finding: &Value, name: &str| finding[name].as_str().expect("a text").to_string();
    let findings = object["findings"].as_array().expect("a list");
    findings.iter().map(|finding| (text(finding, "rule"), text(finding, "place"))).collect()
}

#[test]
fn a_healthy_run_has_no_findings_and_a_sick_one_is_told_what_helps() {
    let bench = Bench::new();
    let table = bench.write("flowers.csv", &flowers(300));
    let healthy =
        ["train", &table, "--net", "dense 24 relu -> dense", "--epochs", "12", "--lr", "3e-3", "--out", "run", "-q"];
    bench.ok(&healthy);
    let found = rules(&bench.json(&["diagnose", "run"]));
    assert!(found.iter().all(|(rule, _)| rule == "duplicate_rows" || rule == "plateau"), "{found:?}");

    // A column that is the answer, units that a rate far too high has killed.
    let leaking: String = flowers(300)
        .lines()
        .map(|line| match line.rsplit_once(',').expect("columns") {
            (rest, "kind") => format!("{rest},code,kind\n"),
            (rest, kind) => format!("{rest},{},{kind}\n", kind.len()),
        })
        .collect();
    let table = bench.write("leaking.csv", &leaking);
    let sick = [
        "train",
        &table,
        "--target",
        "kind",
        "--net",
        "dense 24 relu -> dense",
        "--optimizer",
        "sgd",
        "--lr",
        "300",
        "--epochs",
        "6",
        "--no-early-stopping",
        "--out",
        "sick",
    ];
    let output = bench.output(&[&sick[..], &["--json"]].concat());
    let found = rules(&bench.json(&["diagnose", "sick"]));
    let has = |rule: &str, place: &str| found.iter().any(|(found, at)| found == rule && at.contains(place));
    assert!(has("large_update", "parameter"), "{found:?}");
    if output.status.success() {
        let run: Value = serde_json::from_slice(&output.stdout).expect("an object");
        assert!(!run["warnings"].as_array().expect("a list").is_empty(), "{run}");
    }
    let shown = bench.ok(&["diagnose", "sick"]);
    for part in ["the data", "the network at its start", "try: lower the learning rate", "CS231n"] {
        assert!(shown.contains(part), "{part} is missing in:\n{shown}");
    }
    assert!(bench.fails(&["diagnose", "nowhere"]).contains("nowhere"));
}

#[test]
fn a_rate_is_proposed_that_learns() {
    let bench = Bench::new();
    let table = bench.write("flowers.csv", &flowers(300));
    let network = ["--net", "dense 24 relu -> dense", "--batch-size", "16"];
    let find = [&["lr-find", &table][..], &network].concat();
    let object = bench.json(&find);
    let rate = object["proposed"].as_f64().expect("a rate");
    assert!((1e-4..0.5).contains(&rate), "{rate}");
    assert!(bench.ok(&find).contains("try --lr "));
    let rate = format!("{rate:e}");
    let run = bench.json(&[&["train", &table, "--lr", &rate, "--epochs", "12", "--out", "run"][..], &network].concat());
    assert!(super::accuracy(&run) > 0.8, "{run}");
    assert!(bench.fails(&["lr-find", &table, "--min-lr", "1", "--max-lr", "0.1"]).contains("to a larger one"));
}

#[test]
fn runs_are_shown_side_by_side_and_compared_over_their_seeds() {
    let bench = Bench::new();
    let table = bench.write("flowers.csv", &flowers(200));
    for (name, lr) in [("slow", "1e-5"), ("quick", "1e-2")] {
        for seed in ["1", "2", "3"] {
            let out = format!("{name}-{seed}");
            bench.ok(&[
                "train",
                &table,
                "--net",
                "dense 16 relu -> dense",
                "--lr",
                lr,
                "--epochs",
                "5",
                "--seed",
                seed,
                "--out",
                &out,
                "-q",
            ]);
        }
    }
    let runs = ["slow-1", "slow-2", "slow-3", "quick-1", "quick-2", "quick-3"];
    let object = bench.json(&[&["compare"][..], &runs].concat());
    let groups = object["groups"].as_array().expect("two groups");
    assert_eq!((groups.len(), groups[0]["settings"].as_str()), (2, Some("lr 0.00001")));
    let test = &object["paired_test"];
    assert!(
        test["difference"].as_f64().expect("a number") > 0.2 && test["p"].as_f64().expect("a number") < 0.1,
        "{test}"
    );
    let shown = bench.ok(&[&["compare", "--html", "compared.html"][..], &runs].concat());
    assert!(shown.contains("least validation loss") && shown.contains("second - first"), "{shown}");
    let page = bench.read("compared.html");
    assert!(page.contains("<svg") && page.contains("quick-3"), "{page}");
    assert!(bench.fails(&["compare", "slow-1"]).contains("two runs or more"));
    assert!(bench.fails(&["compare", "slow-1", "none"]).contains("none is no folder of a finished run"));
    assert!(bench.fails(&["compare", "slow-1", "slow-2", "--metric", "r2"]).contains("it has accuracy"));
}

#[test]
fn a_run_is_repeated_to_the_bit_and_goes_on_another_way() {
    let bench = Bench::new();
    let table = bench.write("flowers.csv", &flowers(200));
    let train = [
        "train",
        &table,
        "--net",
        "dense 16 relu -> dropout 0.2 -> dense",
        "--lr",
        "1e-2",
        "--epochs",
        "8",
        "--no-early-stopping",
    ];
    let first = bench.json(&[&train[..], &["--out", "first"]].concat());
    let steps = first["steps"].as_u64().expect("a number");

    // Up to an update in the middle of an epoch, then with a tenth of the rate.
    let middle = (steps / 2 + 1).to_string();
    let shown = bench.ok(&["replay", "first", "--to-step", &middle, "--change", "lr=1e-3", "--out", "other"]);
    for part in ["updates as the first time", "to the bit", "from there with lr=1e-3", "least validation loss"] {
        assert!(shown.contains(part), "{part} is missing in:\n{shown}");
    }
    let (before, after) = (bench.read("first/history.csv"), bench.read("other/history.csv"));
    let losses = |text: &str| -> Vec<String> {
        text.lines().skip(1).map(|line| line.split(',').skip(4).collect::<Vec<_>>().join(",")).collect()
    };
    let (before, after) = (losses(&before), losses(&after));
    assert_eq!((before.len(), &before[..3]), (8, &after[..3]));
    assert!(before[5..] != after[5..], "the changed rate makes a difference");

    // Without a change, the checkpoint goes on to the weights of the first time.
    bench.ok(&["replay", "first", "--to-step", &middle, "--out", "again"]);
    let again = bench.json(&["train", "again/config.toml", "--out", "again", "--resume"]);
    assert_eq!(super::hash(&again), super::hash(&first));

    bench.write("flowers.csv", &flowers(200).replace("1.", "2."));
    let error = bench.fails(&["replay", "first", "--to-step", &steps.to_string(), "--out", "third"]);
    assert!(error.contains("does not come out as the first time"), "{error}");
    let batch = ["replay", "first", "--to-step", &middle, "--change", "batch-size=7", "--out", "fourth"];
    bench.write("flowers.csv", &flowers(200));
    assert!(bench.output(&batch).status.code() == Some(1));
    assert!(bench.fails(&["replay", "none", "--to-step", "3"]).contains("none is no folder of a run"));
}
