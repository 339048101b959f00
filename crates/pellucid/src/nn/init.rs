//! Initialisers: how new weights and biases are drawn.
//!
//! With fan_in inputs of a unit and fan_out units that read an input, a variance of 1/fan_in keeps the size of values on
//! the way forward, 1/fan_out that of gradients on the way back (LeCun et al. 1998); Xavier takes their mean, He doubles
//! it for ReLU, which sets half of the values to zero. A uniform distribution of that variance has the limits ±√3·σ.

mod orthogonal;
#[cfg(test)]
mod tests;

use std::fmt;
use std::str::FromStr;

use kernels::device::Device;
use kernels::random;
use serde::{Deserialize, Serialize};

use super::layers::digits;
use super::notation::Word;
use crate::graph::Initialise;
use crate::suggest::nearest;
use crate::tensor::Purpose;

/// An initialiser. Its text, which is also its form in configuration files and in the notation, is the name, followed by its
/// numbers: `he_normal`, `uniform:-0.5:0.5`, `constant:0.1`.
///
/// Values depend on the seed and on the position of the parameter in its graph alone: not on threads or instruction set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Init {
    /// What PyTorch does for dense layers and convolutions: uniform within ±1/√fan_in, for the weight and for its bias.
    #[default]
    Default,
    /// All 0.
    Zeros,
    /// All the same.
    Constant(f32),
    /// Uniform in [low, high).
    Uniform {
        /// Lower limit.
        low: f32,
        /// Upper limit, at least the lower one.
        high: f32,
    },
    /// Normal.
    Normal {
        /// Its mean.
        mean: f32,
        /// Its standard deviation, at least 0.
        std: f32,
    },
    /// Normal, restricted to mean ± 2 std; the standard deviation of what is left is 0.88 std.
    TruncatedNormal {
        /// The mean.
        mean: f32,
        /// The standard deviation before the restriction, at least 0.
        std: f32,
    },
    /// Uniform of variance 2 gain² / (fan_in + fan_out): Glorot and Bengio, "Understanding the difficulty of training deep
    /// feedforward neural networks", AISTATS 2010.
    XavierUniform {
        /// Factor of the standard deviation; 1 unless given. 5/3 is usual for tanh.
        gain: f32,
    },
    /// Normal of variance 2 gain² / (fan_in + fan_out).
    XavierNormal {
        /// Factor of the standard deviation; 1 unless given.
        gain: f32,
    },
    /// Uniform of variance 2 / fan_in: He, Zhang, Ren and Sun, "Delving deep into rectifiers", ICCV 2015.
    HeUniform,
    /// Normal of variance 2 / fan_in.
    HeNormal,
    /// Uniform of variance 1 / fan_in: LeCun, Bottou, Orr and Müller, "Efficient BackProp", 1998.
    LecunUniform,
    /// Normal of variance 1 / fan_in, as SELU wants it.
    LecunNormal,
    /// Rows (or columns, if there are fewer) at right angles to each other, of length `gain`, all such matrices equally
    /// likely: Saxe, McClelland and Ganguli, "Exact solutions to the nonlinear dynamics of learning in deep linear neural
    /// networks", ICLR 2014. A weight of more than two axes counts as [first, all others].
    Orthogonal {
        /// Length of the rows or columns; 1 unless given.
        gain: f32,
    },
    /// The first units each pass an input on as it is: unit u has a 1 for channel u in the middle of its window and 0
    /// elsewhere, for as many units as there are channels; further units begin as by default. Of a dense weight that is the
    /// identity. Zagoruyko and Komodakis, "DiracNets", 2017; with other units left at random, as here, Jordan, "94% on
    /// CIFAR-10 in 3.29 seconds on a single GPU", 2024, section 3.3.
    Dirac,
}

/// How many values a unit reads, and how many units read a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fans {
    /// Inputs of a unit.
    pub fan_in: usize,
    /// Units that an input reaches.
    pub fan_out: usize,
}

impl Fans {
    /// Of a weight [out, in] or a kernel [out, in, height, width, …], where both count for each place of the window. A
    /// vector counts as the weight of one unit.
    pub fn of(dims: &[usize]) -> Fans {
        let (units, inputs, window) = parts(dims);
        let places: usize = window.iter().product();
        Fans { fan_in: inputs * places, fan_out: units * places }
    }
}

/// Units, inputs of a unit, and the window in each of them.
fn parts(dims: &[usize]) -> (usize, usize, &[usize]) {
    match dims {
        [] => (1, 1, &[]),
        [inputs] => (1, *inputs, &[]),
        [units, inputs, window @ ..] => (*units, *inputs, window),
    }
}

/// A text that names no initialiser.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum InitError {
    /// Another name.
    #[error("unknown initialiser '{name}'{}", Advice(*nearest))]
    Unknown {
        /// What was given.
        name: String,
        /// What may have been meant.
        nearest: Option<&'static str>,
    },
    /// More or fewer numbers than the initialiser has.
    #[error("'{name}' takes {expected}, got {found}: as in {example}")]
    Numbers {
        /// The initialiser.
        name: &'static str,
        /// How many numbers it takes.
        expected: &'static str,
        /// How many there are.
        found: usize,
        /// A text that would do.
        example: &'static str,
    },
    /// A number that is none, or out of range.
    #[error("'{text}': {reason}")]
    Value {
        /// What was given.
        text: String,
        /// What is wrong.
        reason: &'static str,
    },
    /// An initialiser that follows the sizes of a weight was given to a bias.
    #[error(
        "'{init}' follows the sizes of a weight; a bias takes default, zeros, constant, uniform, normal or truncated_normal"
    )]
    NotForBias {
        /// The initialiser.
        init: Init,
    },
}

struct Advice(Option<&'static str>);

impl fmt::Display for Advice {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(name) => write!(out, ": did you mean '{name}'?"),
            None => write!(out, "; known: {}", Init::NAMES.join(", ")),
        }
    }
}

impl Init {
    /// The names, without the second ones (`glorot_…` for `xavier_…`, `kaiming_…` for `he_…`).
    pub const NAMES: &'static [&'static str] = &[
        "default",
        "zeros",
        "constant",
        "uniform",
        "normal",
        "truncated_normal",
        "xavier_uniform",
        "xavier_normal",
        "he_uniform",
        "he_normal",
        "lecun_uniform",
        "lecun_normal",
        "orthogonal",
        "dirac",
    ];

    const OTHER_NAMES: &'static [&'static str] =
        &["glorot_uniform", "glorot_normal", "kaiming_uniform", "kaiming_normal"];

    /// The initialiser `name` with the numbers behind it.
    ///
    /// # Errors
    /// Another name, another count of numbers, a number that is out of range.
    pub fn new(name: &str, numbers: &[f64]) -> Result<Init, InitError> {
        let spelled = name.replace('-', "_");
        let numbers: Vec<f32> = numbers.iter().map(|&number| number as f32).collect();
        let init = match (spelled.as_str(), numbers.as_slice()) {
            ("default", []) => Init::Default,
            ("zeros", []) => Init::Zeros,
            ("constant", &[value]) => Init::Constant(value),
            ("uniform", &[low, high]) => Init::Uniform { low, high },
            ("normal", &[mean, std]) => Init::Normal { mean, std },
            ("truncated_normal", &[mean, std]) => Init::TruncatedNormal { mean, std },
            ("xavier_uniform" | "glorot_uniform", []) => Init::XavierUniform { gain: 1.0 },
            ("xavier_uniform" | "glorot_uniform", &[gain]) => Init::XavierUniform { gain },
            ("xavier_normal" | "glorot_normal", []) => Init::XavierNormal { gain: 1.0 },
            ("xavier_normal" | "glorot_normal", &[gain]) => Init::XavierNormal { gain },
            ("he_uniform" | "kaiming_uniform", []) => Init::HeUniform,
            ("he_normal" | "kaiming_normal", []) => Init::HeNormal,
            ("lecun_uniform", []) => Init::LecunUniform,
            ("lecun_normal", []) => Init::LecunNormal,
            ("orthogonal", []) => Init::Orthogonal { gain: 1.0 },
            ("orthogonal", &[gain]) => Init::Orthogonal { gain },
            ("dirac", []) => Init::Dirac,
            (other, numbers) => return Err(Init::misread(name, other, numbers.len())),
        };
        let reason = match init {
            _ if numbers.iter().any(|number| !number.is_finite()) => "its numbers must be finite in 32 bits",
            Init::Uniform { low, high } if low > high => "the lower limit comes first",
            Init::Uniform { low, high } if !(high - low).is_finite() => "the limits are too far apart",
            Init::Normal { std, .. } | Init::TruncatedNormal { std, .. } if std < 0.0 => {
                "a standard deviation is at least 0"
            }
            _ => return Ok(init),
        };
        Err(InitError::Value { text: init.to_string(), reason })
    }

    /// Why a name with so many numbers is no initialiser.
    fn misread(written: &str, name: &str, found: usize) -> InitError {
        let (expected, example) = match name {
            "constant" => ("one number, the value", "constant:0.1"),
            "uniform" => ("two numbers, the limits", "uniform:-0.5:0.5"),
            "normal" => ("two numbers, mean and standard deviation", "normal:0:0.02"),
            "truncated_normal" => ("two numbers, mean and standard deviation", "truncated_normal:0:0.02"),
            "xavier_uniform" | "glorot_uniform" => ("at most one number, the gain", "xavier_uniform:1.5"),
            "xavier_normal" | "glorot_normal" => ("at most one number, the gain", "xavier_normal:1.5"),
            "orthogonal" => ("at most one number, the gain", "orthogonal:1.5"),
            other => ("no number", Init::NAMES.iter().find(|known| **known == other).copied().unwrap_or("he_normal")),
        };
        let mut known = Init::NAMES.iter().chain(Init::OTHER_NAMES);
        match known.clone().find(|known| **known == name) {
            Some(&name) => InitError::Numbers { name, expected, found, example },
            None => InitError::Unknown {
                name: written.chars().take(40).collect(),
                nearest: nearest(written, known.by_ref().copied()),
            },
        }
    }

    /// The name without its numbers.
    pub fn name(&self) -> &'static str {
        match self {
            Init::Default => "default",
            Init::Zeros => "zeros",
            Init::Constant(_) => "constant",
            Init::Uniform { .. } => "uniform",
            Init::Normal { .. } => "normal",
            Init::TruncatedNormal { .. } => "truncated_normal",
            Init::XavierUniform { .. } => "xavier_uniform",
            Init::XavierNormal { .. } => "xavier_normal",
            Init::HeUniform => "he_uniform",
            Init::HeNormal => "he_normal",
            Init::LecunUniform => "lecun_uniform",
            Init::LecunNormal => "lecun_normal",
            Init::Orthogonal { .. } => "orthogonal",
            Init::Dirac => "dirac",
        }
    }

    /// As it stands in the notation.
    ///
    /// # Panics
    /// If a number is infinite or NaN.
    pub fn to_word(&self) -> Word {
        let numbers: Vec<f64> = match *self {
            Init::Constant(value) => vec![digits(value)],
            Init::Uniform { low, high } => vec![digits(low), digits(high)],
            Init::Normal { mean, std } | Init::TruncatedNormal { mean, std } => vec![digits(mean), digits(std)],
            Init::XavierUniform { gain } | Init::XavierNormal { gain } | Init::Orthogonal { gain } if gain != 1.0 => {
                vec![digits(gain)]
            }
            _ => Vec::new(),
        };
        Word::new(self.name(), &numbers)
    }

    /// Whether it can start a bias.
    ///
    /// # Errors
    /// [`InitError::NotForBias`] for initialisers that follow the sizes of a weight.
    pub fn check_for_bias(self) -> Result<(), InitError> {
        self.of_bias(Fans { fan_in: 1, fan_out: 1 }).map(|_| ())
    }

    /// The same for the bias that belongs to a weight of these fans.
    ///
    /// # Errors
    /// [`InitError::NotForBias`] for initialisers that follow the sizes of a weight.
    pub fn of_bias(self, weight: Fans) -> Result<Init, InitError> {
        match self {
            Init::Default => {
                let limit = limit(1.0 / (3.0 * weight.fan_in.max(1) as f64));
                Ok(Init::Uniform { low: -limit, high: limit })
            }
            Init::Zeros | Init::Constant(_) => Ok(self),
            Init::Uniform { .. } | Init::Normal { .. } | Init::TruncatedNormal { .. } => Ok(self),
            init => Err(InitError::NotForBias { init }),
        }
    }
}

/// Makes the first units of a weight each pass one input on as it is. A window without a middle has its 1 before it, where
/// `same` padding puts the pixel itself.
fn pass_on(dims: &[usize], values: &mut [f32]) {
    let (units, inputs, window) = parts(dims);
    let places: usize = window.iter().product();
    let middle = window.iter().fold(0, |place, &size| place * size + size.saturating_sub(1) / 2);
    for (unit, values) in values.chunks_exact_mut((inputs * places).max(1)).take(units.min(inputs)).enumerate() {
        values.fill(0.0);
        values[unit * places + middle] = 1.0;
    }
}

/// The limit of a uniform distribution of this variance around 0: √(3·variance).
fn limit(variance: f64) -> f32 {
    (3.0 * variance).sqrt() as f32
}

impl Initialise for Init {
    fn fill(&self, device: &Device, seed: u64, index: usize, dims: &[usize], values: &mut [f32]) {
        let stream = Purpose::Parameter(index).stream(seed);
        let fans = Fans::of(dims);
        let (fan_in, fan_out) = (fans.fan_in.max(1) as f64, fans.fan_out.max(1) as f64);
        let gained = |gain: f32| 2.0 * f64::from(gain) * f64::from(gain) / (fan_in + fan_out);
        let uniform = |variance: f64, values: &mut [f32]| {
            let limit = limit(variance);
            random::uniform(device, stream, -limit, limit, values);
        };
        let normal = |variance: f64, values: &mut [f32]| {
            random::normal(device, stream, 0.0, variance.sqrt() as f32, values);
        };
        match *self {
            Init::Default => uniform(1.0 / (3.0 * fan_in), values),
            Init::Zeros => values.fill(0.0),
            Init::Constant(value) => values.fill(value),
            Init::Uniform { low, high } => random::uniform(device, stream, low, high, values),
            Init::Normal { mean, std } => random::normal(device, stream, mean, std, values),
            Init::TruncatedNormal { mean, std } => {
                let (low, high) = (mean - 2.0 * std, mean + 2.0 * std);
                random::truncated_normal(device, stream, mean, std, low, high, values);
            }
            Init::XavierUniform { gain } => uniform(gained(gain), values),
            Init::XavierNormal { gain } => normal(gained(gain), values),
            Init::HeUniform => uniform(2.0 / fan_in, values),
            Init::HeNormal => normal(2.0 / fan_in, values),
            Init::LecunUniform => uniform(1.0 / fan_in, values),
            Init::LecunNormal => normal(1.0 / fan_in, values),
            Init::Orthogonal { gain } => {
                normal(1.0, values);
                orthogonal::orthogonalise(dims, gain, values);
            }
            Init::Dirac => {
                uniform(1.0 / (3.0 * fan_in), values);
                pass_on(dims, values);
            }
        }
    }
}

impl fmt::Display for Init {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Init::Constant(value) => write!(out, "{}:{value}", self.name()),
            Init::Uniform { low: a, high: b }
            | Init::Normal { mean: a, std: b }
            | Init::TruncatedNormal { mean: a, std: b } => write!(out, "{}:{a}:{b}", self.name()),
            Init::XavierUniform { gain } | Init::XavierNormal { gain } | Init::Orthogonal { gain } if gain != 1.0 => {
                write!(out, "{}:{gain}", self.name())
            }
            _ => out.write_str(self.name()),
        }
    }
}

impl FromStr for Init {
    type Err = InitError;

    fn from_str(text: &str) -> Result<Init, InitError> {
        let mut parts = text.trim().split(':');
        let name = parts.next().unwrap_or_default();
        let number = |part: &str| {
            let text = part.chars().take(40).collect();
            part.trim().parse::<f64>().map_err(|_| InitError::Value { text, reason: "not a number" })
        };
        Init::new(name, &parts.map(number).collect::<Result<Vec<f64>, InitError>>()?)
    }
}

impl TryFrom<String> for Init {
    type Error = InitError;

    fn try_from(text: String) -> Result<Init, InitError> {
        text.parse()
    }
}

impl From<Init> for String {
    fn from(init: Init) -> String {
        init.to_string()
    }
}
