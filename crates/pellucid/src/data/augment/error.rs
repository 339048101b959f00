//! What is wrong with an augmentation.

use crate::suggest::nearest;

/// What is wrong with an augmentation as it is written, or for the data that it is for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AugmentError {
    /// No augmentation of that name.
    #[error("augmentation {place}, '{item}': there is no augmentation '{name}'; {}", hint(name, known))]
    UnknownName {
        /// Which one, from 1.
        place: usize,
        /// As it is written.
        item: String,
        /// Its name.
        name: String,
        /// All names.
        known: Vec<&'static str>,
    },
    /// A value that it cannot have.
    #[error("augmentation {place}, '{item}': write {usage}")]
    Value {
        /// Which one, from 1.
        place: usize,
        /// As it is written.
        item: String,
        /// How it is written.
        usage: &'static str,
    },
    /// One that is there twice.
    #[error("augmentation {place}, '{item}': {name} is there twice")]
    Repeated {
        /// Which one, from 1.
        place: usize,
        /// As it is written.
        item: String,
        /// Its name.
        name: &'static str,
    },
    /// Rows that are no pictures.
    #[error(
        "augmentation is for pictures: rows of [channels, height, width], sides of at most {} pixels; these have the shape \
         {shape:?}",
        super::LONGEST_SIDE
    )]
    Shape {
        /// The shape of a row.
        shape: Vec<usize>,
    },
    /// A length that the pictures do not have.
    #[error("{name} {length}: pictures of {width} × {height} pixels are too small for that; the most is {most}")]
    Length {
        /// The augmentation.
        name: &'static str,
        /// Pixels that were asked for.
        length: usize,
        /// Width of the pictures.
        width: usize,
        /// Their height.
        height: usize,
        /// Pixels at most.
        most: usize,
    },
}

fn hint(name: &str, known: &[&'static str]) -> String {
    match nearest(name, known.iter().copied()) {
        Some(near) => format!("did you mean '{near}'?"),
        None => format!("there are {}", known.join(", ")),
    }
}
