//! Three round clouds of points.

use std::f64::consts::PI;

use crate::data::TaskKind;
use crate::data::generate::{Answer, Draw, Generator};
use crate::data::sources::{Origin, Source};

pub(crate) const SOURCE: Source = Source {
    name: "blobs",
    description: "three round clouds of points (generated)",
    rows: 600,
    test_rows: 0,
    task: TaskKind::Multiclass,
    origin: Origin::Generated(GENERATOR),
};

/// Normal clouds in turn around three centres on the circle of radius 4, at 90°, 210° and 330°; the noise (default 1)
/// is the standard deviation of each coordinate.
pub const GENERATOR: Generator =
    Generator { inputs: &["x1", "x2"], target: "label", classes: &["top", "left", "right"], noise: 1.0, row };

fn row(draw: &mut Draw) -> ([f64; 2], Answer) {
    let class = draw.class(3);
    let angle = PI / 2.0 + 2.0 * PI / 3.0 * class as f64;
    ([4.0 * libm::cos(angle) + draw.noise(), 4.0 * libm::sin(angle) + draw.noise()], Answer::Class(class))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clouds_lie_around_their_centres() {
        let points = GENERATOR.points(3000, 1.0, 1).unwrap();
        let height = 3.0_f64.sqrt();
        let centres = [[0.0, 4.0], [-2.0 * height, -2.0], [2.0 * height, -2.0]];
        for class in 0..3 {
            for axis in 0..2 {
                let values = (0..1000).map(|i| f64::from(points.x[(3 * i + class) * 2 + axis]));
                let mean = values.sum::<f64>() / 1000.0;
                // Five standard errors of a mean of 1000.
                assert!((mean - centres[class][axis]).abs() < 5.0 / 1000.0_f64.sqrt(), "{mean}");
            }
        }
    }
}
