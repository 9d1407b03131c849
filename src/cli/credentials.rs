//! Builds the requests to add and to change a subscription. Webhook URL and signing secret come
//! from standard input, a file or a prompt.
//!
//! Owns that a credential is never an argument, because other users of
//! the machine can read arguments.
//!
//! Not here: the flags and their help (`args.rs`), and the checks (`admin/subscriptions.rs`).

use std::{
    fs,
    io::{self, IsTerminal, Read},
    path::Path,
    sync::Arc,
};

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{
    args,
    backend::{failure, parse_arg},
    exit::Failure,
};
use crate::{
    admin::{
        self,
        wire::{AddRequest, UpdateRequest},
    },
    domain::{
        FilterPolicy, Mentions, PrivateOptions, PrivateOptionsPatch, Secret, SubscriptionOptions,
        SubscriptionOptionsPatch, SubscriptionState, refused_value,
    },
};

/// Builds the request of an addition.
pub(super) fn add(add: &args::Add) -> Result<AddRequest, Failure> {
    let named = named_options(&add.options)?;
    let (topic, platform) = (parse_arg(&add.topic)?, parse_arg(&add.platform)?);
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
            "no webhook URL was given: \
             put it on the first line of standard input or of --endpoint-file"
                .to_owned(),
        ));
    }
    let (endpoint, secret) =
        (Secret::new(endpoint), secret.filter(|secret| !secret.is_empty()).map(Secret::new));
    admin::check_lengths(Some(&endpoint), secret.as_ref()).map_err(failure)?;
    Ok(AddRequest {
        topic,
        platform,
        endpoint,
        secret,
        private: PrivateOptions::default().patched(named.private),
        options: SubscriptionOptions::default().patched(named.options),
        state: SubscriptionState::default(),
    })
}

/// Builds the request of a change.
pub(super) fn update(update: &args::Update) -> Result<UpdateRequest, Failure> {
    let mut request = named_options(&update.options)?;
    if update.no_mentions {
        request.private.mentions = Some(Mentions::default());
    }
    if let Some(path) = &update.endpoint_file {
        let (endpoint, secret) = two_lines(&read_file(path)?);
        request.endpoint = Some(Secret::new(endpoint));
        let secret = secret.filter(|secret| !secret.is_empty());
        request.secret = secret.map(|secret| Some(Secret::new(secret)));
    }
    if let Some(path) = &update.secret_file {
        let secret = read_file(path)?.trim().to_owned();
        request.secret = Some(Some(secret).filter(|secret| !secret.is_empty()).map(Secret::new));
    }
    if update.no_secret {
        request.secret = Some(None);
    }
    let secret = request.secret.as_ref().and_then(Option::as_ref);
    admin::check_lengths(request.endpoint.as_ref(), secret).map_err(failure)?;
    if request.is_empty() {
        return Err(Failure::Usage(
            "nothing to change was named: see `roomcast subscription update --help`".to_owned(),
        ));
    }
    Ok(request)
}

/// The options that are given on the command line, as a change without credentials.
fn named_options(args: &args::OptionArgs) -> Result<UpdateRequest, Failure> {
    let mentions = Mentions {
        all: args.mention_all,
        mobiles: args.mention_mobile.clone(),
        users: args.mention_user.clone(),
    };
    let private = PrivateOptionsPatch {
        keyword: option(args.keyword.as_deref())?,
        name: option(args.name.as_deref())?,
        mentions: Some(mentions).filter(|mentions| !mentions.is_empty()),
    };
    let options = SubscriptionOptionsPatch {
        overflow: option(args.overflow.as_deref())?,
        group: option(args.group.as_deref())?,
        filter: args.filter.as_deref().map(filter).transpose()?,
        quiet: option(quiet(args).as_deref())?.map(|quiet: Option<_>| quiet.map(Arc::new)),
        too_long: option(args.too_long.as_deref())?,
        language: option(args.language.as_deref())?,
    };
    Ok(UpdateRequest { private, options, ..UpdateRequest::default() })
}

/// An option that is given as text. An empty text is its default.
fn option<T: DeserializeOwned + Default>(text: Option<&str>) -> Result<Option<T>, Failure> {
    let read = |text: &str| match text {
        "" => Ok(T::default()),
        text => value(text.into()),
    };
    text.map(read).transpose()
}

/// A filter; an empty text is no filter.
fn filter(text: &str) -> Result<Option<Arc<FilterPolicy>>, Failure> {
    if text.trim().is_empty() {
        return Ok(None);
    }
    let json = serde_json::from_str(text)
        .map_err(|mistake| Failure::Usage(format!("--filter is not JSON: {mistake}")))?;
    value(json).map(|filter| Some(Arc::new(filter)))
}

fn value<T: DeserializeOwned>(json: Value) -> Result<T, Failure> {
    serde_json::from_value(json)
        .map_err(|error| Failure::Usage(refused_value(&error).unwrap_or_else(|| error.to_string())))
}

/// The quiet hours and their zone as one text.
fn quiet(args: &args::OptionArgs) -> Option<String> {
    let spans = args.quiet.as_deref()?.trim();
    let zone = args.quiet_zone.as_deref();
    Some(zone.map_or_else(|| spans.to_owned(), |zone| format!("{spans} {}", zone.trim())))
}

/// The first line that is not blank, and the line after it.
fn two_lines(text: &str) -> (String, Option<String>) {
    let mut lines = text.trim_start_matches('\u{feff}').trim_start().lines();
    let mut lines = lines.by_ref().map(|line| line.trim().to_owned());
    (lines.next().unwrap_or_default(), lines.next())
}

pub(super) fn read_file(path: &Path) -> Result<String, Failure> {
    let shown =
        if path == Path::new("-") { "standard input".into() } else { path.to_string_lossy() };
    String::from_utf8(read_bytes(path)?)
        .map_err(|_| Failure::Usage(format!("{shown} cannot be read: it is not UTF-8")))
}

/// The content of a file, or of standard input.
pub(super) fn read_bytes(path: &Path) -> Result<Vec<u8>, Failure> {
    if path == Path::new("-") {
        let mut bytes = Vec::new();
        io::stdin()
            .read_to_end(&mut bytes)
            .map_err(|error| Failure::Usage(format!("standard input cannot be read: {error}")))?;
        return Ok(bytes);
    }
    fs::read(path)
        .map_err(|error| Failure::Usage(format!("{} cannot be read: {error}", path.display())))
}

fn ask(prompt: &str) -> Result<String, Failure> {
    rpassword::prompt_password(prompt).map(|text| text.trim().to_owned()).map_err(|error| {
        Failure::Usage(format!("nothing could be read from the terminal: {error}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_webhook_is_the_first_line_that_is_not_blank_and_the_secret_the_line_after_it() {
        for (text, endpoint, secret) in [
            ("u\n", "u", None),
            ("\u{feff}\r\n\n u \r\n s \r\n", "u", Some("s")),
            ("u\n\n", "u", Some("")),
            (" \n", "", None),
        ] {
            let (one, two) = two_lines(text);
            assert_eq!((one.as_str(), two.as_deref()), (endpoint, secret), "{text:?}");
        }
    }
}
