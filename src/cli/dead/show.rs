//! `roomcast dead show`: what to do first, then what happened, then what was said.

use serde_json::Value;

use super::{Looking, list::age};
use crate::{
    admin::{
        Desk,
        letters::{render, rfc3339, shown},
        wire::{LetterDetail, SubscriptionView},
    },
    app,
    broker::{DeadLetter, DeadQueue},
    cli::{
        access::Access,
        args::Which,
        exit::Failure,
        screen::{print, print_json},
    },
    clock::Clock,
    config::Config,
    domain::SubscriptionId,
};

pub(super) async fn run(config: &Config, id: String, json: bool) -> Result<(), Failure> {
    let which = Which { id: vec![id.clone()], ..Which::default() };
    let mut found = None;
    Looking::begin(config, &which).await?.look(|letter| found = Some(letter)).await?;
    let Some(letter) = found else {
        return Err(Failure::No(format!("there is no dead letter {id}")));
    };
    let (known, note) = match letter.subscription {
        None => (None, None),
        Some(id) => match subscription(config, id).await {
            Ok(known) => (Some(known), None),
            Err(Failure::No(_)) => {
                (None, Some("the subscription does not exist any more: redriving drops the letter".to_owned()))
            }
            Err(failure) => (None, Some(format!("without the subscription's keyword and mentions: {failure}"))),
        },
    };
    let rendered = render(&letter, &app::decoder(config), known.as_ref(), Clock::System.now());
    let detail = shown(&letter, rendered, note);
    if json {
        print_json(&detail);
    } else {
        facts(&letter, &detail, known.as_ref());
        message(&letter, &detail);
    }
    Ok(())
}

async fn subscription(config: &Config, id: SubscriptionId) -> Result<SubscriptionView, Failure> {
    match Access::open(config).await? {
        Access::Daemon(client) => client.get(&format!("/v1/subscriptions/{id}")).await,
        Access::Direct(desk) => Desk::show(&desk, &id.to_string()).map_err(crate::cli::access::failure),
    }
}

fn facts(letter: &DeadLetter, detail: &LetterDetail, known: Option<&SubscriptionView>) {
    let view = &detail.letter;
    let or_none = |value: &Option<String>| value.clone().unwrap_or_else(|| "-".to_owned());
    let named = known.and_then(|known| known.name.as_ref()).map_or_else(String::new, |name| format!(" ({name})"));
    let when = |at: &Option<String>| {
        at.as_ref().map_or_else(|| "-".to_owned(), |time| format!("{time} ({} ago)", age(Some(time))))
    };
    let tried = match letter.attempts {
        0 => "without an attempt".to_owned(),
        1 => "after 1 attempt".to_owned(),
        more => format!("after {more} attempts"),
    };
    let waited = match letter.hops {
        0 => String::new(),
        1 => ", having waited once".to_owned(),
        more => format!(", having waited {more} times"),
    };
    let redriven = match letter.generation {
        0 => "never".to_owned(),
        1 => "once".to_owned(),
        more => format!("{more} times"),
    };
    for (what, value) in [
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
    ] {
        print(format!("{what:<13} {value}").trim_end());
    }
    if let Some(sent) = letter.published.timestamp {
        print(&format!("{:<13} {}", "published", rfc3339(crate::domain::Moment::from_unix_millis(sent * 1000))));
    }
    for (name, value) in &detail.headers {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        print(&format!("{:<13} {name}: {value}", "header"));
    }
}

fn message(letter: &DeadLetter, detail: &LetterDetail) {
    if let (Some(rendered), DeadQueue::Platform(platform)) = (&detail.rendered, letter.queue) {
        print(&format!("\nwhat {platform} would be sent, without a signature:\n{}", pretty(rendered)));
    }
    if let Some(note) = &detail.rendered_note
        && letter.subscription.is_some()
    {
        print(&format!("\nnote: {note}"));
    }
    let bytes = letter.published.body.len();
    match (&detail.body, &detail.body_base64) {
        (Some(text), _) => print(&format!("\nthe event as it was published, {bytes} bytes:\n{text}")),
        (_, Some(base64)) => {
            print(&format!("\nthe event as it was published, {bytes} bytes, no text, in base 64:\n{base64}"))
        }
        _ => (),
    }
}

fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_else(|_| value.to_string())
}
