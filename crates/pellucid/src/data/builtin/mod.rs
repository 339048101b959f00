//! The data sets that are part of the program, one file each: embedded or generated.

pub mod blobs;
pub mod circles;
pub mod digits;
pub mod iris;
pub mod moons;
pub mod sine;
pub mod spiral;
pub mod xor;
