//! From a message to its recipients: decode the event, find the subscriptions of its topic.
//!
//! Owns the formats of events and filters, and the trait [`Subscriptions`] through which recipients
//! are found.
//!
//! Not here: the storage of subscriptions (`store/`), and the start of deliveries
//! (`pipeline/expansion.rs`).

mod attributes;
mod cloudevent;
mod decode;
mod lifetime;
mod not_before;
mod policy;
mod structure;
mod subscriptions;
mod templates;
mod undecodable;
mod wire;

pub use cloudevent::named;
pub use decode::{Decoder, Known, Settings, is_urgent};
pub use policy::{PolicyMistake, read_policy, write_policy};
pub use subscriptions::{Opened, Page, Recipient, Subscriptions, Unreadable};
pub use templates::{BadTag, NAMES_MAX, Shelf, Tags, TemplateRefused, Templates, UnreadableTemplate, Unwritten};
pub use undecodable::Undecodable;
