//! Exit codes and what a user can cause. The numbers follow the BSD sysexits convention.
//!
//! | code | meaning |
//! | --- | --- |
//! | 0 | done |
//! | 1 | done, and the answer is no: nothing matched, nothing was found |
//! | 64 | the command line or the configuration is wrong |
//! | 69 | the broker, the daemon or a file cannot be reached or does not let us in |
//! | 70 | a fault in roomcast or damage on the disk |

use std::process::ExitCode;

/// The exit code of a fault in roomcast, a panic among them.
pub(super) const FAULT: u8 = 70;

/// Everything a command can end with besides success, by its exit code.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// Done, and the answer is no.
    #[error("{0}")]
    No(String),
    /// The command line or the configuration is wrong.
    #[error("{0}")]
    Usage(String),
    /// Something outside cannot be reached or does not let us in.
    #[error("{0}")]
    Unavailable(String),
    /// A fault in roomcast or damage on the disk.
    #[error("{0}")]
    Internal(String),
}

impl Failure {
    /// A failure of the same kind in other words.
    #[must_use]
    pub(super) fn saying(self, message: String) -> Self {
        match self {
            Self::No(_) => Self::No(message),
            Self::Usage(_) => Self::Usage(message),
            Self::Unavailable(_) => Self::Unavailable(message),
            Self::Internal(_) => Self::Internal(message),
        }
    }

    /// The exit code.
    #[must_use]
    pub(super) fn code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::No(_) => 1,
            Self::Usage(_) => 64,
            Self::Unavailable(_) => 69,
            Self::Internal(_) => FAULT,
        })
    }
}
