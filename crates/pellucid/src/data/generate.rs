//! Small data sets made from a seed: the same bits on every machine.
//!
//! A row is a function of (seed, row) alone, so the first rows of a longer set are those of a shorter one. Values are
//! computed in f64 with `libm` and rounded once to f32.

use std::fmt::Write;

use kernels::random::Stream;

use super::{Dataset, Features};

/// How points are made.
#[derive(Clone, Copy, Debug)]
pub struct Generator {
    /// Names of the inputs.
    pub inputs: &'static [&'static str],
    /// Name of what is to be predicted.
    pub target: &'static str,
    /// Names of the classes; empty where a number is to be predicted.
    pub classes: &'static [&'static str],
    /// The noise when nothing is said: a standard deviation.
    pub noise: f64,
    /// Makes one row: inputs, in the order of `inputs`, and the class or the number.
    pub row: fn(&mut Draw) -> ([f64; 2], Answer),
}

/// What is to be predicted of a point.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Answer {
    /// Index of the class.
    Class(usize),
    /// A number.
    Number(f64),
}

/// Points with their answers.
#[derive(Clone, Debug, PartialEq)]
pub struct Points {
    /// Names of the inputs.
    pub inputs: &'static [&'static str],
    /// Name of what is to be predicted.
    pub target: &'static str,
    /// Names of the classes; empty where a number is to be predicted.
    pub classes: &'static [&'static str],
    /// Inputs, `[rows, inputs]`, as they are: nothing is standardised.
    pub x: Vec<f32>,
    /// Index of the class, or the number, `[rows]`.
    pub y: Vec<f32>,
}

/// Settings that no points can be made with.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum GeneratorError {
    /// No rows, or too many.
    #[error("{rows} rows cannot be generated; between 1 and {MAX_ROWS} can")]
    Rows {
        /// Rows asked for.
        rows: usize,
    },
    /// Noise that is no standard deviation.
    #[error("the noise is {noise}; it is a standard deviation, so it must be finite and not negative")]
    Noise {
        /// The noise given.
        noise: f64,
    },
}

/// The most rows of a generated set.
pub const MAX_ROWS: usize = 10_000_000;

/// Random words that one row may use.
const WORDS_PER_ROW: u64 = 8;

/// The purpose of these numbers among all of a run's: "data" in ASCII, out of the way of node and parameter numbers.
const PURPOSE: u32 = u32::from_be_bytes(*b"data");

/// The random numbers of one row.
#[derive(Debug)]
pub struct Draw {
    stream: Stream,
    row: u64,
    used: u64,
    noise: f64,
}

impl Draw {
    /// Number of the row, from 0.
    pub fn row(&self) -> usize {
        self.row as usize
    }

    /// The row's class of `classes`, which take turns.
    pub fn class(&self, classes: usize) -> usize {
        self.row() % classes
    }

    /// Uniform in [low, high), in 2²⁴ steps.
    pub fn uniform(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    /// Normal with mean 0 and the set's noise as standard deviation (Box and Muller 1958).
    pub fn noise(&mut self) -> f64 {
        // 1 - u lies in (0, 1], where the logarithm is finite.
        let radius = (-2.0 * libm::log(1.0 - self.unit())).sqrt();
        self.noise * radius * libm::cos(2.0 * std::f64::consts::PI * self.unit())
    }

    fn unit(&mut self) -> f64 {
        assert!(self.used < WORDS_PER_ROW, "a row uses at most {WORDS_PER_ROW} random numbers");
        let index = self.row * WORDS_PER_ROW + self.used;
        self.used += 1;
        f64::from(self.stream.unit_at(index))
    }
}

impl Generator {
    /// Makes `rows` points with normal noise of standard deviation `noise`.
    ///
    /// # Errors
    /// No rows or more than [`MAX_ROWS`]; noise that is negative, infinite or no number.
    pub fn points(&self, rows: usize, noise: f64, seed: u64) -> Result<Points, GeneratorError> {
        if rows == 0 || rows > MAX_ROWS {
            return Err(GeneratorError::Rows { rows });
        }
        if !(noise.is_finite() && noise >= 0.0) {
            return Err(GeneratorError::Noise { noise });
        }
        let stream = Stream::new(seed, PURPOSE);
        let (mut x, mut y) = (Vec::with_capacity(rows * self.inputs.len()), Vec::with_capacity(rows));
        for row in 0..rows as u64 {
            let (inputs, answer) = (self.row)(&mut Draw { stream, row, used: 0, noise });
            x.extend(inputs[..self.inputs.len()].iter().map(|value| *value as f32));
            y.push(match answer {
                Answer::Class(class) => class as f32,
                Answer::Number(number) => number as f32,
            });
        }
        Ok(Points { inputs: self.inputs, target: self.target, classes: self.classes, x, y })
    }
}

impl Points {
    /// The points as CSV text with a header; numbers are written so that reading them gives the same f32.
    pub fn to_csv(&self) -> String {
        let mut text = format!("{},{}\n", self.inputs.join(","), self.target);
        for (inputs, answer) in self.x.chunks_exact(self.inputs.len()).zip(&self.y) {
            for value in inputs {
                // Writing to a string cannot fail.
                let _ = write!(text, "{value},");
            }
            let _ = match self.classes.get(*answer as usize) {
                Some(class) => writeln!(text, "{class}"),
                None => writeln!(text, "{answer}"),
            };
        }
        text
    }

    /// The points as they are, nothing standardised: inputs `[inputs]`, the class index or the number as target.
    pub fn into_dataset(self) -> Dataset {
        Dataset {
            sample_shape: vec![self.inputs.len()],
            features: Features::F32(self.x),
            targets: self.y,
            target_width: 1,
            weights: None,
            lengths: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::builtin::{blobs, circles, moons, sine, spiral, xor};

    const ALL: [(&str, Generator); 6] = [
        ("xor", xor::GENERATOR),
        ("moons", moons::GENERATOR),
        ("circles", circles::GENERATOR),
        ("spiral", spiral::GENERATOR),
        ("blobs", blobs::GENERATOR),
        ("sine", sine::GENERATOR),
    ];

    #[test]
    fn text_and_data_set_hold_the_same_numbers() {
        for (name, generator) in ALL {
            let points = generator.points(200, generator.noise, 3).unwrap();
            let csv = points.to_csv();
            let mut reader = csv::Reader::from_reader(csv.as_bytes());
            let rows: Vec<csv::StringRecord> = reader.records().collect::<Result<_, _>>().unwrap();
            let width = points.inputs.len();
            let (classes, dataset) = (points.classes, points.into_dataset());
            dataset.check().unwrap();
            assert_eq!((rows.len(), dataset.rows(), dataset.width()), (200, 200, width), "{name}");
            let Features::F32(x) = &dataset.features else { panic!("points are floats") };
            for (i, row) in rows.iter().enumerate() {
                for j in 0..width {
                    assert_eq!(row[j].parse::<f32>().unwrap().to_bits(), x[i * width + j].to_bits(), "{name}");
                }
                match classes {
                    [] => assert_eq!(row[width].parse::<f32>().unwrap(), dataset.targets[i]),
                    _ => assert_eq!(&row[width], classes[dataset.targets[i] as usize]),
                }
            }
        }
    }

    #[test]
    fn a_row_depends_on_seed_and_number_alone() {
        for (name, generator) in ALL {
            let make = |rows, seed| generator.points(rows, generator.noise, seed).unwrap();
            let (long, short) = (make(100, 1), make(30, 1));
            assert_eq!((&long.x[..short.x.len()], &long.y[..30]), (&short.x[..], &short.y[..]), "{name}");
            assert_ne!(make(30, 2).x, short.x, "{name}");
        }
    }

    /// The bits are part of what is promised: a change here belongs in the list of changes.
    #[test]
    fn the_bits_are_those_of_every_machine() {
        let hashes = ALL.map(|(name, generator)| {
            let points = generator.points(1000, generator.noise, 1).unwrap();
            // FNV-1a, a word at a time.
            let hash = points.x.iter().chain(&points.y).fold(0xcbf2_9ce4_8422_2325_u64, |hash, value| {
                (hash ^ u64::from(value.to_bits())).wrapping_mul(0x0000_0100_0000_01b3)
            });
            (name, hash)
        });
        assert_eq!(hashes, HASHES, "{hashes:#018x?}");
    }

    const HASHES: [(&str, u64); 6] = [
        ("xor", 0x3fed_707c_63f9_9546),
        ("moons", 0x482e_7954_e9be_9339),
        ("circles", 0xfb75_8414_0431_95d9),
        ("spiral", 0xd580_5ee4_4d7a_f0a8),
        ("blobs", 0x3901_9386_deb9_e6bd),
        ("sine", 0x6a8f_3ced_0f93_d8de),
    ];

    #[test]
    fn noise_has_the_standard_deviation_asked_for() {
        let stream = Stream::new(5, PURPOSE);
        let count = 100_000;
        let values: Vec<f64> = (0..count).map(|row| Draw { stream, row, used: 0, noise: 2.0 }.noise()).collect();
        let mean = values.iter().sum::<f64>() / count as f64;
        let variance = values.iter().map(|value| (value - mean) * (value - mean)).sum::<f64>() / count as f64;
        // Five standard errors: σ/√n of the mean, σ²·√(2/n) of the variance.
        assert!(mean.abs() < 5.0 * 2.0 / (count as f64).sqrt(), "mean {mean}");
        assert!((variance - 4.0).abs() < 5.0 * 4.0 * (2.0 / count as f64).sqrt(), "variance {variance}");
        // Three in a hundred thousand lie beyond four standard deviations, 6.3 expected.
        let far = values.iter().filter(|value| value.abs() > 8.0).count();
        assert!((1..20).contains(&far), "{far}");
    }

    #[test]
    fn settings_without_sense_are_refused() {
        let points = |rows, noise| moons::GENERATOR.points(rows, noise, 0);
        assert_eq!(points(0, 0.1), Err(GeneratorError::Rows { rows: 0 }));
        assert_eq!(points(MAX_ROWS + 1, 0.1), Err(GeneratorError::Rows { rows: MAX_ROWS + 1 }));
        assert_eq!(points(1, -0.1), Err(GeneratorError::Noise { noise: -0.1 }));
        assert!(matches!(points(1, f64::NAN), Err(GeneratorError::Noise { .. })));
        assert!(matches!(points(1, f64::INFINITY), Err(GeneratorError::Noise { .. })));
    }
}
