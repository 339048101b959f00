//! What a kernel may do to values it has just computed, while they are still in the cache.

use crate::simd::Isa;

/// A function of each value alone, applied in place: an activation behind a matrix product, a fused chain.
///
/// Object-safe, so that kernels take it as `Option<&dyn InPlace>`; the cost is one dispatch a call, hence a caller hands
/// over a row or a block, not a value.
pub trait InPlace: Send + Sync {
    /// Replaces every value by the function of it. The bits depend neither on `isa` nor on how values are split into
    /// calls.
    fn apply(&self, isa: Isa, values: &mut [f32]);
}
