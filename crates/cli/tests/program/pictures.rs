//! Pictures: folders and archives of them, good and bad.

use std::fs;
use std::io::Write;
use std::path::Path;

use super::{Bench, accuracy, hash};

/// The colours of a picture of `class`: a bright spot in one corner, on noise that follows from `seed`.
fn pixels(class: usize, seed: usize, [width, height]: [usize; 2]) -> Vec<u8> {
    let mut pixels = Vec::with_capacity(3 * width * height);
    for y in 0..height {
        for x in 0..width {
            let corner = usize::from(2 * y >= height) * 2 + usize::from(2 * x >= width);
            let noise = (((x * 31 + y * 17 + seed * 101) * 2_654_435_761) >> 7) % 60;
            let bright = if corner == class { 170 } else { 40 };
            pixels.extend([bright + noise, bright + noise / 2, 20 + noise].map(|value| value as u8));
        }
    }
    pixels
}

pub(super) fn png(pixels: &[u8], [width, height]: [usize; 2], color: png::ColorType) -> Vec<u8> {
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, width as u32, height as u32);
    encoder.set_color(color);
    encoder.set_depth(png::BitDepth::Eight);
    let mut writer = encoder.write_header().expect("a header");
    writer.write_image_data(pixels).expect("pixels");
    writer.finish().expect("an end");
    file
}

fn picture(class: usize, seed: usize) -> Vec<u8> {
    png(&pixels(class, seed, [8, 8]), [8, 8], png::ColorType::Rgb)
}

/// A small JPEG (8×8 pixels, grey), as another program wrote it.
const JPEG: &[u8] = include_bytes!("grey.jpg");

const CLASSES: [&str; 3] = ["corner", "edge", "spot"];

/// Names and bytes of the pictures of a set of three classes, below `part`.
pub(super) fn set(part: &str, of_each: usize, first: usize) -> Vec<(String, Vec<u8>)> {
    let name = |class: usize, seed: usize| format!("{part}{}/{seed:03}.png", CLASSES[class]);
    let all = (0..3).flat_map(|class| (first..first + of_each).map(move |seed| (class, seed)));
    all.map(|(class, seed)| (name(class, seed), picture(class, seed))).collect()
}

pub(super) fn put(bench: &Bench, folder: &str, files: &[(String, Vec<u8>)]) {
    for (name, bytes) in files {
        let path = bench.path(folder).join(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("makes folders");
        fs::write(path, bytes).expect("writes");
    }
}

pub(super) fn tar(files: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, bytes) in files {
        raw_member(&mut builder, name.as_bytes(), tar::EntryType::Regular, bytes);
    }
    builder.into_inner().expect("an archive")
}

/// A member of any name, also one that a decent program would not write.
pub(super) fn raw_member(builder: &mut tar::Builder<Vec<u8>>, name: &[u8], kind: tar::EntryType, bytes: &[u8]) {
    let mut header = tar::Header::new_gnu();
    header.as_old_mut().name[..name.len()].copy_from_slice(name);
    header.set_entry_type(kind);
    header.set_size(bytes.len() as u64);
    header.set_mode(0o644);
    header.set_cksum();
    builder.append(&header, bytes).expect("a member");
}

pub(super) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).expect("compresses");
    encoder.finish().expect("compresses")
}

const QUICK: [&str; 6] = ["--net", "dense 8 relu -> dense", "--epochs", "3", "--lr", "0.01"];

fn train(bench: &Bench, data: &str, more: &[&str]) -> serde_json::Value {
    bench.json(&[&["train", data, "-q"], &QUICK[..], more].concat())
}

#[test]
fn a_folder_and_archives_of_it_give_the_same_model_in_memory_and_streamed() {
    let bench = Bench::new();
    let files = [set("some/cats/train/", 30, 0), set("some/cats/test/", 10, 100)].concat();
    put(&bench, "folder", &files);
    let mut reversed = files.clone();
    reversed.reverse();
    let archive = tar(&reversed);
    fs::write(bench.path("a.tar"), &archive).expect("writes");
    fs::write(bench.path("a.tar.gz"), gzip(&archive)).expect("writes");
    let run = train(&bench, "folder", &["--out", "run"]);
    assert_eq!((run["rows"]["test"].as_u64(), run["task"].as_str()), (Some(30), Some("multiclass")));
    assert!(accuracy(&run) > 0.9, "{run}");
    let whole = hash(&run);
    for data in ["a.tar", "a.tar.gz"] {
        assert_eq!(hash(&train(&bench, data, &[])), whole, "{data}");
    }
    // 120 pictures of 768 bytes: 90 KB, from files of some 260 bytes each.
    let larger = hash(&train(&bench, "folder", &["--size", "16"]));
    for (data, memory, threads) in [("folder", "1KB", "1"), ("a.tar", "60KB", "3"), ("a.tar.gz", "80KB", "2")] {
        let more = ["--size", "16", "--memory", memory, "--threads", threads];
        assert_eq!(hash(&train(&bench, data, &more)), larger, "{data}");
        let more = [&["data", data][..], &more[..4]].concat();
        let shown = bench.output(&more);
        assert!(super::text(&shown.stderr).contains("decoded again"), "{data}: {}", super::text(&shown.stderr));
    }
    let message = bench.fails(&["train", "a.tar.gz", "--memory", "2KB"]);
    assert!(
        message.contains("takes more than the 2 KB of memory allowed; raise --memory, or decompress it"),
        "{message}"
    );
    // What was found out is in the settings, which repeat the run.
    let config = bench.read("run/config.toml");
    assert!(config.contains("size = 8") && config.contains("channels = 3") && !config.contains("memory"), "{config}");
    assert_eq!(hash(&bench.json(&["train", "run/config.toml", "-q"])), whole);
}

#[test]
fn pictures_are_measured_and_predicted_by_file() {
    let bench = Bench::new();
    let files = [set("train/", 30, 0), set("test/", 10, 100)].concat();
    put(&bench, "folder", &files);
    let run = train(&bench, "folder", &["--out", "run"]);
    let again = bench.json(&["evaluate", "run", "--data", "folder"]);
    assert_eq!(again["metrics"], run["metrics"]["test"]);
    let streamed = bench.json(&["evaluate", "run", "--data", "folder", "--memory", "1KB"]);
    assert_eq!(streamed["metrics"], run["metrics"]["test"]);

    let predicted = bench.ok(&["predict", "run", "--data", "folder/test"]);
    let lines: Vec<Vec<&str>> = predicted.lines().map(|line| line.split(',').collect()).collect();
    assert_eq!(lines[0], ["file", "prediction", "probability_corner", "probability_edge", "probability_spot"]);
    assert_eq!(lines.len(), 31);
    let right = lines[1..].iter().filter(|line| line[0].starts_with(line[1])).count();
    assert_eq!(right as f64 / 30.0, accuracy(&run));
    // One picture alone has the same line.
    let one = bench.ok(&["predict", "run", "--data", "folder/test/edge/104.png"]);
    let same = lines.iter().find(|line| line[0] == "edge/104.png").expect("the same picture");
    assert_eq!(one.lines().nth(1).expect("a row").split(',').skip(1).collect::<Vec<_>>(), same[1..]);

    // Another size is scaled; a table is not for this model, nor are pictures for one of tables.
    fs::write(bench.path("big.png"), png(&pixels(2, 7, [40, 30]), [40, 30], png::ColorType::Rgb)).expect("writes");
    assert!(bench.ok(&["predict", "run", "--data", "big.png"]).contains("big.png,spot,"));
    bench.ok(&["train", "iris", "--epochs", "2", "--out", "iris", "-q"]);
    assert!(bench.fails(&["predict", "iris", "--data", "big.png"]).contains("does not take pictures"));
    assert!(bench.fails(&["evaluate", "iris", "--data", "folder"]).contains("does not take pictures"));
    put(&bench, "other", &[("dog/1.png".to_string(), picture(0, 1)), ("edge/1.png".to_string(), picture(1, 1))]);
    let message = bench.fails(&["evaluate", "run", "--data", "other"]);
    assert!(message.contains("dog is not among the classes that are learnt: corner, edge, spot"), "{message}");
}

#[test]
fn classes_alone_are_split_in_proportion_and_described() {
    let bench = Bench::new();
    put(&bench, "folder", &set("", 40, 0));
    let described = bench.json(&["data", "folder"]);
    assert_eq!((described["channels"].as_u64(), described["inputs"].as_u64()), (Some(3), Some(192)));
    assert_eq!(described["rows"]["test"], 24);
    for rows in CLASSES.map(|class| described["classes"][class].as_u64().expect("a number")) {
        assert!((27..=28).contains(&rows), "{described}");
    }
    let scaled = bench.json(&["data", "folder", "--size", "6x4", "--channels", "1"]);
    assert_eq!((scaled["inputs"].as_u64(), &scaled["image_size"]), (Some(24), &serde_json::json!([4, 6])));

    // Grey if all are; one class is none; two are a question of yes or no.
    let grey: Vec<u8> = pixels(1, 3, [8, 8]).chunks(3).flat_map(|pixel| [pixel[1]; 3]).collect();
    let grey = png(&grey, [8, 8], png::ColorType::Rgb);
    let file = |name: &str, bytes: &[u8]| (name.to_string(), bytes.to_vec());
    put(&bench, "grey", &[file("a/1.png", &grey), file("a/2.jpg", JPEG), file("b/1.png", &grey)]);
    let described = bench.json(&["data", "grey"]);
    assert_eq!((described["channels"].as_u64(), described["task"].as_str()), (Some(1), Some("binary")));
    let message = bench.fails(&["data", "grey/a"]);
    assert!(message.contains("has no folder of a class in which pictures lie"), "{message}");

    // Of several sizes, or too large: a square, and a word on it.
    put(
        &bench,
        "sizes",
        &[file("a/1.png", &picture(0, 1)), file("b/1.png", &png(&[9; 600], [20, 10], png::ColorType::Rgb))],
    );
    let shown = bench.output(&["data", "sizes"]);
    let (out, err) = (super::text(&shown.stdout), super::text(&shown.stderr));
    assert!(out.contains("10×10 pixels, red, green, blue"), "{out}");
    assert!(err.contains("pictures from 8×8 to 20×10 pixels are scaled to 10×10"), "{err}");
}

/// A set in which one file of the training part is `bytes`.
fn spoilt(name: &str, bytes: &[u8]) -> Bench {
    let bench = Bench::new();
    put(&bench, "folder", &[set("train/", 20, 0), vec![(format!("train/edge/{name}"), bytes.to_vec())]].concat());
    bench
}

/// The PNG's head for a picture of 20,000×20,000 pixels.
fn huge() -> Vec<u8> {
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, 20_000, 20_000);
    encoder.set_color(png::ColorType::Rgb);
    drop(encoder.write_header().expect("a header"));
    // Signature and head, then an empty part of the pixels.
    file.truncate(8 + 25);
    file.extend(b"\0\0\0\0IDAT\x35\xaf\x06\x1e");
    file
}

#[test]
fn bad_pictures_are_named_and_left_out_on_request() {
    let cut_png = picture(1, 0)[..90].to_vec();
    for (name, bytes, reason) in [
        ("cut.jpg", &JPEG[..JPEG.len() - 40], "cut off: the file ends before the picture does"),
        ("cut.png", &cut_png[..], "edge/cut.png"),
        ("text.png", b"this is no picture", "no picture: neither PNG, JPEG, GIF, BMP nor WebP"),
        ("empty.gif", b"", "the file is empty"),
        ("huge.png", &huge()[..], "20000×20000 pixels are too many"),
    ] {
        let bench = spoilt(name, bytes);
        let message = bench.fails(&["train", "folder"]);
        assert!(message.contains("1 of 61 pictures cannot be used; leave them out with --skip-bad"), "{message}");
        assert!(message.contains(reason) && message.contains(&format!("edge/{name}")), "{message}");
        assert!(!bench.path("runs").exists());
        let shown = bench.output(&["data", "folder", "--skip-bad"]);
        let err = super::text(&shown.stderr);
        assert!(shown.status.success() && err.contains("1 pictures that cannot be used are left out"), "{err}");
        // The same model as without the file, streamed too.
        let run = train(&bench, "folder", &["--skip-bad"]);
        let streamed = train(&bench, "folder", &["--skip-bad", "--memory", "1KB"]);
        fs::remove_file(bench.path("folder/train/edge").join(name)).expect("removes");
        assert_eq!(hash(&run), hash(&train(&bench, "folder", &["--out", "run"])), "{name}");
        assert_eq!(hash(&run), hash(&streamed), "{name}");

        fs::write(bench.path(name), bytes).expect("writes");
        assert!(bench.fails(&["predict", "run", "--data", name]).contains(name));
    }
}

#[test]
fn folders_that_make_no_classes_are_refused_with_their_names() {
    let bench = Bench::new();
    let file = |name: &str| (name.to_string(), picture(0, 1));
    let refused = |files: &[&str], words: &str| {
        let _ = fs::remove_dir_all(bench.path("f"));
        put(&bench, "f", &files.iter().map(|name| file(name)).collect::<Vec<_>>());
        let message = bench.fails(&["train", "f"]);
        assert!(message.contains(words), "{message}");
    };
    refused(&["1.png", "2.png"], "has no folder of a class");
    refused(&["cat/1.png", "Cat/2.png", "dog/1.png"], "differ in capitals alone; rename one");
    refused(&["test/cat/1.png", "test/dog/1.png"], "but no folder `train`");
    refused(&["train/cat/1.png", "train/dog/1.png", "test/cow/1.png"], "cow is not among the classes");
    refused(&["a/notes.rst", "b/notes.rst"], "holds no picture");
    fs::create_dir_all(bench.path("f/nothing")).expect("a folder");
    put(&bench, "f", &[file("cat/1.png"), file("cat/2.png"), file("dog/1.png"), file("loose.png")]);
    let message = bench.fails(&["train", "f"]);
    assert!(message.contains("no picture lies in a, b, nothing") || message.contains("nothing"), "{message}");
    let shown = bench.output(&["data", "f", "--skip-bad"]);
    let err = super::text(&shown.stderr);
    assert!(err.contains("folders without a picture are left out") && err.contains("nothing"), "{err}");
    assert!(err.contains("pictures in no folder of a class are left out: loose.png"), "{err}");
    // One picture of `dog` stays for training.
    assert!(super::text(&shown.stdout).contains("dog"), "{}", super::text(&shown.stdout));
    for (flag, value) in [("--target", "x"), ("--test", "f"), ("--data-dir", "f")] {
        assert!(bench.fails(&["train", "f", flag, value]).contains(flag));
    }
    assert!(bench.fails(&["train", "digits", "--size", "9"]).contains("--size is for pictures"));
}

#[test]
fn an_archive_cannot_lead_out_of_itself() {
    let bench = Bench::new();
    let mut builder = tar::Builder::new(Vec::new());
    for (name, bytes) in set("x/", 20, 0) {
        raw_member(&mut builder, name.as_bytes(), tar::EntryType::Regular, &bytes);
    }
    let png = picture(0, 500);
    raw_member(&mut builder, b"../evil/1.png", tar::EntryType::Regular, &png);
    raw_member(&mut builder, b"/tmp/evil/1.png", tar::EntryType::Regular, &png);
    raw_member(&mut builder, b"x/edge/../../../1.png", tar::EntryType::Regular, &png);
    raw_member(&mut builder, b"x/edge/link.png", tar::EntryType::Symlink, b"");
    raw_member(&mut builder, b"x/edge/hard.png", tar::EntryType::Link, b"");
    let archive = builder.into_inner().expect("an archive");
    fs::write(bench.path("a.tar"), &archive).expect("writes");
    fs::write(bench.path("a.tgz"), gzip(&archive)).expect("writes");
    put(&bench, "plain", &set("", 20, 0));
    let plain = hash(&train(&bench, "plain", &[]));
    for data in ["a.tar", "a.tgz"] {
        let shown = bench.output(&["data", data]);
        let err = super::text(&shown.stderr);
        assert!(err.contains("links and unsafe names are left out: ../evil/1.png, /tmp/evil/1.png"), "{err}");
        assert!(err.contains("link.png"), "{err}");
        assert_eq!(hash(&train(&bench, data, &[])), plain, "{data}");
    }
    assert!(!bench.path("../evil").exists() && !Path::new("/tmp/evil").exists());
    // Cut and damaged archives; a name that claims to be longer than any.
    fs::write(bench.path("cut.tar"), &archive[..archive.len() / 2 + 100]).expect("writes");
    assert!(bench.fails(&["train", "cut.tar"]).contains("cut"));
    fs::write(bench.path("cut.tgz"), &gzip(&archive)[..4000]).expect("writes");
    assert!(bench.fails(&["train", "cut.tgz"]).contains("cut.tgz: the archive is cut or damaged"));
    fs::write(bench.path("text.tar"), "no archive").expect("writes");
    assert!(bench.fails(&["train", "text.tar"]).contains("text.tar"));
    let mut builder = tar::Builder::new(Vec::new());
    raw_member(&mut builder, b"././@LongLink", tar::EntryType::GNULongName, &vec![b'a'; 3 << 20]);
    raw_member(&mut builder, b"a/1.png", tar::EntryType::Regular, &png);
    fs::write(bench.path("long.tgz"), gzip(&builder.into_inner().expect("an archive"))).expect("writes");
    assert!(bench.fails(&["train", "long.tgz"]).contains("a name or an attribute of more than 1 MB"));
}

#[cfg(unix)]
#[test]
fn links_and_names_that_are_no_text_are_met_with_a_word() {
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::symlink;
    let bench = Bench::new();
    put(&bench, "folder", &set("", 20, 0));
    let odd = std::ffi::OsStr::from_bytes(b"caf\xe9.png");
    fs::write(bench.path("folder/edge").join(odd), picture(1, 77)).expect("writes");
    symlink(bench.path("folder"), bench.path("folder/edge/round")).expect("a link");
    symlink(bench.path("nowhere.png"), bench.path("folder/edge/dangling.png")).expect("a link");
    let described = bench.json(&["data", "folder"]);
    let notes = described["notes"].to_string();
    assert!(notes.contains("edge/round") && notes.contains("edge/dangling.png"), "{notes}");
    let rows: u64 =
        described["rows"].as_object().expect("rows").values().map(|rows| rows.as_u64().expect("a number")).sum();
    assert_eq!(rows, 61);
    let class = bench.path("folder").join(std::ffi::OsStr::from_bytes(b"caf\xe9"));
    fs::create_dir(&class).expect("a folder");
    fs::write(class.join("1.png"), picture(1, 77)).expect("writes");
    assert!(bench.fails(&["data", "folder"]).contains("is no UTF-8 text"));
}

#[test]
fn the_binary_files_of_cifar_are_read_from_a_folder_and_an_archive() {
    let bench = Bench::new();
    let batch = |first: usize| -> Vec<u8> {
        (first..first + 40)
            .flat_map(|row| {
                let class = row % 10;
                std::iter::once(class as u8).chain((0..3072).map(move |at| (at * (class + 1) + row * 7) as u8))
            })
            .collect()
    };
    let mut files: Vec<(String, Vec<u8>)> =
        (1..=2).map(|at| (format!("cifar-10-batches-bin/data_batch_{at}.bin"), batch(at * 100))).collect();
    files.push(("cifar-10-batches-bin/test_batch.bin".to_string(), batch(900)));
    put(&bench, "here", &files);
    fs::write(bench.path("here/cifar-10-binary.tar.gz"), gzip(&tar(&files))).expect("writes");
    let by_path = train(&bench, "here/cifar-10-batches-bin", &["--out", "run"]);
    assert_eq!((by_path["rows"]["test"].as_u64(), by_path["rows"]["train"].as_u64()), (Some(40), Some(68)));
    let by_name = train(&bench, "cifar10", &["--data-dir", "here"]);
    assert_eq!(hash(&by_name), hash(&by_path));
    let measured = bench.json(&["evaluate", "run", "--data", "cifar10", "--data-dir", "here"]);
    assert_eq!(measured["metrics"], by_path["metrics"]["test"]);
    assert!(bench.fails(&["train", "cifar10", "--data-dir", "run"]).contains("cifar-10-binary.tar.gz is there"));
    fs::write(bench.path("here/cifar-10-batches-bin/data_batch_2.bin"), &batch(0)[..5000]).expect("writes");
    assert!(bench.fails(&["train", "here/cifar-10-batches-bin"]).contains("no whole number of records"));
}
