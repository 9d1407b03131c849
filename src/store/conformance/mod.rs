//! The conformance suite: what every implementation of the store's ports must do.
//!
//! An implementation brings a [`Harness`] and names it to `conformance_suite!` in a test module.
//! Every test here then runs against it.
//!
//! Owns the promises that the ports state, as tests against the ports alone.
//!
//! Not here: tests of one implementation and its files (`store/tests.rs` and others), the harness
//! of sled (`store/sled_harness.rs`).

pub(super) mod crashes;
pub(super) mod keys;
pub(super) mod ledger;
pub(super) mod model;
pub(super) mod pace_log;
pub(super) mod samples;
pub(super) mod subscriptions;
pub(super) mod templates;

use std::sync::Arc;

use crate::{
    admin::ports::AdminStore,
    domain::SubscriptionId,
    fanout::{SubscriptionFeed, Subscriptions},
    pace::{PaceLog, RestoredLog},
    settle::Ledger,
};

/// All ports of one open store.
pub(super) struct OpenStore {
    pub(super) subscriptions: Arc<dyn Subscriptions>,
    pub(super) feed: Arc<dyn SubscriptionFeed>,
    pub(super) admin: Arc<dyn AdminStore>,
    pub(super) ledger: Arc<dyn Ledger>,
    pub(super) pace_log: Arc<dyn PaceLog>,
    pub(super) restored: RestoredLog,
}

/// One store on its disk or server, whether or not it is open.
pub(super) trait Harness: Sized {
    /// A store that does not exist yet.
    fn new() -> Self;

    /// Opens the store, as a new process does. `master` chooses the master key; 1 made the store.
    /// The text says why it does not open.
    async fn open(&self, master: u8) -> Result<OpenStore, String>;

    /// Makes a change, after which the process ends. Returns a store for every state that a crash
    /// during the change may leave. The last one has the whole change.
    async fn cuts(&self, store: OpenStore, change: impl AsyncFnOnce(&OpenStore)) -> Vec<Self>;

    /// Whether an attacker with all bytes that the store still keeps, and with its master key,
    /// finds the token of this subscription to the topic `attacked`. The store is not open.
    fn recovers(&self, master: u8, id: SubscriptionId, token: &str) -> bool;

    /// Damages the record of one subscription. The store is not open.
    fn damage(&self, id: SubscriptionId);
}

/// A store that opens with the key that made it.
pub(super) async fn open(harness: &impl Harness) -> OpenStore {
    harness.open(1).await.unwrap_or_else(|why| panic!("{why}"))
}

/// Runs every test of the suite against one harness.
macro_rules! conformance_suite {
    ($harness:ty) => {
        conformance_suite! { @each $harness,
            crashes::a_cut_addition_is_whole_or_gone_and_can_be_made_again,
            crashes::a_cut_removal_is_finished_by_the_next_and_leaves_no_key,
            crashes::a_cut_update_leaves_one_version,
            crashes::a_cut_change_of_a_template_leaves_one_text,
            keys::a_cut_rotation_opens_with_the_old_or_the_new_key,
            keys::a_rotation_goes_on_while_the_store_is_used_and_ends_with_the_new_key,
            keys::sealing_anew_shows_at_once_replaces_every_recipient_and_loses_none,
            ledger::a_recorded_group_is_known_to_the_next_process,
            ledger::a_cut_group_costs_no_earlier_group,
            ledger::an_unfinished_message_is_claimed_once_in_each_session,
            pace_log::records_survive_a_process_that_never_synced_them,
            pace_log::a_cut_record_costs_no_earlier_record,
            pace_log::a_cut_checkpoint_loses_no_record_that_it_repeats,
            subscriptions::a_subscription_opens_after_reopening_and_on_its_topic_alone,
            subscriptions::a_robot_is_subscribed_to_a_topic_once_and_is_the_same_on_another,
            subscriptions::operators_see_a_masked_endpoint,
            subscriptions::a_listing_has_all_pages_and_keeps_to_its_filter,
            subscriptions::topics_are_listed_in_order_with_the_numbers_of_their_subscriptions,
            subscriptions::a_paused_subscription_gets_nothing_until_it_is_resumed,
            subscriptions::a_topic_of_many_pages_is_read_to_its_end,
            subscriptions::an_update_changes_the_named_fields_and_ends_the_old_version,
            subscriptions::a_webhook_that_is_taken_is_a_conflict_that_names_its_holder,
            subscriptions::a_removed_subscription_opens_for_no_recipient_in_hand,
            subscriptions::a_damaged_record_is_the_outcome_of_its_own_subscription_alone,
            subscriptions::every_change_is_in_the_feed_in_the_order_of_the_commits,
            subscriptions::a_lookup_sees_every_change_that_has_ended,
            templates::a_template_is_in_the_registry_at_once_and_after_reopening,
        }

        #[test]
        fn the_store_holds_the_acknowledged_changes_whatever_they_are() {
            $crate::store::conformance::model::run::<$harness>();
        }
    };
    (@each $harness:ty, $($area:ident::$name:ident),+ $(,)?) => {$(
        #[tokio::test(start_paused = true)]
        async fn $name() {
            $crate::store::conformance::$area::$name::<$harness>().await;
        }
    )+};
}
pub(super) use conformance_suite;
