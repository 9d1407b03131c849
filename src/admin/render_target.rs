//! A subscription without credentials, to preview a message.
//!
//! Owns that a preview never opens the sealed part of a subscription.
//!
//! Not here: the rendering (`explain.rs`, `dead_letters/render.rs`).

use crate::{
    domain::{
        Endpoint, Mentions, Platform, RobotId, Subscription, SubscriptionId, SubscriptionOptions,
        SubscriptionState, Timestamp, TopicName,
    },
    store::SubscriptionSummary,
};

/// A subscription without its credentials. If `known` is `None`, it also has no
/// keyword, mentions and options.
pub(super) fn render_target(
    id: SubscriptionId,
    topic: TopicName,
    platform: Platform,
    robot: RobotId,
    known: Option<&SubscriptionSummary>,
) -> Subscription {
    Subscription {
        id,
        topic,
        platform,
        robot,
        endpoint: Endpoint::new(String::new()),
        secret: None,
        keyword: known.and_then(|known| known.keyword.clone()),
        name: known.and_then(|known| known.name.clone()),
        mentions: known.map_or_else(Mentions::default, |known| known.mentions.clone()),
        state: known.map_or(SubscriptionState::Active, |known| known.state),
        options: known.map_or_else(SubscriptionOptions::default, |known| known.options.clone()),
        created_at: known.map_or_else(Timestamp::default, |known| known.created_at),
    }
}
