//! `roomcast dead show`: one letter as text: the advice, then its history, then its message.
//!
//! Owns that text; `roomcast top` shows the same.
//!
//! Not here: looking up the letter over HTTP (`admin/dead_letters.rs`).

use serde_json::Value;

use super::{DeadLetterReader, list::age};
use crate::{
    admin::{
        dead_letters::{Subscriber, letter_id, render, shown},
        phrases,
        wire::{DeadLetterDetail, SubscriptionView},
    },
    app,
    cli::{
        args::DeadFilterArgs,
        backend::failure,
        client::{Client, in_path},
        exit::Failure,
        local_store,
        output::{print_hint, print_json, print_text},
    },
    clock::Clock,
    config::Config,
    fanout::TemplateRegistry,
};

pub(super) async fn run(config: &Config, id: String, json: bool) -> Result<(), Failure> {
    let id = letter_id(&id).map_err(failure)?;
    let (detail, name) = match Client::find(&config.admin.socket).await {
        Some(client) => with_daemon(&client, &id).await?,
        None => without_daemon(config, &id).await?,
    };
    if json {
        print_json(&detail);
    } else {
        print_text(told(&detail, name.as_deref(), jiff::Timestamp::now()).trim_end());
        print_hint(&format!("its whole life: roomcast event show {:?}", detail.letter.event));
    }
    Ok(())
}

/// Asks the daemon, which knows templates and subscriptions.
async fn with_daemon(
    client: &Client,
    id: &str,
) -> Result<(DeadLetterDetail, Option<String>), Failure> {
    let detail: DeadLetterDetail = client.get(&format!("/v1/dead/{}", in_path(id))).await?;
    let name = match &detail.letter.subscription {
        Some(id) => client
            .get(&format!("/v1/subscriptions/{id}"))
            .await
            .ok()
            .and_then(|one: SubscriptionView| one.private.name),
        None => None,
    };
    Ok((detail, name))
}

/// Searches the queues. If the store does not open, its data is missing.
async fn without_daemon(
    config: &Config,
    id: &str,
) -> Result<(DeadLetterDetail, Option<String>), Failure> {
    let which = DeadFilterArgs { id: vec![id.to_owned()], ..DeadFilterArgs::default() };
    let mut found = None;
    DeadLetterReader::begin(config, &which).await?.scan(|letter| found = Some(letter)).await?;
    let letter = found.ok_or_else(|| Failure::No(phrases::no_such_letter(id)))?;
    let (shelf, subscriber) = match letter.subscription {
        Some(_) => match local_store::open_store(config).await {
            Ok(store) => (store.templates(), Subscriber::of(&letter, &*store).await),
            Err(failure) => (TemplateRegistry::default(), Subscriber::Unknown(failure.to_string())),
        },
        None => (TemplateRegistry::default(), Subscriber::Nobody),
    };
    let rendered =
        render(&letter, &app::decoder(config, shelf), subscriber.known(), Clock::System.now());
    let name = subscriber.known().and_then(|known| known.private.name.clone());
    Ok((shown(&letter, rendered, &subscriber), name))
}

/// A letter as text: advice, history, message.
pub(in crate::cli) fn told(
    detail: &DeadLetterDetail,
    name: Option<&str>,
    now: jiff::Timestamp,
) -> String {
    let mut lines = facts(detail, name, now);
    lines.extend(message(detail));
    lines.join("\n")
}

fn facts(detail: &DeadLetterDetail, name: Option<&str>, now: jiff::Timestamp) -> Vec<String> {
    let view = &detail.letter;
    let named = name.map_or_else(String::new, |name| format!(" ({name})"));
    let when = |at: &Option<String>| {
        at.as_ref()
            .map_or_else(|| "-".to_owned(), |time| format!("{time} ({} ago)", age(Some(time), now)))
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
        ("reason", view.reason.to_string()),
        ("code", view.code.clone()),
        ("detail", view.detail.clone()),
        ("platform", or_none(view.platform)),
        ("topic", view.topic.clone()),
        ("subscription", format!("{}{named}", or_none(view.subscription))),
        ("robot", or_none(view.robot)),
        ("event", view.event.clone()),
        ("received", when(&view.received_at)),
        ("first attempt", when(&view.first_attempt_at)),
        ("given up", format!("{}, {tried}{waited}", when(&view.dead_at))),
        ("redriven", redriven),
        ("part", view.part.clone().unwrap_or_else(|| "all of it".to_owned())),
    ]
    .into_iter()
    .map(|(what, value)| fact(what, &value))
    .collect();
    let omitted = (!view.omitted.is_empty()).then(|| view.omitted.join(", "));
    lines.extend(omitted.map(|omitted| fact("left out", &omitted)));
    lines.extend(view.app_id.iter().map(|name| fact("app_id", name)));
    lines.extend(view.user_id.iter().map(|name| fact("user_id", name)));
    lines.extend(detail.published_at.iter().map(|sent| fact("published", sent)));
    lines.extend(detail.headers.iter().map(|(name, value)| {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        fact("header", &format!("{name}: {value}"))
    }));
    lines
}

fn or_none(value: Option<impl ToString>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}

/// One line. A line break in an id or a header is replaced, so that foreign text cannot imitate a
/// line such as the advice.
fn fact(what: &str, value: &str) -> String {
    format!("{what:<13} {}", value.replace(['\n', '\r', '\u{2028}', '\u{2029}'], "·"))
        .trim_end()
        .to_owned()
}

fn message(detail: &DeadLetterDetail) -> Vec<String> {
    let mut lines = Vec::new();
    if let (Some(rendered), Some(platform)) = (&detail.rendered, &detail.letter.platform) {
        lines.push(format!(
            "\nwhat {platform} would be sent, without a signature:\n{}",
            pretty(rendered)
        ));
    }
    if let Some(note) = &detail.rendered_note
        && detail.letter.subscription.is_some()
    {
        lines.push(format!("\nnote: {note}"));
    }
    match (&detail.body, &detail.body_base64) {
        (Some(text), _) => {
            lines.push(format!("\nthe event as it was published, {} bytes:\n{text}", text.len()))
        }
        (_, Some(base64)) => {
            lines.push(format!("\nthe event as it was published, no text, in base 64:\n{base64}"))
        }
        _ => (),
    }
    lines
}

fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_else(|_| value.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_of_a_publisher_takes_one_line_and_begins_none() {
        assert_eq!(
            fact("event", "e-1\nwhat to do    discard all"),
            "event         e-1·what to do    discard all"
        );
        assert_eq!(fact("header", "a\r\u{2028}b: c\u{2029}"), "header        a··b: c·");
        assert_eq!(fact("code", ""), "code");
    }
}
