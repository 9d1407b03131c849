//! The vocabulary of roomcast: pure types without input, output, async or serialisation.
//!
//! Owns the words that all other modules share; each is defined once. `docs/ARCHITECTURE.md`
//! explains them.
//!
//! Not here: the forms of these types on the wire (`broker/`, `admin/wire/`) and on disk
//! (`store/`).

mod attribute;
mod dead;
mod delivery;
mod event;
mod fault;
mod filter;
mod header;
mod id;
mod moment;
mod platform;
mod printable;
mod published;
mod queue;
mod quiet;
mod receipt;
mod robot;
mod secret;
mod settlement;
mod span;
mod subscription;
mod template;
mod topic;
mod verdict;

pub use attribute::{Attribute, Attributes};
pub use dead::{DeadCount, DeadSeen};
pub use delivery::{Delivery, Part};
pub use event::{Content, Entry, Event, EventId, Format, Mentions, Passage, Piece};
pub use fault::words_of_panic;
pub use filter::{Absent, Comparison, Number, Policy, Rule, Test, Unwanted};
pub use header::{HEADERS_BYTES_MAX, HeaderValue, Headers, bytes_of};
pub use id::UnreadableLetterId;
pub use moment::Moment;
pub use platform::{Platform, UnknownPlatform};
pub use printable::{Unprintable, check_printable, is_unprintable};
pub use published::{DAMAGED, NOT_BEFORE, Published};
pub use queue::QueueSeen;
pub use quiet::{QuietHours, UnreadableQuietHours};
pub use receipt::{DeliveryReceipt, Ending, RECEIPT, Receipts, UnreadableReceipt, receipt_asked};
pub use robot::{RobotId, UnreadableRobotId};
pub use secret::{Endpoint, Secret};
pub use settlement::{DeadReason, Settlement, UnknownReason};
pub use span::duration;
pub use subscription::{
    GroupName, Options, Overflow, Subscription, SubscriptionId, SubscriptionState, TooLong, UnknownOverflow,
    UnknownState, UnknownTooLong, UnreadableGroup, UnreadableId,
};
pub use template::{Audience, Engine, Template, TemplateName, UnknownAudience, UnknownEngine, UnreadableName};
pub use topic::{TopicMistake, TopicName};
pub use verdict::{Answer, Verdict};
