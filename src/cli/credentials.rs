//! Reads webhook URL and signing secret from standard input, a file or a prompt.
//!
//! Owns that a credential is never an argument, because other users of
//! the machine can read arguments.
//!
//! Not here: the other options of a subscription (`args.rs`), and the checks
//! (`admin/subscriptions.rs`).

use std::{
    fs,
    io::{self, IsTerminal, Read},
    path::Path,
};

use serde_json::Value;

use super::{args, backend::failure, exit::Failure};
use crate::{
    admin::{
        self,
        wire::{AddRequest, MentionsWire, UpdateRequest},
    },
    domain::Secret,
};

/// Builds the request of an addition.
pub(super) fn add(add: &args::Add) -> Result<AddRequest, Failure> {
    let (endpoint, mut secret) = match &add.endpoint_file {
        Some(path) => two_lines(&read_file(path)?),
        None if io::stdin().is_terminal() => {
            (ask("webhook URL: ")?, Some(ask("signing secret (empty for none): ")?))
        }
        None => two_lines(&read_file(Path::new("-"))?),
    };
    if let Some(path) = &add.secret_file {
        secret = Some(read_file(path)?.trim().to_owned());
    }
    if endpoint.is_empty() {
        return Err(Failure::Usage(
            "no webhook URL was given: put it on the first line of standard input or of --endpoint-file".to_owned(),
        ));
    }
    let wishes = &add.wishes;
    let (endpoint, secret) =
        (Secret::new(endpoint), secret.filter(|secret| !secret.is_empty()).map(Secret::new));
    admin::check_lengths(Some(&endpoint), secret.as_ref()).map_err(failure)?;
    Ok(AddRequest {
        topic: add.topic.clone(),
        platform: add.platform.clone(),
        endpoint,
        secret,
        keyword: wishes.keyword.clone(),
        name: wishes.name.clone(),
        mentions: mentions(wishes),
        overflow: wishes.overflow.clone(),
        group: wishes.group.clone(),
        state: None,
        filter: wishes.filter.as_deref().map(filter).transpose()?,
        quiet: quiet(wishes),
        too_long: wishes.too_long.clone(),
    })
}

/// Builds the request of a change.
pub(super) fn update(update: &args::Update) -> Result<UpdateRequest, Failure> {
    let wishes = &update.wishes;
    let mut request = UpdateRequest {
        keyword: wishes.keyword.clone(),
        name: wishes.name.clone(),
        overflow: wishes.overflow.clone(),
        group: wishes.group.clone(),
        filter: wishes.filter.as_deref().map(filter).transpose()?,
        quiet: quiet(wishes),
        too_long: wishes.too_long.clone(),
        ..UpdateRequest::default()
    };
    if let Some(path) = &update.endpoint_file {
        let (endpoint, secret) = two_lines(&read_file(path)?);
        request.endpoint = Some(Secret::new(endpoint));
        request.secret = secret.filter(|secret| !secret.is_empty()).map(Secret::new);
    }
    if let Some(path) = &update.secret_file {
        request.secret = Some(Secret::new(read_file(path)?.trim().to_owned()));
    }
    if update.no_secret {
        request.secret = Some(Secret::new(String::new()));
    }
    admin::check_lengths(request.endpoint.as_ref(), request.secret.as_ref()).map_err(failure)?;
    let mentions = mentions(wishes);
    if update.no_mentions
        || mentions.all
        || !mentions.mobiles.is_empty()
        || !mentions.users.is_empty()
    {
        request.mentions = Some(mentions);
    }
    if is_empty_update(&request) {
        return Err(Failure::Usage(
            "nothing to change was named: see `roomcast subscription update --help`".to_owned(),
        ));
    }
    Ok(request)
}

fn is_empty_update(request: &UpdateRequest) -> bool {
    let credentials = request.endpoint.is_some() || request.secret.is_some();
    let texts = [
        &request.keyword,
        &request.name,
        &request.overflow,
        &request.group,
        &request.quiet,
        &request.too_long,
    ];
    !credentials
        && request.mentions.is_none()
        && request.filter.is_none()
        && texts.iter().all(|text| text.is_none())
}

/// Parses a filter; an empty text is no filter.
fn filter(text: &str) -> Result<Value, Failure> {
    if text.trim().is_empty() {
        return Ok(Value::Null);
    }
    serde_json::from_str(text)
        .map_err(|mistake| Failure::Usage(format!("--filter is no JSON: {mistake}")))
}

fn mentions(wishes: &args::OptionArgs) -> MentionsWire {
    MentionsWire {
        all: wishes.mention_all,
        mobiles: wishes.mention_mobile.clone(),
        users: wishes.mention_user.clone(),
    }
}

/// The quiet hours and their zone as one text.
fn quiet(wishes: &args::OptionArgs) -> Option<String> {
    let spans = wishes.quiet.as_deref()?.trim();
    Some(
        wishes
            .quiet_zone
            .as_deref()
            .map_or_else(|| spans.to_owned(), |zone| format!("{spans} {}", zone.trim())),
    )
}

fn two_lines(text: &str) -> (String, Option<String>) {
    let mut lines = text.lines().map(|line| line.trim().to_owned());
    (lines.next().unwrap_or_default(), lines.next())
}

pub(super) fn read_file(path: &Path) -> Result<String, Failure> {
    if path == Path::new("-") {
        let mut text = String::new();
        io::stdin()
            .read_to_string(&mut text)
            .map_err(|error| Failure::Usage(format!("standard input cannot be read: {error}")))?;
        return Ok(text);
    }
    fs::read_to_string(path)
        .map_err(|error| Failure::Usage(format!("{} cannot be read: {error}", path.display())))
}

fn ask(prompt: &str) -> Result<String, Failure> {
    rpassword::prompt_password(prompt).map(|text| text.trim().to_owned()).map_err(|error| {
        Failure::Usage(format!("nothing could be read from the terminal: {error}"))
    })
}
