//! The compute kernels of Pellucid.
