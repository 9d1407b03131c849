//! A subscription without credentials, to preview a message.
//!
//! Owns that a preview never opens the sealed part of a subscription.
//!
//! Not here: the rendering (`explain.rs`, `letters/render.rs`).

use crate::{
    domain::{
        Endpoint, Mentions, Moment, Options, Platform, RobotId, Subscription, SubscriptionId, SubscriptionState,
        TopicName,
    },
    store::Summary,
};

/// A subscription without its credentials. If `known` is `None`, it also has no
/// keyword, mentions and options.
pub(super) fn stand_in(
    id: SubscriptionId,
    topic: TopicName,
    platform: Platform,
    robot: RobotId,
    known: Option<&Summary>,
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
        options: known.map_or_else(Options::default, |known| known.options.clone()),
        created_at: known.map_or_else(Moment::default, |known| known.created_at),
    }
}
