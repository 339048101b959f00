//! Three arms of a spiral, after the case study of Stanford's course CS231n.

use crate::data::TaskKind;
use crate::data::generate::{Answer, Draw, Generator};
use crate::data::sources::{Origin, Source};

pub(crate) const SOURCE: Source = Source {
    name: "spiral",
    description: "three arms of a spiral (generated)",
    rows: 900,
    test_rows: 0,
    task: TaskKind::Multiclass,
    origin: Origin::Generated(GENERATOR),
};

/// For r uniform in [0, 1) and arm k of three in turn: (r sin θ, r cos θ) with θ = 4 (k + r) plus noise in radians
/// (default 0.2).
pub const GENERATOR: Generator =
    Generator { inputs: &["x1", "x2"], target: "label", classes: &["first", "second", "third"], noise: 0.2, row };

fn row(draw: &mut Draw) -> ([f64; 2], Answer) {
    let radius = draw.uniform(0.0, 1.0);
    let class = draw.class(3);
    let angle = 4.0 * (class as f64 + radius) + draw.noise();
    ([radius * libm::sin(angle), radius * libm::cos(angle)], Answer::Class(class))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_noise_the_angle_follows_from_radius_and_arm() {
        let points = GENERATOR.points(300, 0.0, 1).unwrap();
        for (point, class) in points.x.chunks_exact(2).zip(&points.y) {
            let (x, y) = (f64::from(point[0]), f64::from(point[1]));
            let radius = (x * x + y * y).sqrt();
            assert!(radius < 1.0);
            let angle = 4.0 * (f64::from(*class) + radius);
            assert!((radius * libm::sin(angle) - x).abs() < 1e-6 && (radius * libm::cos(angle) - y).abs() < 1e-6);
        }
    }
}
