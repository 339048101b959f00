//! Prints what the terminal shows after a run, with made-up figures: `cargo run -p pellucid-cli --example terminal_sample [ascii]`.

#[path = "sample/mod.rs"]
mod sample;

use pellucid_cli::terminal::{Screen, class_table, confusion_matrix, loss_curve, scores_table};

fn main() {
    let screen = Screen::stdout(std::env::args().any(|argument| argument == "ascii"));
    let history = sample::history(20);
    println!("{}", loss_curve(&history, Some(16), &screen));
    let parts = sample::parts();
    let parts: Vec<_> = parts.iter().map(|(name, scores)| (name.as_str(), scores)).collect();
    println!("{}", scores_table(&parts, &screen));
    for classes in [10, 100] {
        let matrix = sample::confusion(classes);
        println!("{}", class_table(&sample::class_scores(&matrix), &screen));
        println!("{}", confusion_matrix(&matrix, &screen));
    }
}
