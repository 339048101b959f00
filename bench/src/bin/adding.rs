//! The adding problem (Hochreiter and Schmidhuber, "Long short-term memory", 1997): of a sequence of numbers from 0 to 1, two
//! are marked; their sum is to be given at the end. Whoever always says 1 has a mean squared error of 1/6.
//!
//! `cargo run --release --bin adding [-- NOTATION…]` trains each network until its error on 1,000 other sequences is below
//! 0.01, and prints `network<TAB>seconds<TAB>error<TAB>sequences seen`.

use std::time::Instant;

use kernels::random::Stream;
use pellucid::data::{Dataset, Features, TargetScaling, Task};
use pellucid::nn::{self, Loss};
use pellucid::optim::{Clipping, OptimizerConfig};
use pellucid::train::{BatchSize, Control, Event, Fit, FitOptions, Part};

const LENGTH: usize = 100;
const SOLVED: f64 = 0.01;

/// Sequences [rows, 100, 2] of numbers and marks: one in the first half, one in the second.
fn sequences(rows: usize, seed: u64) -> Dataset {
    let mut features = vec![0.0; rows * LENGTH * 2];
    let mut targets = vec![0.0; rows];
    for (row, target) in targets.iter_mut().enumerate() {
        let numbers = Stream::new(seed, 1).at(row as u64);
        let sequence = &mut features[row * LENGTH * 2..][..LENGTH * 2];
        for (step, pair) in sequence.chunks_exact_mut(2).enumerate() {
            pair[0] = numbers.unit_at(step as u64);
        }
        let half = (LENGTH / 2) as u32;
        let marks = Stream::new(seed, 2).at(row as u64);
        for step in [marks.below(0, half), half + marks.below(8, half)] {
            sequence[step as usize * 2 + 1] = 1.0;
            *target += sequence[step as usize * 2];
        }
    }
    Dataset::new(vec![LENGTH, 2], Features::F32(features), targets, 1, None).expect("lengths agree")
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let given: Vec<String> = std::env::args().skip(1).collect();
    let usual = ["lstm 64 -> last -> dense", "gru 64 -> last -> dense"].map(String::from);
    let (train, judge) = (sequences(10_000, 1), sequences(1_000, 2));
    let targets = vec![TargetScaling { name: "sum".to_string(), mean: 0.0, std: 1.0, log: false }];
    let task = Task::Regression { targets };
    for line in if given.is_empty() { &usual[..] } else { &given } {
        let network = nn::network(line, &[LENGTH, 2], Some(1))?;
        let options = FitOptions {
            epochs: 60,
            batch_size: BatchSize::Rows(50),
            optimizer: OptimizerConfig::parse("adam:lr=0.003")?,
            clipping: Some(Clipping::Norm(1.0)),
            ..FitOptions::default()
        };
        let (loss, begun) = (Loss::mse(), Instant::now());
        let mut error = f64::NAN;
        let mut seen = 0;
        let mut watch = |event: Event<'_>| {
            if let Event::Epoch { record, .. } = event {
                error = record.validation.as_ref().and_then(|scores| scores.get("loss")).unwrap_or(f64::NAN);
                seen += 10_000;
                eprintln!("{line}: {seen} sequences, {:.0} s: {error:.4}", begun.elapsed().as_secs_f64());
            }
            if error < SOLVED { Control::Stop } else { Control::Continue }
        };
        let part = Part::all(&train);
        let fit = Fit { validation: Some(Part::all(&judge)), ..Fit::new(&network, &loss, &task, part, &options) };
        fit.run(&mut watch)?;
        println!("{line}\t{:.1}\t{error:.5}\t{seen}", begun.elapsed().as_secs_f64());
    }
    Ok(())
}
