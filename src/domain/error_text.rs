//! An error as text.
//!
//! Owns how an error and its causes stand on one line.
//!
//! Not here: the errors, each in the module that finds it.

/// An error and its causes, on one line.
#[must_use]
pub fn with_causes(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| (*cause).source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
