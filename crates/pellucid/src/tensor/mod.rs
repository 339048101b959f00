//! Shapes, host arrays and counter-based random numbers.
