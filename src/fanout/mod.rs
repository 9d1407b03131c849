//! From a message to deliveries: decode the event, find who subscribed to its topic.
//!
//! Owns the reading of events and the shape in which subscriptions are looked up. Where subscriptions are kept is
//! not known here: the store implements [`Subscriptions`].

mod subscriptions;

pub use subscriptions::{Page, Recipient, Subscriptions, Unreadable};
