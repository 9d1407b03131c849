//! The mistakes of a configuration: the position, and what to do.
//!
//! Owns their text form: one mistake a line, each with its position.
//!
//! Not here: finding them (`reader.rs`, `cross_field.rs`).

use std::fmt;

/// The position of a mistake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SourceLocation {
    /// In the file, by line and column from 1.
    File {
        /// The file.
        name: String,
        /// The line.
        line: usize,
        /// The column, in characters.
        column: usize,
    },
    /// In an environment variable.
    Variable(String),
    /// In the configuration as a whole.
    Whole(String),
}

impl fmt::Display for SourceLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { name, line, column } => write!(f, "{name}:{line}:{column}"),
            Self::Variable(name) => write!(f, "environment variable {name}"),
            Self::Whole(name) => f.write_str(name),
        }
    }
}

/// One mistake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// The position.
    pub place: SourceLocation,
    /// The message. It never repeats a value that may be a credential.
    pub message: String,
}

/// All mistakes of a configuration, in the order of their positions.
#[derive(Debug, thiserror::Error)]
pub struct ConfigErrors(pub Vec<ConfigError>);

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let [ConfigError { place, message }] = self.0.as_slice() {
            return write!(f, "{place}: {message}");
        }
        write!(f, "the configuration has {} mistakes", self.0.len())?;
        self.0
            .iter()
            .try_for_each(|ConfigError { place, message }| write!(f, "\n  {place}: {message}"))
    }
}
