//! `roomcast event show` and `roomcast history`: what became of events and deliveries.
//!
//! Owns the tables. The history is a running daemon's, so a daemon must answer.
//!
//! Not here: the sentences (`admin/history_view.rs`).

use super::{
    args,
    client::{Client, in_path},
    exit::Failure,
    output::{Table, print, print_json, print_status, print_text},
    robot::daemon,
};
use crate::{
    admin::{
        phrases,
        wire::{
            DeliverySummary, EventHistory, HistoryDelivery, HistoryEntries, HistoryEntry,
            HistoryFilter,
        },
    },
    config::Config,
};

/// The entries of one request.
const PAGE: u64 = 1000;

/// `roomcast event …`
pub(super) async fn event(config: &Config, command: args::Event) -> Result<(), Failure> {
    let args::Event::Show { id, json } = command;
    let path = format!("/v1/events/{}", in_path(&id));
    let event: EventHistory = daemon(config).await?.get(&path).await?;
    if json {
        print_json(&event);
        return Ok(());
    }
    for text in event.entries.iter().filter_map(|entry| entry.text.as_ref()) {
        print_text(text);
        print("");
    }
    let mut deliveries = Table::new(&["delivery to", "platform", "outcome", "attempts", "at"]);
    event.deliveries.iter().for_each(|one| deliveries.row(delivery_row(one)));
    if !event.deliveries.is_empty() {
        deliveries.print("");
        print("");
    }
    let mut line = Table::new(&["time", "topic", "delivery to", "what happened"]);
    event.entries.iter().for_each(|entry| line.row(time_row(entry)));
    line.print(phrases::NO_HISTORY);
    if let Some(next) = event.next {
        print_status(&format!(
            "older entries are not shown: roomcast history --event {id} --after {next}"
        ));
    }
    Ok(())
}

/// `roomcast history`
pub(super) async fn list(config: &Config, asked: args::History) -> Result<(), Failure> {
    let client = daemon(config).await?;
    let mut table =
        Table::new(&["time", "outcome", "event", "topic", "subscription", "platform", "what"]);
    let (json, mut left) = (asked.json, asked.limit);
    let mut filter = HistoryFilter {
        event: asked.event,
        subscription: asked.subscription,
        robot: asked.robot,
        topic: asked.topic,
        since: asked.since,
        outcome: asked.outcome,
        limit: None,
        after: asked.after,
    };
    let next = loop {
        filter.limit = usize::try_from(left.min(PAGE)).ok();
        let page = page(&client, &filter).await?;
        left -= page.entries.len() as u64;
        for entry in page.entries {
            if json {
                print_json(&entry);
            } else {
                table.row(row(entry));
            }
        }
        match page.next {
            Some(next) if left > 0 => filter.after = Some(next.to_string()),
            next => break next,
        }
    };
    if !json {
        table.print(phrases::NO_HISTORY);
    }
    if let Some(next) = next {
        print_status(&format!("older entries match as well: --after {next} or --limit shows them"));
    }
    Ok(())
}

async fn page(client: &Client, filter: &HistoryFilter) -> Result<HistoryEntries, Failure> {
    let fields = serde_json::to_value(filter);
    let fields = fields.map_err(|error| Failure::Internal(error.to_string()))?;
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    for (name, value) in fields.as_object().into_iter().flatten() {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        query.append_pair(name, &text);
    }
    client.get(&format!("/v1/history?{}", query.finish())).await
}

/// A subscription by its name, with as much of its id as finds it.
fn named(delivery: &HistoryDelivery) -> String {
    match &delivery.name {
        Some(name) => format!("{name} ({})", delivery.subscription),
        None => delivery.subscription.to_string(),
    }
}

/// The subscription of an entry, or the robot or the platform that is held.
fn concerns(entry: &HistoryEntry) -> String {
    match (&entry.delivery, &entry.hold) {
        (Some(delivery), _) => named(delivery),
        (None, Some(hold)) => match hold.robot {
            Some(robot) => format!("robot {robot}"),
            None => format!("all of {}", hold.platform),
        },
        (None, None) => "-".to_owned(),
    }
}

fn delivery_row(one: &DeliverySummary) -> [String; 5] {
    [
        named(&one.delivery),
        one.delivery.platform.to_string(),
        one.outcome.to_string(),
        one.attempts_made.to_string(),
        one.at.clone(),
    ]
}

fn time_row(entry: &HistoryEntry) -> [String; 4] {
    let redriven = match entry.delivery.as_ref().map_or(0, |one| one.generation) {
        0 => String::new(),
        1 => "redriven: ".to_owned(),
        more => format!("redriven {more} times: "),
    };
    [entry.at.clone(), entry.topic.clone(), concerns(entry), format!("{redriven}{}", entry.says)]
}

fn row(entry: HistoryEntry) -> [String; 7] {
    let concerned = concerns(&entry);
    let platform = entry.delivery.map(|one| one.platform).or(entry.hold.map(|one| one.platform));
    [
        entry.at,
        entry.outcome.to_string(),
        entry.event,
        entry.topic,
        concerned,
        platform.map_or_else(|| "-".to_owned(), |one| one.to_string()),
        entry.says,
    ]
}
