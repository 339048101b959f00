//! Writes sample reports with made-up figures: `cargo run -p pellucid-cli --example report_sample FOLDER`.

#[path = "sample/mod.rs"]
mod sample;

fn main() -> std::io::Result<()> {
    let folder = std::env::args().nth(1).unwrap_or_else(|| ".".to_string());
    let folder = std::path::Path::new(&folder);
    std::fs::write(folder.join("images.html"), sample::image_report().html())?;
    std::fs::write(folder.join("regression.html"), sample::regression_report().html())?;
    std::fs::write(folder.join("hundred.html"), sample::hundred_classes_report().html())?;
    std::fs::write(folder.join("loss.svg"), pellucid_cli::plot::loss_svg(&sample::history(20), None, Some(16)))
}
