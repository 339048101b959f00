//! Two half circles that reach into each other, as scikit-learn's `make_moons`.

use std::f64::consts::PI;

use crate::data::TaskKind;
use crate::data::generate::{Answer, Draw, Generator};
use crate::data::sources::{Origin, Source};

pub(crate) const SOURCE: Source = Source {
    name: "moons",
    description: "two half circles that reach into each other (generated)",
    rows: 1000,
    test_rows: 0,
    task: TaskKind::Binary,
    origin: Origin::Generated(GENERATOR),
};

/// For t uniform in [0, π): (cos t, sin t) above, (1 - cos t, ½ - sin t) below, in turn; noise on each coordinate
/// (default 0.1).
pub const GENERATOR: Generator =
    Generator { inputs: &["x1", "x2"], target: "label", classes: &["upper", "lower"], noise: 0.1, row };

fn row(draw: &mut Draw) -> ([f64; 2], Answer) {
    let t = draw.uniform(0.0, PI);
    let class = draw.class(2);
    let (x, y) = if class == 0 { (libm::cos(t), libm::sin(t)) } else { (1.0 - libm::cos(t), 0.5 - libm::sin(t)) };
    ([x + draw.noise(), y + draw.noise()], Answer::Class(class))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_noise_the_points_lie_on_their_half_circles() {
        let points = GENERATOR.points(500, 0.0, 1).unwrap();
        for (point, class) in points.x.chunks_exact(2).zip(&points.y) {
            let (centre, side) = if *class == 0.0 { ([0.0, 0.0], 1.0) } else { ([1.0, 0.5], -1.0) };
            let (x, y) = (f64::from(point[0]) - centre[0], f64::from(point[1]) - centre[1]);
            assert!((x * x + y * y - 1.0).abs() < 1e-6 && y * side > -1e-6, "{point:?} of class {class}");
        }
    }
}
