//! Which room may use which: the `use` lines of every file, held against the map of the architecture.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Each room of the library with the rooms that it may use, from the ground up.
const ROOMS: &[(&str, &[&str])] = &[
    ("suggest", &[]),
    ("tensor", &[]),
    ("ops", &["tensor", "suggest"]),
    ("graph", &["ops", "tensor"]),
    ("nn", &["graph", "ops", "tensor", "suggest"]),
    ("optim", &["graph", "tensor", "suggest"]),
    ("metrics", &[]),
    ("data", &["tensor", "suggest"]),
    ("model", &["data", "nn", "graph", "ops", "tensor", "metrics"]),
    ("explain", &["graph", "metrics", "ops", "optim", "tensor"]),
    ("generate", &["graph", "tensor"]),
    ("train", &["model", "data", "metrics", "optim", "nn", "graph", "ops", "tensor"]),
    ("tune", &["suggest"]),
    ("diagnose", &["train", "data", "metrics", "optim", "nn", "graph"]),
];

/// What may not stand in any file of a room, tests apart, and why.
const ABSENT: &[(&str, &str, &str)] = &[
    ("", "println!", "nothing prints below the program"),
    ("", "eprintln!", "nothing prints below the program"),
    ("", "env::var", "no environment variable is read below the program"),
    ("", "static mut", "no global state"),
    ("", "OnceLock", "no global state"),
    ("", "thread_local!", "no global state"),
    ("ops", "std::fs", "ops know no files"),
    ("ops", "std::thread", "ops have no threads of their own"),
    ("graph", "std::fs", "only model and data parse bytes"),
    ("nn", "std::fs", "only model and data parse bytes"),
    ("optim", "std::fs", "only model and data parse bytes"),
    ("optim", "Layer", "optim never sees layers"),
    ("metrics", "std::fs", "metrics are pure functions"),
    ("train", "std::fs", "only model and data parse bytes"),
];

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    let mut entries: Vec<PathBuf> =
        fs::read_dir(folder).expect("a folder of the library").map(|entry| entry.expect("an entry").path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The file's code: comments and trailing test modules left out.
fn code(path: &Path) -> String {
    let text = fs::read_to_string(path).expect("a source file");
    let before_tests = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    let lines = before_tests.lines().map(|line| line.split("//").next().unwrap_or_default());
    lines.collect::<Vec<_>>().join("\n")
}

fn room_of(path: &Path) -> String {
    let inside = path.strip_prefix(source()).expect("a file of the library");
    let first = inside.components().next().expect("a name").as_os_str().to_string_lossy().into_owned();
    first.trim_end_matches(".rs").to_string()
}

/// Rooms named after `crate::` in the code, single or in braces.
fn used_rooms(code: &str) -> BTreeSet<String> {
    let mut rooms = BTreeSet::new();
    for part in code.split("crate::").skip(1) {
        let names: Vec<&str> = match part.strip_prefix('{') {
            Some(list) => list.split('}').next().unwrap_or_default().split(',').collect(),
            None => vec![part],
        };
        for name in names {
            let name: String = name.trim().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            rooms.insert(name);
        }
    }
    rooms
}

fn is_test(path: &Path) -> bool {
    path.file_stem().is_some_and(|stem| stem == "tests") || path.components().any(|part| part.as_os_str() == "tests")
}

#[test]
fn arrows_between_rooms_point_down() {
    let mut all = Vec::new();
    files(&source(), &mut all);
    assert!(all.len() > 20, "the library has files");
    let mut wrong = Vec::new();
    for path in all.iter().filter(|path| !is_test(path)) {
        let room = room_of(path);
        if room == "lib" {
            continue;
        }
        let Some((_, allowed)) = ROOMS.iter().find(|(name, _)| *name == room) else {
            wrong.push(format!("{}: the room '{room}' is not on the map", path.display()));
            continue;
        };
        for used in used_rooms(&code(path)) {
            let is_room = ROOMS.iter().any(|(name, _)| *name == used);
            if is_room && used != room && !allowed.contains(&used.as_str()) {
                wrong.push(format!("{}: {room} uses {used}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn the_map_has_no_cycle() {
    for (i, (room, allowed)) in ROOMS.iter().enumerate() {
        for used in *allowed {
            let position = ROOMS.iter().position(|(name, _)| name == used).expect("a room of the map");
            assert!(position < i, "{room} may use {used}, which does not come before it");
        }
    }
}

#[test]
fn what_must_be_absent_is_absent() {
    let mut all = Vec::new();
    files(&source(), &mut all);
    let mut found = Vec::new();
    for path in all.iter().filter(|path| !is_test(path)) {
        let (room, code) = (room_of(path), code(path));
        for (place, word, why) in ABSENT {
            if (place.is_empty() || *place == room) && code.contains(word) {
                found.push(format!("{}: '{word}' ({why})", path.display()));
            }
        }
    }
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

#[test]
fn kernels_allocate_nothing_and_know_no_errors() {
    let kernels = Path::new(env!("CARGO_MANIFEST_DIR")).join("../kernels/src");
    // Owners of memory, made once and handed to kernels.
    let owners = ["arena.rs", "buffer.rs", "pool.rs", "packed.rs", "isa.rs", "testing.rs", "device.rs", "ulp.rs"];
    let mut all = Vec::new();
    files(&kernels, &mut all);
    assert!(all.len() > 10, "the kernels have files");
    let mut found = Vec::new();
    for path in all {
        let name = path.file_name().expect("a file name").to_string_lossy().into_owned();
        if owners.contains(&name.as_str()) || is_test(&path) {
            continue;
        }
        let code = code(&path);
        for word in ["Vec<", "vec!", "Box<", "String", "format!", "Result<", "std::fs", "env::"] {
            if code.contains(word) {
                found.push(format!("{}: '{word}'", path.display()));
            }
        }
    }
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

#[test]
fn the_reader_of_use_lines_reads_them() {
    let text = "use crate::graph::Graph;\nuse crate::{ops::Op, tensor::Shape};\nlet x = crate::nn::y();";
    assert_eq!(used_rooms(text).into_iter().collect::<Vec<_>>(), ["graph", "nn", "ops", "tensor"]);
}
