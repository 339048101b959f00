//! Two periods of the sine, for regression.

use std::f64::consts::PI;

use crate::data::TaskKind;
use crate::data::generate::{Answer, Draw, Generator};
use crate::data::sources::{Origin, Source};

pub(crate) const SOURCE: Source = Source {
    name: "sine",
    description: "two periods of a sine with noise (generated)",
    rows: 1000,
    test_rows: 0,
    task: TaskKind::Regression,
    origin: Origin::Generated(GENERATOR),
};

/// y = sin x plus noise (default 0.1), for x uniform in [-2π, 2π).
pub const GENERATOR: Generator = Generator { inputs: &["x"], target: "y", classes: &[], noise: 0.1, row };

fn row(draw: &mut Draw) -> ([f64; 2], Answer) {
    let x = draw.uniform(-2.0 * PI, 2.0 * PI);
    ([x, 0.0], Answer::Number(libm::sin(x) + draw.noise()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_noise_it_is_the_sine() {
        let points = GENERATOR.points(500, 0.0, 1).unwrap();
        assert_eq!(points.x.len(), 500);
        for (x, y) in points.x.iter().zip(&points.y) {
            assert!((libm::sin(f64::from(*x)) - f64::from(*y)).abs() < 1e-6);
        }
        assert!(points.x.iter().any(|x| *x < -5.0) && points.x.iter().any(|x| *x > 5.0));
    }
}
