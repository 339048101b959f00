//! The loss curve, drawn with characters.
//!
//! The training curve is a line of Braille dots (2 by 4 in each character), the validation curve a row of `o`: they stay
//! apart without colour. In ASCII the training curve is made of `*`.

use pellucid::metrics::Scores;
use pellucid::train::{EpochRecord, History};

use super::screen::{Ink, Screen};
use crate::format::{number, shorten};
use crate::plot::Axis;

/// What to draw: one value for each epoch; one that is not finite leaves a gap.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Curve {
    /// Heading: `loss`.
    pub title: String,
    /// Epoch of each value, rising.
    pub epochs: Vec<usize>,
    /// Values on the training part.
    pub train: Vec<f64>,
    /// Values on the validation part; empty if there is none.
    pub validation: Vec<f64>,
    /// The epoch whose weights were kept.
    pub best_epoch: Option<usize>,
}

/// Rows of the drawing, without axis.
const ROWS: usize = 12;

/// The loss of a run on the training and validation part; empty for a history without epochs.
pub fn loss_curve(history: &History, best_epoch: Option<usize>, screen: &Screen) -> String {
    let loss = |scores: &Scores| scores.get("loss").unwrap_or(f64::NAN);
    let validation = |record: &EpochRecord| record.validation.as_ref().map_or(f64::NAN, loss);
    let has_validation = history.epochs.iter().any(|record| record.validation.is_some());
    Curve {
        title: "loss".to_string(),
        epochs: history.epochs.iter().map(|record| record.epoch).collect(),
        train: history.epochs.iter().map(|record| loss(&record.train)).collect(),
        validation: if has_validation { history.epochs.iter().map(validation).collect() } else { Vec::new() },
        best_epoch,
    }
    .draw(screen)
}

impl Curve {
    /// The lines of the drawing, as wide as the screen; empty if there is no epoch.
    pub fn draw(&self, screen: &Screen) -> String {
        let (Some(first), Some(last)) = (self.epochs.first(), self.epochs.last()) else {
            return String::new();
        };
        let y = Axis::fit(self.train.iter().chain(&self.validation).copied(), 4);
        let margin = y.ticks.iter().map(|tick| tick.label.len()).max().unwrap_or(1).max(4);
        let columns = screen.width - margin - 4;
        let x = Axis::whole(*first as f64, *last as f64, (columns / 12).max(2));

        let mut canvas = Canvas::new(columns, screen.unicode);
        let place = |values: &[f64]| -> Vec<Option<(f64, f64)>> {
            let points = self.epochs.iter().zip(values).map(|(epoch, value)| (*epoch as f64, *value));
            points.map(|(epoch, value)| value.is_finite().then(|| (x.position(epoch), y.position(value)))).collect()
        };
        canvas.line(&place(&self.train));
        canvas.marks(&place(&self.validation));

        let mut out = self.heading(&y, screen);
        let (bar, tick_bar) = if screen.unicode { ('│', '┤') } else { ('|', '+') };
        for row in 0..ROWS {
            let tick = y.ticks.iter().find(|tick| row_of(y.position(tick.value)) == row);
            let label = tick.map_or("", |tick| tick.label.as_str());
            let edge = format!("{label:>margin$} {}", if tick.is_some() { tick_bar } else { bar });
            out.push_str(&format!("{}{}\n", screen.paint(Ink::Faint, &edge), canvas.row(row, screen)));
        }
        out.push_str(&self.foot(&x, margin, columns, screen));
        out
    }

    fn heading(&self, y: &Axis, screen: &Screen) -> String {
        let last = |values: &[f64]| values.iter().rev().find(|value| value.is_finite()).map(|value| number(*value));
        let line = if screen.unicode { "⠤⠤" } else { "**" };
        let mut out = screen.paint(Ink::Strong, &shorten(&screen.clean(&self.title), 16, screen.unicode));
        out.push_str(&screen.paint(Ink::Faint, if y.log { " (log scale)" } else { "" }));
        if let Some(value) = last(&self.train) {
            out.push_str(&format!("   {} train {value}", screen.paint(Ink::Train, line)));
        }
        if let Some(value) = last(&self.validation) {
            out.push_str(&format!("   {} validation {value}", screen.paint(Ink::Validation, "oo")));
        }
        out + "\n"
    }

    /// The x axis with its ticks, and below them the epochs and the best one.
    fn foot(&self, x: &Axis, margin: usize, columns: usize, screen: &Screen) -> String {
        let (corner, rule, tick_mark) = if screen.unicode { ('└', '─', '┬') } else { ('+', '-', '+') };
        let mut axis: Vec<char> = vec![rule; columns];
        let mut labels = vec![' '; margin + 2 + columns + 2];
        let mut free_from = 0;
        for tick in &x.ticks {
            let column = column_of(x.position(tick.value), columns);
            axis[column] = tick_mark;
            let width = tick.label.len();
            let start = (margin + 2 + column).saturating_sub(width / 2).min(labels.len() - width);
            if start >= free_from {
                labels.splice(start..start + width, tick.label.chars());
                free_from = start + width + 1;
            }
        }
        let axis: String = axis.into_iter().collect();
        let labels: String = labels.into_iter().collect();
        let best = self.best_epoch.map_or(String::new(), |epoch| format!(" (best: {epoch})"));
        let caption = format!("{:>width$}", format!("epoch{best}"), width = margin + 2 + columns);
        let foot = format!("{:margin$} {corner}{axis}\n{}\n{caption}", "", labels.trim_end());
        foot.lines().map(|line| screen.paint(Ink::Faint, line) + "\n").collect()
    }
}

fn row_of(position: f64) -> usize {
    ((1.0 - position) * (ROWS - 1) as f64).round() as usize
}

fn column_of(position: f64, columns: usize) -> usize {
    (position * (columns - 1) as f64).round() as usize
}

/// Characters in rows: dots of the training curve, and marks of the validation curve over them.
struct Canvas {
    columns: usize,
    unicode: bool,
    /// Bits of the Braille pattern (Unicode U+2800 + bits), row by row.
    dots: Vec<u8>,
    marks: Vec<bool>,
}

impl Canvas {
    fn new(columns: usize, unicode: bool) -> Canvas {
        Canvas { columns, unicode, dots: vec![0; columns * ROWS], marks: vec![false; columns * ROWS] }
    }

    /// Sets the dots of a line through `points`, each coordinate 0…1 from the lower left corner.
    fn line(&mut self, points: &[Option<(f64, f64)>]) {
        // The middle of a character in row r is at dot 4 r + 1.5; the curve then meets the row of its tick.
        let (across, down) = if self.unicode { (2, 4) } else { (1, 1) };
        let scale = |(x, y): (f64, f64)| {
            let row = (1.0 - y) * (ROWS - 1) as f64;
            (x * (self.columns * across - 1) as f64, row * down as f64 + (down - 1) as f64 / 2.0)
        };
        let mut set = Vec::new();
        let mut before = None;
        for point in points {
            let here = point.map(scale);
            if let Some((x, y)) = here {
                let (from_x, from_y) = before.unwrap_or((x, y));
                let steps = (x - from_x).abs().max((y - from_y).abs()).ceil().max(1.0) as usize;
                for step in 0..=steps {
                    let share = step as f64 / steps as f64;
                    set.push((from_x + (x - from_x) * share, from_y + (y - from_y) * share));
                }
            }
            before = here;
        }
        for (x, y) in set {
            let (x, y) = (x.round() as usize, (y.round() as usize).min(ROWS * down - 1));
            // Bits of the Braille block: dots 1 2 3 7 in the left column, 4 5 6 8 in the right.
            let bit = if self.unicode { [[0, 3], [1, 4], [2, 5], [6, 7]][y % 4][x % 2] } else { 0 };
            self.dots[y / down * self.columns + x / across] |= 1 << bit;
        }
    }

    /// Sets a mark in each second column where the curve through `points` passes.
    fn marks(&mut self, points: &[Option<(f64, f64)>]) {
        let mut before: Option<(f64, f64)> = None;
        for point in points {
            if let Some((x, y)) = *point {
                let (from_x, from_y) = before.unwrap_or((x, y));
                let (first, last) = (column_of(from_x, self.columns), column_of(x, self.columns));
                for column in first..=last {
                    let share = if last > first { (column - first) as f64 / (last - first) as f64 } else { 1.0 };
                    if column.is_multiple_of(2) || before.is_none() {
                        self.mark(column, from_y + (y - from_y) * share);
                    }
                }
            }
            before = *point;
        }
    }

    /// One mark a column: the last value there, or many epochs would smear into a bar.
    fn mark(&mut self, column: usize, y: f64) {
        for row in 0..ROWS {
            self.marks[row * self.columns + column] = row == row_of(y);
        }
    }

    fn row(&self, row: usize, screen: &Screen) -> String {
        let mut out = String::new();
        let mut run = (None, String::new());
        for at in row * self.columns..(row + 1) * self.columns {
            let (ink, symbol) = match (self.marks[at], self.dots[at]) {
                (true, _) => (Some(Ink::Validation), 'o'),
                (false, 0) => (None, ' '),
                (false, bits) if self.unicode => {
                    (Some(Ink::Train), char::from_u32(0x2800 + u32::from(bits)).unwrap_or('*'))
                }
                (false, _) => (Some(Ink::Train), '*'),
            };
            if ink != run.0 {
                out.push_str(&run.0.map_or(run.1.clone(), |ink| screen.paint(ink, &run.1)));
                run = (ink, String::new());
            }
            run.1.push(symbol);
        }
        out.push_str(&run.0.map_or(run.1.clone(), |ink| screen.paint(ink, &run.1)));
        out.trim_end().to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCREEN: Screen = Screen { width: 60, unicode: true, color: false, terminal: false };

    fn falling(epochs: usize) -> Curve {
        let train: Vec<f64> = (1..=epochs).map(|epoch| 1.0 / epoch as f64).collect();
        let validation = train.iter().map(|loss| loss + 0.3).collect();
        Curve { title: "loss".to_string(), epochs: (1..=epochs).collect(), train, validation, best_epoch: Some(2) }
    }

    #[test]
    fn both_curves_fall_and_keep_within_the_screen() {
        for epochs in [1, 2, 3, 10, 100, 10_000] {
            for screen in [SCREEN, Screen { unicode: false, ..SCREEN }, Screen { width: 120, ..SCREEN }] {
                let text = falling(epochs).draw(&screen);
                let lines: Vec<&str> = text.lines().collect();
                assert_eq!(lines.len(), ROWS + 4);
                assert!(lines.iter().all(|line| console::measure_text_width(line) <= screen.width), "{text}");
                assert!(lines[0].contains("train") && lines[0].contains("validation"));
                assert!(text.contains("(best: 2)") && text.contains(&format!(" {epochs}")));
                assert_eq!(text.is_ascii(), !screen.unicode, "{text}");
                if (10..=100).contains(&epochs) {
                    let drawing = &lines[1..=ROWS];
                    let top = drawing.iter().position(|line| line.contains('o')).expect("validation is drawn");
                    let foot = drawing.iter().rposition(|line| line.contains('o')).expect("validation is drawn");
                    assert!(top < 3 && foot > top + 2, "validation falls from 1.3 to 0.3:\n{text}");
                }
            }
        }
    }

    #[test]
    fn a_line_sets_the_braille_dots_it_passes() {
        let mut canvas = Canvas::new(2, true);
        canvas.line(&[Some((0.0, 1.0)), Some((1.0, 1.0))]);
        // The third dot of each column of the first row: bits 2 and 5.
        assert_eq!(canvas.row(0, &SCREEN), "\u{2824}\u{2824}");
        canvas.marks(&[Some((0.0, 1.0)), Some((1.0, 1.0))]);
        assert_eq!(canvas.row(0, &SCREEN), "o\u{2824}");
        let mut gap = Canvas::new(9, false);
        gap.line(&[Some((0.0, 0.0)), None, Some((1.0, 0.0))]);
        assert_eq!(gap.row(ROWS - 1, &SCREEN), "*       *");
    }

    #[test]
    fn gaps_equal_values_and_no_epochs_are_no_trouble() {
        assert_eq!(Curve::default().draw(&SCREEN), "");
        assert_eq!(loss_curve(&History::default(), None, &SCREEN), "");
        let mut curve = falling(5);
        curve.train = vec![f64::NAN, 0.5, f64::INFINITY, 0.5, 0.5];
        curve.validation.clear();
        let text = curve.draw(&SCREEN);
        assert!(text.contains("train 0.5000") && !text.contains("validation"), "{text}");
        assert!(!text.lines().skip(1).take(ROWS).any(|line| line.contains('o')), "no validation, no marks:\n{text}");
        curve.validation = vec![f64::NAN, f64::NAN, f64::NAN, 0.5, f64::NAN];
        let text = curve.draw(&SCREEN);
        assert!(text.lines().skip(1).take(ROWS).any(|line| line.contains('o')), "a lone value is seen:\n{text}");
    }
}
