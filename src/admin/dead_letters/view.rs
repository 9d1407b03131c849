//! The views of a dead letter: in a listing, and with all its details.
//!
//! Owns which parts of a message the API and the command line show.
//!
//! Not here: the fields' meaning (`admin/wire/dead.rs`), and the rendered message (`render.rs`).

use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Map, Value};

use crate::{
    admin::wire::{DeadLetterDetail, DeadLetterView},
    broker::DeadLetter,
    domain::{HeaderValue, Timestamp},
    fanout, platforms,
};

/// How many characters of an event a listing shows.
const EXCERPT_BYTES_MAX: usize = 120;

/// The advice for a letter of another version.
const UNKNOWN_REASON_ADVICE: &str = "another version of roomcast gave it up, \
    for a reason that this one does not know: the code and the detail say why; \
    the documentation of that version says what to do";

/// A letter as a listing shows it.
#[must_use]
pub fn view(letter: &DeadLetter) -> DeadLetterView {
    DeadLetterView {
        id: letter.id.clone(),
        platform: letter.platform,
        reason: letter.reason.clone(),
        code: letter.code.clone(),
        detail: letter.detail.clone(),
        advice: advice(letter).to_owned(),
        topic: letter.topic.clone(),
        event: letter.event.clone(),
        app_id: letter.published.app_id.clone(),
        user_id: letter.published.user_id.clone(),
        says: excerpt(&fanout::shown_text(&letter.published)),
        subscription: letter.subscription,
        robot: letter.robot,
        attempts: letter.attempts,
        received_at: letter.received_at.map(rfc3339),
        first_attempt_at: letter.first_attempt_at.map(rfc3339),
        dead_at: letter.dead_at.map(rfc3339),
        generation: letter.generation,
        part: letter.part.total.map(|of| format!("{}/{of}", letter.part.index + 1)),
        omitted: letter.omitted.iter().map(|one| one.as_str().to_owned()).collect(),
        urgent: letter.urgent,
    }
}

/// A letter with everything that was published, not rendered.
#[must_use]
pub fn whole(letter: &DeadLetter) -> DeadLetterDetail {
    let published = &letter.published;
    let (body, body_base64) = match String::from_utf8(published.body.clone()) {
        Ok(text) => (Some(text), None),
        Err(bytes) => (None, Some(BASE64_STANDARD.encode(bytes.as_bytes()))),
    };
    DeadLetterDetail {
        letter: view(letter),
        headers: headers(&published.headers),
        content_type: published.content_type.clone(),
        published_at: published
            .timestamp
            .map(|sent| rfc3339(Timestamp::from_unix_millis(sent.saturating_mul(1000)))),
        hops: letter.hops,
        body,
        body_base64,
        rendered: None,
        rendered_note: None,
    }
}

/// What an operator can do about a letter, in a sentence.
fn advice(letter: &DeadLetter) -> &'static str {
    let Some(reason) = letter.reason.known() else { return UNKNOWN_REASON_ADVICE };
    match letter.platform {
        Some(platform) => platforms::advice(platform, reason, &letter.code),
        None => platforms::event_advice(reason, &letter.code),
    }
}

/// The start of an event: its subject, else its message, else the first characters of its body.
fn excerpt(body: &str) -> String {
    let fields: Option<Map<String, Value>> = serde_json::from_str(body).ok();
    let field = |name| fields.as_ref().and_then(|fields| fields.get(name)).and_then(Value::as_str);
    let text = match ["subject", "message"]
        .into_iter()
        .find_map(|name| field(name).filter(|text| !text.is_empty()))
    {
        Some(text) => text.to_owned(),
        None => body.chars().take(EXCERPT_BYTES_MAX * 4).collect(),
    };
    let line: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() > EXCERPT_BYTES_MAX {
        line.chars().take(EXCERPT_BYTES_MAX - 1).chain(['…']).collect()
    } else {
        line
    }
}

fn headers(headers: &[(String, HeaderValue)]) -> Map<String, Value> {
    headers.iter().map(|(name, value)| (name.clone(), header(value))).collect()
}

fn header(value: &HeaderValue) -> Value {
    match value {
        HeaderValue::Void => Value::Null,
        HeaderValue::Bool(truth) => (*truth).into(),
        HeaderValue::Int(number) => (*number).into(),
        HeaderValue::Float(number) => (*number).into(),
        HeaderValue::Decimal(scale, value) => format!("{value}e-{scale}").into(),
        HeaderValue::Text(bytes) | HeaderValue::Bytes(bytes) => {
            String::from_utf8_lossy(bytes).into()
        }
        HeaderValue::Timestamp(seconds) => {
            rfc3339(Timestamp::from_unix_millis(seconds.saturating_mul(1000))).into()
        }
        HeaderValue::List(list) => list.iter().map(header).collect(),
        HeaderValue::Table(table) => Value::Object(headers(table)),
    }
}

/// A moment in RFC 3339.
#[must_use]
pub fn rfc3339(at: Timestamp) -> String {
    let millis = i64::try_from(at.unix_millis()).unwrap_or(i64::MAX);
    jiff::Timestamp::from_millisecond(millis).unwrap_or(jiff::Timestamp::MAX).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::PublishedMessage;

    #[test]
    fn an_event_says_its_subject_or_how_it_begins() {
        let long = format!(r#"{{"message": "{}"}}"#, "長".repeat(200));
        for (body, expected) in [
            (r#"{"subject": "db-1 is down", "message": "m"}"#, "db-1 is down".to_owned()),
            ("{\"subject\": \"\", \"message\": \"two\\n lines\"}", "two lines".to_owned()),
            ("no event\nat all", "no event at all".to_owned()),
            (&long, format!("{}…", "長".repeat(119))),
            ("", String::new()),
        ] {
            assert_eq!(excerpt(body), expected);
        }
        let bytes = PublishedMessage { body: vec![0xff; 3000], ..PublishedMessage::default() };
        assert_eq!(excerpt(&fanout::shown_text(&bytes)).chars().count(), EXCERPT_BYTES_MAX);
    }
}
