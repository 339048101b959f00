//! Integrated gradients: what each input of a row adds to a score.
//!
//! With s the score of a class, x the row and x' a baseline:
//!
//! * IG_i = (x_i - x'_i) · ∫₀¹ ∂s/∂x_i (x' + α (x - x')) dα
//! * completeness: Σ_i IG_i = s(x) - s(x').
//!
//! The integral is taken at the middles of equal steps, twice as many until completeness holds within a part of s(x) - s(x');
//! what is left of it is told. (Sundararajan, Taly and Yan, "Axiomatic attribution for deep networks", 2017.)

use std::sync::Arc;

use kernels::device::Device;

use super::score::{ScoreGraph, choose, scores};
use crate::graph::{Graph, Parameters, PlanError, PlanId, PlanOptions, Session, ValueId};

/// Steps of the integral: at first, and at most.
const STEPS: [usize; 2] = [32, 2048];
/// What the sum may be off, in parts of the difference of the scores.
const TOLERANCE: f64 = 0.005;

/// Attributes scores of one network to the inputs of rows.
#[derive(Debug)]
pub struct IntegratedGradients {
    session: Session,
    plan: PlanId,
    input: ValueId,
    chosen: ValueId,
    score: ValueId,
}

/// What the inputs of a row add to a score.
#[derive(Clone, Debug, PartialEq)]
pub struct Attribution {
    /// IG_i, like the row.
    pub inputs: Vec<f64>,
    /// The score of the row.
    pub score: f64,
    /// The score of the baseline.
    pub baseline: f64,
    /// Σ IG_i - (score - baseline): what the integral is off.
    pub error: f64,
    /// Steps of the integral.
    pub steps: usize,
}

/// Why a network has no attributions.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AttributionError {
    /// The output is not one score for each class.
    #[error("the scores must have the shape [batch, classes], but they have {shape}")]
    NoScores {
        /// The shape, printed.
        shape: String,
    },
    /// No gradient reaches the inputs, as where they are numbers of tokens.
    #[error("the inputs have no gradient; attributions need inputs that are numbers")]
    NoGradient,
    /// The network is too large.
    #[error(transparent)]
    Plan(#[from] PlanError),
}

impl IntegratedGradients {
    /// For the scores that `graph` gives first; ops behave as at inference.
    ///
    /// # Errors
    /// When there is not one score for each class, or no gradient reaches the inputs.
    pub fn new(
        graph: &Graph,
        parameters: &Parameters,
        device: Arc<Device>,
    ) -> Result<IntegratedGradients, AttributionError> {
        let (value, classes) = scores(graph);
        if classes.len() != 1 {
            return Err(AttributionError::NoScores { shape: graph.shape(value).to_string() });
        }
        let input = graph.inputs()[0].value;
        let ScoreGraph { graph, chosen, score } = ScoreGraph::new(graph);
        let mut session = Session::new(graph, device, parameters.clone(), 0);
        let options = PlanOptions { batch: 1, loss: Some(score), gradients_of: &[input], ..PlanOptions::default() };
        let plan = session.plan(&options)?;
        if session.gradient(plan, input).is_none() {
            return Err(AttributionError::NoGradient);
        }
        Ok(IntegratedGradients { session, plan, input, chosen, score })
    }

    /// What each value of `row` adds to the score of `class` beyond that of `baseline`.
    ///
    /// # Panics
    /// When row or baseline have another width, or there is no such class.
    pub fn attribute(&mut self, row: &[f32], baseline: &[f32], class: usize) -> Attribution {
        assert_eq!(row.len(), baseline.len(), "a baseline as wide as the row");
        choose(self.session.input_mut(self.plan, self.chosen), class);
        let (score, from) = (self.score_of(row), self.score_of(baseline));
        let mut steps = STEPS[0];
        loop {
            let inputs = self.integral(row, baseline, steps);
            let error = inputs.iter().sum::<f64>() - (score - from);
            if error.abs() <= TOLERANCE * (score - from).abs() || steps >= STEPS[1] {
                return Attribution { inputs, score, baseline: from, error, steps };
            }
            steps *= 2;
        }
    }

    /// ∂s/∂x of `row` for the score of `class`: how a small change of each input moves it.
    ///
    /// # Panics
    /// As [`IntegratedGradients::attribute`].
    pub fn gradient(&mut self, row: &[f32], class: usize) -> Vec<f32> {
        choose(self.session.input_mut(self.plan, self.chosen), class);
        self.score_of(row);
        self.slopes().to_vec()
    }

    fn score_of(&mut self, row: &[f32]) -> f64 {
        self.session.input_mut(self.plan, self.input).copy_from_slice(row);
        self.session.forward(self.plan, 0);
        f64::from(self.session.value(self.plan, self.score)[0])
    }

    /// The gradient at the row of the last forward pass.
    fn slopes(&mut self) -> &[f32] {
        self.session.backward(self.plan, 0);
        self.session.gradient(self.plan, self.input).expect("checked when it was planned")
    }

    fn integral(&mut self, row: &[f32], baseline: &[f32], steps: usize) -> Vec<f64> {
        let mut sums = vec![0.0; row.len()];
        let mut between = baseline.to_vec();
        for step in 0..steps {
            let alpha = (step as f64 + 0.5) / steps as f64;
            for ((between, x), from) in between.iter_mut().zip(row).zip(baseline) {
                *between = (f64::from(*from) + alpha * f64::from(x - from)) as f32;
            }
            self.score_of(&between);
            sums.iter_mut().zip(self.slopes()).for_each(|(sum, slope)| *sum += f64::from(*slope));
        }
        let difference = row.iter().zip(baseline).map(|(x, from)| f64::from(*x) - f64::from(*from));
        sums.iter().zip(difference).map(|(sum, difference)| sum / steps as f64 * difference).collect()
    }
}

#[cfg(test)]
mod tests {
    use kernels::simd::Isa;

    use super::*;
    use crate::nn;

    fn of(line: &str, shape: &[usize], seed: u64) -> IntegratedGradients {
        let graph = nn::network(line, shape, None).expect("a network");
        let device = Arc::new(Device::new(Isa::best(), 2));
        let parameters = Parameters::initialise(&graph, &device, seed);
        IntegratedGradients::new(&graph, &parameters, device).expect("scores of rows")
    }

    #[test]
    fn of_a_linear_network_each_input_adds_its_weight_times_its_value() {
        let graph = nn::network("dense 2 softmax", &[3], None).expect("a network");
        let mut parameters = Parameters::zeros(&graph);
        parameters.get_mut("0.weight").expect("weights").copy_from_slice(&[1.0, -2.0, 3.0, 0.0, 0.5, 1.0]);
        let device = Arc::new(Device::new(Isa::best(), 1));
        let mut gradients = IntegratedGradients::new(&graph, &parameters, device).expect("scores of rows");
        let found = gradients.attribute(&[2.0, 1.0, -1.0], &[0.0, 2.0, 0.0], 0);
        assert_eq!(found.inputs, [2.0, 2.0, -3.0]);
        assert_eq!((found.score, found.baseline, found.error), (-3.0, -4.0, 0.0));
        assert_eq!(gradients.gradient(&[9.0, 9.0, 9.0], 1), [0.0, 0.5, 1.0]);
    }

    #[test]
    fn they_are_complete_within_the_error_that_they_state() {
        for (line, shape) in [
            ("dense 20 relu -> dropout 0.5 -> dense 20 tanh -> dense 3", &[6][..]),
            ("dense 9 gelu -> dense 1 sigmoid", &[4]),
            ("conv 4 3x3 same relu -> maxpool 2 -> batchnorm -> flatten -> dense 5", &[2, 6, 6]),
        ] {
            for seed in 0..3 {
                let mut gradients = of(line, shape, seed);
                let len = shape.iter().product();
                let row: Vec<f32> = (0..len).map(|i: usize| (i * 37 % 101) as f32 / 30.0 - 1.5).collect();
                let found = gradients.attribute(&row, &vec![0.0; len], 1);
                let sum: f64 = found.inputs.iter().sum();
                let expected = found.score - found.baseline;
                assert!((sum - expected - found.error).abs() < 1e-12, "{line}");
                assert!(found.error.abs() <= TOLERANCE * expected.abs(), "{line}: {found:?}");
                // An input that is as in the baseline adds nothing; the classes of a single score are opposites.
                let mut same = row.clone();
                same[0] = 0.0;
                assert_eq!(gradients.attribute(&same, &vec![0.0; len], 1).inputs[0], 0.0);
            }
        }
    }

    #[test]
    fn networks_without_scores_or_gradients_are_refused() {
        let device = Arc::new(Device::new(Isa::best(), 1));
        let refused = |line: &str, shape: &[usize]| {
            let graph = nn::network(line, shape, None).expect("a network");
            let parameters = Parameters::zeros(&graph);
            IntegratedGradients::new(&graph, &parameters, device.clone()).expect_err("refused").to_string()
        };
        assert!(refused("conv 2 3x3", &[1, 4, 4]).contains("[batch, classes]"));
        assert!(refused("embedding 7x3 -> flatten -> dense 2", &[4]).contains("no gradient"));
    }
}
