//! Precision, recall and F1 of each class.

use super::screen::{Ink, Screen};
use super::table::{Align, Table};
use crate::classes::ClassScores;
use crate::format::{number, rows};

/// More classes than this and the table shows those with the lowest F1.
const MOST_ROWS: usize = 40;

/// One line for each class, then the mean over all classes (macro) and the mean weighted by support. Of more than 40
/// classes the 20 with the lowest F1 are shown, worst first; the means are over all.
pub fn class_table(classes: &[ClassScores], screen: &Screen) -> String {
    let heads = [("class", Align::Left), ("precision", Align::Right), ("recall", Align::Right)];
    let mut table = Table::new(&[&heads[..], &[("f1", Align::Right), ("support", Align::Right)]].concat());
    let mut shown: Vec<&ClassScores> = classes.iter().collect();
    if classes.len() > MOST_ROWS {
        // A class without an F1 (NaN) has no place among the worst: nothing of it was seen.
        shown.retain(|class| !class.f1.is_nan());
        shown.sort_by(|a, b| a.f1.total_cmp(&b.f1));
        shown.truncate(MOST_ROWS / 2);
    }
    let line = |name: &str, scores: [f64; 3], support: f64| {
        [name.to_string()].into_iter().chain(scores.map(score)).chain([rows(support)])
    };
    for class in &shown {
        table.row(line(&class.name, [class.precision, class.recall, class.f1], class.support));
    }
    table.space();
    let support = classes.iter().map(|class| class.support).sum();
    for (name, by_support) in [("macro mean", false), ("weighted mean", true)] {
        let of = |part: fn(&ClassScores) -> f64| mean(classes, part, by_support);
        let means = [of(|class| class.precision), of(|class| class.recall), of(|class| class.f1)];
        table.row(line(name, means, support));
    }
    let mut out = table.draw(screen);
    if shown.len() < classes.len() {
        let note = format!("the {} classes with the lowest f1 of {}", shown.len(), classes.len());
        out = format!("{}\n{out}", screen.paint(Ink::Faint, &note));
    }
    out
}

fn score(value: f64) -> String {
    if value.is_nan() {
        "-".to_string()
    } else if value >= 0.1 {
        format!("{value:.4}")
    } else {
        number(value)
    }
}

/// Mean over the classes; what is not defined counts as 0, as in scikit-learn.
fn mean(classes: &[ClassScores], part: impl Fn(&ClassScores) -> f64, by_support: bool) -> f64 {
    let (mut sum, mut weights) = (0.0, 0.0);
    for class in classes {
        let weight = if by_support { class.support } else { 1.0 };
        let value = part(class);
        sum += weight * if value.is_nan() { 0.0 } else { value };
        weights += weight;
    }
    sum / weights
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCREEN: Screen = Screen { width: 80, unicode: true, color: false, terminal: false };

    fn class(name: &str, f1: f64, support: f64) -> ClassScores {
        ClassScores { name: name.to_string(), precision: f1, recall: f1, f1, support }
    }

    #[test]
    fn means_are_plain_and_weighted() {
        let text = class_table(&[class("a", 1.0, 30.0), class("b", 0.5, 10.0), class("c", f64::NAN, 0.0)], &SCREEN);
        let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(lines[0], ["class", "precision", "recall", "f1", "support"]);
        assert_eq!(lines[1], ["a", "1.0000", "1.0000", "1.0000", "30"]);
        assert_eq!(lines[3], ["c", "-", "-", "-", "0"]);
        assert_eq!(lines[5], ["macro", "mean", "0.5000", "0.5000", "0.5000", "40"]);
        assert_eq!(lines[6], ["weighted", "mean", "0.8750", "0.8750", "0.8750", "40"]);
    }

    #[test]
    fn of_a_hundred_classes_the_worst_are_shown() {
        let classes: Vec<_> = (0..100).map(|at| class(&format!("c{at}"), 1.0 - f64::from(at) / 100.0, 5.0)).collect();
        let text = class_table(&classes, &SCREEN);
        assert!(text.starts_with("the 20 classes with the lowest f1 of 100\n"));
        assert!(text.lines().nth(2).is_some_and(|line| line.starts_with("c99")));
        assert!(!text.contains("c79 "));
    }
}
