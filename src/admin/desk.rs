//! What can be done about subscriptions, whoever asks: the admin API and the command line without a daemon use the same desk, so
//! both check the same and answer the same.

use std::sync::Arc;

use serde_json::Value;

use crate::{
    admin::{
        problem::Refusal,
        wire::{AddRequest, Added, ListQuery, SubscriptionPage, SubscriptionView, UpdateRequest},
    },
    domain::{Options, Platform, Policy, Secret, SubscriptionId, SubscriptionState, TopicName},
    fanout::{read_policy, write_policy},
    platforms,
    store::{Change, ListFilter, NewSubscription, Store, Summary},
};

/// A page of a listing holds this many by default.
const PAGE: usize = 100;
/// And never more than this.
const PAGE_MAX: usize = 1000;
/// SMN's limit for a remark; ours for a name, in bytes.
const NAME_BYTES_MAX: usize = 128;

/// Does what is asked about subscriptions. Its calls block on the disk.
#[derive(Clone)]
pub struct Desk {
    store: Store,
}

impl Desk {
    /// A desk before this store.
    #[must_use]
    pub const fn new(store: Store) -> Self {
        Self { store }
    }

    /// Adds a subscription; the same robot on the same topic again is no mistake, and adds nothing.
    pub fn add(&self, request: AddRequest) -> Result<Added, Refusal> {
        let topic: TopicName = request.topic.parse().map_err(invalid)?;
        let platform: Platform = request.platform.parse().map_err(invalid)?;
        let endpoint = platforms::check_endpoint(platform, request.endpoint.expose()).map_err(invalid)?;
        check_name(request.name.as_deref())?;
        check_secret(platform, request.secret.as_ref())?;
        let options = Options {
            overflow: parsed(request.overflow.as_deref())?.unwrap_or_default(),
            group: parsed(request.group.as_deref().filter(|group| !group.is_empty()))?,
            filter: request.filter.map(filter).transpose()?.flatten(),
        };
        let added = self.store.add(NewSubscription {
            topic,
            platform,
            endpoint,
            secret: request.secret.filter(|secret| !secret.expose().is_empty()),
            keyword: request.keyword.filter(|keyword| !keyword.is_empty()),
            name: request.name.filter(|name| !name.is_empty()),
            mentions: request.mentions.into(),
            options,
            state: SubscriptionState::Active,
        })?;
        Ok(Added { id: added.id.to_string(), existed: added.duplicate })
    }

    /// One page of the subscriptions, masked.
    pub fn list(&self, query: &ListQuery) -> Result<SubscriptionPage, Refusal> {
        let filter = ListFilter {
            topic: parsed(query.topic.as_deref())?,
            platform: parsed(query.platform.as_deref())?,
            robot: parsed(query.robot.as_deref())?,
            state: parsed(query.state.as_deref())?,
            group: parsed(query.group.as_deref())?,
            name: query.name.clone(),
        };
        let after = parsed(query.after.as_deref())?;
        let limit = query.limit.unwrap_or(PAGE).clamp(1, PAGE_MAX);
        let page = self.store.list(&filter, after, limit)?;
        Ok(SubscriptionPage {
            subscriptions: page.summaries.into_iter().map(view).collect(),
            next: page.next.map(|place| place.to_string()),
        })
    }

    /// One subscription, masked.
    pub fn show(&self, id: &str) -> Result<SubscriptionView, Refusal> {
        Ok(view(self.store.show(parse_id(id)?)?))
    }

    /// Changes what the request names and leaves the rest as it is. When it returns, the key of the old version is destroyed.
    pub fn update(&self, id: &str, request: UpdateRequest) -> Result<SubscriptionView, Refusal> {
        let id = parse_id(id)?;
        let platform = self.store.show(id)?.platform;
        check_name(request.name.as_deref())?;
        check_secret(platform, request.secret.as_ref())?;
        let endpoint = request.endpoint.map(|url| platforms::check_endpoint(platform, url.expose()));
        let filled = |text: String| Some(text).filter(|text| !text.is_empty());
        let group = |text: String| parsed(Some(text.as_str()).filter(|text| !text.is_empty()));
        let change = Change {
            endpoint: endpoint.transpose().map_err(invalid)?,
            secret: request.secret.map(|secret| Some(secret).filter(|secret| !secret.expose().is_empty())),
            keyword: request.keyword.map(filled),
            name: request.name.map(filled),
            mentions: request.mentions.map(Into::into),
            overflow: parsed(request.overflow.as_deref())?,
            group: request.group.map(group).transpose()?,
            filter: request.filter.map(filter).transpose()?,
        };
        self.store.update(id, change)?;
        Ok(view(self.store.show(id)?))
    }

    /// Removes a subscription for good. When it returns, no key that opens its endpoint exists any more.
    pub fn remove(&self, id: &str) -> Result<(), Refusal> {
        Ok(self.store.remove(parse_id(id)?)?)
    }

    /// Lets a subscription hear its topic, or not.
    pub fn set_state(&self, id: &str, state: SubscriptionState) -> Result<(), Refusal> {
        Ok(self.store.set_state(parse_id(id)?, state)?)
    }
}

/// A filter; nothing if it wants all.
fn filter(filter: Value) -> Result<Option<Arc<Policy>>, Refusal> {
    if filter.is_null() {
        return Ok(None);
    }
    read_policy(&filter).map(|policy| Some(Arc::new(policy))).map_err(invalid)
}

fn check_name(name: Option<&str>) -> Result<(), Refusal> {
    match name {
        Some(name) if name.len() > NAME_BYTES_MAX => {
            Err(Refusal::Invalid(format!("the name is longer than {NAME_BYTES_MAX} bytes")))
        }
        _ => Ok(()),
    }
}

fn check_secret(platform: Platform, secret: Option<&Secret>) -> Result<(), Refusal> {
    if platform == Platform::WeCom && secret.is_some_and(|secret| !secret.expose().is_empty()) {
        return Err(Refusal::Invalid("wecom robots have no signing secret: leave it out".to_owned()));
    }
    Ok(())
}

fn parsed<T: std::str::FromStr<Err: std::fmt::Display>>(text: Option<&str>) -> Result<Option<T>, Refusal> {
    text.map(str::parse).transpose().map_err(invalid)
}

fn parse_id(id: &str) -> Result<SubscriptionId, Refusal> {
    id.parse().map_err(invalid)
}

fn invalid(mistake: impl std::fmt::Display) -> Refusal {
    Refusal::Invalid(mistake.to_string())
}

fn view(summary: Summary) -> SubscriptionView {
    let created = i64::try_from(summary.created_at.unix_millis()).unwrap_or(i64::MAX);
    SubscriptionView {
        id: summary.id.to_string(),
        topic: summary.topic.to_string(),
        platform: summary.platform.to_string(),
        robot: summary.robot.to_string(),
        endpoint: summary.masked_endpoint,
        signed: summary.has_secret,
        keyword: summary.keyword,
        name: summary.name,
        mentions: summary.mentions.into(),
        state: summary.state.as_str().to_owned(),
        overflow: summary.options.overflow.as_str().to_owned(),
        filter: summary.options.filter.as_deref().map(write_policy),
        group: summary.options.group.map(|group| group.to_string()),
        created_at: jiff::Timestamp::from_millisecond(created).unwrap_or(jiff::Timestamp::MAX).to_string(),
    }
}
