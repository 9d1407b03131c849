//! Lookups, listings and changes of subscriptions.
//!
//! Owns the promises of `Subscriptions`, `SubscriptionFeed` and `SubscriptionStore` without a
//! crash.
//!
//! Not here: crashes (`crashes.rs`), random sequences of changes (`model.rs`).

use super::{
    Harness, OpenStore, open,
    samples::{
        SECRET, TOKEN, add, assert_sound, ids, opened, recipients, rename, repoint, subscription,
        with_overflow,
    },
};
use crate::{
    admin::ports::{StoreFailure, StoreRefusal},
    domain::{
        ListFilter, OverflowPolicy, Platform, SubscriptionId, SubscriptionOptions,
        SubscriptionPatch, SubscriptionSpec, SubscriptionState, TopicName,
    },
    fanout::{FeedPosition, OpenedRecipient},
};

pub(in crate::store) async fn a_subscription_opens_after_reopening_and_on_its_topic_alone<
    H: Harness,
>() {
    let harness = H::new();
    let store = open(&harness).await;
    let options = SubscriptionOptions {
        overflow: OverflowPolicy::Digest,
        group: Some("org-1".parse().unwrap()),
        ..SubscriptionOptions::default()
    };
    let spec = SubscriptionSpec { options: options.clone(), ..subscription("ops", TOKEN) };
    let id = store.admin.add(vec![spec]).await.unwrap()[0].id;
    add(&store, "ops.db", "another-token-0123456789").await;
    drop(store);
    let store = open(&harness).await;
    assert_eq!(ids(&*store.subscriptions, "ops").await, [id], "ops.db is another topic");
    let recipient = store.subscriptions.find(id).await.unwrap().unwrap();
    assert_eq!((&recipient.options, recipient.platform), (&options, Platform::DingTalk));
    let opened = opened(&*store.subscriptions, &recipient).await.unwrap();
    assert!(opened.endpoint.expose().ends_with(TOKEN));
    assert!(opened.secret.is_some_and(|secret| secret.expose() == SECRET));
    assert_eq!(
        (opened.private.keyword.as_deref(), opened.private.mentions.mobiles.len()),
        (Some("告警"), 1)
    );
    assert_eq!((opened.options, opened.robot), (options, recipient.robot));
}

pub(in crate::store) async fn a_robot_is_subscribed_to_a_topic_once_and_is_the_same_on_another<
    H: Harness,
>() {
    let harness = H::new();
    let store = open(&harness).await;
    let new = ["ops", "ops", "db"].map(|topic| subscription(topic, TOKEN));
    let added = store.admin.add(new.into()).await.unwrap();
    let [first, again, other] = added.as_slice() else { panic!("three outcomes") };
    assert_eq!((again.id, again.duplicate), (first.id, true));
    assert_eq!((other.robot, other.duplicate), (first.robot, false));
    let later = store.admin.add(vec![subscription("ops", TOKEN)]).await.unwrap();
    assert_eq!((later[0].id, later[0].duplicate), (first.id, true));
    assert_sound(&store, 2, "one on each topic").await;
}

pub(in crate::store) async fn operators_see_a_masked_endpoint<H: Harness>() {
    let harness = H::new();
    let store = open(&harness).await;
    let id = add(&store, "ops", TOKEN).await;
    let shown = format!("{:?}", store.admin.show(id).await.unwrap());
    let leaks = shown.contains("MARKERTOKEN") || shown.contains("SECmarker");
    assert!(shown.contains("****4567") && !leaks, "{shown}");
}

pub(in crate::store) async fn a_listing_has_all_pages_and_keeps_to_its_filter<H: Harness>() {
    let harness = H::new();
    let store = open(&harness).await;
    for number in 0..7 {
        let topic = if number % 2 == 0 { "even" } else { "odd" };
        add(&store, topic, &format!("token-{number}-0123456789")).await;
    }
    for (topic, count) in [(None, 7), (Some("even"), 4), (Some("odd"), 3), (Some("none"), 0)] {
        let filter = ListFilter {
            topic: topic.map(|topic| topic.parse().unwrap()),
            platform: Some(Platform::DingTalk),
            ..ListFilter::default()
        };
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let page = store.admin.list(&filter, after, 2).await.unwrap();
            found.extend(page.subscriptions.into_iter().map(|one| (one.topic, one.id)));
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(found.len(), count, "{topic:?}");
        assert!(found.is_sorted(), "by topic and then by id");
    }
    let lark = ListFilter { platform: Some(Platform::Lark), ..ListFilter::default() };
    assert!(store.admin.list(&lark, None, 2).await.unwrap().subscriptions.is_empty());
}

pub(in crate::store) async fn a_paused_subscription_gets_nothing_until_it_is_resumed<H: Harness>() {
    let harness = H::new();
    let store = open(&harness).await;
    let id = add(&store, "ops", TOKEN).await;
    for (state, count) in [(SubscriptionState::Paused, 0), (SubscriptionState::Active, 1)] {
        store.admin.set_state(id, state).await.unwrap();
        assert_eq!(ids(&*store.subscriptions, "ops").await.len(), count);
        assert_eq!(store.subscriptions.find(id).await.unwrap().is_some(), count > 0);
    }
}

pub(in crate::store) async fn a_topic_of_many_pages_is_read_to_its_end<H: Harness>() {
    let harness = H::new();
    let store = open(&harness).await;
    let new = (0..600).map(|number| subscription("ops", &format!("token-{number}-0123456789")));
    let added = store.admin.add(new.collect()).await.unwrap();
    let mut added: Vec<_> = added.into_iter().map(|one| one.id).collect();
    added.sort();
    assert_eq!(ids(&*store.subscriptions, "ops").await, added);
    store.admin.set_state(added[255], SubscriptionState::Paused).await.unwrap();
    assert_eq!(
        ids(&*store.subscriptions, "ops").await.len(),
        599,
        "a page that ends with a paused one is not the last"
    );
    let mut removed = 0;
    while let count @ 1.. = store.admin.remove_batch(&"ops".parse().unwrap()).await.unwrap() {
        removed += count;
    }
    assert_eq!(removed, 600);
    assert_sound(&store, 0, "a topic is removed in batches").await;
}

pub(in crate::store) async fn an_update_changes_the_named_fields_and_ends_the_old_version<
    H: Harness,
>() {
    let harness = H::new();
    let store = open(&harness).await;
    let id = add(&store, "ops", TOKEN).await;
    let before = store.subscriptions.find(id).await.unwrap().unwrap();
    let change = SubscriptionPatch {
        endpoint: repoint("newtoken-0123456789").endpoint,
        private: rename(None).private,
        ..with_overflow(OverflowPolicy::Latest)
    };
    store.admin.update(id, change).await.unwrap();
    assert!(opened(&*store.subscriptions, &before).await.is_none(), "the old version is gone");
    drop(store);
    let store = open(&harness).await;
    let after = store.subscriptions.find(id).await.unwrap().unwrap();
    let opened = opened(&*store.subscriptions, &after).await.unwrap();
    assert!(opened.endpoint.expose().ends_with("newtoken-0123456789"));
    assert_eq!((opened.private.name, opened.private.keyword.as_deref()), (None, Some("告警")));
    assert!(opened.secret.is_some_and(|secret| secret.expose() == SECRET));
    assert_eq!(opened.options.overflow, OverflowPolicy::Latest);
    assert_ne!(before.robot, after.robot);
    assert_ne!(add(&store, "ops", TOKEN).await, id, "the old webhook is free again");
}

pub(in crate::store) async fn a_webhook_that_is_taken_is_a_conflict_that_names_its_holder<
    H: Harness,
>() {
    let harness = H::new();
    let store = open(&harness).await;
    let holder = add(&store, "ops", TOKEN).await;
    let id = add(&store, "ops", "another-token-0123456789").await;
    match store.admin.update(id, repoint(TOKEN)).await {
        Err(StoreFailure::Refused(StoreRefusal::RobotTaken { by, .. })) => assert_eq!(by, holder),
        other => panic!("{other:?}"),
    }
    let missing = SubscriptionId::make();
    for refused in [
        store.admin.update(missing, rename(None)).await,
        store.admin.remove(missing).await,
        store.admin.set_state(missing, SubscriptionState::Paused).await,
        store.admin.show(missing).await.map(|_| ()),
        store.admin.platform_of(missing).await.map(|_| ()),
    ] {
        let is_missing = matches!(
            &refused,
            Err(StoreFailure::Refused(StoreRefusal::NoSuchSubscription { id })) if *id == missing
        );
        assert!(is_missing, "{refused:?}");
    }
    assert_sound(&store, 2, "nothing was changed").await;
}

pub(in crate::store) async fn topics_are_listed_in_order_with_the_numbers_of_their_subscriptions<
    H: Harness,
>() {
    let harness = H::new();
    let store = open(&harness).await;
    assert!(store.admin.topics(None, 10).await.unwrap().is_empty());
    // More than the rows that an implementation may read at a time.
    let many = (0..2100).map(|number| subscription("many", &format!("many-token-{number:09}")));
    store.admin.add(many.collect()).await.unwrap();
    // The names before and behind a dot are neighbours of the name without one.
    let mut paused = None;
    for topic in ["ops", "ops.db", "ops-x", "a", "ops"] {
        let token = format!("{topic}-token-0123456789-{}", paused.is_some());
        paused = Some(add(&store, topic, &token).await);
    }
    store.admin.set_state(paused.unwrap(), SubscriptionState::Paused).await.unwrap();
    let expected = [("a", 1, 1), ("many", 2100, 2100), ("ops", 2, 1), ("ops-x", 1, 1)];
    let expected: Vec<_> = expected.into_iter().chain([("ops.db", 1, 1)]).collect();
    for limit in 1..=6 {
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let page = store.admin.topics(after, limit).await.unwrap();
            let is_last = page.len() < limit;
            after = page.last().map(|last| last.topic.clone());
            found.extend(page);
            if is_last {
                break;
            }
        }
        let found: Vec<_> =
            found.iter().map(|one| (one.topic.as_str(), one.subscriptions, one.active)).collect();
        assert_eq!(found, expected, "pages of {limit}");
    }
}

pub(in crate::store) async fn a_removed_subscription_opens_for_no_recipient_in_hand<H: Harness>() {
    let harness = H::new();
    let store = open(&harness).await;
    let id = add(&store, "attacked", TOKEN).await;
    let kept = add(&store, "attacked", "kept-token-0123456789").await;
    let recipient = store.subscriptions.find(id).await.unwrap().unwrap();
    drop(store);
    assert!(harness.recovers(1, id, TOKEN), "the attack works on a subscription that exists");
    let store = open(&harness).await;
    store.admin.remove(id).await.unwrap();
    assert!(opened(&*store.subscriptions, &recipient).await.is_none());
    assert!(store.subscriptions.find(id).await.unwrap().is_none());
    assert_eq!(ids(&*store.subscriptions, "attacked").await, [kept]);
    drop(store);
    assert!(!harness.recovers(1, id, TOKEN), "its token is found after the removal has ended");
    assert_sound(&open(&harness).await, 1, "after the next start").await;
}

pub(in crate::store) async fn a_damaged_record_is_the_outcome_of_its_own_subscription_alone<
    H: Harness,
>() {
    let harness = H::new();
    let store = open(&harness).await;
    let id = add(&store, "ops", TOKEN).await;
    let whole = add(&store, "ops", "another-token-0123456789").await;
    drop(store);
    harness.damage(id);
    let store = open(&harness).await;
    let page = recipients(&*store.subscriptions, "ops").await;
    assert_eq!(page.len(), 2, "a page has the damaged one too");
    for recipient in &page {
        let outcome = store.subscriptions.open(recipient).await.unwrap();
        let is_damaged = matches!(outcome, OpenedRecipient::Damaged(_));
        assert_eq!(is_damaged, recipient.subscription == id);
    }
    let listed = store.admin.list(&ListFilter::default(), None, 10).await.unwrap();
    assert_eq!(listed.subscriptions.len(), 2, "a listing has it too");
    assert!(store.admin.show(whole).await.is_ok());
    assert_eq!(store.admin.verify().await.unwrap().broken, [id]);
    let refused = store.admin.update(id, rename(Some("x"))).await;
    let is_damaged =
        matches!(refused, Err(StoreFailure::Refused(StoreRefusal::DamagedRecord { .. })));
    assert!(is_damaged, "{refused:?}");
    store.admin.update(id, repoint(TOKEN)).await.unwrap();
    assert_sound(&store, 2, "a new webhook repairs it").await;
}

pub(in crate::store) async fn a_lookup_sees_every_change_that_has_ended<H: Harness>() {
    let harness = H::new();
    let store = open(&harness).await;
    let count = async || ids(&*store.subscriptions, "ops").await.len();
    for number in 0..5 {
        assert_eq!(count().await, number, "also on a page that was read before");
        add(&store, "ops", &format!("token-{number}-0123456789")).await;
    }
    let all = recipients(&*store.subscriptions, "ops").await;
    for (left, one) in (0..5).rev().zip(&all) {
        store.admin.remove(one.subscription).await.unwrap();
        assert_eq!(count().await, left);
    }
}

pub(in crate::store) async fn every_change_is_in_the_feed_in_the_order_of_the_commits<
    H: Harness,
>() {
    let harness = H::new();
    let store = open(&harness).await;
    let end = store.feed.changes(None, 10).await.unwrap();
    assert_eq!(end.topics, Some(Vec::new()), "a reader begins at the end");
    let a = add(&store, "a", TOKEN).await;
    add(&store, "b", TOKEN).await;
    store.admin.update(a, rename(Some("x"))).await.unwrap();
    store.admin.set_state(a, SubscriptionState::Paused).await.unwrap();
    store.admin.remove(a).await.unwrap();
    let all = changed(&store, end.position, 10).await;
    assert_eq!(all, ["a", "b", "a", "a", "a"]);
    let (mut position, mut paged) = (end.position, Vec::new());
    for _ in 0..all.len() {
        let page = store.feed.changes(Some(position), 1).await.unwrap();
        paged.extend(page.topics.unwrap().iter().map(ToString::to_string));
        assert!(page.position.number > position.number);
        position = page.position;
    }
    assert_eq!(paged, all);
    assert_eq!(changed(&store, position, 10).await, [""; 0], "and then there is none");
    let unknown = FeedPosition { feed: position.feed.wrapping_add(1), ..position };
    let lost = store.feed.changes(Some(unknown), 10).await.unwrap();
    assert_eq!((lost.topics, lost.position), (None, position), "any topic may have changed");
    let ahead = FeedPosition { number: position.number + 1, ..position };
    assert_eq!(store.feed.changes(Some(ahead), 10).await.unwrap().topics, None);
}

async fn changed(store: &OpenStore, since: FeedPosition, limit: usize) -> Vec<String> {
    let topics: Vec<TopicName> =
        store.feed.changes(Some(since), limit).await.unwrap().topics.unwrap();
    topics.iter().map(ToString::to_string).collect()
}
