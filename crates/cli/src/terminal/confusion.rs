//! The confusion matrix, or its largest entries where it is too wide for the screen.

use super::screen::{Ink, Screen};
use super::table::{Align, Table};
use crate::classes::Confusion;
use crate::format::{percent, rows, shorten};

/// Pairs that are shown of a matrix that does not fit.
const PAIRS: usize = 15;
/// Wider names of columns are cut.
const COLUMN_NAME: usize = 8;

/// The matrix with true classes down and predicted ones across if it fits into the width, else the most frequent mistakes.
pub fn confusion_matrix(matrix: &Confusion, screen: &Screen) -> String {
    let classes = matrix.classes();
    let widths = (0..classes).map(|predicted| {
        let name = console::measure_text_width(&screen.clean(&matrix.names()[predicted])).min(COLUMN_NAME);
        (0..classes).map(|truth| rows(matrix.count(truth, predicted)).len()).fold(name, usize::max) + 2
    });
    let names = matrix.names().iter().map(|name| console::measure_text_width(&screen.clean(name)));
    // Six columns are what the row names are cut to at least.
    let fits = widths.sum::<usize>() + names.max().unwrap_or(0).clamp(6, 16) <= screen.width && classes <= 30;
    if fits { whole(matrix, screen) } else { pairs(matrix, screen) }
}

fn whole(matrix: &Confusion, screen: &Screen) -> String {
    let heads: Vec<String> =
        matrix.names().iter().map(|name| shorten(&screen.clean(name), COLUMN_NAME, screen.unicode)).collect();
    let corner = if screen.unicode { "true ↓ predicted →" } else { "true \\ predicted" };
    let columns = [("", Align::Left)].into_iter().chain(heads.iter().map(|head| (head.as_str(), Align::Right)));
    let mut table = Table::new(&columns.collect::<Vec<_>>());
    for truth in 0..matrix.classes() {
        let cells = (0..matrix.classes()).map(|predicted| {
            let cell = matrix.count(truth, predicted);
            match (cell, truth == predicted) {
                // A dot for nothing keeps the eye on what is there.
                (0.0, _) => (if screen.unicode { "·" } else { "." }.to_string(), Some(Ink::Faint)),
                (cell, true) => (rows(cell), Some(Ink::Train)),
                (cell, false) => (rows(cell), Some(Ink::Wrong)),
            }
        });
        table.inked_row([(matrix.names()[truth].clone(), None)].into_iter().chain(cells));
    }
    format!("{}\n{}", screen.paint(Ink::Faint, corner), table.draw(screen))
}

fn pairs(matrix: &Confusion, screen: &Screen) -> String {
    let wrong = matrix.total() - matrix.correct();
    let head = format!(
        "{} of {} rows wrong ({}); of {} classes the most confused:",
        rows(wrong),
        rows(matrix.total()),
        percent(wrong / matrix.total().max(1.0)),
        matrix.classes()
    );
    let columns = [("true", Align::Left), ("predicted", Align::Left), ("rows", Align::Right)];
    let mut table = Table::new(&[&columns[..], &[("of the class", Align::Right)]].concat());
    for mixup in matrix.mixups(PAIRS) {
        let name = |class: usize| shorten(&screen.clean(&matrix.names()[class]), 28, screen.unicode);
        table.row([name(mixup.truth), name(mixup.predicted), rows(mixup.count), percent(mixup.share)]);
    }
    if wrong == 0.0 { format!("{head} none\n") } else { format!("{head}\n{}", table.draw(screen)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCREEN: Screen = Screen { width: 80, unicode: true, color: false, terminal: false };

    fn diagonal(classes: usize, mistakes: &[(usize, usize, f64)]) -> Confusion {
        let mut counts = vec![0.0; classes * classes];
        (0..classes).for_each(|class| counts[class * classes + class] = 98.0);
        mistakes.iter().for_each(|(truth, predicted, rows)| counts[truth * classes + predicted] = *rows);
        Confusion::new((0..classes).map(|class| format!("class {class}")).collect(), counts)
    }

    #[test]
    fn a_small_matrix_is_shown_whole() {
        let text = confusion_matrix(&diagonal(2, &[(1, 0, 1234.0)]), &Screen { unicode: false, ..SCREEN });
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines[0], "true \\ predicted");
        assert_eq!(lines[2], "class 0       98        .");
        assert_eq!(lines[3], "class 1    1 234       98");
        assert!(text.is_ascii());
    }

    #[test]
    fn a_large_one_shows_its_most_confused_pairs() {
        let text = confusion_matrix(&diagonal(100, &[(7, 3, 2.0), (42, 99, 11.0)]), &SCREEN);
        let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
        assert!(text.starts_with("13 of 9 813 rows wrong (0.1 %)"), "{text}");
        assert_eq!(lines[2], ["class", "42", "class", "99", "11", "10.1", "%"]);
        assert_eq!(lines[3], ["class", "7", "class", "3", "2", "2.0", "%"]);
        assert!(confusion_matrix(&diagonal(50, &[]), &SCREEN).trim_end().ends_with("none"));
    }

    #[test]
    fn nothing_is_wider_than_the_screen() {
        for classes in 2..=100 {
            for width in [40, 80, 120] {
                let screen = Screen { width, ..SCREEN };
                let text = confusion_matrix(&diagonal(classes, &[(0, 1, 3.0)]), &screen);
                let widest = text.lines().skip(1).map(console::measure_text_width).max();
                assert!(widest <= Some(width), "{classes} classes on {width} columns:\n{text}");
            }
        }
    }
}
