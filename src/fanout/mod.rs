//! From a message to deliveries: decode the event, find who subscribed to its topic.
//!
//! Owns the reading of events and the shape in which subscriptions are looked up. Where subscriptions are kept is
//! not known here: the store implements [`Subscriptions`].

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
