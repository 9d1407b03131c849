//! The broker: sessions, topology, messages in and out. The only room that names lapin.
//!
//! Owns what a message looks like on the wire, and that a next step counts as stored only when the broker says so. What is done
//! about a message is decided elsewhere.

mod acks;
mod batches;
mod check;
mod connection;
mod consumed;
mod dead_count;
mod dead_filter;
mod dead_letter;
mod dead_queue;
mod dead_selection;
mod dead_walk;
mod declare;
mod depths;
mod envelope;
mod error;
mod frame_guard;
mod message;
mod outcome;
mod patience;
mod properties;
mod publish;
mod publisher;
mod session;
mod topology;

pub use check::check;
pub use connection::Address;
pub use dead_count::DeadCounter;
pub use dead_filter::{DeadQueue, Filter, UnknownDeadQueue};
pub use dead_letter::DeadLetter;
pub use dead_queue::{Act, Acting, DeadQueues, Looked};
pub use dead_selection::Selection;
pub use declare::Declare;
pub use depths::QueueGauge;
pub use error::BrokerError;
pub use frame_guard::{Bodies, BrokenFrame, FrameFilter};
pub use message::{Carried, Message, Travelling};
pub use publish::{Outgoing, publish};
pub use session::{BrokerOutbox, Connections, Ended, Intake, Session, Settings};
pub use topology::{Argument, BindingPlan, ExchangePlan, QueuePlan, Settings as TopologySettings, Topology};
