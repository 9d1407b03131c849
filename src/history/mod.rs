//! The history of deliveries: what happened to each event, for operators who look back.
//!
//! Owns what a record is, how records are collected beside the path of a delivery, and what a
//! history must promise (`port.rs`). Losing records of the history never costs a delivery.
//!
//! Not here: which occurrence leaves which record (`telemetry/recording.rs`), the task that writes
//! (`app/history_writer.rs`), and the implementation on files (`store/history.rs`).

mod buffer;
mod outcome;
mod port;
mod query;
mod record;
mod settings;
mod step_merger;

pub use buffer::HistoryBuffer;
pub use outcome::{HistoryOutcome, UnknownOutcome};
pub use port::{DeliveryHistory, HistoryUnavailable};
pub use query::{HistoryCursor, HistoryPage, HistoryQuery, InvalidHistoryCursor};
pub use record::{
    AttemptRecord, Coalesced, DeliveryStep, HistoryRecord, HoldChange, HoldRecord, LetterAction,
    LetterRecord, Name, Occurrence, RecordText, StepEnd,
};
pub use settings::HistorySettings;
pub use step_merger::StepMerger;
