//! The broker: sessions, topology, incoming and outgoing messages. The only module that names
//! lapin.
//!
//! Owns the format of a message on the wire, and the rule that a next step counts as stored only
//! after the broker's confirm.
//!
//! Not here: what happens to a message (`pipeline.rs`), the order store → record → ack (`settle/`).

mod acks;
mod batches;
mod check;
mod connection;
mod consumed;
mod dead_act;
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
mod intake;
mod message;
mod outbox;
mod outcome;
mod patience;
mod properties;
mod publish;
mod publisher;
mod session;
mod topology;

pub use check::check;
pub use connection::Address;
pub use dead_act::{Act, Acting};
pub use dead_count::DeadCounter;
pub use dead_filter::{DeadQueue, Filter, UnknownDeadQueue};
pub use dead_letter::DeadLetter;
pub use dead_queue::{DeadQueues, Looked};
pub use dead_selection::Selection;
pub use declare::Declare;
pub use depths::QueueGauge;
pub use error::BrokerError;
pub use frame_guard::{Bodies, BrokenFrame, FrameFilter};
pub use intake::Intake;
pub use message::{Carried, Message, Travelling};
pub use outbox::BrokerOutbox;
pub use publish::{Outgoing, publish};
pub use session::{Connections, Ended, Session, Settings};
pub use topology::{Argument, BindingPlan, ExchangePlan, QueuePlan, Settings as TopologySettings, Topology};
