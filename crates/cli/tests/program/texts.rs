//! Texts in folders of their classes: learnt, measured, predicted, good and bad.

use std::fs;

use super::pictures::{gzip, put, raw_member, tar};
use super::{Bench, accuracy, hash};

type Files = Vec<(String, Vec<u8>)>;

fn file(name: &str, text: &str) -> (String, Vec<u8>) {
    (name.to_string(), text.as_bytes().to_vec())
}

/// A text that its words tell, at any length.
fn text(class: usize, number: usize) -> String {
    let words = [["meeting", "invoice", "agenda"], ["winner", "free", "prize"]][class];
    let filler = "and so it goes on with this and that ".repeat(number % 7);
    format!("Dear reader,\n{filler}{} {}.\n", words[number % 3], words[number * 5 % 3])
}

fn set(part: &str, of_each: usize, first: usize) -> Files {
    let name = |class: usize, number: usize| format!("{part}{}/{number:03}.txt", ["post", "spam"][class]);
    let all = (0..2).flat_map(|class| (first..first + of_each).map(move |number| (class, number)));
    all.map(|(class, number)| file(&name(class, number), &text(class, number))).collect()
}

const QUICK: [&str; 4] = ["--epochs", "8", "--lr", "0.01"];

fn train(bench: &Bench, data: &str, more: &[&str]) -> serde_json::Value {
    bench.json(&[&["train", data, "-q"], &QUICK[..], more].concat())
}

#[test]
fn texts_in_folders_and_archives_are_learnt_measured_and_predicted() {
    let bench = Bench::new();
    let files = [set("mails/train/", 40, 0), set("mails/test/", 10, 100)].concat();
    put(&bench, "folder", &files);
    let archive = tar(&files);
    fs::write(bench.path("a.tar"), &archive).expect("writes");
    fs::write(bench.path("a.tar.gz"), gzip(&archive)).expect("writes");
    let run = train(&bench, "folder", &["--out", "run"]);
    assert_eq!((run["rows"]["test"].as_u64(), run["task"].as_str()), (Some(20), Some("binary")));
    assert!(accuracy(&run) > 0.9, "{run}");
    for data in ["a.tar", "a.tar.gz", "run/config.toml"] {
        assert_eq!(hash(&bench.json(&[&["train", data, "-q"], &QUICK[..]].concat())), hash(&run), "{data}");
    }
    let message = bench.fails(&["train", "folder", "--memory", "1KB"]);
    assert!(message.contains("takes more than the 1 KB of memory allowed"), "{message}");

    let again = bench.json(&["evaluate", "run", "--data", "a.tar"]);
    assert_eq!(
        (again["rows"].as_u64(), &again["metrics"]["accuracy"]),
        (Some(20), &run["metrics"]["test"]["accuracy"])
    );
    put(&bench, "new", &[file("b.txt", "a free PRIZE, free"), file("deep/a.txt", "invoice for the meeting")]);
    let predicted = bench.ok(&["predict", "run", "--data", "new"]);
    let lines: Vec<&str> = predicted.lines().collect();
    assert_eq!(lines[0], "file,prediction,probability_post,probability_spam");
    assert!(lines[1].starts_with("b.txt,spam,") && lines[2].starts_with("deep/a.txt,post,"), "{predicted}");
    let one = bench.ok(&["predict", "run", "--data", "new/b.txt"]);
    assert_eq!(one.lines().nth(1), Some(lines[1]));

    // A table and files are the same to a model of documents.
    bench.write("t.csv", "id,text,class\n1,\"a free PRIZE, free\",spam\n2,invoice for the meeting,post\n");
    let table = bench.ok(&["predict", "run", "--data", "t.csv"]);
    let probabilities = |line: &str| line.split(',').rev().take(3).map(String::from).collect::<Vec<_>>();
    assert_eq!(probabilities(table.lines().nth(1).unwrap_or_default()), probabilities(lines[1]), "{table}");
    let measured = bench.json(&["evaluate", "run", "--data", "t.csv"]);
    assert_eq!(measured["metrics"]["accuracy"].as_f64(), Some(1.0), "{measured}");
}

#[test]
fn classes_alone_are_split_and_each_is_there_to_learn_from() {
    let bench = Bench::new();
    put(
        &bench,
        "f",
        &[set("", 40, 0), vec![file("third/1.txt", "something else"), file("README.rst", "words")]].concat(),
    );
    let shown = bench.output(&["data", "f"]);
    let (out, err) = (super::text(&shown.stdout), super::text(&shown.stderr));
    assert!(out.contains("multiclass") && out.contains("classes in proportion") && out.contains("third"), "{out}{err}");
    assert!(err.contains("files that are no texts are left out: README.rst"), "{err}");
    put(&bench, "numbers", &[set("1/", 3, 0), set("02/", 3, 0)].concat());
    let described = bench.json(&["data", "numbers"]);
    assert_eq!(described["task"].as_str(), Some("binary"), "classes stay classes: {described}");
    assert!(described["classes"]["02"].is_number(), "{described}");
}

#[test]
fn bad_texts_are_named_and_left_out_on_request() {
    for (name, bytes, reason) in [
        ("latin.txt", &b"one\ntw\xe9\n"[..], "line 2, byte 3 of it (byte 6 of the file) is not UTF-8"),
        ("empty.txt", b"", "is empty; give a text"),
        ("blank.txt", b" \n\t\n", "is empty; give a text"),
    ] {
        let bench = Bench::new();
        put(&bench, "f", &[set("", 10, 0), vec![(format!("spam/{name}"), bytes.to_vec())]].concat());
        let message = bench.fails(&["train", "f"]);
        assert!(message.contains("1 of 21 texts cannot be used; leave them out with --skip-bad"), "{message}");
        assert!(message.contains(reason) && message.contains(&format!("spam/{name}")), "{message}");
        assert!(!bench.path("runs").exists());
        let run = train(&bench, "f", &["--skip-bad"]);
        fs::remove_file(bench.path("f/spam").join(name)).expect("removes");
        assert_eq!(hash(&run), hash(&train(&bench, "f", &["--out", "run"])), "{name}");

        put(&bench, "new", &[file("good.txt", "free"), (name.to_string(), bytes.to_vec())]);
        let message = bench.fails(&["predict", "run", "--data", "new"]);
        assert!(message.contains(name) && message.contains("--skip-bad"), "{message}");
        assert_eq!(bench.ok(&["predict", "run", "--data", "new", "--skip-bad"]).lines().count(), 2);
    }
}

#[test]
fn folders_of_texts_that_make_no_classes_are_refused_with_their_names() {
    let bench = Bench::new();
    let refused = |files: &[&str], more: &[&str], words: &str| {
        let _ = fs::remove_dir_all(bench.path("f"));
        put(&bench, "f", &files.iter().map(|name| file(name, "some words")).collect::<Vec<_>>());
        let message = bench.fails(&[&["train", "f"], more].concat());
        assert!(message.contains(words), "{message}");
    };
    refused(&["1.txt", "2.txt"], &[], "has no folder of a class in which texts lie");
    refused(&["a/1.txt"], &[], "CLASS/*.txt or train/CLASS/*.txt and test/CLASS/*.txt");
    refused(&["test/a/1.txt", "test/b/1.txt"], &[], "but no folder `train`");
    refused(&["train/a/1.txt", "train/b/1.txt", "test/c/1.txt"], &[], "c is not among the classes");
    refused(&["a/1.txt", "b/1.txt"], &["--size", "8"], "--size is for pictures");
    refused(&["a/1.txt", "b/1.txt"], &["--text", "x"], "--text is for tables");
    refused(&["a/1.txt", "b/1.txt"], &["--target", "x"], "--target is for tables");
    refused(&["a/1.txt", "b/1.txt"], &["--carry", "yes"], "--carry is for a text that is written on");
    refused(&["a/1.txt", "b/1.txt"], &["--augment", "flip"], "--augment is for pictures");
    refused(&["a/1.txt", "b/1.txt"], &["--task", "regression"], "--task regression does not fit 2 classes of texts");
    // Where there is a picture, the folder is one of pictures.
    refused(&["a/1.txt", "b/1.txt", "b/2.png"], &[], "no picture lies in a");
    fs::create_dir_all(bench.path("f/nothing")).expect("a folder");
    fs::remove_file(bench.path("f/b/2.png")).expect("removes");
    let message = bench.fails(&["train", "f"]);
    assert!(message.contains("no text lies in nothing"), "{message}");
    put(&bench, "pictures", &[file("a/1.rst", "x"), file("b/1.rst", "x")]);
    let message = bench.fails(&["train", "pictures"]);
    assert!(message.contains("holds no picture") && message.contains("and no text"), "{message}");
}

#[test]
fn texts_of_all_lengths_are_killed_and_resumed_to_the_same_bits() {
    let bench = Bench::new();
    let mut table = String::from("kind,words\n");
    for i in 0..400usize {
        let length = if i % 9 == 0 { 40 + i % 60 } else { 1 + i * 7 % 12 };
        let word = |at: usize| ["one", "two", "three", "four", "five"][(i * 3 + at * at + at * i) % 5];
        let words: Vec<&str> = (0..length).map(word).chain([["yes", "no"][i % 2]]).collect();
        table.push_str(&format!("{},{}\n", ["good", "bad"][i % 2], words.join(" ")));
    }
    bench.write("t.csv", &table);
    let base = [
        "train",
        "t.csv",
        "--text",
        "words",
        "--target",
        "kind",
        "--net",
        "embedding 8 -> gru 16 both -> last -> dense",
        "--epochs",
        "8",
        "--checkpoint-every",
        "3",
    ];
    let whole = bench.json(&[&base[..], &["--out", "whole"]].concat());
    let resumed = [&base[..], &["--out", "killed", "--resume", "--threads", "1"]].concat();
    let mut kills = 0;
    for kill in 0..4u64 {
        kills += u32::from(bench.kill_after(&resumed, 120 + 120 * kill));
    }
    assert!(kills > 0, "every run had ended when it was to be killed");
    let run = bench.json(&resumed);
    assert_eq!((hash(&run), &run["metrics"]), (hash(&whole), &whole["metrics"]));
}

#[test]
fn an_archive_of_texts_cannot_lead_out_of_itself() {
    let bench = Bench::new();
    let mut builder = tar::Builder::new(Vec::new());
    for (name, bytes) in set("x/", 10, 0) {
        raw_member(&mut builder, name.as_bytes(), tar::EntryType::Regular, &bytes);
    }
    raw_member(&mut builder, b"../evil/1.txt", tar::EntryType::Regular, b"words");
    raw_member(&mut builder, b"x/spam/link.txt", tar::EntryType::Symlink, b"");
    fs::write(bench.path("a.tar"), builder.into_inner().expect("an archive")).expect("writes");
    put(&bench, "plain", &set("", 10, 0));
    let shown = bench.output(&["data", "a.tar"]);
    let err = super::text(&shown.stderr);
    assert!(err.contains("links and unsafe names are left out: ../evil/1.txt, x/spam/link.txt"), "{err}");
    assert_eq!(hash(&train(&bench, "a.tar", &[])), hash(&train(&bench, "plain", &[])));
    assert!(!bench.path("../evil").exists());
}

/// The tokenizer of this name among those that the library's tests are made with.
fn tokenizer(name: &str) -> serde_json::Value {
    let all = include_str!("../../../pellucid/src/data/text/pretrained/tests.json");
    let all: serde_json::Value = serde_json::from_str(all).expect("JSON");
    let cases = all["cases"].as_array().expect("cases");
    cases.iter().find(|case| case["name"] == name).expect("a case")["tokenizer"].clone()
}

#[test]
fn tokens_of_another_program_are_read_and_kept_in_the_model() {
    let bench = Bench::new();
    put(&bench, "mails", &set("", 40, 0));
    let words = "dear reader , and so it goes on with this that . meeting invoice agenda winner free pri ##ze";
    let pieces = format!("[PAD]\n[UNK]\n[CLS]\n[SEP]\n{}\n", words.replace(' ', "\n"));
    bench.write("vocab.txt", &pieces);
    let run = train(&bench, "mails", &["--tokenizer", "vocab.txt", "--out", "run"]);
    assert!(accuracy(&run) > 0.9, "{run}");
    assert_eq!(hash(&train(&bench, "run/config.toml", &[])), hash(&run), "the settings name the file");
    fs::remove_file(bench.path("vocab.txt")).expect("removes");
    put(&bench, "new", &[file("b.txt", "a free PRIZÉ, free"), file("a.txt", "invoice for the meeting")]);
    let predicted = bench.ok(&["predict", "run", "--data", "new"]);
    let lines: Vec<&str> = predicted.lines().collect();
    assert!(lines[1].starts_with("a.txt,post,") && lines[2].starts_with("b.txt,spam,"), "{predicted}");
    let further = bench
        .json(&["train", "mails", "--from", "run", "--freeze", "backbone", "-q", "--epochs", "20", "--lr", "0.05"]);
    assert!(accuracy(&further) > 0.9, "{further}");

    let message = bench.fails(&["train", "mails", "--tokenizer", "vocab.txt"]);
    assert!(message.contains("--tokenizer: vocab.txt: "), "{message}");
    bench.write("t.json", r#"{"model": {"type": "WordPiece"}}"#);
    let message = bench.fails(&["train", "mails", "--tokenizer", "t.json"]);
    assert!(message.contains("t.json: model: missing field `vocab`"), "{message}");
    bench.write("vocab.txt", &pieces);
    let message = bench.fails(&["train", "mails", "--tokenizer", "vocab.txt", "--window", "2"]);
    assert!(message.contains("2 tokens of a document are too few beside the 2"), "{message}");
    let message = bench.fails(&["train", "mails", "--tokenizer", "vocab.txt", "--tokens", "words"]);
    assert!(message.contains("--tokens"), "{message}");
    bench.write("t.csv", "a,b\n1,2\n");
    let message = bench.fails(&["train", "t.csv", "--text", "a", "--tokenizer", "t.csv"]);
    assert!(message.contains("t.csv") && message.contains("vocab.txt of word pieces"), "{message}");
}

#[test]
fn a_text_is_written_on_in_the_tokens_of_another_program() {
    let bench = Bench::new();
    bench.write("fox.txt", &"The quick brown fox jumps over the lazy dog.\n".repeat(60));
    bench.write("tokenizer.json", &tokenizer("byte-level by a pattern").to_string());
    let network = "embedding 16 -> gru 32 -> dense";
    let common = ["train", "fox.txt", "--tokenizer", "tokenizer.json", "--window", "16", "--net", network];
    let run = bench.json(&[&common[..], &["--epochs", "30", "--lr", "0.02", "-q", "--out", "run"]].concat());
    let validation = run["metrics"]["validation"].as_object().expect("metrics");
    assert!(validation["perplexity"].as_f64().expect("a number") < 1.2, "{run}");
    fs::remove_file(bench.path("tokenizer.json")).expect("removes");
    let written = bench.ok(&["generate", "run", "--prompt", "The quick", "--length", "12", "--temperature", "0"]);
    assert!(written.contains("The quick brown fox jumps"), "{written}");
}
