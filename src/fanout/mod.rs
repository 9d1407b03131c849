//! From a message to its recipients: decode the event, find the subscriptions of its topic.
//!
//! Owns the formats of events and filters, and the trait [`Subscriptions`] through which recipients
//! are found.
//!
//! Not here: the storage of subscriptions (`store/`), and the start of deliveries
//! (`pipeline/expansion.rs`).

mod attributes;
mod body;
mod cloudevent;
mod decode;
mod fields;
mod json;
mod lifetime;
mod not_before;
mod policy;
mod structure;
mod subscriptions;
mod templates;
mod topic_activity;
mod undecodable;
mod unpack;
mod wire;

pub use body::shown_text;
pub use decode::{DecodeContext, Decoder, DecoderSettings, is_urgent};
pub use policy::{InvalidPolicy, read_policy, write_policy};
pub use subscriptions::{
    FeedPage, FeedPosition, OpenedRecipient, Recipient, RecipientPage, SealedSubscription,
    SubscriptionFeed, Subscriptions, SubscriptionsUnavailable,
};
pub use templates::{
    InvalidTag, InvalidTemplate, NAMES_MAX, RenderError, RenderedText, Tags, TemplateError,
    TemplateRegistry, Templates,
};
pub use topic_activity::{
    SeenTopic, TopicActivity, TopicEvent, TopicSettings, UnsubscribedTopic, WithoutSubscription,
};
pub use undecodable::{Undecodable, headers_within};
