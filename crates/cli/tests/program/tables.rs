//! Tables: train, evaluate, predict.

use std::io::Write;
use std::process::Stdio;

use super::{Bench, accuracy, flowers, real_table};

/// The cells of CSV without quotes.
fn cells(text: &str) -> Vec<Vec<&str>> {
    text.lines().map(|line| line.split(',').collect()).collect()
}

#[test]
fn a_table_is_learnt_measured_and_predicted() {
    let bench = Bench::new();
    let all = flowers(400);
    let (train, test) = (bench.write("train.csv", &all), bench.write("test.csv", &flowers(150)));
    let run = bench.json(&["train", &train, "--target", "kind", "--test", &test, "--out", "run"]);
    assert!(accuracy(&run) >= 0.97, "{run}");
    assert_eq!(run["rows"]["test"], 150);
    let measured = bench.json(&["evaluate", "run/model.safetensors", "--data", &test]);
    assert_eq!(measured["metrics"], run["metrics"]["test"]);

    // Predictions: the rows as they were, the class, and probabilities that are those of the metrics.
    bench.ok(&["predict", "run", "--data", &test, "--out", "predicted.csv"]);
    let predicted = bench.read("predicted.csv");
    let rows = cells(&predicted);
    assert_eq!(
        rows[0],
        "length,width,colour,kind,prediction,probability_aster,probability_lily,probability_rose"
            .split(',')
            .collect::<Vec<_>>()
    );
    let given = bench.read("test.csv");
    assert_eq!(rows.len(), 151);
    let mut right = 0;
    for (row, line) in rows[1..].iter().zip(given.lines().skip(1)) {
        assert_eq!(row[..4].join(","), line);
        let probabilities: Vec<f64> = row[5..].iter().map(|text| text.parse().expect("a probability")).collect();
        assert!((probabilities.iter().sum::<f64>() - 1.0).abs() <= 1e-5, "{row:?}");
        let best = (0..3).max_by(|a, b| probabilities[*a].total_cmp(&probabilities[*b])).expect("three classes");
        assert_eq!(row[4], ["aster", "lily", "rose"][best]);
        right += usize::from(row[4] == row[3]);
    }
    assert_eq!(right as f64 / 150.0, accuracy(&run));

    // Standard input to standard output gives the same text; the answers need not be there.
    let pipe = |text: &str| {
        let mut command = bench.command(&["predict", "run", "--data", "-"]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the program starts");
        child.stdin.take().expect("a pipe").write_all(text.as_bytes()).expect("writes");
        let output = child.wait_with_output().expect("ends");
        assert!(output.status.success());
        super::text(&output.stdout)
    };
    assert_eq!(pipe(&given), predicted);
    let without: String =
        given.lines().map(|line| line.rsplit_once(',').expect("columns").0.to_string() + "\n").collect();
    let piped = pipe(&without);
    assert_eq!(cells(&piped)[7][3..], rows[7][4..]);

    let message =
        bench.fails(&["predict", "run", "--data", &bench.write("less.csv", "length,colour\n1,red\n2,blue\n")]);
    assert!(message.contains("less.csv lacks the column(s) `width`"), "{message}");
    assert!(!bench.path("none.csv").exists());
}

#[test]
fn predictions_of_many_blocks_are_those_of_each_row() {
    let bench = Bench::new();
    let data = bench.write("flowers.csv", &flowers(200));
    bench.ok(&["train", &data, "--target", "kind", "--epochs", "5", "--out", "run", "-q"]);
    // Some 2.5 MB: several blocks.
    let many = bench.write("many.csv", &flowers(120_000));
    let text = bench.ok(&["predict", "run", "--data", &many, "-q"]);
    let few = bench.ok(&["predict", "run", "--data", &data, "-q"]);
    assert_eq!(text.lines().count(), 120_001);
    assert!(text.starts_with(&few), "the first rows are the same, to the bit");
}

#[test]
fn numbers_are_predicted_in_their_units() {
    let bench = Bench::new();
    let mut table = String::from("rooms;area;price\n");
    for i in 0..300 {
        let (rooms, area) = (i % 5 + 1, 30 + (i * 7) % 90);
        table.push_str(&format!("{rooms};{area},5;{}\n", 1000 * (20 * rooms + 3 * area)));
    }
    let data = bench.write("houses.csv", &table);
    let run = bench.json(&["train", &data, "--target", "price", "--out", "run"]);
    assert_eq!(run["task"], "regression");
    let r2 = run["metrics"]["test"]["r2"].as_f64().expect("r2");
    assert!(r2 > 0.99, "{run}");
    let predicted = bench.ok(&["predict", "run", "--data", &data]);
    let line: Vec<&str> = predicted.lines().nth(1).expect("a row").split(';').collect();
    let (price, guess): (f64, f64) = (line[2].parse().expect("a price"), line[3].parse().expect("a guess"));
    assert!((price - guess).abs() < 40_000.0, "{line:?}");
}

#[test]
fn several_targets_and_labels_at_once() {
    let bench = Bench::new();
    let mut table = String::from("x,up,down,high\n");
    for i in 0..200 {
        let x = i as f64 / 100.0 - 1.0;
        table.push_str(&format!("{x},{},{},{}\n", 2.0 * x + 1.0, -x, u8::from(x > 0.3)));
    }
    let data = bench.write("t.csv", &table);
    let numbers = bench.json(&["train", &data, "--target", "up,down", "--out", "numbers"]);
    assert_eq!(numbers["task"], "regression");
    let head = bench.ok(&["predict", "numbers", "--data", &data]);
    assert!(head.starts_with("x,up,down,high,prediction_up,prediction_down\n"), "{}", &head[..80]);
    let labels: String = table
        .replace("x,up,down,high", "x,a,b,c")
        .lines()
        .enumerate()
        .map(|(i, line)| {
            if i == 0 {
                line.to_string() + "\n"
            } else {
                format!("{},{},{}\n", line.split(',').next().expect("x"), i % 2, u8::from(i > 100))
            }
        })
        .collect();
    let labels = bench.write("l.csv", &labels.replace("x,a,b,c", "x,a,b"));
    let run = bench.json(&["train", &labels, "--target", "a", "--target", "b", "--epochs", "20", "--out", "labels"]);
    assert_eq!(run["task"], "multilabel");
    let head = bench.ok(&["predict", "labels", "--data", &labels]);
    assert!(head.starts_with("x,a,b,prediction_a,prediction_b,probability_a,probability_b\n"), "{}", &head[..80]);
}

#[test]
fn rows_have_weights_and_classes_too() {
    let bench = Bench::new();
    let weighted: String = flowers(200)
        .lines()
        .enumerate()
        .map(|(i, line)| format!("{line},{}\n", if i == 0 { "w".to_string() } else { (i % 3).to_string() }))
        .collect();
    let data = bench.write("w.csv", &weighted);
    let run = |extra: &[&str]| {
        bench.json(
            &[&["train", data.as_str(), "--target", "kind", "--epochs", "4", "--force", "--out", "run"], extra]
                .concat(),
        )
    };
    let plain = run(&["--weights", "w"]);
    assert_ne!(super::hash(&plain), super::hash(&run(&["--weights", "w", "--class-weights", "balanced"])));
    let named = run(&["--class-weights", "rose:2,lily:0.5", "--label-smoothing", "0.1"]);
    assert!(bench.read("run/config.toml").contains("class_weights=1/0.5/2"), "{}", bench.read("run/config.toml"));
    assert!(accuracy(&named) > 0.3);
    let message = bench.fails(&["train", &data, "--target", "kind", "--class-weights", "tulip:2"]);
    assert!(message.contains("there is no class \"tulip\"; there are aster, lily, rose"), "{message}");
}

#[test]
fn real_tables_are_learnt_with_their_target_alone() {
    for (name, metric, least) in [
        ("iris.csv", "accuracy", 0.93),
        ("wheat-seeds.csv", "accuracy", 0.88),
        ("banknote_authentication.csv", "accuracy", 0.99),
        ("pima-indians-diabetes.csv", "accuracy", 0.72),
        ("housing.csv", "r2", 0.80),
    ] {
        let Some(path) = real_table(name) else { continue };
        let bench = Bench::new();
        let run = bench.json(&["train", &path, "--target", "-1"]);
        let found = run["metrics"]["test"][metric].as_f64().expect(metric);
        assert!(found >= least, "{name}: {metric} {found}");
    }
}

#[test]
fn rows_are_divided_in_time_by_groups_and_in_folds_as_the_user_says() {
    let bench = Bench::new();
    let rows = flowers(120)
        .lines()
        .enumerate()
        .map(|(i, line)| match i {
            0 => format!("day,house,{line}\n"),
            _ => format!("2024-{:02}-{:02},h{},{line}\n", 1 + i / 28, 1 + i % 28, i * 7 % 30),
        })
        .collect::<String>();
    bench.write("houses.csv", &rows);
    fn train<'a>(flags: &[&'a str]) -> Vec<&'a str> {
        [&["train", "houses.csv", "--epochs", "1", "--force", "--out", "run"], flags].concat()
    }
    let shown = |flags: &[&str]| {
        let output = bench.output(&train(flags));
        assert!(output.status.success(), "{flags:?}: {output:?}");
        // Lines are broken where the terminal ends.
        super::text(&output.stdout).split_whitespace().collect::<Vec<_>>().join(" ")
    };
    assert!(shown(&["--time", "day"]).contains("validation and test set apart as the last in time"));
    // The house is no input: nine are left.
    let out = shown(&["--groups", "house"]);
    assert!(out.contains("groups as a whole") && out.contains("inputs 9 "), "{out}");
    let out = shown(&["--fold", "2/3"]);
    assert!(out.contains("64 train, 32 validation, 24 test") && out.contains("validation is fold 2/3"), "{out}");
    let fails = |flags: &[&str]| bench.fails(&train(flags));
    assert!(fails(&["--time", "day", "--groups", "house"]).contains("each say how rows are divided"));
    assert!(fails(&["--time", "colour"]).contains("houses.csv: line 2"));
    assert!(fails(&["--groups", "huose"]).contains("huose"));
    assert!(fails(&["--fold", "1/200"]).contains("cannot be divided in 200 folds"));
    assert_eq!(bench.output(&train(&["--fold", "4/3"])).status.code(), Some(2));
    assert_eq!(bench.output(&train(&["--fold", "1/3", "--validation", "0.2"])).status.code(), Some(2));
}
