//! The broker: sessions, topology, incoming and outgoing messages. The only module that names
//! lapin.
//!
//! Owns the format of a message on the wire, and the rule that a next step counts as stored only
//! after the broker's confirm.
//!
//! Not here: what happens to a message (`pipeline.rs`), the order store → record → ack (`settle/`).

mod ack_coalescer;
mod action_limits;
mod batches;
mod blocked;
mod check;
mod confirm_deadline;
mod connection;
mod consumer_channel;
mod dead_count;
mod dead_filter;
mod dead_letter;
mod dead_letter_action;
mod dead_queue;
mod dead_queue_name;
mod dead_queue_scan;
mod dead_selection;
mod declare;
mod envelope;
mod error;
mod frame_guard;
mod message;
mod message_stream;
mod outcome;
mod properties;
mod publish;
mod publisher;
mod queue_lengths;
mod session;
mod session_end;
mod settings;
mod step_publisher;
mod topology;

pub use check::check;
pub use connection::Address;
pub use dead_count::DeadCounter;
pub use dead_filter::DeadLetterFilter;
pub use dead_letter::DeadLetter;
pub use dead_letter_action::{ActionOptions, DeadLetterAction};
pub use dead_queue::{DeadQueues, ScanReport};
pub use dead_queue_name::{DeadQueue, UnknownDeadQueue};
pub use dead_selection::DeadLetterSelection;
pub use declare::Declare;
pub use error::BrokerError;
pub use frame_guard::{BodyBudget, BrokenFrame, FrameFilter};
pub use message::{Message, Payload, StoredDelivery};
pub use message_stream::MessageStream;
pub use publish::{OutgoingEvent, publish};
pub use queue_lengths::QueueLengths;
pub use session::{BrokerSession, Connections};
pub use session_end::SessionEnd;
pub use settings::{BrokerSettings, DelaySettings, OutcomeSettings, SessionSettings};
pub use step_publisher::BrokerStepPublisher;
pub use topology::{Argument, BindingPlan, ExchangePlan, QueuePlan, Topology, TopologySettings};
