//! What it is worth that padded sequences are learnt in batches of similar length, cut to what they need: seconds of an epoch with
//! their lengths known, beside one of whole rows. The rows are the speeches of a play, in bytes, with their own lengths.
//!
//! `cargo run --release --bin padded -- tinyshakespeare.txt [NOTATION…]` prints `network<TAB>whole<TAB>cut<TAB>ratio`.

use std::time::Instant;

use pellucid::data::{Dataset, Features, Task};
use pellucid::nn::notation::Network;
use pellucid::nn::{Loss, NetworkOptions};
use pellucid::optim::OptimizerConfig;
use pellucid::train::{BatchSize, Control, Event, Fit, FitOptions, Part};

/// Bytes that are read of a speech.
const LENGTH: usize = 256;
const VOCABULARY: usize = 256;
const ROUNDS: usize = 3;

/// Speeches [rows, 256], whether each asks something, and how long each is.
fn speeches(text: &str) -> (Dataset, Vec<u32>) {
    let speech = |block: &str| block.split_once('\n').map(|(_, speech)| speech.trim().as_bytes().to_vec());
    let speeches: Vec<Vec<u8>> = text.split("\n\n").filter_map(speech).filter(|speech| !speech.is_empty()).collect();
    let mut features = vec![0.0; speeches.len() * LENGTH];
    for (speech, row) in speeches.iter().zip(features.chunks_exact_mut(LENGTH)) {
        row.iter_mut().zip(speech).for_each(|(value, byte)| *value = f32::from(*byte));
    }
    let asks = speeches.iter().map(|speech| f32::from(u8::from(speech.contains(&b'?')))).collect();
    let lengths = speeches.iter().map(|speech| speech.len().min(LENGTH) as u32).collect();
    (Dataset::new(vec![LENGTH], Features::F32(features), asks, 1, None).expect("lengths agree"), lengths)
}

/// The least seconds of an epoch.
fn epoch(line: &str, data: &Dataset) -> Result<f64, Box<dyn std::error::Error>> {
    let task = Task::Multiclass { classes: ["says", "asks"].map(String::from).to_vec() };
    let options = NetworkOptions {
        outputs: Some(2),
        lengths: data.lengths.is_some(),
        vocabulary: Some(VOCABULARY),
        ..NetworkOptions::default()
    };
    let network = options.build(&Network::parse(line)?, &[LENGTH])?.graph;
    let options = FitOptions {
        epochs: 1,
        batch_size: BatchSize::Rows(32),
        optimizer: OptimizerConfig::parse("adam:lr=0.001")?,
        ..FitOptions::default()
    };
    let mut best = f64::INFINITY;
    for _ in 0..ROUNDS {
        let (loss, begun) = (Loss::cross_entropy(), Instant::now());
        Fit::new(&network, &loss, &task, Part::all(data), &options).run(&mut |_: Event<'_>| Control::Continue)?;
        best = best.min(begun.elapsed().as_secs_f64());
    }
    Ok(best)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut given = std::env::args().skip(1);
    let path = given.next().ok_or("give a text, such as tinyshakespeare.txt")?;
    let lines: Vec<String> = given.collect();
    let usual = [
        "embedding 32 -> gru 128 -> last -> dense",
        "embedding 64 -> 2 * transformer 64 heads 4 -> mean-time -> dense",
    ];
    let usual = usual.map(String::from);
    let (whole, lengths) = speeches(&std::fs::read_to_string(path)?);
    let mean = lengths.iter().map(|&length| f64::from(length)).sum::<f64>() / lengths.len() as f64;
    println!("{} speeches of {mean:.0} bytes, {LENGTH} at most", lengths.len());
    let padded = whole.clone().padded(lengths)?;
    for line in if lines.is_empty() { &usual[..] } else { &lines } {
        let (whole, cut) = (epoch(line, &whole)?, epoch(line, &padded)?);
        println!("{line}\t{whole:.2}\t{cut:.2}\t{:.2}", whole / cut);
    }
    Ok(())
}
