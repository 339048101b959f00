//! A circle within a circle, as scikit-learn's `make_circles`.

use std::f64::consts::PI;

use crate::data::TaskKind;
use crate::data::generate::{Answer, Draw, Generator};
use crate::data::sources::{Origin, Source};

pub(crate) const SOURCE: Source = Source {
    name: "circles",
    description: "a circle within a circle (generated)",
    rows: 1000,
    test_rows: 0,
    task: TaskKind::Binary,
    origin: Origin::Generated(GENERATOR),
};

/// Circles of radius 1 and ½ around the origin in turn, at an angle uniform in [0, 2π); noise on each coordinate
/// (default 0.1).
pub const GENERATOR: Generator =
    Generator { inputs: &["x1", "x2"], target: "label", classes: &["outer", "inner"], noise: 0.1, row };

const RADII: [f64; 2] = [1.0, 0.5];

fn row(draw: &mut Draw) -> ([f64; 2], Answer) {
    let angle = draw.uniform(0.0, 2.0 * PI);
    let class = draw.class(2);
    let radius = RADII[class];
    let (x, y) = (radius * libm::cos(angle), radius * libm::sin(angle));
    ([x + draw.noise(), y + draw.noise()], Answer::Class(class))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_noise_the_points_lie_on_their_circles_all_around() {
        let points = GENERATOR.points(400, 0.0, 1).unwrap();
        let mut quadrants = [[0; 4]; 2];
        for (point, class) in points.x.chunks_exact(2).zip(&points.y) {
            let (x, y) = (f64::from(point[0]), f64::from(point[1]));
            let radius = RADII[*class as usize];
            assert!((x * x + y * y - radius * radius).abs() < 1e-6, "{point:?} of class {class}");
            quadrants[*class as usize][usize::from(x > 0.0) * 2 + usize::from(y > 0.0)] += 1;
        }
        assert!(quadrants.iter().flatten().all(|count| *count > 25), "{quadrants:?}");
    }
}
