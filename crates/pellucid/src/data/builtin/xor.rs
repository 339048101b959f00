//! Exclusive or: the corners of the unit square, and whether exactly one coordinate is 1.

use crate::data::TaskKind;
use crate::data::generate::{Answer, Draw, Generator};
use crate::data::sources::{Origin, Source};

pub(crate) const SOURCE: Source = Source {
    name: "xor",
    description: "exclusive or: points around the corners of the unit square (generated)",
    rows: 400,
    test_rows: 0,
    task: TaskKind::Binary,
    origin: Origin::Generated(GENERATOR),
};

/// The corners (0,0), (0,1), (1,0), (1,1) in turn, each coordinate with noise (default 0.1), and x₁ xor x₂ of the
/// corner. Four rows without noise are the truth table.
pub const GENERATOR: Generator =
    Generator { inputs: &["x1", "x2"], target: "label", classes: &["0", "1"], noise: 0.1, row };

fn row(draw: &mut Draw) -> ([f64; 2], Answer) {
    let corner = draw.class(4);
    let (first, second) = (corner / 2, corner % 2);
    ([first as f64 + draw.noise(), second as f64 + draw.noise()], Answer::Class(first ^ second))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn four_rows_without_noise_are_the_truth_table() {
        let points = GENERATOR.points(4, 0.0, 9).unwrap();
        assert_eq!(points.to_csv(), "x1,x2,label\n0,0,0\n0,1,1\n1,0,1\n1,1,0\n");
    }
}
