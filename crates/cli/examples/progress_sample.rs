//! Shows the progress of a made-up run of about three seconds: `cargo run -p pellucid-cli --example progress_sample`;
//! with `2> file` it shows lines instead of the bar.

#[path = "sample/mod.rs"]
mod sample;

use std::thread::sleep;
use std::time::{Duration, Instant};

use pellucid_cli::progress::{Plan, Progress};
use pellucid_cli::terminal::Screen;

fn main() {
    let mut progress = Progress::stderr(false, Screen::stderr(false));
    let (epochs, steps) = (5, 400);
    let metric = Some("accuracy".to_string());
    progress.begin(Plan { epochs, steps_per_epoch: steps, rows_per_epoch: steps * 128, metric, finished_epochs: 0 });
    for record in sample::history(epochs).epochs {
        for _ in 0..steps {
            sleep(Duration::from_micros(1400));
            progress.step(record.train.get("loss").unwrap_or(f64::NAN));
        }
        progress.epoch_end(&record);
    }
    progress.finish();

    // What a step costs when nothing else happens.
    let steps = 20_000_000;
    progress.begin(Plan { epochs: 1, steps_per_epoch: steps, rows_per_epoch: steps, metric: None, finished_epochs: 0 });
    let start = Instant::now();
    (0..steps).for_each(|_| progress.step(std::hint::black_box(0.5)));
    let nanoseconds = start.elapsed().as_secs_f64() * 1e9 / steps as f64;
    progress.note(&format!("a step costs {nanoseconds:.1} ns"));
    progress.finish();
}
