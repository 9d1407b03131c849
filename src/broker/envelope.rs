//! The headers of deliveries and dead letters.
//!
//! Owns the names of these headers and their parsing. Any headers are either those of a delivery,
//! or have an error that names the header.
//!
//! Not here: the other properties of a message (`properties.rs`), receipts (`outcome.rs`).

#[cfg(test)]
mod tests;

use std::{str::FromStr, time::Duration};

use super::message::StoredDelivery;
use crate::domain::{
    DeadCause, Degradation, Delivery, EventId, FeatureSet, HeaderValue, Headers, Part,
    PublishedMessage, Timestamp, WaitReason,
};

pub(super) const REASON: &str = "x-roomcast-reason";
pub(super) const CODE: &str = "x-roomcast-code";
pub(super) const DETAIL: &str = "x-roomcast-detail";
pub(super) const PLATFORM: &str = "x-roomcast-platform";
pub(super) const TOPIC: &str = "x-roomcast-topic";
pub(super) const EVENT: &str = "x-roomcast-event";
pub(super) const SUBSCRIPTION: &str = "x-roomcast-subscription";
pub(super) const ROBOT: &str = "x-roomcast-robot";
pub(super) const ATTEMPTS: &str = "x-roomcast-attempts";
pub(super) const HOPS: &str = "x-roomcast-hops";
pub(super) const FIRST_ATTEMPT_AT: &str = "x-roomcast-first-attempt-at";
pub(super) const DEAD_AT: &str = "x-roomcast-dead-at";
pub(super) const DUE_AT: &str = "x-roomcast-due-at";
pub(super) const RECEIVED_AT: &str = "x-roomcast-received-at";
pub(super) const LEFT_MS: &str = "x-roomcast-left-ms";
pub(super) const EXPIRES_AT: &str = "x-roomcast-expires-at";
pub(super) const GENERATION: &str = "x-roomcast-generation";
pub(super) const PART: &str = "x-roomcast-part";
pub(super) const SLOT: &str = "x-roomcast-slot";
pub(super) const URGENT: &str = "x-roomcast-urgent";
pub(super) const WAIT_REASON: &str = "x-roomcast-wait-reason";
pub(super) const OMITTED: &str = "x-roomcast-omitted";
pub(super) const OMITTED_BEFORE: &str = "x-roomcast-omitted-before";
pub(super) const PLAIN_PART: &str = "x-roomcast-plain-part";

/// The headers of a delivery that is due at `until`. `left` is the wait that remains when its tier
/// releases it.
pub(super) fn of_delivery(delivery: &Delivery, until: Timestamp, left: Duration) -> Headers {
    let mut headers = identity(delivery);
    headers.push((ROBOT.into(), HeaderValue::text(delivery.robot.to_string())));
    headers.push((DUE_AT.into(), time(until)));
    headers.push((LEFT_MS.into(), millis(left)));
    headers.push((RECEIVED_AT.into(), time(delivery.event.received_at)));
    headers.push((EXPIRES_AT.into(), time(delivery.event.expires_at)));
    headers.extend(delivery.slot.map(|slot| (SLOT.into(), time(slot))));
    let reason = delivery.wait_reason.map(|reason| HeaderValue::text(reason.as_str()));
    headers.extend(reason.map(|reason| (WAIT_REASON.into(), reason)));
    headers
}

/// The headers of a dead delivery.
pub(super) fn of_dead_delivery(
    delivery: &Delivery,
    cause: DeadCause<'_>,
    at: Timestamp,
) -> Headers {
    let mut headers = why(cause, at);
    headers.push((ROBOT.into(), HeaderValue::text(delivery.robot.to_string())));
    headers.push((RECEIVED_AT.into(), time(delivery.event.received_at)));
    headers.extend(identity(delivery));
    headers
}

/// An event that is a dead letter as a whole.
pub(super) struct DeadEvent<'a> {
    pub(super) published: &'a PublishedMessage,
    pub(super) urgent: bool,
    /// The event's id.
    pub(super) event: &'a str,
    /// How often it was redriven.
    pub(super) generation: u32,
}

/// The headers of a dead event.
pub(super) fn of_dead_event(dead: &DeadEvent<'_>, cause: DeadCause<'_>, at: Timestamp) -> Headers {
    let DeadEvent { published, urgent, event, generation } = *dead;
    let mut headers = why(cause, at);
    headers.push((TOPIC.into(), HeaderValue::text(published.routing_key.clone())));
    headers.push((EVENT.into(), HeaderValue::text(event)));
    headers.push((ATTEMPTS.into(), HeaderValue::Int(0)));
    headers.push((GENERATION.into(), HeaderValue::Int(generation.into())));
    if urgent {
        headers.push((URGENT.into(), HeaderValue::Bool(true)));
    }
    headers
}

/// The headers of a redriven delivery: the next generation, a new lifetime, and the first part that
/// was not delivered.
pub(super) fn of_redriven(stored: &StoredDelivery) -> Headers {
    let mut headers = vec![
        (PLATFORM.into(), HeaderValue::text(stored.platform.as_str())),
        (TOPIC.into(), HeaderValue::text(stored.published.routing_key.clone())),
        (EVENT.into(), HeaderValue::text(stored.event.as_str())),
        (SUBSCRIPTION.into(), HeaderValue::text(stored.subscription.to_string())),
        (ATTEMPTS.into(), HeaderValue::Int(0)),
        (HOPS.into(), HeaderValue::Int(0)),
        (GENERATION.into(), HeaderValue::Int(i64::from(stored.generation) + 1)),
    ];
    if stored.urgent {
        headers.push((URGENT.into(), HeaderValue::Bool(true)));
    }
    headers.extend(part_header(PART, stored.part));
    headers.extend(stored.robot.map(|robot| (ROBOT.into(), HeaderValue::text(robot.to_string()))));
    headers
}

/// The headers of a redriven event: the generation only, by which the ledger tells it from earlier
/// ones.
pub(super) fn of_redriven_event(generation: u32) -> Headers {
    if generation == 0 {
        Vec::new()
    } else {
        vec![(GENERATION.into(), HeaderValue::Int(generation.into()))]
    }
}

/// Reads a delivery from a message and its headers, or returns the message and the error.
pub(super) fn read(
    mut published: PublishedMessage,
    headers: &Headers,
) -> Result<StoredDelivery, Box<(PublishedMessage, String)>> {
    match fields(headers) {
        Ok(mut stored) => {
            let topic = find(headers, TOPIC).and_then(HeaderValue::as_text).unwrap_or_default();
            topic.clone_into(&mut published.routing_key);
            published.message_id = Some(stored.event.as_str().to_owned());
            stored.published = published;
            Ok(stored)
        }
        Err(why) => Err(Box::new((published, why))),
    }
}

fn fields(headers: &Headers) -> Result<StoredDelivery, String> {
    Ok(StoredDelivery {
        published: PublishedMessage::default(),
        event: EventId::new(text(headers, EVENT)?),
        subscription: parsed(headers, SUBSCRIPTION)?,
        platform: parsed(headers, PLATFORM)?,
        robot: find(headers, ROBOT).map(|_| parsed(headers, ROBOT)).transpose()?,
        attempts: count(headers, ATTEMPTS)?,
        hops: count(headers, HOPS)?,
        generation: count(headers, GENERATION)?,
        part: part(headers)?,
        degradation: degradation(headers),
        first_attempt_at: moment(headers, FIRST_ATTEMPT_AT)?,
        due_at: moment(headers, DUE_AT)?,
        left: match find(headers, LEFT_MS) {
            Some(_) => Some(Duration::from_millis(count(headers, LEFT_MS)?.into())),
            None => None,
        },
        slot: moment(headers, SLOT)?,
        // Only operators read it, so no text in it makes a delivery unreadable.
        wait_reason: find(headers, WAIT_REASON)
            .and_then(HeaderValue::as_text)
            .and_then(WaitReason::named),
        received_at: moment(headers, RECEIVED_AT)?,
        expires_at: moment(headers, EXPIRES_AT)?,
        urgent: matches!(find(headers, URGENT), Some(HeaderValue::Bool(true))),
    })
}

/// A duration in milliseconds as a header, at most 49 days.
fn millis(length: Duration) -> HeaderValue {
    HeaderValue::Int(u32::try_from(length.as_millis()).unwrap_or(u32::MAX).into())
}

/// The headers common to all messages of a delivery.
fn identity(delivery: &Delivery) -> Headers {
    let mut headers = vec![
        (PLATFORM.into(), HeaderValue::text(delivery.platform.as_str())),
        (TOPIC.into(), HeaderValue::text(delivery.event.topic.as_str())),
        (EVENT.into(), HeaderValue::text(delivery.event.id.as_str())),
        (SUBSCRIPTION.into(), HeaderValue::text(delivery.subscription.to_string())),
        (ATTEMPTS.into(), HeaderValue::Int(delivery.attempts.into())),
        (HOPS.into(), HeaderValue::Int(delivery.hops.into())),
        (GENERATION.into(), HeaderValue::Int(delivery.generation.into())),
    ];
    if let Some(at) = delivery.first_attempt_at {
        headers.push((FIRST_ATTEMPT_AT.into(), time(at)));
    }
    if delivery.event.urgent {
        headers.push((URGENT.into(), HeaderValue::Bool(true)));
    }
    headers.extend(part_header(PART, delivery.part));
    headers.extend(degradation_headers(delivery.degradation));
    headers
}

fn why(cause: DeadCause<'_>, at: Timestamp) -> Headers {
    vec![
        (REASON.into(), HeaderValue::text(cause.reason.as_str())),
        (CODE.into(), HeaderValue::text(cause.code)),
        (DETAIL.into(), HeaderValue::text(cause.detail)),
        (DEAD_AT.into(), time(at)),
    ]
}

pub(super) fn find<'a>(headers: &'a Headers, name: &str) -> Option<&'a HeaderValue> {
    headers.iter().find(|(known, _)| known == name).map(|(_, value)| value)
}

pub(super) fn text<'a>(headers: &'a Headers, name: &str) -> Result<&'a str, String> {
    find(headers, name)
        .and_then(HeaderValue::as_text)
        .ok_or_else(|| format!("header {name} is missing or not text"))
}

fn parsed<T: FromStr<Err: std::fmt::Display>>(headers: &Headers, name: &str) -> Result<T, String> {
    text(headers, name)?.parse().map_err(|mistake| format!("header {name}: {mistake}"))
}

/// A count. A missing header is zero, so a message written by hand needs few headers.
pub(super) fn count(headers: &Headers, name: &str) -> Result<u32, String> {
    match find(headers, name) {
        None => Ok(0),
        Some(value) => value
            .as_int()
            .and_then(|number| u32::try_from(number).ok())
            .ok_or_else(|| format!("header {name} is not a count")),
    }
}

/// A part as `2/3`, counted from 1. `None` for a text that is not split.
fn part_header(name: &str, part: Part) -> Option<(String, HeaderValue)> {
    let of = part.total.filter(|of| *of > 1)?;
    Some((name.into(), HeaderValue::text(format!("{}/{of}", part.index + 1))))
}

/// What a delivery leaves out, if there is anything.
fn degradation_headers(degradation: Degradation) -> Headers {
    let Degradation { omitted, plain_part, earlier } = degradation;
    let sets = [(OMITTED, omitted), (OMITTED_BEFORE, earlier)];
    let sets = sets.into_iter().filter(|(_, set)| !set.is_empty());
    sets.map(|(name, set)| (name.to_owned(), HeaderValue::text(set.to_string())))
        .chain(part_header(PLAIN_PART, plain_part))
        .collect()
}

/// What a delivery leaves out. No text in these headers makes a delivery unreadable: without them
/// it only starts again with everything.
pub(super) fn degradation(headers: &Headers) -> Degradation {
    let set = |name| {
        let names = find(headers, name).and_then(HeaderValue::as_text);
        names.map(FeatureSet::named).unwrap_or_default()
    };
    let omitted = set(OMITTED);
    let plain_part = part_of(headers, PLAIN_PART).filter(|_| !omitted.is_empty());
    Degradation {
        omitted,
        plain_part: plain_part.unwrap_or_default(),
        earlier: set(OMITTED_BEFORE),
    }
}

/// The next part; the first one if the header is missing.
pub(super) fn part(headers: &Headers) -> Result<Part, String> {
    if find(headers, PART).is_none() {
        return Ok(Part::default());
    }
    part_of(headers, PART)
        .ok_or_else(|| format!("header {PART} is not a part: it is written as 2/3"))
}

fn part_of(headers: &Headers, name: &str) -> Option<Part> {
    let (number, of) = find(headers, name)?.as_text()?.split_once('/')?;
    let (number, of): (u32, u32) = (number.parse().ok()?, of.parse().ok()?);
    Some(Part { index: number.checked_sub(1).filter(|at| *at < of)?, total: Some(of) })
}

pub(super) fn moment(headers: &Headers, name: &str) -> Result<Option<Timestamp>, String> {
    if find(headers, name).is_none() {
        return Ok(None);
    }
    let at: jiff::Timestamp = parsed(headers, name)?;
    let millis =
        u64::try_from(at.as_millisecond()).map_err(|_| format!("header {name} is before 1970"))?;
    Ok(Some(Timestamp::from_unix_millis(millis)))
}

fn time(at: Timestamp) -> HeaderValue {
    HeaderValue::text(words(at))
}

/// RFC 3339, which operators can read in the broker's management.
pub(super) fn words(at: Timestamp) -> String {
    let millis = i64::try_from(at.unix_millis()).unwrap_or(i64::MAX);
    jiff::Timestamp::from_millisecond(millis).unwrap_or(jiff::Timestamp::MAX).to_string()
}
