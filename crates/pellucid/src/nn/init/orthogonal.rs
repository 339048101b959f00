//! Orthogonal matrices: the Q of the QR decomposition of a matrix of normal numbers.

/// Overwrites `values`, normal numbers of sizes [first, others…], with a matrix of orthogonal rows (columns, if the matrix
/// is higher than wide) of length `gain`.
///
/// Gram-Schmidt in f64. A diagonal of R that is positive, as here, makes all orthogonal matrices equally likely (Mezzadri,
/// "How to generate random matrices from the classical compact groups", 2007). Each vector is freed of the ones before it
/// twice, which leaves no more than rounding (Giraud, Langou and Rozložník, 2005).
pub(super) fn orthogonalise(dims: &[usize], gain: f32, values: &mut [f32]) {
    let high = dims.first().copied().unwrap_or(1);
    let wide = values.len().checked_div(high).unwrap_or(0);
    // Vector i, coordinate j: row i of a wide matrix, column i of a high one.
    let (count, length) = (high.min(wide), high.max(wide));
    let at = |i: usize, j: usize| if high <= wide { i * wide + j } else { j * wide + i };
    let mut vectors: Vec<f64> = Vec::with_capacity(count * length);
    for i in 0..count {
        vectors.extend((0..length).map(|j| f64::from(values[at(i, j)])));
    }
    for i in 0..count {
        let (before, rest) = vectors.split_at_mut(i * length);
        let vector = &mut rest[..length];
        for _ in 0..2 {
            for other in before.chunks_exact(length) {
                let along = dot(vector, other);
                vector.iter_mut().zip(other).for_each(|(x, y)| *x -= along * y);
            }
        }
        let norm = dot(vector, vector).sqrt();
        // Normal numbers are never that dependent; a division by zero would spread NaN.
        if norm > 0.0 {
            vector.iter_mut().for_each(|x| *x /= norm);
        }
    }
    for i in 0..count {
        for j in 0..length {
            values[at(i, j)] = (f64::from(gain) * vectors[i * length + j]) as f32;
        }
    }
}

/// Σ x·y in eight sums, so that it becomes vector code, in an order that is fixed.
fn dot(x: &[f64], y: &[f64]) -> f64 {
    const SUMS: usize = 8;
    let mut sums = [0.0; SUMS];
    let (x, x_rest) = x.as_chunks::<SUMS>();
    let (y, y_rest) = y.as_chunks::<SUMS>();
    for (x, y) in x.iter().zip(y) {
        for lane in 0..SUMS {
            sums[lane] += x[lane] * y[lane];
        }
    }
    let rest: f64 = x_rest.iter().zip(y_rest).map(|(x, y)| x * y).sum();
    sums.iter().sum::<f64>() + rest
}
