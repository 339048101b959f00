//! A search over learning rate, width and activation of a small network, trials that fall behind given up.
//!
//! `cargo run --release --example choose_rate -p pellucid`

use pellucid::data::{Dataset, Features, Task};
use pellucid::nn::{self, Loss};
use pellucid::optim::OptimizerConfig;
use pellucid::train::{BatchSize, Control, Event, Fit, FitOptions, Part};
use pellucid::tune::{Next, Pruner, Search, SearchOptions, Space, Trial, Verdict};

const EPOCHS: usize = 81;

/// Two rings, one around the other: 200 points, those with an even number to learn from.
fn rings() -> Dataset {
    let point = |i: usize| {
        let (angle, radius) = (i as f64 * 2.399_963, 1.0 + (i / 2 % 2) as f64 + 0.1 * libm::sin(i as f64 * 0.7));
        [(radius * libm::cos(angle)) as f32, (radius * libm::sin(angle)) as f32]
    };
    let targets = (0..200).map(|i: usize| (i / 2 % 2) as f32).collect();
    Dataset::new(vec![2], Features::F32((0..200).flat_map(point).collect()), targets, 1, None).expect("lengths agree")
}

/// Searches with so many trials; the losses on the points that are held out are reported epoch by epoch.
pub fn search(trials: usize, seed: u64) -> Result<Search, Box<dyn std::error::Error>> {
    let space = Space::parse(
        r#"{"lr": {"low": 1e-3, "high": 0.5, "log": true}, "width": {"low": 4, "high": 64, "log": true, "whole": true},
            "activation": {"values": ["relu", "tanh", "gelu"]}}"#,
    )?;
    let options = SearchOptions { pruner: Pruner::Asha { first: 3 }, seed, ..SearchOptions::default() };
    let mut search = Search::new(space, options);
    let data = rings();
    let (train, held_out): (Vec<u32>, Vec<u32>) = (0..200).partition(|row| row % 2 == 0);
    for _ in 0..trials {
        let Next::Trial(mut trial) = search.next_trial() else { break };
        let verdict = run(&mut search, &mut trial, &data, [&train, &held_out])?;
        search.finish(trial, verdict);
    }
    Ok(search)
}

/// One trial: a network trained from its values.
fn run(
    search: &mut Search,
    trial: &mut Trial,
    data: &Dataset,
    [train, held_out]: [&[u32]; 2],
) -> Result<Verdict, Box<dyn std::error::Error>> {
    let (width, activation) = (trial.number("width").unwrap_or(8.0), trial.text("activation").unwrap_or("relu"));
    let network = nn::network(&format!("dense {width} {activation} -> dense"), &[2], Some(1))?;
    let rate = trial.number("lr").unwrap_or(1e-3);
    let options = FitOptions {
        epochs: EPOCHS,
        batch_size: BatchSize::Rows(10),
        optimizer: OptimizerConfig::parse(&format!("adam:lr={rate}"))?,
        ..FitOptions::default()
    };
    let task = Task::Binary { classes: ["inner".into(), "outer".into()] };
    let loss = Loss::binary_cross_entropy();
    let fit = Fit {
        validation: Some(Part::of(data, held_out)),
        ..Fit::new(&network, &loss, &task, Part::of(data, train), &options)
    };
    let mut verdict = Verdict::Failed;
    let mut watch = |event: Event<'_>| {
        let Event::Epoch { record, .. } = event else { return Control::Continue };
        let loss = record.validation.as_ref().and_then(|scores| scores.get("loss")).unwrap_or(f64::NAN);
        if search.report(trial, loss) {
            verdict = Verdict::Pruned;
            return Control::Stop;
        }
        verdict = Verdict::Finished(loss);
        Control::Continue
    };
    // A loss that is not finite ends a trial, not the search.
    if fit.run(&mut watch).is_err() {
        verdict = Verdict::Failed;
    }
    Ok(verdict)
}

/// Runs the example.
pub fn main() -> Result<(), Box<dyn std::error::Error>> {
    let search = search(40, 1)?;
    let epochs: usize = search.trials().map(|trial| trial.reports.len()).sum();
    println!("40 trials in {epochs} of {} epochs", 40 * EPOCHS);
    if let Some(best) = search.best() {
        println!(
            "best: trial {} with a loss of {:.4}: {:?}",
            best.number,
            best.value().unwrap_or(f64::NAN),
            best.values
        );
    }
    Ok(())
}
