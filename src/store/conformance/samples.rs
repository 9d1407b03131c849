//! Subscriptions and changes for tests.
//!
//! Owns the markers that must not appear in any file, log or answer.
//!
//! Not here: events and deliveries.

use super::OpenStore;
use crate::{
    domain::{
        Endpoint, Mentions, OverflowPolicy, Platform, PrivateOptions, PrivateOptionsPatch, Secret,
        Subscription, SubscriptionId, SubscriptionOptions, SubscriptionOptionsPatch,
        SubscriptionPatch, SubscriptionSpec, SubscriptionState,
    },
    fanout::{OpenedRecipient, Recipient, Subscriptions},
};

/// A token with a marker.
pub(in crate::store) const TOKEN: &str = "MARKERTOKEN0123456789abcdef01234567";
/// A signing secret with a marker.
pub(in crate::store) const SECRET: &str = "SECmarker\"secret\\with quotes";

pub(in crate::store) fn endpoint(token: &str) -> Endpoint {
    Endpoint::new(format!("https://oapi.dingtalk.com/robot/send?access_token={token}"))
}

pub(in crate::store) fn subscription(topic: &str, token: &str) -> SubscriptionSpec {
    SubscriptionSpec {
        topic: topic.parse().unwrap(),
        platform: Platform::DingTalk,
        endpoint: endpoint(token),
        secret: Some(Secret::new(SECRET.to_owned())),
        private: PrivateOptions {
            keyword: Some("告警".to_owned()),
            name: Some("markername".to_owned()),
            mentions: Mentions {
                all: false,
                mobiles: vec!["13800000000".to_owned()],
                users: Vec::new(),
            },
        },
        options: SubscriptionOptions::default(),
        state: SubscriptionState::Active,
    }
}

/// A change of the name alone; `None` removes it.
pub(in crate::store) fn rename(name: Option<&str>) -> SubscriptionPatch {
    let name = Some(name.map(str::to_owned));
    let private = PrivateOptionsPatch { name, ..PrivateOptionsPatch::default() };
    SubscriptionPatch { private, ..SubscriptionPatch::default() }
}

/// A change of the overflow policy alone.
pub(in crate::store) fn with_overflow(overflow: OverflowPolicy) -> SubscriptionPatch {
    let options = SubscriptionOptionsPatch {
        overflow: Some(overflow),
        ..SubscriptionOptionsPatch::default()
    };
    SubscriptionPatch { options, ..SubscriptionPatch::default() }
}

/// A change of the webhook alone.
pub(in crate::store) fn repoint(token: &str) -> SubscriptionPatch {
    SubscriptionPatch { endpoint: Some(endpoint(token)), ..SubscriptionPatch::default() }
}

/// Adds one subscription.
pub(super) async fn add(store: &OpenStore, topic: &str, token: &str) -> SubscriptionId {
    store.admin.add(vec![subscription(topic, token)]).await.unwrap()[0].id
}

/// The recipients of a topic on all its pages.
pub(in crate::store) async fn recipients(
    subscriptions: &dyn Subscriptions,
    topic: &str,
) -> Vec<Recipient> {
    let (topic, mut found, mut after) = (topic.parse().unwrap(), Vec::new(), None);
    loop {
        let page = subscriptions.page(&topic, after).await.unwrap();
        found.extend(page.recipients);
        after = page.next;
        if after.is_none() {
            return found;
        }
    }
}

/// The ids of the recipients of a topic.
pub(in crate::store) async fn ids(
    subscriptions: &dyn Subscriptions,
    topic: &str,
) -> Vec<SubscriptionId> {
    recipients(subscriptions, topic).await.iter().map(|one| one.subscription).collect()
}

/// The subscription behind a recipient; `None` if it was replaced.
pub(in crate::store) async fn opened(
    subscriptions: &dyn Subscriptions,
    recipient: &Recipient,
) -> Option<Subscription> {
    match subscriptions.open(recipient).await.unwrap() {
        OpenedRecipient::Subscription(subscription) => Some(*subscription),
        OpenedRecipient::Replaced => None,
        OpenedRecipient::Damaged(what) => panic!("{what}"),
    }
}

/// Whether the store is sound and has this many subscriptions.
pub(super) async fn assert_sound(store: &OpenStore, count: usize, what: &str) {
    let verified = store.admin.verify().await.unwrap();
    assert!(verified.is_sound() && verified.sound == count, "{what}: {verified:?}");
    let status = store.admin.key_status().await.unwrap();
    assert_eq!(status.data_keys, count, "{what}");
}
