//! Drawing the next token.

use crate::tensor::Purpose;

/// How the next token is drawn from the probabilities of all.
///
/// The logits are divided by the temperature; of the `top_k` likeliest tokens, the fewest that together have a probability of
/// `top_p` stay (nucleus sampling: Holtzman and others, "The curious case of neural text degeneration", ICLR 2020), and one of
/// them is drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sampler {
    /// 0 or more: below 1 the likely tokens become likelier; 0 always takes the likeliest. 1 by default.
    pub temperature: f64,
    /// So many of the likeliest tokens stay; all by default.
    pub top_k: Option<usize>,
    /// Probability that the tokens which stay have together, above 0 to 1 (all of them), the default.
    pub top_p: f64,
    /// With the position, what decides.
    pub seed: u64,
}

impl Default for Sampler {
    fn default() -> Sampler {
        Sampler { temperature: 1.0, top_k: None, top_p: 1.0, seed: 0 }
    }
}

/// A setting of a sampler that is out of its range.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum SamplerError {
    /// Temperature.
    #[error("the temperature is a number from 0 on, got {0}")]
    Temperature(f64),
    /// Number of tokens.
    #[error("top-k is a whole number from 1 on, got 0")]
    TopK,
    /// Probability.
    #[error("top-p is a number above 0 and at most 1, got {0}")]
    TopP(f64),
}

impl Sampler {
    /// Are all settings in their ranges?
    ///
    /// # Errors
    /// The first that is not.
    pub fn check(&self) -> Result<(), SamplerError> {
        if !(self.temperature.is_finite() && self.temperature >= 0.0) {
            return Err(SamplerError::Temperature(self.temperature));
        }
        if self.top_k == Some(0) {
            return Err(SamplerError::TopK);
        }
        if !(self.top_p > 0.0 && self.top_p <= 1.0) {
            return Err(SamplerError::TopP(self.top_p));
        }
        Ok(())
    }

    /// The token at `position` for these logits (one or more, none of them NaN): a function of them, the settings and the
    /// position. Of equally likely tokens the lower number comes first.
    pub fn draw(&self, logits: &[f32], position: u64) -> u32 {
        let mut order: Vec<u32> = (0..logits.len() as u32).collect();
        let logit = |token: u32| f64::from(logits[token as usize]);
        // Stable.
        order.sort_by(|a, b| logit(*b).total_cmp(&logit(*a)));
        if self.temperature == 0.0 {
            return order[0];
        }
        order.truncate(self.top_k.unwrap_or(order.len()));
        let best = logit(order[0]);
        let mut shares: Vec<f64> =
            order.iter().map(|token| libm::exp((logit(*token) - best) / self.temperature)).collect();
        let total: f64 = shares.iter().sum();
        let mut sum = 0.0;
        let enough = shares.iter().position(|share| {
            sum += share;
            sum >= self.top_p * total
        });
        shares.truncate(enough.map_or(shares.len(), |last| last + 1));
        let kept: f64 = shares.iter().sum();
        let mut left = f64::from(Purpose::Sample.stream(self.seed).at(position).unit_at(0)) * kept;
        for (token, share) in order.iter().zip(&shares) {
            left -= share;
            if left < 0.0 {
                return *token;
            }
        }
        order[shares.len() - 1]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Probabilities 1/2, 1/4, 1/8, 1/8 of the tokens 2, 0, 1, 3.
    fn logits() -> [f32; 4] {
        [0.25, 0.125, 0.5, 0.125].map(|share: f64| libm::log(share) as f32)
    }

    fn counts(sampler: Sampler) -> [usize; 4] {
        let mut counts = [0; 4];
        (0..8000).for_each(|position| counts[sampler.draw(&logits(), position) as usize] += 1);
        counts
    }

    #[test]
    fn tokens_are_drawn_as_often_as_they_are_probable() {
        let near = |got: usize, share: f64| {
            // Five standard deviations of a binomial count.
            let bound = 5.0 * (8000.0 * share * (1.0 - share)).sqrt();
            assert!((got as f64 - 8000.0 * share).abs() <= bound, "{got} for {share}");
        };
        let plain = Sampler { seed: 3, ..Sampler::default() };
        counts(plain).into_iter().zip([0.25, 0.125, 0.5, 0.125]).for_each(|(got, share)| near(got, share));
        // At half the temperature probabilities are squared: 16, 4, 1, 1 of 22.
        let cool = Sampler { temperature: 0.5, ..plain };
        counts(cool).into_iter().zip([4.0, 1.0, 16.0, 1.0]).for_each(|(got, share)| near(got, share / 22.0));
        let two = Sampler { top_k: Some(2), ..plain };
        let [first, never, second, neither] = counts(two);
        assert_eq!((never, neither), (0, 0));
        near(second, 2.0 / 3.0);
        assert_eq!(first + second, 8000);
        let nucleus = counts(Sampler { top_p: 0.8, ..plain });
        assert!(nucleus[1] > 0 && nucleus[3] == 0, "the fewest that have 0.8: {nucleus:?}");
        assert_eq!(counts(Sampler { temperature: 0.0, ..plain }), [0, 0, 8000, 0]);
        assert_eq!(counts(plain), counts(plain));
        assert_ne!(counts(plain), counts(Sampler { seed: 4, ..plain }));
    }

    #[test]
    fn settings_out_of_their_ranges_are_refused() {
        let usual = Sampler::default();
        assert_eq!(usual.check(), Ok(()));
        assert_eq!(Sampler { temperature: -1.0, ..usual }.check(), Err(SamplerError::Temperature(-1.0)));
        assert_eq!(Sampler { top_k: Some(0), ..usual }.check(), Err(SamplerError::TopK));
        assert_eq!(Sampler { top_p: 1.5, ..usual }.check(), Err(SamplerError::TopP(1.5)));
        assert!(matches!(Sampler { top_p: f64::NAN, ..usual }.check(), Err(SamplerError::TopP(_))));
    }
}
