//! `roomcast dead …`: straight at the broker's dead queues, with or without a running daemon.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use serde_json::{Value, json};

use super::{
    args::{self, Which},
    exit::Failure,
    screen::{Table, agreed, print, print_json},
};
use crate::{
    app,
    broker::{Act, DeadLetter, DeadQueues, Filter, Topology},
    clock::Clock,
    config::{self, Config},
    domain::{DeadReason, Moment, Platform},
    platforms,
};

pub(super) async fn run(config: &Config, command: args::Dead) -> Result<(), Failure> {
    let topology = Arc::new(Topology::new(app::topology_settings(config)));
    let queues =
        DeadQueues::open(&app::address(config), topology).await.map_err(|error| super::broker_failure(&error))?;
    match command {
        args::Dead::List { which, json } => list(&queues, &which, json).await,
        args::Dead::Show { id, json } => show(&queues, id, json).await,
        args::Dead::Redrive { which, all, dry_run } => redrive(&queues, &which, all, dry_run).await,
        args::Dead::Discard { which, all, yes } => discard(&queues, &which, all, yes).await,
    }
}

async fn list(queues: &DeadQueues, which: &Which, as_json: bool) -> Result<(), Failure> {
    let now = Clock::System.now();
    let mut table = Table::new(&["id", "platform", "reason", "code", "topic", "attempts", "gen", "age", "detail"]);
    walk(queues, which, Act::Look, |letter| {
        if as_json {
            print_json(&view(&letter));
        } else {
            let platform = letter.platform.map_or("event", Platform::as_str).to_owned();
            let age = letter.dead_at.map_or_else(|| "-".to_owned(), |at| span(now.since(at)));
            let detail: String = letter.detail.chars().take(60).collect();
            table.row([
                letter.id,
                platform,
                letter.reason.to_string(),
                letter.code,
                letter.topic,
                letter.attempts.to_string(),
                letter.generation.to_string(),
                age,
                detail,
            ]);
        }
    })
    .await?;
    if !as_json {
        table.print("no dead letters");
    }
    Ok(())
}

async fn show(queues: &DeadQueues, id: String, as_json: bool) -> Result<(), Failure> {
    let which = Which { id: Some(id.clone()), ..nothing() };
    let mut found = None;
    walk(queues, &which, Act::Look, |letter| found = Some(letter)).await?;
    let Some(letter) = found else {
        return Err(Failure::No(format!("there is no dead letter {id}")));
    };
    if as_json {
        print_json(&view(&letter));
        return Ok(());
    }
    let none = || "-".to_owned();
    for (what, value) in [
        ("id", letter.id.clone()),
        ("reason", letter.reason.to_string()),
        ("code", letter.code.clone()),
        ("detail", letter.detail.clone()),
        ("what to do", advice(&letter).to_owned()),
        ("platform", letter.platform.map_or_else(none, |platform| platform.to_string())),
        ("topic", letter.topic.clone()),
        ("event", letter.event.clone()),
        ("subscription", letter.subscription.map_or_else(none, |id| id.to_string())),
        ("robot", letter.robot.map_or_else(none, |id| id.to_string())),
        ("attempts", letter.attempts.to_string()),
        ("first attempt", letter.first_attempt_at.map_or_else(none, rfc3339)),
        ("given up", letter.dead_at.map_or_else(none, rfc3339)),
        ("redriven", format!("{} times", letter.generation)),
        ("part", part(&letter).unwrap_or_else(|| "all of it".to_owned())),
    ] {
        print(&format!("{what:<13} {value}"));
    }
    print(&format!("\n{}", String::from_utf8_lossy(&letter.published.body)));
    Ok(())
}

async fn redrive(queues: &DeadQueues, which: &Which, all: bool, dry_run: bool) -> Result<(), Failure> {
    named(which, all)?;
    let mut count = BTreeMap::new();
    let act = if dry_run { Act::Look } else { Act::Redrive };
    let total = walk(queues, which, act, |letter| *count.entry(kind(&letter)).or_insert(0) += 1).await?;
    summary(if dry_run { "would be redriven" } else { "redriven" }, total, &count)
}

async fn discard(queues: &DeadQueues, which: &Which, all: bool, yes: bool) -> Result<(), Failure> {
    named(which, all)?;
    let mut count = BTreeMap::new();
    if !yes {
        let total = walk(queues, which, Act::Look, |letter| *count.entry(kind(&letter)).or_insert(0) += 1).await?;
        summary("would be deleted for good", total, &count)?;
        if !agreed("delete them?")? {
            return Err(Failure::No("nothing was deleted".to_owned()));
        }
        count.clear();
    }
    let total = walk(queues, which, Act::Discard, |letter| *count.entry(kind(&letter)).or_insert(0) += 1).await?;
    summary("deleted", total, &count)
}

async fn walk(queues: &DeadQueues, which: &Which, act: Act, seen: impl FnMut(DeadLetter)) -> Result<usize, Failure> {
    let (platform, filter) = filter(which)?;
    let limit = which.limit.unwrap_or(usize::MAX);
    queues
        .walk(platform, &filter, act, limit, Clock::System.now(), seen)
        .await
        .map_err(|error| super::broker_failure(&error))
}

fn filter(which: &Which) -> Result<(Option<Platform>, Filter), Failure> {
    fn parsed<T: std::str::FromStr<Err: std::fmt::Display>>(
        name: &str,
        text: Option<&String>,
    ) -> Result<Option<T>, Failure> {
        text.map(|text| text.trim().parse().map_err(|mistake| Failure::Usage(format!("--{name}: {mistake}"))))
            .transpose()
    }
    let filter = Filter {
        id: which.id.clone(),
        topic: which.topic.clone(),
        reason: parsed::<DeadReason>("reason", which.reason.as_ref())?,
        code: which.code.clone(),
        robot: parsed("robot", which.robot.as_ref())?,
        subscription: parsed("subscription", which.subscription.as_ref())?,
        event: which.event.clone(),
        older_than: age("older-than", which.older_than.as_ref())?,
        newer_than: age("newer-than", which.newer_than.as_ref())?,
    };
    Ok((parsed("platform", which.platform.as_ref())?, filter))
}

/// Acting on every dead letter there is must be said, not forgotten.
fn named(which: &Which, all: bool) -> Result<(), Failure> {
    let filters = [
        &which.id,
        &which.platform,
        &which.reason,
        &which.code,
        &which.topic,
        &which.robot,
        &which.subscription,
        &which.event,
        &which.older_than,
        &which.newer_than,
    ];
    if all || filters.iter().any(|filter| filter.is_some()) {
        Ok(())
    } else {
        Err(Failure::Usage("which dead letters? name some (--id, --reason, --platform, …) or say --all".to_owned()))
    }
}

fn nothing() -> Which {
    Which {
        id: None,
        platform: None,
        reason: None,
        code: None,
        topic: None,
        robot: None,
        subscription: None,
        event: None,
        older_than: None,
        newer_than: None,
        limit: None,
    }
}

fn kind(letter: &DeadLetter) -> String {
    format!("{} {} {}", letter.platform.map_or("event", Platform::as_str), letter.reason, letter.code)
}

fn summary(what: &str, total: usize, count: &BTreeMap<String, usize>) -> Result<(), Failure> {
    if total == 0 {
        return Err(Failure::No("no dead letter matches".to_owned()));
    }
    print(&format!("{total} {what}"));
    for (kind, count) in count {
        print(&format!("{count:>7}  {kind}"));
    }
    Ok(())
}

fn advice(letter: &DeadLetter) -> &'static str {
    match letter.platform {
        Some(platform) => platforms::advice(platform, letter.reason, &letter.code),
        None if letter.code == "template" => platforms::TEMPLATE_ADVICE,
        None => "the publisher sent what is no event; the detail says where the mistake is",
    }
}

fn view(letter: &DeadLetter) -> Value {
    json!({
        "id": letter.id,
        "platform": letter.platform.map(Platform::as_str),
        "reason": letter.reason.as_str(),
        "code": letter.code,
        "detail": letter.detail,
        "advice": advice(letter),
        "topic": letter.topic,
        "event": letter.event,
        "subscription": letter.subscription.map(|id| id.to_string()),
        "robot": letter.robot.map(|id| id.to_string()),
        "attempts": letter.attempts,
        "first_attempt_at": letter.first_attempt_at.map(rfc3339),
        "dead_at": letter.dead_at.map(rfc3339),
        "generation": letter.generation,
        "part": part(letter),
        "body": String::from_utf8_lossy(&letter.published.body),
    })
}

/// Which part of a text it is that could not be delivered; those before it were.
fn part(letter: &DeadLetter) -> Option<String> {
    letter.part.of.map(|of| format!("{}/{of}", letter.part.at + 1))
}

fn age(name: &str, text: Option<&String>) -> Result<Option<Duration>, Failure> {
    text.map(|text| config::duration(text.trim()).map_err(|mistake| Failure::Usage(format!("--{name}: {mistake}"))))
        .transpose()
}

fn rfc3339(at: Moment) -> String {
    let millis = i64::try_from(at.unix_millis()).unwrap_or(i64::MAX);
    jiff::Timestamp::from_millisecond(millis).unwrap_or(jiff::Timestamp::MAX).to_string()
}

fn span(length: Duration) -> String {
    match length.as_secs() {
        seconds if seconds < 120 => format!("{seconds}s"),
        seconds if seconds < 7200 => format!("{}m", seconds / 60),
        seconds if seconds < 172_800 => format!("{}h", seconds / 3600),
        seconds => format!("{}d", seconds / 86_400),
    }
}
