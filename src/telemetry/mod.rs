//! Telemetry: metrics, logs and traces, and the records of the history.
//!
//! Owns the rule that one struct per occurrence writes all of them, so that they agree. Labels come
//! from closed sets. A robot, topic or address is never a label: it would be unbounded or reveal
//! too much.
//!
//! `docs/EVENTS.md` is the list for operators; a test compares it with the code.
//!
//! Not here: the admin API's overview, which reads the counters (`admin/overview.rs`).

mod collector;
mod counts;
mod dead;
pub mod events;
mod labels;
mod log_limit;
mod logs;
mod recording;
mod registry;
mod span_name;
mod spans;
mod traces;

pub use crate::domain::with_causes;
pub use counts::{CounterSnapshot, PlatformCounts};
pub use logs::{LogError, LogFormat, LogHandle, LogSettings, install_logs};
pub use registry::Telemetry;
pub use traces::{TraceError, TraceSettings};
