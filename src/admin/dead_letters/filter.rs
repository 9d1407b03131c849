//! Reads the filter of a request for dead letters.
//!
//! Owns the forms that are accepted: a letter's id, and ages such as `2h`.
//!
//! Not here: how a filter is applied (`broker::DeadLetterFilter`).

use crate::{
    admin::{ApiError, wire::DeadQuery},
    broker::DeadLetterFilter,
    domain::{InvalidLetterId, Timestamp, duration},
};

/// The filter of a query. Ages count back from `now`. An error says which value is wrong.
pub fn dead_filter(
    query: &DeadQuery,
    ids: &[String],
    now: Timestamp,
) -> Result<DeadLetterFilter, ApiError> {
    let ago = |name, text: &Option<String>| {
        read(name, text, duration).map(|span| span.map(|span| now.before(span)))
    };
    Ok(DeadLetterFilter {
        queue: query.platform,
        ids: ids.iter().map(|id| letter_id(id)).collect::<Result<_, _>>()?,
        topic: query.topic.clone(),
        reason: query.reason.clone(),
        code: query.code.clone(),
        robot: query.robot,
        subscription: query.subscription,
        event: query.event.clone(),
        generation: query.generation,
        text: query.text.clone().filter(|text| !text.is_empty()),
        until: ago("older_than", &query.older_than)?,
        since: ago("newer_than", &query.newer_than)?,
    })
}

/// Reads the id of a dead letter: the message's own, or `content-` with a hash of its content.
pub fn letter_id(text: &str) -> Result<String, ApiError> {
    let id = text.trim();
    let digits = id.strip_prefix("content-").unwrap_or(id);
    let good = (32..=36).contains(&digits.len())
        && digits.bytes().all(|one| one.is_ascii_hexdigit() || one == b'-');
    if good {
        Ok(id.to_owned())
    } else {
        Err(ApiError::Invalid(InvalidLetterId(text.to_owned()).to_string()))
    }
}

fn read<T, E: std::fmt::Display>(
    name: &str,
    text: &Option<String>,
    read: impl FnOnce(&str) -> Result<T, E>,
) -> Result<Option<T>, ApiError> {
    let value = text.as_deref().map(|text| read(text.trim())).transpose();
    value.map_err(|mistake| ApiError::Invalid(format!("{name}: {mistake}")))
}
