//! `roomcast topic list`: topics with their subscriptions and events.
//!
//! Owns the table. Without a daemon only topics with subscriptions are known, and no events.
//!
//! Not here: how the listing is made (`admin/topics.rs`).

use super::{
    args,
    backend::{Backend, failure, parse_arg},
    client::query_text,
    dead::age,
    exit::Failure,
    output::{Table, print, print_json, print_status},
};
use crate::{
    admin::wire::{TopicPage, TopicQuery, TopicView},
    config::Config,
};

/// How many topics one request fetches.
const PAGE: usize = 1000;

pub(super) async fn run(config: &Config, command: args::Topic) -> Result<(), Failure> {
    let args::Topic::List { without_subscription, name, limit, after, json } = command;
    let after = after.as_deref().map(parse_arg).transpose()?;
    let mut query = TopicQuery { without_subscription, name, after, limit: None };
    let access = Backend::open_existing(config).await?;
    let columns = ["topic", "subscriptions", "active", "events", "undelivered", "last event"];
    let mut table = Table::new(&[&columns[..], &["did you mean"]].concat());
    let (mut left, mut counted) = (limit.unwrap_or(usize::MAX), false);
    while left > 0 {
        query.limit = Some(left.min(PAGE));
        let page = access.topics(&query).await?;
        counted |= page.since.is_some();
        left -= page.topics.len().min(left);
        for one in page.topics {
            if json {
                print_json(&one);
            } else {
                table.row(row(one));
            }
        }
        query.after = page.next;
        if query.after.is_none() {
            break;
        }
    }
    if !json {
        table.print("no topics");
        if let Some(topic) = query.after {
            print(&format!("more: --after {topic}"));
        }
        if !counted {
            print_status("no daemon runs, so nothing is known of events");
        }
    }
    Ok(())
}

impl Backend {
    async fn topics(&self, query: &TopicQuery) -> Result<TopicPage, Failure> {
        match self {
            Self::Daemon(client) => client.get(&format!("/v1/topics?{}", query_text(query)?)).await,
            Self::LocalStore(service) => service.topics(query, None).await.map_err(failure),
        }
    }
}

fn row(one: TopicView) -> [String; 7] {
    let number = |count: Option<u64>| count.map_or_else(|| "-".to_owned(), |one| one.to_string());
    let now = jiff::Timestamp::now();
    let last = age(one.last_event_at.as_deref(), now);
    [
        one.topic.to_string(),
        one.subscriptions.to_string(),
        one.active.to_string(),
        number(one.events),
        number(one.events_without_subscription),
        if one.last_event_at.is_some() { format!("{last} ago") } else { last },
        one.nearest.map_or_else(|| "-".to_owned(), |nearest| nearest.to_string()),
    ]
}
