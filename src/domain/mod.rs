//! The vocabulary of roomcast: pure types without input, output or async.
//!
//! Owns the words that all other modules share; each is defined once. `docs/ARCHITECTURE.md`
//! explains them.
//!
//! Ids, options and the three shapes of a subscription are read and written as JSON.
//!
//! Not here: the forms of these types in messages (`broker/`) and on disk (`store/`), and the other
//! shapes of the API (`admin/wire/`).

mod attribute;
mod blank;
mod closed_set;
mod credential;
mod dead_queue_stats;
mod dead_reason;
mod delivery;
mod due_time;
mod duration;
mod error_text;
mod event;
mod filter;
mod header;
mod header_fit;
mod hex_id;
mod hold_cause;
mod id;
mod language;
mod letter_id;
mod listing;
mod message_feature;
mod named_fields;
mod nearest_name;
mod panic_message;
mod platform;
mod platform_map;
mod platform_users;
mod printable;
mod published_message;
mod queue_stats;
mod quiet;
mod receipt;
mod robot;
mod secret;
mod settlement;
mod subscription;
mod subscription_forms;
mod subscription_options;
mod template;
mod text_form;
mod timestamp;
mod topic;
mod verdict;
mod wait_reason;

pub use attribute::{Attribute, Attributes};
pub use blank::is_blank;
pub use closed_set::every;
pub use credential::PlainCredential;
pub(crate) use credential::required as required_credential;
pub use dead_queue_stats::{DeadCount, DeadQueueStats};
pub use dead_reason::{DeadCause, DeadReason, StoredReason};
pub use delivery::{Advance, Degradation, Delivery, Part};
pub use due_time::DueTime;
pub use duration::duration;
pub use error_text::with_causes;
pub use event::{
    Event, EventContent, EventId, Format, Mentions, NoContent, PlatformContent, PlatformOverride,
    TextBody, UnknownFormat,
};
pub use filter::{
    Absent, AttributeTest, Comparison, FilterPolicy, FilterRejection, FilterRule, Number,
};
pub use header::{HEADERS_BYTES_MAX, HeaderValue, Headers, bytes_of, headers_max};
pub use header_fit::{LEFT_OUT, LeftOutHeaders, fit_headers, is_known_header};
pub use hold_cause::{HoldCause, HoldCounts};
pub use id::{InvalidLetterId, UnknownEvent};
pub use language::{Language, UnknownLanguage};
pub use letter_id::LetterId;
pub use listing::{
    AddedSubscription, InvalidListCursor, ListCursor, ListFilter, SubscriptionPage,
    TopicSubscriptions,
};
pub use message_feature::{FeatureSet, MessageFeature};
pub use named_fields::by_name;
pub use nearest_name::NearestName;
pub use panic_message::panic_message;
pub use platform::{Platform, UnknownPlatform};
pub use platform_map::PlatformMap;
pub use platform_users::PlatformUsers;
pub use printable::{Unprintable, check_printable, is_unprintable};
pub use published_message::{DAMAGED, NOT_BEFORE, PublishedMessage};
pub use queue_stats::QueueStats;
pub use quiet::{InvalidQuietHours, QuietHours};
pub use receipt::{
    DeliveryOutcome, DeliveryReceipt, InvalidReceipt, RECEIPT, ReceiptPolicy, receipt_requested,
};
pub use robot::{InvalidRobotId, RobotId};
pub use secret::{Endpoint, Secret};
pub use settlement::{Settlement, SettlementKind};
pub use subscription::{
    GroupName, InvalidGroupName, InvalidSubscriptionId, LongTextPolicy, OverflowPolicy,
    SubscriptionId, SubscriptionState, UnknownLongTextPolicy, UnknownOverflowPolicy, UnknownState,
};
pub use subscription_forms::{Subscription, SubscriptionPatch, SubscriptionSpec, SubscriptionView};
pub use subscription_options::{
    PrivateOptions, PrivateOptionsPatch, SubscriptionOptions, SubscriptionOptionsPatch,
};
pub use template::{
    Audience, InvalidTemplateName, Template, TemplateEngine, TemplateName, UnknownAudience,
    UnknownTemplateEngine,
};
pub(crate) use text_form::serde_by_text;
pub use text_form::{invalid_value, refused_value};
pub use timestamp::Timestamp;
pub use topic::{InvalidTopicName, TopicName};
pub use verdict::{AttemptOutcome, Verdict, VerdictKind};
pub use wait_reason::{WaitCounts, WaitReason};
