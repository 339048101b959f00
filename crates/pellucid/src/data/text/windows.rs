//! Windows of a text, with what follows each of their tokens.

use super::TextError;
use crate::data::{Dataset, Features};
use crate::tensor::MAX_ELEMENTS;

/// Consecutive windows of `length` tokens as rows; the targets of a row are the tokens that follow each of its own. What is left
/// at the end, less than a window, is left out.
///
/// # Errors
/// A text without a single window, or of more tokens than can be counted.
pub fn token_windows(tokens: &[u32], length: usize) -> Result<Dataset, TextError> {
    let rows = tokens.len().saturating_sub(1) / length.max(1);
    if rows == 0 {
        return Err(TextError::TooShort { tokens: tokens.len(), window: length });
    }
    if tokens.len() > MAX_ELEMENTS {
        return Err(TextError::TooLong { tokens: tokens.len() });
    }
    let values = |from: usize| tokens[from..from + rows * length].iter().map(|&token| token as f32).collect();
    Ok(Dataset::new(vec![length], Features::F32(values(0)), values(1), length, None).expect("lengths agree"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_token_has_the_next_one_as_its_target() {
        let data = token_windows(&[5, 6, 7, 8, 9, 3], 2).expect("two windows");
        assert_eq!(data.features, Features::F32(vec![5.0, 6.0, 7.0, 8.0]));
        assert_eq!((data.targets, data.target_width), (vec![6.0, 7.0, 8.0, 9.0], 2));
        let error = token_windows(&[1, 2, 3], 3).expect_err("too short").to_string();
        assert!(error.contains("has 3 tokens, a window of 3 needs 4"), "{error}");
    }
}
