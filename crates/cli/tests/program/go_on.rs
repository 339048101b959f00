//! Going on with networks in ONNX, and with models of tables, series and sequences.

use std::fs;
use std::path::Path;

use pellucid::model::container::Container;

use super::pictures::{png, put};
use super::{Bench, accuracy, flowers, hash};

/// A network of PyTorch in the layout of ResNet-18, for pictures of three channels.
fn resnet(bench: &Bench) {
    let made = Path::new(env!("CARGO_MANIFEST_DIR")).join("../onnx/tests/pytorch/resnet.onnx");
    fs::copy(made, bench.path("resnet.onnx")).expect("copies");
}

/// Parameters of a model by name.
fn parameters(bench: &Bench, model: &str) -> Vec<(String, Vec<f32>)> {
    let container = Container::open(&bench.path(model)).expect("a model");
    container.into_tensors().into_iter().map(|(name, tensor)| (name, tensor.data)).collect()
}

/// The file as another program would have written it: with nothing that Pellucid says of it.
fn foreign(bench: &Bench, own: &str, name: &str) {
    let mut bytes = fs::read(bench.path(own)).expect("a file");
    for key in [&b"pellucid"[..], b"network_input", b"classes"] {
        for at in 0..bytes.len() - key.len() {
            if bytes[at..].starts_with(key) {
                bytes[at..at + key.len()].fill(b'-');
            }
        }
    }
    fs::write(bench.path(name), bytes).expect("writes");
}

#[test]
fn a_network_of_pytorch_in_onnx_is_a_backbone_for_pictures() {
    let bench = Bench::new();
    resnet(&bench);
    let picture = |class: usize, number: usize| {
        let colour =
            |at: usize, channel: usize| 40 + 150 * u8::from(channel == class) + ((at * 7 + number * 13) % 50) as u8;
        let pixels: Vec<u8> = (0..64).flat_map(|at| (0..3).map(move |channel| colour(at, channel))).collect();
        (format!("{}/{number}.png", ["red", "green", "blue"][class]), png(&pixels, [8, 8], ::png::ColorType::Rgb))
    };
    let all: Vec<_> = (0..72).map(|number| picture(number % 3, number)).collect();
    put(&bench, "pictures", &all);
    let train = |out: &str, more: &[&str]| {
        let common = [
            "train",
            "pictures",
            "--from",
            "resnet.onnx",
            "--epochs",
            "30",
            "--lr",
            "2e-2",
            "--batch-size",
            "8",
            "--out",
            out,
        ];
        bench.json(&[&common[..], more].concat())
    };
    let frozen = train("frozen", &["--freeze", "backbone"]);
    assert!(accuracy(&frozen) > 0.6, "{frozen}");
    assert_eq!(frozen["network"], "resnet.onnx, and dense in the place of its last layer");
    bench.ok(&["import", "resnet.onnx", "--out", "whole.safetensors"]);
    let (whole, mine) = (parameters(&bench, "whole.safetensors"), parameters(&bench, "frozen/model.safetensors"));
    let known = |name: &str| whole.iter().find(|(other, _)| other == name).map(|(_, values)| values);
    let (kept, new): (Vec<_>, Vec<_>) = mine.iter().partition(|(name, _)| known(name).is_some());
    assert!(kept.len() + 2 == whole.len() && kept.iter().all(|(name, values)| known(name) == Some(values)));
    let new: Vec<&str> = new.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(new, ["head.0.bias", "head.0.weight"]);
    // An ordinary model: measured, summed up, made again from its settings, gone on with once more, handed over.
    let measured = bench.json(&["evaluate", "frozen", "--data", "pictures"]);
    assert_eq!(hash(&measured), hash(&frozen));
    bench.ok(&["summary", "frozen"]);
    bench.ok(&["predict", "frozen", "--data", "pictures/green/1.png"]);
    let again = bench.json(&["train", "frozen/config.toml", "--out", "again"]);
    assert_eq!(hash(&again), hash(&frozen));
    bench.ok(&["export", "frozen", "--out", "mine.onnx"]);
    let more =
        ["train", "pictures", "--from", "frozen", "--head", "dense 8 relu -> dense", "--epochs", "1", "--out", "more"];
    bench.json(&more);
    let names: Vec<String> = parameters(&bench, "more/model.safetensors").into_iter().map(|(name, _)| name).collect();
    assert!(
        names.iter().any(|name| name == "head.2.weight") && !names.iter().any(|name| name == "fc.weight"),
        "{names:?}"
    );
    // All layers learn, too, by depth.
    let whole = train("thawed", &["--rate-decay", "0.9", "--head", "dropout 0.1 -> dense 16 relu -> dense"]);
    assert!(accuracy(&whole) > 0.6, "{whole}");
}

#[test]
fn a_network_in_onnx_takes_the_numbers_of_a_table_as_they_are() {
    let bench = Bench::new();
    let table = flowers(300);
    // Colours by their place among blue, red and white, as the network that is handed over takes them.
    let numbers: String = table.replace("blue", "0").replace("red", "1").replace("white", "2");
    bench.write("flowers.csv", &table);
    bench.write("numbers.csv", &numbers);
    let first =
        ["train", "flowers.csv", "--target", "kind", "--epochs", "8", "--lr", "1e-2", "--seed", "3", "--out", "run"];
    let first = bench.json(&first);
    bench.ok(&["export", "run", "--out", "net.onnx"]);
    foreign(&bench, "net.onnx", "foreign.onnx");
    // Nothing learnt, nothing lost: the whole network on the same rows, its front included.
    let kept =
        ["--from", "foreign.onnx", "--head", "keep", "--epochs", "1", "--lr", "1e-12", "--seed", "3", "--out", "kept"];
    let kept = bench.json(&[&["train", "numbers.csv", "--target", "kind"], &kept[..]].concat());
    assert_eq!(accuracy(&kept), accuracy(&first));
    // Another column, on what the hidden layers make of the rest: the kinds by number, colours to be told.
    let head = ["--from", "foreign.onnx", "--freeze", "backbone", "--epochs", "8", "--lr", "1e-2", "--out", "headed"];
    let headed = bench.json(&[&["train", "numbers.csv", "--target", "kind"], &head[..]].concat());
    assert!(accuracy(&headed) > 0.9, "{headed}");
    let measured = bench.json(&["evaluate", "headed", "--data", "numbers.csv"]);
    assert_eq!(hash(&measured), hash(&headed));

    let refused = |data: &str, more: &[&str], part: &str| {
        let message = bench.fails(&[&["train", data, "--from", "foreign.onnx", "--out", "no"], more].concat());
        assert!(message.contains(part), "{data} {more:?}: {message}");
        assert!(!bench.path("no").exists());
    };
    refused("flowers.csv", &["--target", "kind"], "column `colour` is of type category");
    bench.write("narrow.csv", "a,b,kind\n1,2,x\n2,3,y\n");
    refused("narrow.csv", &[], "takes rows of 3 numbers, the data has rows of 2");
    refused("numbers.csv", &["--net", "dense 3"], "--net is for weights alone");
    bench.write("verses.txt", "a text, and more of it\n");
    refused("verses.txt", &[], "takes numbers");
    bench.write("broken.onnx", "no network");
    assert!(
        bench.fails(&["train", "numbers.csv", "--from", "broken.onnx"]).contains("broken.onnx: this is no ONNX model")
    );
}

#[test]
fn a_model_of_a_table_is_gone_on_with_for_another_column() {
    let bench = Bench::new();
    bench.write("flowers.csv", &flowers(300));
    bench.json(&[
        "train",
        "flowers.csv",
        "--target",
        "kind",
        "--net",
        "dense 16 relu -> dense",
        "--epochs",
        "8",
        "--lr",
        "1e-2",
        "--out",
        "first",
    ]);
    // The columns in another order, one more, and what is to be told now.
    let line = |(number, line): (usize, &str)| {
        let parts: Vec<&str> = line.split(',').collect();
        let kind = if number == 0 {
            "rosy"
        } else if parts[3] == "rose" {
            "yes"
        } else {
            "no"
        };
        format!("{},{},{number},{},{kind}\n", parts[2], parts[0], parts[1])
    };
    let table: String = flowers(120).lines().enumerate().map(line).collect();
    bench.write("rosy.csv", &table.replacen(",0,", ",number,", 1));
    let go_on = [
        "train", "rosy.csv", "--from", "first", "--freeze", "backbone", "--epochs", "20", "--lr", "3e-2", "--out",
        "second",
    ];
    let second = bench.json(&go_on);
    assert!(accuracy(&second) > 0.9, "{second}");
    assert_eq!(second["network"], "dense 16 relu -> dense 1");
    let weight = |run: &str| {
        parameters(&bench, &format!("{run}/model.safetensors")).into_iter().find(|(name, _)| name == "0.weight")
    };
    assert_eq!(weight("first"), weight("second"));
    let measured = bench.json(&["evaluate", "second", "--data", "rosy.csv"]);
    assert_eq!(hash(&measured), hash(&second));
    let refused = |arguments: &[&str], part: &str| {
        let message = bench.fails(&[&["train"], arguments, &["--from", "first", "--out", "no"]].concat());
        assert!(message.contains(part), "{arguments:?}: {message}");
    };
    refused(&["rosy.csv", "--target", "width"], "column `width` is an input of the network");
    bench.write("short.csv", "length,kind\n1,rose\n2,lily\n");
    refused(&["short.csv"], "lacks the column(s)");
    refused(&["digits"], "takes the rows of a table; digits is none");
}

#[test]
fn models_of_series_and_of_sequences_are_gone_on_with() {
    let bench = Bench::new();
    let series = |steps: usize, level: f64| {
        let value = |step: usize| level * (3.0 + ((step % 6) as f64) + 0.01 * step as f64);
        (0..steps).fold("sold\n".to_string(), |text, step| format!("{text}{:.3}\n", value(step)))
    };
    bench.write("north.csv", &series(160, 1.0));
    bench.write("south.csv", &series(60, 40.0));
    let net = ["--net", "flatten -> dense 16 tanh -> dense", "--window", "12", "--season", "6"];
    bench.json(&[&["train", "north.csv", "--horizon", "3", "--epochs", "40", "--out", "north"], &net[..]].concat());
    // Another series of another size: windows and horizon are the model's.
    let south = bench.json(&[
        "train",
        "south.csv",
        "--from",
        "north",
        "--season",
        "6",
        "--freeze",
        "backbone",
        "--epochs",
        "40",
        "--out",
        "south",
    ]);
    let error = |method: &str| south["forecasts"]["scores"][method]["mae"].as_f64().expect("a number");
    assert!(error("model") < 0.3 * error("last value"), "{south}");
    bench.ok(&["forecast", "south", "--data", "south.csv", "--steps", "3"]);
    let message = bench.fails(&["train", "south.csv", "--from", "north", "--window", "7", "--out", "no"]);
    assert!(message.contains("does not fit this data"), "{message}");

    let runs = |count: usize, words: [&str; 2]| {
        let mut text = String::from("run,t,x,y,kind\n");
        for run in 0..count {
            for t in 0..4 + run % 3 {
                let slope = if run % 2 == 0 { 1.0 } else { -1.0 };
                let noise = ((run * 7 + t * 3) % 5) as f64 / 10.0;
                text += &format!("{run},{t},{:.2},{:.2},{}\n", slope * t as f64 + noise, noise, words[run % 2]);
            }
        }
        text
    };
    bench.write("first.csv", &runs(60, ["up", "down"]));
    bench.write("second.csv", &runs(60, ["bull", "bear"]));
    let net = ["--net", "gru 8 -> last -> dense", "--epochs", "15", "--lr", "1e-2"];
    bench.json(
        &[&["train", "first.csv", "--id", "run", "--time", "t", "--target", "kind", "--out", "runs"], &net[..]]
            .concat(),
    );
    let second = bench.json(&[
        "train",
        "second.csv",
        "--from",
        "runs",
        "--target",
        "kind",
        "--freeze",
        "backbone",
        "--epochs",
        "15",
        "--lr",
        "3e-2",
        "--out",
        "more",
    ]);
    assert!(accuracy(&second) > 0.9, "{second}");
    let message = bench.fails(&["train", "second.csv", "--from", "runs", "--target", "x", "--out", "no"]);
    assert!(message.contains("sequence has one answer") || message.contains("input of the model"), "{message}");
}
