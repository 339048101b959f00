//! A process that saves checkpoints without pause is killed at random moments: no finished save is ever lost.

use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use pellucid::model::checkpoint::{CheckpointStore, NEWEST, Origin, PREVIOUS};
use pellucid::model::container::NamedTensor;
use serde_json::json;

/// Kills; with the starts of the child about two seconds in all.
const ROUNDS: u64 = 40;

/// 256 KiB, so that most kills hit the middle of a save.
const VALUES: usize = 64 * 1024;

/// Name of the folder's variable: how the child knows that it is one.
const FOLDER: &str = "CHECKPOINT_KILL_FOLDER";

/// What step `step` stores: every value tells its step and its place.
fn values(step: u64) -> Vec<f32> {
    (0..VALUES).map(|i| ((step * 31 + i as u64) % 100_003) as f32).collect()
}

/// Loads what is there, checks it to the last value, and returns its step (0 for nothing).
fn load_checked(store: &mut CheckpointStore) -> u64 {
    let Some(loaded) = store.load_latest().expect("a whole checkpoint") else {
        return 0;
    };
    // A kill leaves no broken file under a checkpoint's name; the newest may only be missing, between two renames.
    assert!(matches!(loaded.origin, Origin::Newest | Origin::Previous { newest: None }), "{:?}", loaded.origin);
    let step = loaded.checkpoint.step;
    assert_eq!(loaded.checkpoint.state, json!({ "step": step }));
    assert!(loaded.checkpoint.tensors["w"].data == values(step), "the values of step {step} are wrong");
    step
}

#[test]
#[ignore = "the child process of a_killed_run_loses_no_finished_save"]
fn child_saves_until_it_is_killed() {
    let folder = std::env::var_os(FOLDER).expect("started by the test below");
    let mut store = CheckpointStore::open(folder).expect("the folder is ours");
    let first = load_checked(&mut store) + 1;
    for step in first.. {
        let data = values(step);
        store
            .save(step, &[NamedTensor { name: "w", shape: &[VALUES], data: &data }], &json!({ "step": step }))
            .expect("saved");
        // One write of one line: it arrives whole or not at all.
        io::stdout().write_all(format!("\nsaved {step}\n").as_bytes()).expect("the test listens");
    }
}

fn start_child(folder: &Path) -> Child {
    Command::new(std::env::current_exe().expect("the path of this test"))
        .args(["--exact", "child_saves_until_it_is_killed", "--ignored", "--nocapture"])
        .env(FOLDER, folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("this test can be started again")
}

/// The step in a line that reports a finished save.
fn saved_step(line: io::Result<String>) -> Option<u64> {
    line.expect("text").strip_prefix("saved ")?.parse().ok()
}

#[test]
fn a_killed_run_loses_no_finished_save() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut reached = 0;
    for round in 0..ROUNDS {
        let mut child = start_child(folder.path());
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let mut acknowledged = Vec::new();
        // Every second child is killed from its start on, the others only after their first save, however slow the
        // machine is; the moments are spread by the golden ratio.
        if round % 2 == 0 {
            acknowledged.push(lines.by_ref().find_map(saved_step).expect("it saves until it is killed"));
        }
        sleep(Duration::from_micros(round * 61_803 % 100_000 * 3 / 10));
        child.kill().expect("it runs until it is killed");
        acknowledged.extend(lines.filter_map(saved_step));
        let output = child.wait_with_output().expect("its output");
        assert!(
            !output.status.success() && output.status.code() != Some(101),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        let at_least = acknowledged.last().copied().unwrap_or(reached);

        let mut store = CheckpointStore::open(folder.path()).expect("the folder is ours");
        reached = load_checked(&mut store);
        assert!((at_least..=at_least + 1).contains(&reached), "round {round}: {at_least} saved, {reached} loaded");
        for entry in fs::read_dir(folder.path()).expect("the folder exists") {
            let name = entry.expect("an entry").file_name();
            assert!([NEWEST, PREVIOUS].iter().any(|&known| name == known), "left over: {name:?}");
        }
    }
    assert!(reached >= ROUNDS / 2, "only {reached} saves");
}
