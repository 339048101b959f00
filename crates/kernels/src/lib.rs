//! The compute kernels of Pellucid: slices in, slices out.
//!
//! No shapes, no errors, no networks, and no allocation in a kernel: lengths are asserted once at the safe entry,
//! scratch memory is handed in. The only crate with `unsafe`.

pub mod arena;
pub mod attention;
pub mod binary;
pub mod buffer;
pub mod conv;
pub mod device;
pub mod embedding;
pub mod epilogue;
pub mod gather;
pub mod gemm;
pub mod math;
pub mod normalise;
pub mod pairwise;
pub mod pool;
pub mod pooling;
pub mod positions;
pub mod random;
pub mod recurrent;
pub mod reduce;
pub mod resample;
pub mod simd;
pub mod softmax;
#[cfg(test)]
mod testing;
pub mod unary;
pub mod update;
