//! `roomcast dead show`: what to do first, then what happened, then what was said.

use jiff::Timestamp;
use serde_json::Value;

use super::{Looking, list::age};
use crate::{
    admin::{
        letters::{render, shown},
        wire::{LetterDetail, SubscriptionView},
    },
    app,
    cli::{
        args::Which,
        client::{Client, in_path},
        exit::Failure,
        offline,
        screen::{print, print_json},
    },
    clock::Clock,
    config::Config,
    fanout::Shelf,
    store::StoreError,
};

pub(super) async fn run(config: &Config, id: String, json: bool) -> Result<(), Failure> {
    let (detail, name) = match Client::find(&config.admin.socket).await {
        Some(client) => with_daemon(&client, &id).await?,
        None => without_daemon(config, &id).await?,
    };
    if json {
        print_json(&detail);
    } else {
        print(told(&detail, name.as_deref(), Timestamp::now()).trim_end());
    }
    Ok(())
}

/// The daemon knows templates and subscriptions.
async fn with_daemon(client: &Client, id: &str) -> Result<(LetterDetail, Option<String>), Failure> {
    let detail: LetterDetail = client.get(&format!("/v1/dead/{}", in_path(id))).await?;
    let name = match &detail.letter.subscription {
        Some(id) => {
            client.get(&format!("/v1/subscriptions/{id}")).await.ok().and_then(|one: SubscriptionView| one.name)
        }
        None => None,
    };
    Ok((detail, name))
}

/// Looked for here; what the store knows is missing where it does not open.
async fn without_daemon(config: &Config, id: &str) -> Result<(LetterDetail, Option<String>), Failure> {
    let which = Which { id: vec![id.to_owned()], ..Which::default() };
    let mut found = None;
    Looking::begin(config, &which).await?.look(|letter| found = Some(letter)).await?;
    let letter = found.ok_or_else(|| Failure::No(format!("there is no dead letter {id}")))?;
    let (mut shelf, mut known, mut note) = (Shelf::default(), None, None);
    if let Some(id) = letter.subscription {
        match offline::open_store(config) {
            Ok(store) => {
                shelf = store.templates();
                match store.show(id) {
                    Ok(summary) => known = Some(summary),
                    Err(StoreError::NoSuchSubscription { .. }) => {
                        note = Some("the subscription does not exist any more: redriving drops the letter".to_owned());
                    }
                    Err(error) => note = Some(format!("without the subscription's keyword and mentions: {error}")),
                }
            }
            Err(failure) => note = Some(format!("without the subscription's keyword and mentions: {failure}")),
        }
    }
    let rendered = render(&letter, &app::decoder(config, shelf), known.as_ref(), Clock::System.now());
    Ok((shown(&letter, rendered, note), known.and_then(|known| known.name)))
}

/// A letter in words: what to do first, then what happened, then what was said.
pub(in crate::cli) fn told(detail: &LetterDetail, name: Option<&str>, now: Timestamp) -> String {
    let mut lines = facts(detail, name, now);
    lines.extend(message(detail));
    lines.join("\n")
}

fn facts(detail: &LetterDetail, name: Option<&str>, now: Timestamp) -> Vec<String> {
    let view = &detail.letter;
    let or_none = |value: &Option<String>| value.clone().unwrap_or_else(|| "-".to_owned());
    let named = name.map_or_else(String::new, |name| format!(" ({name})"));
    let when = |at: &Option<String>| {
        at.as_ref().map_or_else(|| "-".to_owned(), |time| format!("{time} ({} ago)", age(Some(time), now)))
    };
    let tried = match view.attempts {
        0 => "without an attempt".to_owned(),
        1 => "after 1 attempt".to_owned(),
        more => format!("after {more} attempts"),
    };
    let waited = match detail.hops {
        0 => String::new(),
        1 => ", having waited once".to_owned(),
        more => format!(", having waited {more} times"),
    };
    let redriven = match view.generation {
        0 => "never".to_owned(),
        1 => "once".to_owned(),
        more => format!("{more} times"),
    };
    let mut lines: Vec<_> = [
        ("id", view.id.clone()),
        ("what to do", view.advice.clone()),
        ("reason", view.reason.clone()),
        ("code", view.code.clone()),
        ("detail", view.detail.clone()),
        ("platform", or_none(&view.platform)),
        ("topic", view.topic.clone()),
        ("subscription", format!("{}{named}", or_none(&view.subscription))),
        ("robot", or_none(&view.robot)),
        ("event", view.event.clone()),
        ("received", when(&view.received_at)),
        ("first attempt", when(&view.first_attempt_at)),
        ("given up", format!("{}, {tried}{waited}", when(&view.dead_at))),
        ("redriven", redriven),
        ("part", view.part.clone().unwrap_or_else(|| "all of it".to_owned())),
    ]
    .into_iter()
    .map(|(what, value)| format!("{what:<13} {value}").trim_end().to_owned())
    .collect();
    lines.extend(detail.published_at.iter().map(|sent| format!("{:<13} {sent}", "published")));
    lines.extend(detail.headers.iter().map(|(name, value)| {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        format!("{:<13} {name}: {value}", "header")
    }));
    lines
}

fn message(detail: &LetterDetail) -> Vec<String> {
    let mut lines = Vec::new();
    if let (Some(rendered), Some(platform)) = (&detail.rendered, &detail.letter.platform) {
        lines.push(format!("\nwhat {platform} would be sent, without a signature:\n{}", pretty(rendered)));
    }
    if let Some(note) = &detail.rendered_note
        && detail.letter.subscription.is_some()
    {
        lines.push(format!("\nnote: {note}"));
    }
    match (&detail.body, &detail.body_base64) {
        (Some(text), _) => lines.push(format!("\nthe event as it was published, {} bytes:\n{text}", text.len())),
        (_, Some(base64)) => lines.push(format!("\nthe event as it was published, no text, in base 64:\n{base64}")),
        _ => (),
    }
    lines
}

fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_else(|_| value.to_string())
}
