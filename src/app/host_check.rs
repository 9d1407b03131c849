//! At the start: finds stored webhooks whose host the configuration does not allow any more.
//!
//! Owns the log line about them. They stay stored, and nothing of them is lost: a delivery becomes
//! a dead letter, which can be redriven.
//!
//! Not here: the refusal at an attempt (`send/mod.rs`), and the check of new webhooks
//! (`platforms/check_endpoint.rs`).

use std::{collections::BTreeMap, sync::Arc};

use tokio_util::sync::CancellationToken;

use crate::{
    admin::ports::{DecryptedPage, StoreFailure, SubscriptionStore},
    config::Config,
    domain::{ListFilter, Platform},
};

/// How many subscriptions are opened at once.
const PAGE: usize = 500;

/// Starts the search beside everything else, because it reads the whole store.
pub(super) fn start(store: Arc<dyn SubscriptionStore>, config: &Config, stop: CancellationToken) {
    let config = config.clone();
    tokio::spawn(async move {
        let searched = stop.run_until_cancelled(count_refused_hosts(&*store, &config)).await;
        match searched {
            Some(Ok(found)) => log(found),
            // A record that is damaged has a log line of its own.
            Some(Err(error)) => {
                tracing::debug!(
                    error = &error as &dyn std::error::Error,
                    "the hosts of the stored webhooks were not all checked"
                );
            }
            None => (),
        }
    });
}

/// A host that the configuration does not allow.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct RefusedHost {
    platform: Platform,
    host: String,
}

fn log(found: BTreeMap<RefusedHost, u64>) {
    for (RefusedHost { platform, host }, subscriptions) in found {
        let platform = platform.as_str();
        tracing::warn!(
            platform,
            host,
            subscriptions,
            "webhooks in the store are at a host that is not allowed; \
             what is for them becomes dead letters"
        );
    }
}

/// The number of subscriptions at each host that is not allowed.
async fn count_refused_hosts(
    store: &dyn SubscriptionStore,
    config: &Config,
) -> Result<BTreeMap<RefusedHost, u64>, StoreFailure> {
    let hosts = config.webhook_hosts();
    let (mut found, mut after) = (BTreeMap::new(), None);
    loop {
        let page = store.list_decrypted(&ListFilter::default(), after, PAGE).await?;
        let DecryptedPage { subscriptions, next } = page;
        for one in subscriptions {
            // A gateway takes the place of any host.
            if config.platforms.get(one.platform).base_url.is_some() {
                continue;
            }
            if let Some(host) = hosts.not_allowed(one.platform, &one.endpoint) {
                let refused = RefusedHost { platform: one.platform, host: host.to_owned() };
                *found.entry(refused).or_default() += 1;
            }
        }
        match next {
            Some(next) => after = Some(next),
            None => return Ok(found),
        }
    }
}
