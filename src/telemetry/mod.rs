//! What operators see: metrics, logs and traces. Each thing that happens is one struct whose `emit` writes all of them, so that they cannot drift apart.
//!
//! Labels come from closed sets only: never a robot, topic or address, which would grow without bound or tell too much. The list for
//! operators is `docs/EVENTS.md`; a test holds the two together.

mod collector;
mod counts;
mod dead;
pub mod events;
mod labels;
mod lines;
mod logs;
mod registry;
mod spans;
mod traces;

pub use counts::{Counts, PlatformCounts};
pub use logs::{LogError, LogFormat, LogHandle, install_logs};
pub use registry::Telemetry;
pub use traces::{TraceError, TraceSettings};

/// An error and its causes in one line.
#[must_use]
pub fn with_causes(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| (*cause).source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
