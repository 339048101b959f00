//! The confusion matrix as a heat map.

use super::svg::{Anchor, Svg, text_width};
use crate::classes::Confusion;
use crate::format::{percent, rows, shorten};

/// Up to here the cells hold their counts and the axes all names.
const NUMBERS_TO: usize = 20;

/// Rows are true classes, columns predicted ones. Right predictions are blue, mistakes orange; the depth of the colour is
/// the share of the true class (its square root for mistakes, so that rare ones are seen). Cells without rows are empty.
pub fn confusion_map(matrix: &Confusion) -> String {
    let classes = matrix.classes();
    let numbered = classes <= NUMBERS_TO;
    let names: Vec<String> =
        matrix.names().iter().map(|name| shorten(name, if numbered { 18 } else { 12 }, true)).collect();
    let widest = names.iter().map(|name| text_width(name)).fold(0.0, f64::max);
    let digits =
        (0..classes * classes).map(|at| rows(matrix.count(at / classes, at % classes)).len()).max().unwrap_or(1);
    let cell = match classes {
        0..=4 => 68.0,
        5..=NUMBERS_TO => (digits as f64 * 7.0 + 12.0).clamp(34.0, 68.0),
        _ => (680.0 / classes as f64).max(6.0),
    };
    let side = cell * classes as f64;
    // Names of columns stand upright where they would run into each other.
    let upright = widest + 8.0 > cell;
    let (left, top) = (widest.max(20.0) + 40.0, if upright { widest + 42.0 } else { 52.0 });
    let mut svg = Svg::new(left + side + 14.0, top + side + 14.0, "confusion matrix");
    svg.text("note", (left + side / 2.0, 16.0), Anchor::Middle, "predicted");
    svg.text_turned("note", (16.0, top + side / 2.0), Anchor::Middle, -90.0, "true");

    // Of many names only every so many are legible beside small cells.
    let every = if numbered { 1 } else { (14.0 / cell).ceil() as usize };
    for (class, name) in names.iter().enumerate().step_by(every.max(1)) {
        let middle = (class as f64 + 0.5) * cell;
        svg.text("", (left - 8.0, top + middle + 4.0), Anchor::End, name);
        if upright {
            svg.text_turned("", (left + middle + 4.0, top - 8.0), Anchor::Start, -90.0, name);
        } else {
            svg.text("", (left + middle, top - 10.0), Anchor::Middle, name);
        }
    }
    for edge in [0.0, side] {
        svg.line("grid", (left, top + edge), (left + side, top + edge));
        svg.line("grid", (left + edge, top), (left + edge, top + side));
    }
    // Small cells are seen by their colour alone.
    let faintest = if numbered { 0.1 } else { 0.3 };
    for truth in 0..classes {
        for predicted in 0..classes {
            let cell_rows = matrix.count(truth, predicted);
            if cell_rows == 0.0 {
                continue;
            }
            let share = matrix.share(truth, predicted);
            let (class, depth) = if truth == predicted { ("fill a", share) } else { ("fill b", share.sqrt()) };
            let corner = (left + predicted as f64 * cell, top + truth as f64 * cell);
            let gap = if numbered { 1.0 } else { 0.25 };
            let (name, other) = (&matrix.names()[truth], &matrix.names()[predicted]);
            let note = format!("true {name}, predicted {other}: {} ({})", rows(cell_rows), percent(share));
            let place = (corner.0 + gap, corner.1 + gap);
            svg.rect_noted(
                class,
                place,
                (cell - 2.0 * gap, cell - 2.0 * gap),
                faintest + (1.0 - faintest) * depth,
                &note,
            );
            if numbered {
                let ink = if depth > 0.55 { "onfill" } else { "strong" };
                svg.text(ink, (corner.0 + cell / 2.0, corner.1 + cell / 2.0 + 4.0), Anchor::Middle, &rows(cell_rows));
            }
        }
    }
    svg.fragment()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_count_stands_in_its_cell_and_hostile_names_are_text() {
        let names = ["<script>alert('x')</script>", "b&b", "c"].map(String::from).to_vec();
        let svg = confusion_map(&Confusion::new(names, vec![1234.0, 5.0, 0.0, 7.0, 80.0, 0.0, 0.0, 0.0, 0.0]));
        let document = roxmltree::Document::parse(&svg).expect("well-formed SVG");
        let texts: Vec<_> = document
            .descendants()
            .filter(|node| node.tag_name().name() == "text")
            .map(|node| node.text().unwrap_or_default())
            .collect();
        for expected in ["1 234", "5", "7", "80", "b&b", "<script>alert('x'…"] {
            assert!(texts.contains(&expected), "{expected} is missing in {texts:?}");
        }
        assert_eq!(document.descendants().filter(|node| node.tag_name().name() == "rect").count(), 4);
        assert!(!svg.contains("<script"));
    }

    #[test]
    fn a_hundred_classes_give_cells_with_notes_but_without_numbers() {
        let names: Vec<String> = (0..100).map(|class| format!("class {class}")).collect();
        let counts = (0..10_000).map(|at| f64::from(at % 101 == 0) * 90.0 + f64::from(at % 7 == 0)).collect();
        let svg = confusion_map(&Confusion::new(names, counts));
        let document = roxmltree::Document::parse(&svg).expect("well-formed SVG");
        let notes = document.descendants().filter(|node| node.tag_name().name() == "title");
        assert!(
            notes.filter_map(|node| node.text()).any(|text| text.starts_with("true class 99, predicted class 99: 9"))
        );
        assert!(document.descendants().filter(|node| node.tag_name().name() == "text").count() < 205);
    }
}
