//! The first lines of the log: what starts, and what it found.
//!
//! Owns how much of the configuration they show: nothing that is a credential.
//!
//! Not here: the text of the lines (`telemetry/events/start.rs`), the addresses of the API
//! (`admin/server.rs`).

use std::path::Path;

use crate::{
    admin::ports::{StoreFailure, SubscriptionStore},
    config::Config,
    telemetry::events,
};

/// How many topics are counted at once.
const PAGE: usize = 1000;

/// Logs that the daemon starts, before anything can fail.
pub(super) fn log_start(config: &Config, file: Option<&Path>) {
    let address = config.broker.address();
    // A wrong address fails the first session, with a sentence of its own.
    let (broker, vhost) =
        (address.shown().unwrap_or_default(), address.vhost().unwrap_or_default());
    let configuration = Config::file(file);
    events::DaemonStarting {
        configuration: configuration.as_deref(),
        broker: &broker,
        vhost: &vhost,
        prefix: &config.broker.prefix,
    }
    .emit();
}

/// Logs how many subscriptions and topics the store has.
pub(super) async fn log_store(store: &dyn SubscriptionStore, dir: &Path) {
    match count(store).await {
        Ok((subscriptions, topics)) => events::StoreOpened { dir, subscriptions, topics }.emit(),
        // What needs the store reports its own failures.
        Err(error) => {
            tracing::debug!(
                error = &error as &dyn std::error::Error,
                "the subscriptions were not counted"
            );
        }
    }
}

/// The numbers of subscriptions and of their topics.
async fn count(store: &dyn SubscriptionStore) -> Result<(u64, u64), StoreFailure> {
    let (mut subscriptions, mut topics, mut after) = (0, 0, None);
    loop {
        let page = store.topics(after, PAGE).await?;
        for one in &page {
            subscriptions += one.subscriptions;
            topics += 1;
        }
        match page.last() {
            Some(last) if page.len() == PAGE => after = Some(last.topic.clone()),
            _ => return Ok((subscriptions, topics)),
        }
    }
}
