//! Texts and series: learnt, written on, forecast.

use super::{Bench, hash, real_table};

const NET: &str = "embedding 8 -> gru 24 -> dense";

/// A text that repeats itself, so that little training tells.
fn verses() -> String {
    let mut text = String::new();
    for verse in 0..300 {
        let animal = ["cat", "dog", "kůň", "bird"][verse * 7 % 4];
        let place = ["mat", "bed", "hill"][verse * 5 % 3];
        text.push_str(&format!("the {animal} sat on the {place};\n"));
    }
    text
}

/// Months that grow and have a season, with a second column that says nothing.
fn months(count: usize) -> String {
    let mut table = String::from("month,noise,sales\n");
    for i in 0..count {
        let season = 1.0 + 0.3 * libm::sin(i as f64 * std::f64::consts::TAU / 12.0);
        let noise = f64::from((i as u32).wrapping_mul(0x9e37_79b9) >> 16) / 65536.0;
        let sales = 100.0 * libm::pow(1.01, i as f64) * season * (1.0 + 0.02 * noise);
        table.push_str(&format!("{}-{:02},{noise:.3},{sales:.2}\n", 2000 + i / 12, i % 12 + 1));
    }
    table
}

fn validation(run: &serde_json::Value, score: &str) -> f64 {
    run["metrics"]["validation"][score].as_f64().unwrap_or_else(|| panic!("no {score} in {run}"))
}

#[test]
fn a_text_is_learnt_and_written_on() {
    let bench = Bench::new();
    bench.write("verses.txt", &verses());
    let settings = ["--net", NET, "--window", "16", "--batch-size", "8", "--epochs", "20", "--lr", "0.01"];
    let run = bench.json(&[&["train", "verses.txt", "--out", "run"], &settings[..]].concat());
    // Four animals and three places a line of twenty-odd characters: little is open.
    assert!(validation(&run, "perplexity") < 1.6, "{run}");
    let bits = validation(&run, "loss") / std::f64::consts::LN_2;
    assert!((validation(&run, "bits_per_character") - bits).abs() < 1e-4, "a token is a character: {run}");

    let write = |arguments: &[&str]| bench.ok(&[&["generate", "run", "--length", "60"], arguments].concat());
    let written = write(&["--prompt", "the kůň s"]);
    assert!(written.starts_with("the kůň sat on the ") && written.ends_with('\n'), "{written}");
    assert_eq!(written.chars().count(), 9 + 60 + 1);
    assert_eq!(written, write(&["--prompt", "the kůň s"]));
    assert_eq!(written, write(&["--prompt", "the kůň s", "--threads", "1", "--isa", "scalar"]));
    let hot = |seed| write(&["--temperature", "2", "--seed", seed]);
    assert_ne!(hot("1"), hot("2"));
    assert_eq!(write(&["--temperature", "2", "--top-k", "1"]), write(&["--temperature", "0"]));

    bench.write("more.txt", &verses()[..2000]);
    let again = bench.json(&["evaluate", "run", "--data", "more.txt"]);
    assert!(again["metrics"]["perplexity"].as_f64().is_some_and(|perplexity| perplexity < 1.6), "{again}");
    let report = bench.read("run/report.html");
    for part in ["What it writes", "loss over time", "perplexity", "sat on the"] {
        assert!(report.contains(part), "{part} is missing");
    }
    let repeated = bench.json(&["train", "run/config.toml", "--out", "again", "--threads", "1", "--isa", "scalar"]);
    assert_eq!((hash(&repeated), &repeated["metrics"]), (hash(&run), &run["metrics"]));
}

#[test]
fn tokens_of_every_kind_are_learnt_and_come_back_from_the_model() {
    let bench = Bench::new();
    bench.write("verses.txt", &verses());
    for kind in ["bytes", "words", "words:9", "bpe:280"] {
        let folder = kind.replace(':', "-");
        let train = ["train", "verses.txt", "--net", NET, "--window", "8", "--epochs", "2", "--tokens", kind];
        let run = bench.json(&[&train[..], &["--out", &folder]].concat());
        assert!(validation(&run, "bits_per_character").is_finite(), "{kind}: {run}");
        let written = bench.ok(&["generate", &folder, "--prompt", "the dog", "--length", "20"]);
        assert!(written.starts_with("the dog") && written.len() > 12, "{kind}: {written}");
    }
}

#[test]
fn a_text_whose_state_is_carried_is_killed_and_resumed_to_the_same_bits() {
    let bench = Bench::new();
    bench.write("verses.txt", &verses().repeat(6));
    let base = [
        "train",
        "verses.txt",
        "--net",
        "embedding 8 -> lstm 24 layers=2 dropout=0.1 -> dense",
        "--window",
        "16",
        "--batch-size",
        "8",
        "--epochs",
        "4",
        "--checkpoint-every",
        "7",
    ];
    let whole = bench.json(&[&base[..], &["--out", "whole"]].concat());
    assert!(bench.read("whole/config.toml").contains("carry = true"));
    let resumed = [&base[..], &["--out", "killed", "--resume"]].concat();
    let mut kills = 0;
    for kill in 0..4u64 {
        kills += u32::from(bench.kill_after(&resumed, 120 + 150 * kill));
    }
    assert!(kills > 0, "every run had ended when it was to be killed");
    let run = bench.json(&resumed);
    assert_eq!((hash(&run), &run["metrics"]), (hash(&whole), &whole["metrics"]));
}

#[test]
fn a_series_is_forecast_better_than_by_repetition() {
    let bench = Bench::new();
    bench.write("sales.csv", &months(120));
    let run = bench.json(&["train", "sales.csv", "--target", "sales", "--horizon", "12", "--out", "run"]);
    let mase = |run: &serde_json::Value, method: &str| {
        run["forecasts"]["scores"][method]["mase"].as_f64().unwrap_or_else(|| panic!("no {method} in {run}"))
    };
    let (model, last, season) = (mase(&run, "model"), mase(&run, "last value"), mase(&run, "12 steps before"));
    assert!(model < 1.0 && model < season && model < last, "{run}");
    assert!(bench.read("run/report.html").contains("sales: forecast and truth"));

    let next = bench.ok(&["forecast", "run", "--data", "sales.csv"]);
    let lines: Vec<&str> = next.lines().collect();
    assert_eq!((lines.len(), lines[0]), (13, "month,sales"));
    assert!(lines[1].starts_with("2010-01,") && lines[12].starts_with("2010-12,"), "{next}");
    let error = bench.fails(&["forecast", "run", "--data", "sales.csv", "--steps", "24"]);
    assert!(error.contains("would need to know noise then"), "{error}");

    let table = months(120);
    let alone = table.lines().map(|line| {
        let cells: Vec<&str> = line.split(',').collect();
        format!("{},{}\n", cells[0], cells[2])
    });
    bench.write("alone.csv", &alone.collect::<String>());
    bench.json(&["train", "alone.csv", "--horizon", "12", "--out", "alone"]);
    bench.ok(&["forecast", "alone", "--data", "alone.csv", "--steps", "24", "--out", "next.csv"]);
    assert!(bench.read("next.csv").lines().last().is_some_and(|line| line.starts_with("2011-12,")));
    let forecast = |file: &str| bench.ok(&["forecast", "alone", "--data", file]);
    assert_eq!(forecast("sales.csv"), forecast("alone.csv"), "columns that are not needed are passed over");
    let again = bench.json(&["evaluate", "alone", "--data", "alone.csv"]);
    // Not two seasons and one, but a third of the 70 steps that are left of 82 to learn from.
    assert_eq!(again["rows"], 120 - 23 - 12 + 1);
}

#[test]
fn what_is_known_in_advance_is_seen_at_the_steps_of_the_forecast() {
    let bench = Bench::new();
    // Sales follow the price of the same day, which nothing before it tells.
    let price = |day: usize| {
        let mixed = (day as u32).wrapping_mul(0x9e37_79b9);
        let mixed = (mixed ^ mixed >> 15).wrapping_mul(0x85eb_ca6b);
        f64::from((mixed ^ mixed >> 13) % 23)
    };
    let sales = |day: usize| 200.0 - 5.0 * price(day) + (day % 3) as f64;
    let line = |day: usize| format!("{day},{},{}\n", price(day), sales(day));
    let lines = |days: std::ops::Range<usize>| days.map(line).collect::<String>();
    bench.write("days.csv", &format!("day,price,sales\n{}", lines(0..300)));
    let train = |out: &str, more: &[&str]| {
        let common = ["train", "days.csv", "--target", "sales", "--time", "day", "--horizon", "4", "--out", out];
        bench.json(&[&common[..], more].concat())
    };
    let mase = |run: &serde_json::Value| run["forecasts"]["scores"]["model"]["mase"].as_f64().expect("a score");
    let (blind, run) = (mase(&train("blind", &[])), train("run", &["--known", "price"]));
    assert!(mase(&run) < 0.2 && blind > 3.0 * mase(&run), "{blind} without, {} with", mase(&run));
    assert_eq!(hash(&bench.json(&["train", "run/config.toml", "--out", "again"])), hash(&run));
    let measured = bench.json(&["evaluate", "run", "--data", "days.csv"]);
    assert_eq!(hash(&measured), hash(&run));

    let future = |days: usize, column: &str| {
        let ahead: String = (300..300 + days).map(|day| format!("{day},{},{column}\n", price(day))).collect();
        bench.write("future.csv", &format!("day,price,sales\n{}{ahead}", lines(0..300)));
    };
    future(8, "");
    let next = bench.ok(&["forecast", "run", "--data", "future.csv", "--steps", "8"]);
    let forecast: Vec<&str> = next.lines().skip(1).collect();
    assert_eq!(forecast.len(), 8);
    for (step, line) in forecast.iter().enumerate() {
        let (day, value) = line.split_once(',').expect("two columns");
        assert_eq!(day, (300 + step).to_string());
        let value: f64 = value.parse().expect("a number");
        assert!((value - sales(300 + step)).abs() < 25.0, "{line}, and not {}", sales(300 + step));
    }
    // The steps of the future are no steps to learn from.
    let with_future = bench.json(&[
        "train",
        "future.csv",
        "--target",
        "sales",
        "--time",
        "day",
        "--horizon",
        "4",
        "--known",
        "price",
        "--out",
        "f",
    ]);
    assert_eq!(hash(&with_future), hash(&run));
    future(3, "");
    let error = bench.fails(&["forecast", "run", "--data", "future.csv"]);
    assert!(
        error.contains("price must be known 4 steps ahead, but there are 3 lines behind the last sales"),
        "{error}"
    );
    let error = bench.fails(&["forecast", "run", "--data", "days.csv"]);
    assert!(error.contains("but there are 0 lines") && error.contains("sales left empty"), "{error}");
    let refused = |more: &[&str], message: &str| {
        let error = bench.fails(&[&["train", "days.csv", "--target", "sales"], more].concat());
        assert!(error.contains(message), "{error}");
    };
    refused(&["--horizon", "4", "--known", "sales"], "`sales` is predicted");
    refused(&["--horizon", "4", "--known", "weather"], "no column \"weather\"");
    refused(&["--horizon", "4", "--known", "price", "--window", "3"], "choose a window of 4 at least");
    refused(&["--known", "price"], "--known is for series");
}

#[test]
fn passengers_of_two_years_are_forecast_better_than_by_the_year_before() {
    let Some(path) = real_table("airline-passengers.csv") else { return };
    let bench = Bench::new();
    for horizon in ["1", "12"] {
        let run = bench.json(&[
            "train",
            &path,
            "--target",
            "Passengers",
            "--horizon",
            horizon,
            "--test-fraction",
            "0.16667",
            "--out",
            horizon,
        ]);
        let scores = &run["forecasts"]["scores"];
        assert_eq!(run["rows"]["test"], 24 + 1 - horizon.parse::<usize>().expect("a number"));
        let model = scores["model"]["mase"].as_f64().expect("a score");
        let season = scores["12 steps before"]["mase"].as_f64().expect("a score");
        assert!(model < 1.0 && model < season, "horizon {horizon}: {scores}");
    }
}

#[test]
fn documents_are_told_apart_by_their_words() {
    let bench = Bench::new();
    let mut table = String::from("stars,review\n");
    for i in 0..240usize {
        let good = i % 3 != 0;
        let [first, last] = if good { ["great", "lovely"] } else { ["dull", "awful"] };
        let thing = ["film", "book", "\"play, really\""][i * 7 % 3].trim_matches('"');
        let filler = "and so on ".repeat(i % 5);
        table.push_str(&format!(
            "{},\"A {} {thing}, {filler}{}\"\n",
            if good { "five" } else { "one" },
            if i % 2 == 0 { first } else { "Very" },
            if i % 2 == 0 { "indeed" } else { last }
        ));
    }
    bench.write("reviews.csv", &table);
    let train = ["train", "reviews.csv", "--text", "review", "--target", "stars"];
    for (folder, net) in [("mean", None), ("gru", Some("embedding 8 -> gru 8 both -> last -> dense"))] {
        let net: Vec<&str> = net.iter().flat_map(|net| ["--net", net, "--lr", "0.01"]).collect();
        let run = bench.json(&[&train[..], &net, &["--out", folder]].concat());
        assert!(super::accuracy(&run) > 0.9, "{folder}: {run}");
        let again = bench.json(&["evaluate", folder, "--data", "reviews.csv"]);
        assert!(again["metrics"]["accuracy"].as_f64().is_some_and(|accuracy| accuracy > 0.9), "{folder}: {again}");
        bench.write("new.csv", "id,review\n1,lovely GREAT film\n2,\"dull, awful\"\n3,\n");
        let predicted = bench.ok(&["predict", folder, "--data", "new.csv"]);
        let lines: Vec<&str> = predicted.lines().collect();
        assert!(lines[0].starts_with("id,review,prediction,probability_"), "{predicted}");
        assert!(lines[1].contains(",five,") && lines[2].contains(",one,"), "{predicted}");
        assert_eq!(lines.len(), 4, "an empty document has a prediction too: {predicted}");
    }
    let error = bench.fails(&["train", "reviews.csv", "--text", "stars", "--target", "stars"]);
    assert!(error.contains("cannot be both the text"), "{error}");
    let error = bench.fails(&["train", "digits", "--text", "review"]);
    assert!(error.contains("--text is for tables with a column of text"), "{error}");
}

/// Runs of a machine: a fault shows as a rise at any time in one of two columns; lengths differ.
fn runs(count: usize, first: usize) -> String {
    let mut table = String::from("run,t,heat,note,noise,kind\n");
    for run in first..first + count {
        let (length, faulty) = (8 + run * 7 % 60, run % 3 == 0);
        let fault = run * 5 % (length - 4);
        for step in 0..length {
            let noise = f64::from(((run * 71 + step) as u32).wrapping_mul(0x9e37_79b9) >> 16) / 65536.0;
            let heat = 20.0 + noise + if faulty && (fault..fault + 4).contains(&step) { 6.0 } else { 0.0 };
            let kind = if faulty { "fault" } else { "fine" };
            table.push_str(&format!("r{run},{},{heat:.2},x,{noise:.2},{kind}\n", step + 1));
        }
    }
    table
}

#[test]
fn sequences_in_long_form_are_told_apart() {
    let bench = Bench::new();
    bench.write("runs.csv", &runs(150, 0));
    let train = ["train", "runs.csv", "--id", "run", "--time", "t", "--target", "kind", "--epochs", "40"];
    let run = bench.json(&[&train[..], &["--out", "run"]].concat());
    assert!(super::accuracy(&run) > 0.9, "{run}");
    assert_eq!((run["rows"]["test"].as_u64(), run["task"].as_str()), (Some(30), Some("binary")));
    let config = bench.read("run/config.toml");
    assert!(
        config.contains("id = \"run\"") && config.contains("gru 64 both") && config.contains("window = 6"),
        "{config}"
    );
    let again = bench.json(&["train", "run/config.toml", "--out", "again", "--threads", "1", "--isa", "scalar"]);
    assert_eq!((hash(&again), &again["metrics"]), (hash(&run), &run["metrics"]));

    bench.write("new.csv", &runs(30, 500));
    let measured = bench.json(&["evaluate", "run", "--data", "new.csv"]);
    assert!(measured["metrics"]["accuracy"].as_f64().is_some_and(|accuracy| accuracy > 0.9), "{measured}");
    assert_eq!(measured["rows"].as_u64(), Some(30));
    // Columns in another order, lines of two runs mixed, no answers, one longer than any that was learnt from.
    let mut mixed = String::from("noise,heat,run,t\n");
    for step in 0..90 {
        mixed.push_str(&format!("0.5,{},hot,{step}\n", if (30..34).contains(&step) { 26.5 } else { 20.5 }));
        if step < 9 {
            mixed.push_str(&format!("0.5,20.4,calm,{step}\n"));
        }
    }
    bench.write("mixed.csv", &mixed);
    let predicted = bench.ok(&["predict", "run", "--data", "mixed.csv"]);
    let lines: Vec<&str> = predicted.lines().collect();
    assert_eq!(lines[0], "run,prediction,probability_fault,probability_fine");
    assert!(
        lines[1].starts_with("hot,fault,") && lines[2].starts_with("calm,fine,") && lines.len() == 3,
        "{predicted}"
    );
    let cut = bench.output(&[&train[..8], &["--window", "20", "--epochs", "1", "--out", "cut"]].concat());
    let err = super::text(&cut.stderr);
    assert!(err.contains("training sequences have more than 20 steps and are cut there (--window)"), "{err}");
    assert!(err.contains("columns that hold no numbers are left out: note"), "{err}");
}

#[test]
fn sequences_that_are_none_are_refused_with_their_lines() {
    let bench = Bench::new();
    bench.write("runs.csv", &runs(9, 0));
    bench.write("answers.csv", "run,t,x,k\na,1,1,p\nb,1,1,q\na,2,1,q\n");
    bench.write("order.csv", "run,t,x,k\na,2,1,p\nb,1,1,q\na,1,1,p\n");
    bench.write("twice.csv", "run,t,x,k\na,2,1,p\nb,1,1,q\na,2,1,p\n");
    bench.write("hole.csv", "run,t,x,k\na,1,1,p\nb,1,,q\na,2,1,p\n");
    bench.write("verses.txt", &verses());
    let id = ["--id", "run"];
    for (arguments, message) in [
        (&["train", "answers.csv"][..], "answers.csv: line 4: k is \"q\", but \"p\" in line 2 of the same sequence"),
        (&["train", "order.csv", "--time", "t"], "order.csv: line 4: 1 does not come after 2"),
        (&["train", "twice.csv", "--time", "t"], "twice.csv: line 4: 2 does not come after 2"),
        (&["train", "hole.csv"], "hole.csv: line 3: x is \"\""),
        (&["train", "runs.csv", "--target", "run"], "cannot be both"),
        (&["train", "runs.csv", "--horizon", "3"], "--id goes with neither"),
        (&["train", "runs.csv", "--weights", "heat"], "--weights does not go with --id"),
        (&["train", "runs.csv", "--window", "0"], "--window is a number of steps from 1 on"),
        (&["train", "runs.csv", "--augment", "flip"], "--augment is for pictures"),
        (&["train", "verses.txt"], "--id is for tables"),
        (&["train", "digits"], "--id is for tables"),
    ] {
        let error = bench.fails(&[arguments, &id[..]].concat());
        assert!(error.contains(message), "{arguments:?}: {error}");
    }
    assert!(bench.fails(&["train", "runs.csv", "--id", "machine"]).contains("no column \"machine\""));
    assert!(bench.fails(&["train", "digits", "--time", "t"]).contains("--time is for tables"));
    assert!(!bench.path("runs").exists());
}

#[test]
fn what_is_no_text_or_no_series_is_refused_with_its_place() {
    let bench = Bench::new();
    bench.write("verses.txt", &verses());
    std::fs::write(bench.path("latin.txt"), b"one\ntw\xe9\n").expect("writes");
    bench.write("empty.txt", "");
    bench.write("short.txt", "to be");
    bench.write("table.csv", &months(40));
    bench.write("order.csv", "t,y\n2020-01-02,1\n2020-01-01,2\n2020-01-03,2\n");
    bench.write("gap.csv", "t,y\n2020-01,1\n2020-02,2\n2020-04,2\n");
    bench.write("hole.csv", "t,y\n2020-01,1\n2020-02,\n2020-03,2\n");
    let cases: &[(&[&str], &str)] = &[
        (&["train", "latin.txt"], "latin.txt: line 2, byte 3 of it (byte 6 of the file) is not UTF-8"),
        (&["train", "empty.txt"], "empty.txt is empty"),
        (&["train", "short.txt"], "a window of 128 needs 129 at least"),
        (&["train", "verses.txt", "--tokens", "letters"], "--tokens: tokens are characters"),
        (&["train", "verses.txt", "--window", "0"], "--window is a number of tokens from 1 on"),
        (&["train", "verses.txt", "--horizon", "3"], "--horizon is for series"),
        (&["train", "verses.txt", "--net", "embedding 8 -> gru 8 -> last -> dense"], "time"),
        (&["train", "table.csv", "--window", "3"], "--window is for texts, series and sequences"),
        (&["train", "table.csv", "--carry", "yes"], "--carry is for texts"),
        (&["train", "table.csv", "--horizon", "0"], "--horizon is a number of steps from 1 on"),
        (&["train", "table.csv", "--horizon", "30"], "need"),
        (&["train", "table.csv", "--horizon", "2", "--target", "profit"], "profit"),
        (&["train", "order.csv", "--horizon", "1"], "line 3: 2020-01-01 does not come after 2020-01-02"),
        (&["train", "gap.csv", "--horizon", "1"], "line 4: 2020-04 follows 2020-02, but a step is a month"),
        (&["train", "hole.csv", "--horizon", "1"], "line 3: y is \"\", a series needs a number"),
    ];
    for (arguments, message) in cases {
        let error = bench.fails(arguments);
        assert!(error.contains(message), "{arguments:?}: {error}");
    }
    let both = "embedding 8 -> gru 8 both -> dense";
    bench.json(&["train", "verses.txt", "--net", both, "--window", "16", "--epochs", "1", "--out", "both"]);
    assert!(bench.read("both/config.toml").contains("carry = false"));
    let error = bench.fails(&["train", "verses.txt", "--net", both, "--carry", "yes", "--out", "none"]);
    assert!(error.contains("--carry yes: layer 1") && !bench.path("none").exists(), "{error}");
    let error = bench.fails(&["generate", "both"]);
    assert!(error.contains("looks ahead"), "{error}");
    bench.json(&["train", "verses.txt", "--net", NET, "--window", "16", "--epochs", "1", "--out", "run"]);
    for (arguments, message) in [
        (&["generate", "run", "--prompt", "žába"][..], "--prompt: 'ž', character 1, is not among"),
        (&["generate", "run", "--top-p", "0"], "top-p is a number above 0"),
        (&["predict", "run", "--data", "table.csv"], "pellucid generate"),
        (&["forecast", "run", "--data", "table.csv"], "the model does not forecast"),
        (&["evaluate", "run", "--data", "digits"], "the model takes a text"),
    ] {
        let error = bench.fails(arguments);
        assert!(error.contains(message), "{arguments:?}: {error}");
    }
}
