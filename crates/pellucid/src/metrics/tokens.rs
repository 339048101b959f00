//! The next token of a text.

use super::Scores;

/// Sums over tokens that were predicted: how probable they were held, and whether they were held the most probable.
///
/// Scores, of tokens x with the probabilities p that were given to them: `perplexity`, exp of the mean of -log p: among how many
/// tokens the choice is; `bits_per_character`, the sum of -log₂ p divided by the number of characters that the tokens stand
/// for, which compares models with different tokens; `accuracy`. (Jurafsky and Martin, *Speech and Language Processing*,
/// chapter 3.)
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TokenMetrics {
    tokens: u64,
    characters: u64,
    correct: u64,
    /// Σ -log p, in nats.
    nats: f64,
}

impl TokenMetrics {
    /// Counts a token that stands for so many `characters`, was given the logarithm of a probability `log_probability`, and
    /// was or was not the most probable.
    pub fn update(&mut self, characters: u32, log_probability: f64, correct: bool) {
        self.tokens += 1;
        self.characters += u64::from(characters);
        self.correct += u64::from(correct);
        self.nats -= log_probability;
    }

    /// Tokens so far.
    pub fn tokens(&self) -> u64 {
        self.tokens
    }

    /// The scores of all tokens so far; NaN without any.
    pub fn scores(&self) -> Scores {
        let mut scores = Scores::new();
        scores.set("perplexity", libm::exp(self.nats / self.tokens as f64));
        scores.set("bits_per_character", self.nats / std::f64::consts::LN_2 / self.characters as f64);
        scores.set("accuracy", self.correct as f64 / self.tokens as f64);
        scores
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_even_choice_among_eight_has_a_perplexity_of_eight() {
        let mut metrics = TokenMetrics::default();
        for token in 0..6 {
            metrics.update(2, libm::log(0.125), token < 3);
        }
        let scores = metrics.scores();
        let near = |name: &str, value: f64| {
            let got = scores.get(name).expect("a score");
            assert!((got - value).abs() < 1e-12, "{name}: {got}");
        };
        near("perplexity", 8.0);
        // Three bits a token, two characters a token.
        near("bits_per_character", 1.5);
        near("accuracy", 0.5);
        assert_eq!(metrics.tokens(), 6);
        assert!(TokenMetrics::default().scores().iter().all(|(_, value)| value.is_nan()));
    }
}
