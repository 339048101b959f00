//! The program as its users see it: commands, files, exit codes.

mod convolutions;
mod diagnose;
mod explain;
mod go_on;
mod mistakes;
mod onnx;
mod pictures;
mod repeat;
mod run;
mod sequences;
mod tables;
mod texts;
mod transfer;
mod tune;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::thread::sleep;
use std::time::Duration;

use serde_json::Value;

/// A folder to work in, and the program.
struct Bench {
    folder: tempfile::TempDir,
}

impl Bench {
    fn new() -> Bench {
        Bench { folder: tempfile::tempdir().expect("a folder") }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) -> String {
        fs::write(self.path(name), text).expect("writes");
        name.to_string()
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pellucid"));
        command.args(arguments).current_dir(self.folder.path()).stdin(Stdio::null());
        command
    }

    fn output(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().expect("the program starts")
    }

    /// Kills the program (SIGKILL) so long after its start; false when it had ended by then.
    fn kill_after(&self, arguments: &[&str], milliseconds: u64) -> bool {
        let mut command = self.command(arguments);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("starts");
        sleep(Duration::from_millis(milliseconds));
        let ran = child.try_wait().expect("a child").is_none();
        child.kill().expect("killed, or ended before");
        child.wait().expect("ends");
        ran
    }

    /// Standard output of a command that must succeed.
    fn ok(&self, arguments: &[&str]) -> String {
        let output = self.output(arguments);
        let (out, err) = (text(&output.stdout), text(&output.stderr));
        assert!(output.status.success(), "{arguments:?}: {}\n{out}{err}", output.status);
        out
    }

    /// The object of a command with `--json`, which must be all of its standard output.
    fn json(&self, arguments: &[&str]) -> Value {
        let out = self.ok(&[arguments, &["--json"]].concat());
        serde_json::from_str(&out).unwrap_or_else(|error| panic!("{arguments:?}: {error}:\n{out}"))
    }

    /// Standard error of a command that must fail, with code 1 (or 2: the words of the command line are wrong).
    fn fails(&self, arguments: &[&str]) -> String {
        let output = self.output(arguments);
        let err = text(&output.stderr);
        assert!(matches!(output.status.code(), Some(1 | 2)), "{arguments:?}: {}\n{err}", output.status);
        assert!(output.stdout.is_empty(), "{arguments:?} says something on standard output: {}", text(&output.stdout));
        assert!(err.starts_with("error: "), "{arguments:?}: {err}");
        err
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn hash(object: &Value) -> String {
    object["weights_sha256"].as_str().unwrap_or_else(|| panic!("no hash in {object}")).to_string()
}

/// Test accuracy.
fn accuracy(object: &Value) -> f64 {
    object["metrics"]["test"]["accuracy"].as_f64().unwrap_or_else(|| panic!("no accuracy in {object}"))
}

/// A real table, or none, said loudly.
fn real_table(name: &str) -> Option<String> {
    let given = std::env::var_os("PELLUCID_DATA").map(PathBuf::from);
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    let path = given.unwrap_or(beside).join("tables").join(name);
    if path.exists() {
        return Some(path.display().to_string());
    }
    eprintln!("SKIPPED: {} is not there; set PELLUCID_DATA", path.display());
    None
}

/// A table of two numbers and a category, from which the class follows but for a little noise: with a header.
fn flowers(rows: usize) -> String {
    let mut table = String::from("length,width,colour,kind\n");
    for i in 0..rows {
        let noise = f64::from((i as u32).wrapping_mul(0x9e37_79b9) >> 16) / 65536.0;
        let kind = i % 3;
        let colour = ["red", "blue", "white"][(kind + usize::from(i % 11 == 0)) % 3];
        let name = ["rose", "lily", "aster"][kind];
        table.push_str(&format!("{:.3},{:.3},{colour},{name}\n", kind as f64 + noise, 2.0 * noise - kind as f64));
    }
    table
}
