//! Whitening: the start of a first convolution that makes what is alike in neighbouring pixels unlike.
//!
//! With x ∈ ℝⁿ the patches of the rows, M = mean of x xᵀ = V diag(λ) Vᵀ, and v₁ … vₙ the columns of V, the largest λ first: the
//! filters vᵢ / √(λᵢ + ε), and then -vᵢ / √(λᵢ + ε), so that an activation behind them sees either side. What comes out of the
//! first half has mean y yᵀ = diag(λ / (λ + ε)), the identity up to ε = 5·10⁻⁴ of the mean λ, which keeps noise small where patches
//! hardly vary.
//!
//! Page, "How to train your ResNet", 2018, part 8; with both signs, Jordan, "94% on CIFAR-10 in 3.29 seconds on a single GPU", 2024,
//! section 3.2.

mod eigen;

use eigen::eigen;

use super::Part;
use crate::data::ReadError;
use crate::graph::{Graph, Parameters};

/// Rows whose patches count at most, evenly spaced.
const ROWS: usize = 1000;

/// ε as a share of the mean of all λ.
const NOISE: f64 = 5e-4;

/// The first convolution of a network, to begin as a whitening of its patches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Whitening {
    /// Name of its weight.
    parameter: String,
    units: usize,
    channels: usize,
    /// Height and width, or the length alone.
    kernel: Vec<usize>,
}

/// Why a network cannot begin with a whitening.
#[derive(Debug, thiserror::Error)]
pub enum WhiteningError {
    /// The rows go into something else.
    #[error(
        "the network begins with '{found}'; a whitening needs a convolution there, without groups or dilation, such as \
         conv 24 2x2"
    )]
    NoConvolution {
        /// The op that they go into.
        found: String,
    },
    /// More units than directions.
    #[error(
        "the first convolution has {units} units, but patches of {channels}x{kernel} values have {most} filters, both signs \
         counted; write {most} or fewer"
    )]
    Units {
        /// Units of the convolution.
        units: usize,
        /// Channels of the rows.
        channels: usize,
        /// Size of the window, as it is written.
        kernel: String,
        /// Twice the values of a patch.
        most: usize,
    },
    /// No patch, or no value that is not 0.
    #[error("the rows have no patch of {kernel} with a value other than 0; look at the data")]
    Nothing {
        /// Size of the window, as it is written.
        kernel: String,
    },
    /// A row could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
}

impl Whitening {
    /// Of the convolution that `network` begins with.
    ///
    /// # Errors
    /// When there is none, or one with more units than there are filters.
    pub fn of(network: &Graph) -> Result<Whitening, WhiteningError> {
        let input = network.inputs().first().map(|input| input.value);
        let first = network.nodes().iter().find(|node| node.inputs.first().copied() == input);
        let plain = first.filter(|node| {
            let attributes = node.op.attributes();
            let ones = |name: &str| match &attributes[name] {
                serde_json::Value::Array(values) => values.iter().all(|value| *value == 1),
                value => *value == 1,
            };
            node.op.name() == "Conv" && ones("groups") && ones("dilation")
        });
        let weight = plain.and_then(|node| {
            let parameter = network.parameters().iter().find(|parameter| parameter.value == node.inputs[1])?;
            Some((parameter, network.shape(parameter.value).dims(1)))
        });
        let Some((parameter, dims)) = weight else {
            let found = first.map_or_else(|| "nothing".to_string(), |node| network.words(node).to_string());
            return Err(WhiteningError::NoConvolution { found });
        };
        let [units, channels, kernel @ ..] = &dims[..] else {
            unreachable!("a kernel has units, channels and a window")
        };
        let whitening = Whitening {
            parameter: parameter.name.clone(),
            units: *units,
            channels: *channels,
            kernel: kernel.to_vec(),
        };
        let most = 2 * whitening.values();
        if *units > most {
            return Err(WhiteningError::Units { units: *units, channels: *channels, kernel: whitening.window(), most });
        }
        Ok(whitening)
    }

    /// Name of the weight that begins so.
    pub fn parameter(&self) -> &str {
        &self.parameter
    }

    /// Makes the weight the filters for the patches of `part`: those of up to 1,000 rows, all of the same weight. The same rows
    /// give the same bits everywhere.
    ///
    /// # Errors
    /// A row that cannot be read, or rows without a patch.
    ///
    /// # Panics
    /// When `parameters` are of another network, or the rows of another shape.
    pub fn fill(&self, part: &Part, parameters: &mut Parameters) -> Result<(), WhiteningError> {
        let n = self.values();
        let moments = self.moments(part)?;
        let noise = NOISE * (0..n).map(|i| moments[i * n + i]).sum::<f64>() / n as f64;
        if noise <= 0.0 {
            return Err(WhiteningError::Nothing { kernel: self.window() });
        }
        let directions = eigen(moments, n);
        let weight = parameters.get_mut(&self.parameter).expect("parameters of the network");
        let half = self.units.div_ceil(2);
        for (unit, filter) in weight.chunks_exact_mut(n).enumerate() {
            let (sign, direction) =
                if unit < half { (1.0, &directions[unit]) } else { (-1.0, &directions[unit - half]) };
            let scale = sign / (direction.value.max(0.0) + noise).sqrt();
            for (weight, along) in filter.iter_mut().zip(&direction.vector) {
                *weight = (scale * along) as f32;
            }
        }
        Ok(())
    }

    /// Values of a patch.
    fn values(&self) -> usize {
        self.channels * self.kernel.iter().product::<usize>()
    }

    fn window(&self) -> String {
        self.kernel.iter().map(usize::to_string).collect::<Vec<_>>().join("x")
    }

    /// Height and width of a window or a row; a row over one axis is one line.
    fn sides(sizes: &[usize]) -> [usize; 2] {
        match *sizes {
            [height, width] => [height, width],
            _ => [1, sizes.iter().product()],
        }
    }

    /// The mean of x xᵀ over the patches x [channels, height, width]; 0 where there is none.
    fn moments(&self, part: &Part) -> Result<Vec<f64>, ReadError> {
        let n = self.values();
        let ([high, wide], [height, width]) = (Self::sides(&self.kernel), Self::sides(&part.data.sample_shape[1..]));
        let mut moments = vec![0.0; n * n];
        let mut row = vec![0.0; part.data.width()];
        let mut patch = vec![0.0; n];
        let mut count = 0u64;
        let (all, used) = (part.rows.len(), part.rows.len().min(ROWS));
        for at in 0..used {
            part.data.gather_features(&[part.rows[at * all / used]], &mut row)?;
            for top in 0..(height + 1).saturating_sub(high) {
                for left in 0..(width + 1).saturating_sub(wide) {
                    for (line, values) in patch.chunks_exact_mut(wide).enumerate() {
                        let (channel, y) = (line / high, top + line % high);
                        let source = &row[(channel * height + y) * width + left..][..wide];
                        values.iter_mut().zip(source).for_each(|(value, &source)| *value = f64::from(source));
                    }
                    for (i, &value) in patch.iter().enumerate() {
                        let sums = &mut moments[i * n + i..(i + 1) * n];
                        sums.iter_mut().zip(&patch[i..]).for_each(|(sum, other)| *sum += value * other);
                    }
                    count += 1;
                }
            }
        }
        for i in 0..n {
            for j in i..n {
                moments[i * n + j] /= count.max(1) as f64;
                moments[j * n + i] = moments[i * n + j];
            }
        }
        Ok(moments)
    }
}

#[cfg(test)]
mod tests {
    use kernels::device::Device;
    use kernels::simd::Isa;

    use super::*;
    use crate::data::{Dataset, Features};
    use crate::nn::NetworkOptions;
    use crate::nn::notation::Network;

    fn network(line: &str, input: &[usize]) -> Graph {
        let options = NetworkOptions { outputs: Some(2), ..NetworkOptions::default() };
        options.build(&Network::parse(line).expect("a line"), input).expect("a network").graph
    }

    /// Rows in which what is near is alike: sums of a few waves.
    fn rows(shape: &[usize], count: usize) -> Dataset {
        let width: usize = shape.iter().product();
        let side = shape[shape.len() - 1];
        let value = |row: usize, at: usize| {
            let (x, y) = ((at % side) as f64, (at / side) as f64);
            let (a, b) = ((row % 7) as f64 / 5.0 + 0.1, (row % 11) as f64 / 9.0);
            (libm::sin(a * x + b * y + row as f64) + 0.2 * libm::cos(2.7 * x - 1.3 * y * a)) as f32
        };
        let values = (0..count * width).map(|at| value(at / width, at % width)).collect();
        Dataset::new(shape.to_vec(), Features::F32(values), Vec::new(), 0, None).expect("rows")
    }

    fn weight(line: &str, data: &Dataset) -> Result<Vec<f32>, WhiteningError> {
        let graph = network(line, &data.sample_shape);
        let whitening = Whitening::of(&graph)?;
        assert_eq!(whitening.parameter(), "0.weight");
        let mut parameters = Parameters::initialise(&graph, &Device::new(Isa::best(), 1), 3);
        whitening.fill(&Part::all(data), &mut parameters)?;
        Ok(parameters.get("0.weight").expect("a weight").to_vec())
    }

    /// The mean of y yᵀ, y being what the filters make of each patch of the rows.
    fn covariance(filters: &[f32], data: &Dataset, [high, wide]: [usize; 2]) -> Vec<f64> {
        let [channels, height, width] = data.sample_shape[..] else { panic!("pictures") };
        let Features::F32(values) = &data.features else { panic!("numbers") };
        let n = channels * high * wide;
        let units = filters.len() / n;
        let (mut sums, mut count) = (vec![0.0; units * units], 0.0);
        for row in values.chunks_exact(data.width()) {
            for (top, left) in (0..=height - high).flat_map(|top| (0..=width - wide).map(move |left| (top, left))) {
                let out: Vec<f64> = filters
                    .chunks_exact(n)
                    .map(|filter| {
                        let at = |i: usize| {
                            let (c, y, x) = (i / (high * wide), i / wide % high, i % wide);
                            row[(c * height + top + y) * width + left + x]
                        };
                        filter.iter().enumerate().map(|(i, w)| f64::from(*w) * f64::from(at(i))).sum()
                    })
                    .collect();
                for i in 0..units {
                    for j in 0..units {
                        sums[i * units + j] += out[i] * out[j];
                    }
                }
                count += 1.0;
            }
        }
        sums.into_iter().map(|sum| sum / count).collect()
    }

    #[test]
    fn patches_come_out_with_unit_covariance_and_then_with_the_other_sign() {
        let data = rows(&[2, 9, 7], 60);
        let filters = weight("conv 24 3x2 nobias -> flatten -> dense", &data).expect("filters");
        let (first, second) = filters.split_at(filters.len() / 2);
        assert!(first.iter().zip(second).all(|(a, b)| *a == -*b));
        let covariance = covariance(first, &data, [3, 2]);
        for i in 0..12 {
            for j in 0..i {
                assert!(covariance[i * 12 + j].abs() < 1e-5, "{i} and {j}: {}", covariance[i * 12 + j]);
            }
            // λ / (λ + ε) falls from the first direction to the last.
            let along = covariance[i * 12 + i];
            assert!(along < 1.0 + 1e-6 && (i == 0 || along <= covariance[(i - 1) * 12 + i - 1] + 1e-6), "{i}: {along}");
        }
        assert!(covariance[0] > 0.999, "{}", covariance[0]);
    }

    #[test]
    fn fewer_units_take_the_directions_in_which_patches_vary_most() {
        let data = rows(&[1, 8, 8], 40);
        let all = weight("conv 18 3x3 -> flatten -> dense", &data).expect("filters");
        let some = weight("conv 5 3x3 same -> flatten -> dense", &data).expect("filters");
        assert_eq!(some[..27], all[..27]);
        assert!(some[27..].iter().zip(&all).all(|(a, b)| *a == -*b));
    }

    #[test]
    fn of_many_rows_some_from_everywhere_count() {
        // Bright rows first, dark ones behind, as a folder has its classes.
        let mut data = rows(&[1, 4, 4], 3000);
        let Features::F32(values) = &mut data.features else { panic!("numbers") };
        values[1500 * 16..].iter_mut().for_each(|value| *value *= 0.01);
        let filters = weight("conv 2 1x1 nobias -> flatten -> dense", &data).expect("filters");
        let Features::F32(values) = &data.features else { panic!("numbers") };
        let square =
            values.iter().map(|value| f64::from(*value) * f64::from(*value)).sum::<f64>() / values.len() as f64;
        let expected = 1.0 / (square * (1.0 + NOISE)).sqrt();
        assert!((f64::from(filters[0].abs()) / expected - 1.0).abs() < 0.01, "{filters:?}, not {expected}");
    }

    #[test]
    fn rows_over_one_axis_have_patches_too() {
        let data = rows(&[3, 20], 30);
        let filters = weight("conv1d 12 2 nobias -> flatten -> dense", &data).expect("filters");
        // The same as pictures of one line.
        let pictures = Dataset { sample_shape: vec![3, 1, 20], ..data };
        assert_eq!(weight("conv 12 1x2 nobias -> flatten -> dense", &pictures).expect("filters"), filters);
    }

    #[test]
    fn what_cannot_be_whitened_is_refused() {
        let data = rows(&[3, 6, 6], 4);
        for (line, part) in [
            ("flatten -> dense", "begins with 'flatten'"),
            ("batchnorm -> conv 4 2x2 -> flatten -> dense", "begins with 'batchnorm'"),
            ("conv 3 2x2 groups=3 -> flatten -> dense", "without groups or dilation"),
            ("conv 4 2x2 dilation=2 -> flatten -> dense", "without groups or dilation"),
            ("conv 25 2x2 -> flatten -> dense", "has 25 units, but patches of 3x2x2 values have 24 filters"),
        ] {
            let message = weight(line, &data).expect_err(line).to_string();
            assert!(message.contains(part), "{line}: {message}");
        }
        let black = Dataset { features: Features::F32(vec![0.0; 4 * 108]), ..data.clone() };
        let message = weight("conv 24 2x2 -> flatten -> dense", &black).expect_err("black").to_string();
        assert!(message.contains("no patch of 2x2"), "{message}");
        // A window larger than the picture, which padding alone allows.
        let message = weight("conv 24 7x7 same -> flatten -> dense", &data).expect_err("small").to_string();
        assert!(message.contains("no patch of 7x7"), "{message}");
    }
}
