//! What ends the program early: one message for people, and the exit code.

use std::fmt::Display;

use pellucid::nn::NetworkError;
use pellucid::nn::notation::NotationError;

/// Exit code of a run that the user interrupted (128 + SIGINT).
pub const INTERRUPTED: u8 = 130;

/// Why a command could not do what was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    message: String,
    code: u8,
}

/// What a command gives.
pub type Outcome<T> = Result<T, Failure>;

impl Failure {
    /// A failure with a message in lower case that says what is wrong, where, and what to do.
    pub fn new(message: impl Display) -> Failure {
        Failure { message: message.to_string(), code: 1 }
    }

    /// The user interrupted the run.
    pub fn interrupted(message: impl Display) -> Failure {
        Failure { message: message.to_string(), code: INTERRUPTED }
    }

    /// A mistake in the notation of a network, with its place marked under the line.
    pub fn notation(error: &NotationError) -> Failure {
        let shown = error.render();
        Failure::new(shown.strip_prefix("error: ").unwrap_or(&shown))
    }

    /// A network that cannot be built: a mistake in its notation, or a shape of rows that it does not take.
    pub fn network(error: &NetworkError) -> Failure {
        match error {
            NetworkError::Notation(error) => Failure::notation(error),
            NetworkError::Input(_) => Failure::new(error),
        }
    }

    /// The message with the word that says what kind it is.
    pub fn shown(&self) -> String {
        if self.code == INTERRUPTED { self.message.clone() } else { format!("error: {}", self.message) }
    }

    /// The message alone.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Exit code of the program.
    pub fn code(&self) -> u8 {
        self.code
    }
}

impl<E: std::error::Error> From<E> for Failure {
    fn from(error: E) -> Failure {
        Failure::new(error)
    }
}
