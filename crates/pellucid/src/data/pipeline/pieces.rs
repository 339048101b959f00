//! A number as a ramp through pieces of its range, besides its standardised self: a network finds steps and bends in a
//! column much sooner, as trees do.
//!
//! With edges b₀ < b₁ < … < bₙ, input i is clamp((x - bᵢ) / (bᵢ₊₁ - bᵢ), 0, 1). (Gorishniy, Rubachev and Babenko, "On
//! embeddings for numerical features in tabular deep learning", NeurIPS 2022.)

/// Fewer rows than this do not say where to cut.
const LEAST_ROWS: usize = 2000;
/// More columns of numbers than this are pixels or measurements of one kind, of which pieces would make too much.
pub(super) const MOST_COLUMNS: usize = 64;
/// Pieces of about equal counts.
const PIECES: usize = 16;
/// With fewer edges than this, one value has most of the rows (no gain, no loss), and the others are cut by themselves.
const FEW: usize = 6;

/// The edges for ascending values: quantiles. None where the rows or the different values are too few.
pub(super) fn edges(sorted: &[f64]) -> Vec<f64> {
    if sorted.len() < LEAST_ROWS {
        return Vec::new();
    }
    let mut edges = quantiles(sorted);
    if edges.len() < FEW {
        let usual = sorted[sorted.len() / 2];
        let others: Vec<f64> = sorted.iter().copied().filter(|value| *value != usual).collect();
        edges = quantiles(&others);
        edges.extend([sorted[0], usual]);
        edges.sort_by(f64::total_cmp);
        edges.dedup();
    }
    // Two edges are the plain value once more.
    if edges.len() > 2 { edges } else { Vec::new() }
}

fn quantiles(sorted: &[f64]) -> Vec<f64> {
    let Some(last) = sorted.len().checked_sub(1) else { return Vec::new() };
    let mut edges: Vec<f64> = (0..=PIECES).map(|i| sorted[i * last / PIECES]).collect();
    edges.dedup();
    edges
}

/// Number of inputs for these edges.
pub(super) fn width(edges: &[f64]) -> usize {
    edges.len().saturating_sub(1)
}

/// Writes the inputs of `value`.
pub(super) fn encode(edges: &[f64], value: f64, out: &mut [f32]) {
    for (pair, out) in edges.windows(2).zip(out) {
        *out = ((value - pair[0]) / (pair[1] - pair[0])).clamp(0.0, 1.0) as f32;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edges_are_quantiles() {
        let sorted: Vec<f64> = (0..4000).map(f64::from).collect();
        let edges = edges(&sorted);
        assert_eq!((edges.len(), edges[0], edges[16]), (17, 0.0, 3999.0));
        assert!(edges.windows(2).all(|pair| (pair[1] - pair[0] - 250.0).abs() <= 1.0), "{edges:?}");
    }

    #[test]
    fn a_value_that_most_rows_have_leaves_the_pieces_to_the_others() {
        let sorted: Vec<f64> = (0..4000).map(|i| if i < 3600 { 0.0 } else { f64::from(i) }).collect();
        let edges = edges(&sorted);
        assert_eq!((edges.len(), edges[0], edges[1]), (18, 0.0, 3600.0));
        assert!(self::edges(&[1.0; 4000]).is_empty());
        let two: Vec<f64> = (0..4000).map(|i| f64::from(i / 2000)).collect();
        assert!(self::edges(&two).is_empty(), "a line through two values is the plain value");
        assert!(self::edges(&sorted[..1999]).is_empty());
    }

    #[test]
    fn pieces_before_the_value_are_full_and_those_behind_it_empty() {
        let mut out = [9.0; 3];
        for (value, expected) in
            [(-1.0, [0.0, 0.0, 0.0]), (0.5, [0.5, 0.0, 0.0]), (3.0, [1.0, 1.0, 0.0]), (9.0, [1.0; 3])]
        {
            encode(&[0.0, 1.0, 3.0, 4.0], value, &mut out);
            assert_eq!(out, expected, "{value}");
        }
    }
}
