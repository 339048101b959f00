//! Metrics of the parts of the data, side by side.

use pellucid::metrics::Scores;

use super::screen::{Ink, Screen};
use super::table::{Align, Table};
use crate::format::numbers;

/// One line for each metric, one column for each part (`train`, `validation`, `test`); a part without that metric shows a
/// dash. The order is that of the first part that has the metric.
pub fn scores_table(parts: &[(&str, &Scores)], screen: &Screen) -> String {
    let mut names: Vec<&str> = Vec::new();
    for (name, _) in parts.iter().flat_map(|(_, scores)| scores.iter()) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let heads = [("", Align::Left)].into_iter().chain(parts.iter().map(|(part, _)| (*part, Align::Right)));
    let mut table = Table::new(&heads.collect::<Vec<_>>());
    for name in names {
        let values: Vec<Option<f64>> = parts.iter().map(|(_, scores)| scores.get(name)).collect();
        let mut texts = numbers(&values.iter().flatten().copied().collect::<Vec<_>>()).into_iter();
        let cells = values.iter().map(|value| match value {
            Some(value) => (texts.next().unwrap_or_default(), (!value.is_finite()).then_some(Ink::Wrong)),
            None => ("-".to_string(), Some(Ink::Faint)),
        });
        table.inked_row([(name.to_string(), None)].into_iter().chain(cells));
    }
    table.draw(screen)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_stand_side_by_side_and_what_is_missing_is_a_dash() {
        let (mut train, mut test) = (Scores::new(), Scores::new());
        train.set("loss", 0.012345);
        train.set("accuracy", 1.0);
        test.set("accuracy", 0.97812);
        test.set("loss", f64::NAN);
        test.set("roc_auc", 0.9991);
        let screen = Screen { width: 80, unicode: true, color: false, terminal: false };
        let text = scores_table(&[("train", &train), ("test", &test)], &screen);
        let expected = [
            "            train    test",
            "loss      0.01235     NaN",
            "accuracy    1.000   0.978",
            "roc_auc         -  0.9991",
        ];
        assert_eq!(text.lines().collect::<Vec<_>>(), expected);
        assert_eq!(scores_table(&[], &screen), "");
    }
}
