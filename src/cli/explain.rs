//! `roomcast explain`: prints what would happen to an event, without sending it.
//!
//! Owns the table of outcomes, and the exit code 1 if no subscription would get the event.
//!
//! Not here: the explanation itself (`admin/explain.rs`).

use base64::{Engine, prelude::BASE64_STANDARD};
use hyper::Method;

use super::{
    args,
    backend::{failure, parse_arg},
    client::Client,
    exit::Failure,
    local_store,
    output::{Table, print, print_json, print_status, print_text},
    publish::{self, EventMessage},
};
use crate::{
    admin::{
        Explainer,
        wire::{ExplainRequest, ExplainResponse, Explanation},
    },
    app,
    clock::Clock,
    config::Config,
    domain::HeaderValue,
};

pub(super) async fn run(config: &Config, explain: args::Explain) -> Result<(), Failure> {
    let mut request = request(&explain)?;
    let client = Client::find(&config.admin.socket).await;
    let direct = match &client {
        Some(_) => None,
        None => {
            let store = local_store::open_store(config).await?;
            let decoder = app::decoder(config, store.templates());
            Some(Explainer { store, decoder, pace: None, clock: Clock::System })
        }
    };
    let mut table = Table::new(&[
        "subscription",
        "name",
        "platform",
        "outcome",
        "first",
        "last",
        "parts",
        "bytes",
    ]);
    let (mut all, mut hearing, mut notes) = (0_usize, 0_usize, Vec::new());
    loop {
        let explained: ExplainResponse = match (&client, &direct) {
            (Some(client), _) => client.ask(Method::POST, "/v1/explain", &request).await?,
            (None, Some(direct)) => direct.explain(&request).await.map_err(failure)?,
            (None, None) => break,
        };
        if let Some(mistake) = explained.undecodable {
            let says =
                format!("the event would be a dead letter: {}: {}", mistake.code, mistake.detail);
            return Err(Failure::No(says));
        }
        for one in explained.subscriptions {
            all += 1;
            hearing += usize::from(!one.parts.is_empty());
            if explain.json {
                print_json(&one);
                continue;
            }
            notes.extend(
                one.why.as_ref().map(|why| format!("{}  {}: {why}", one.subscription, one.outcome)),
            );
            if explain.bodies {
                bodies(&one);
            }
            row(&mut table, one);
        }
        request.after = explained.next;
        if request.after.is_none() {
            break;
        }
    }
    if all == 0 {
        return Err(Failure::no_subscription(&request.topic));
    }
    if !explain.json {
        table.print("");
        if !notes.is_empty() {
            print("");
            notes.iter().for_each(|line| print(line));
        }
        if client.is_none() && hearing > 0 {
            print_status("no daemon runs, so nothing is known of quotas and holds");
        }
    }
    if hearing == 0 {
        return Err(Failure::No(format!("none of the {all} subscriptions would receive it")));
    }
    Ok(())
}

fn request(explain: &args::Explain) -> Result<ExplainRequest, Failure> {
    let EventMessage { topic, published, urgent } = publish::event_message(&explain.said)?;
    // JSON holds text alone. What is not text goes along in base64.
    let (body, body_base64) = match String::from_utf8(published.body) {
        Ok(body) => (body, None),
        Err(bytes) => (String::new(), Some(BASE64_STANDARD.encode(bytes.as_bytes()))),
    };
    let text = |value: &HeaderValue| value.as_text().unwrap_or_default().to_owned();
    let headers = published.headers.into_iter().map(|(name, value)| (name, text(&value)));
    Ok(ExplainRequest {
        topic,
        body,
        body_base64,
        headers: headers.collect(),
        content_type: published.content_type,
        content_encoding: published.content_encoding,
        urgent,
        subscription: explain.subscription.as_deref().map(parse_arg).transpose()?,
        after: None,
    })
}

fn row(table: &mut Table, one: Explanation) {
    let time = |seconds: Option<f64>| match seconds {
        _ if one.parts.is_empty() => "-".to_owned(),
        None => "?".to_owned(),
        Some(0.0) => "now".to_owned(),
        Some(seconds) => format!("in {seconds:.0} s"),
    };
    let (first, last) = (time(one.first_in_seconds), time(one.last_in_seconds));
    let bytes: Vec<_> = one.parts.iter().map(|part| part.bytes.to_string()).collect();
    let parts = if bytes.is_empty() { "-".to_owned() } else { bytes.len().to_string() };
    let bytes = if bytes.is_empty() { "-".to_owned() } else { bytes.join(" + ") };
    let name = one.name.unwrap_or_else(|| "-".to_owned());
    let (subscription, platform) = (one.subscription.to_string(), one.platform.to_string());
    table.row([subscription, name, platform, one.outcome, first, last, parts, bytes]);
}

/// The messages that one subscription would get.
fn bodies(one: &Explanation) {
    for (at, part) in one.parts.iter().enumerate() {
        let number = if one.parts.len() > 1 {
            format!(", part {} of {}", at + 1, one.parts.len())
        } else {
            String::new()
        };
        print(&format!("# {} on {}{number}, {} bytes", one.subscription, one.platform, part.bytes));
        print_text(&serde_json::to_string_pretty(&part.body).unwrap_or_default());
        print("");
    }
}
