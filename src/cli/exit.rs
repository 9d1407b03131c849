//! The exit codes, and the failures that lead to them. The numbers
//! follow the BSD sysexits convention.
//!
//! Owns the meaning of each code.
//!
//! Not here: which error leads to which failure (`backend.rs`,
//! `check.rs`, `client.rs`, `local_store.rs`).
//!
//! | code | meaning |
//! | --- | --- |
//! | 0 | done |
//! | 1 | done, and the answer is no: nothing matched, nothing was found |
//! | 64 | the command line or the configuration is wrong |
//! | 69 | the broker, the daemon or a file cannot be reached, or refuses access |
//! | 70 | a fault in roomcast, or damage on the disk |

use std::process::ExitCode;

use crate::domain::TopicName;

/// The exit code of a fault in roomcast, including a panic.
pub(super) const FAULT: u8 = 70;

/// Every end of a command except success.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// Done, and the answer is no.
    #[error("{0}")]
    No(String),
    /// The command line or the configuration is wrong.
    #[error("{0}")]
    Usage(String),
    /// A dependency cannot be reached, or refuses access.
    #[error("{0}")]
    Unavailable(String),
    /// A fault in roomcast or damage on the disk.
    #[error("{0}")]
    Internal(String),
}

impl Failure {
    /// A failure of the same kind with another message.
    #[must_use]
    pub(super) fn saying(self, message: String) -> Self {
        match self {
            Self::No(_) => Self::No(message),
            Self::Usage(_) => Self::Usage(message),
            Self::Unavailable(_) => Self::Unavailable(message),
            Self::Internal(_) => Self::Internal(message),
        }
    }

    /// A topic without subscriptions.
    #[must_use]
    pub(super) fn no_subscription(topic: &TopicName) -> Self {
        Self::No(format!("there is no subscription to {topic}"))
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
