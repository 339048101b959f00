//! Eigenvectors of a symmetric matrix.

/// One direction that a matrix stretches.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Direction {
    /// By how much.
    pub value: f64,
    /// Where to, of length 1.
    pub vector: Vec<f64>,
}

/// More than any matrix takes: what is off the diagonal falls with its square in each sweep.
const SWEEPS: usize = 60;

/// The eigenvectors of the symmetric matrix `a` [n, n], the largest eigenvalue first.
///
/// Jacobi's method: rotations, each of which makes one value beside the diagonal 0, through all places in turn, until nothing is
/// left that could change a value on it (Golub and Van Loan, "Matrix computations", 2013, section 8.5). Square roots and the four
/// operations in a fixed order give the same bits on every machine.
pub(super) fn eigen(mut a: Vec<f64>, n: usize) -> Vec<Direction> {
    // Row i becomes eigenvector i.
    let mut vectors = vec![0.0; n * n];
    (0..n).for_each(|i| vectors[i * n + i] = 1.0);
    for _ in 0..SWEEPS {
        let mut rotated = false;
        for p in 0..n {
            for q in p + 1..n {
                let (off, least) = (a[p * n + q].abs(), a[p * n + p].abs().min(a[q * n + q].abs()));
                if off <= f64::EPSILON * least || off < f64::MIN_POSITIVE {
                    continue;
                }
                rotated = true;
                // tan of the angle, the smaller root of t² + 2 θ t - 1 = 0.
                let theta = (a[q * n + q] - a[p * n + p]) / (2.0 * a[p * n + q]);
                let tan = theta.signum() / (theta.abs() + (theta * theta + 1.0).sqrt());
                let cos = 1.0 / (tan * tan + 1.0).sqrt();
                let sin = tan * cos;
                let rotate = |x: f64, y: f64| (cos * x - sin * y, sin * x + cos * y);
                for k in 0..n {
                    (a[k * n + p], a[k * n + q]) = rotate(a[k * n + p], a[k * n + q]);
                }
                for k in 0..n {
                    (a[p * n + k], a[q * n + k]) = rotate(a[p * n + k], a[q * n + k]);
                    (vectors[p * n + k], vectors[q * n + k]) = rotate(vectors[p * n + k], vectors[q * n + k]);
                }
                (a[p * n + q], a[q * n + p]) = (0.0, 0.0);
            }
        }
        if !rotated {
            break;
        }
    }
    let mut directions: Vec<Direction> =
        (0..n).map(|i| Direction { value: a[i * n + i], vector: vectors[i * n..(i + 1) * n].to_vec() }).collect();
    directions.sort_by(|a, b| b.value.total_cmp(&a.value));
    directions
}

#[cfg(test)]
mod tests {
    use super::*;

    fn symmetric(n: usize, value: impl Fn(usize, usize) -> f64) -> Vec<f64> {
        (0..n * n).map(|at| value((at / n).min(at % n), (at / n).max(at % n))).collect()
    }

    fn product(a: &[f64], b: &[f64]) -> f64 {
        a.iter().zip(b).map(|(a, b)| a * b).sum()
    }

    #[test]
    fn a_matrix_by_hand() {
        let found = eigen(vec![2.0, 1.0, 1.0, 2.0], 2);
        let half = 0.5f64.sqrt();
        assert!((found[0].value - 3.0).abs() < 1e-15 && (found[1].value - 1.0).abs() < 1e-15, "{found:?}");
        assert!((found[0].vector[0].abs() - half).abs() < 1e-15 && found[0].vector[0] * found[0].vector[1] > 0.0);
        assert!(found[1].vector[0] * found[1].vector[1] < 0.0);
    }

    #[test]
    fn a_diagonal_is_sorted_and_nothing_is_left_to_do_for_no_values() {
        let found = eigen(symmetric(3, |i, j| if i == j { [1.0, 5.0, -2.0][i] } else { 0.0 }), 3);
        assert_eq!(found.iter().map(|direction| direction.value).collect::<Vec<_>>(), [5.0, 1.0, -2.0]);
        assert_eq!(found[0].vector, [0.0, 1.0, 0.0]);
        assert_eq!(eigen(Vec::new(), 0), []);
        assert!(eigen(vec![0.0; 9], 3).iter().all(|direction| direction.value == 0.0));
    }

    #[test]
    fn vectors_are_at_right_angles_and_the_matrix_only_stretches_them() {
        for (n, scale) in [(2, 1.0), (7, 1e-9), (12, 1.0), (30, 1e6)] {
            // Alike neighbours, and a dependent row: eigenvalues of very different sizes, one of them 0.
            let matrix =
                symmetric(n, |i, j| scale * libm::exp(-((j - i) as f64) / 4.0) * if j == n - 1 { 0.0 } else { 1.0 });
            let found = eigen(matrix.clone(), n);
            let trace: f64 = (0..n).map(|i| matrix[i * n + i]).sum();
            assert!((found.iter().map(|direction| direction.value).sum::<f64>() - trace).abs() < 1e-13 * trace);
            for (i, direction) in found.iter().enumerate() {
                for other in &found[..i] {
                    assert!(product(&direction.vector, &other.vector).abs() < 1e-13);
                    assert!(other.value >= direction.value);
                }
                assert!((product(&direction.vector, &direction.vector) - 1.0).abs() < 1e-13);
                for (row, along) in matrix.chunks_exact(n).zip(&direction.vector) {
                    let error = product(row, &direction.vector) - direction.value * along;
                    assert!(error.abs() < 1e-13 * trace, "{n}: {error}");
                }
            }
        }
    }
}
