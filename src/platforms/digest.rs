//! Digests: many events coalesced into one message.
//!
//! Owns the content of a digest: the number of events, one line for each, the union of their
//! mentions.
//!
//! Not here: which deliveries are coalesced (`pace/robot_queue/coalescing.rs`).

use std::{borrow::Cow, sync::Arc};

use super::{
    chat_phrases::ChatPhrase,
    markdown,
    registry::profile,
    text::{RAW, cut, shortened},
};
use crate::domain::{
    Event, EventContent, EventId, Format, Language, Mentions, Platform, PlatformContent,
    PublishedMessage, TextBody, Timestamp,
};

/// The most bytes of one line: about what a phone shows.
const LINE_BYTES_MAX: usize = 160;
/// The most bytes read of one text. A digest may coalesce a thousand texts.
const READ_BYTES_MAX: usize = 4_096;

/// The digest of these events for one platform, the oldest first. All events belong to one
/// subscription, which has the language. The digest's id joins the ids of its events, so different
/// digests have different ids.
#[must_use]
pub fn digest(
    platform: Platform,
    language: Language,
    one: &Arc<Event>,
    others: &[&Arc<Event>],
) -> Event {
    let mut events = [&[one], others].concat();
    events.sort_by_key(|event| event.received_at);
    let mentions = events
        .iter()
        .fold(Mentions::default(), |all, event| all.and(&event.content.mentions_on(platform)));
    let latest = |of: fn(&Event) -> Timestamp| {
        events.iter().map(|event| of(event)).max().unwrap_or_default()
    };
    let name = events.iter().map(|event| event.id.as_str()).collect::<Vec<_>>().join("\n");
    let subject = ChatPhrase::DigestSubject { messages: events.len() };
    Event {
        id: EventId::new(&name),
        topic: one.topic.clone(),
        content: EventContent {
            subject: Some(subject.text(language)),
            format: Format::Text,
            message: Some(lines(platform, language, &events).as_str().into()),
            mentions,
            ..EventContent::default()
        },
        urgent: events.iter().any(|event| event.urgent),
        received_at: latest(|event| event.received_at),
        expires_at: latest(|event| event.expires_at),
        published: PublishedMessage::default(),
    }
}

/// One line for each event. Equal lines are merged with a count; lines beyond the limit are
/// counted.
fn lines(platform: Platform, language: Language, events: &[&Arc<Event>]) -> String {
    let mut counted: Vec<(String, usize)> = Vec::new();
    for event in events {
        let line = line(platform, language, event);
        match counted.iter_mut().find(|(known, _)| *known == line) {
            Some((_, count)) => *count += 1,
            None => counted.push((line, 1)),
        }
    }
    let max = profile(platform).digest_bytes_max();
    let (mut text, mut left) = (String::new(), events.len());
    for (line, count) in counted {
        let line =
            if count > 1 { format!("• {line} (×{count})\n") } else { format!("• {line}\n") };
        if text.len() + line.len() > max {
            break;
        }
        text.push_str(&line);
        left -= count;
    }
    if left > 0 {
        text.push_str(&ChatPhrase::DigestRest { messages: left }.text(language));
    }
    text.trim_end().to_owned()
}

/// The summary of an event: its subject, or the beginning of its text.
fn line(platform: Platform, language: Language, event: &Event) -> String {
    let content = &event.content;
    let words = |passage| plain(passage, content.format);
    let about = match (&content.subject, content.for_platform(platform)) {
        // All lines of a subject are one title.
        (Some(subject), _) => subject.lines().map(str::trim).collect::<Vec<_>>().join(" ").into(),
        (None, Ok(PlatformContent::Text(passage))) => {
            passage.title.as_ref().map_or_else(|| words(passage), Cow::from)
        }
        (None, Ok(PlatformContent::Native(_)) | Err(_)) => {
            let without_text = || ChatPhrase::WithoutText.text(language).into();
            content.message.as_ref().map_or_else(without_text, words)
        }
    };
    let Some(first) = about.lines().map(str::trim).find(|line| !line.is_empty()) else {
        return ChatPhrase::Empty.text(language);
    };
    shortened(first, LINE_BYTES_MAX, RAW).into_owned()
}

/// The beginning of a text without markup, because a digest is plain text.
fn plain(passage: &TextBody, format: Format) -> Cow<'_, str> {
    let beginning = cut(&passage.text, READ_BYTES_MAX, RAW);
    match passage.format.unwrap_or(format) {
        Format::Text => beginning.into(),
        Format::Markdown => markdown::plain_lines(beginning).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(number: u64, subject: Option<&str>, message: &str) -> Arc<Event> {
        Arc::new(Event {
            id: EventId::new(&format!("e{number}")),
            topic: "ops".parse().unwrap(),
            content: EventContent {
                subject: subject.map(str::to_owned),
                message: Some(message.into()),
                mentions: Mentions {
                    all: false,
                    mobiles: vec![],
                    users: vec![format!("u{}", number % 2)],
                },
                ..EventContent::default()
            },
            urgent: number == 2,
            received_at: Timestamp::from_unix_millis(number),
            expires_at: Timestamp::from_unix_millis(1000 - number),
            published: PublishedMessage::default(),
        })
    }

    #[test]
    fn a_digest_counts_and_names_its_events_and_mentions_their_members() {
        let events = [
            event(3, None, "\n  third one\nmore"),
            event(1, Some("db-1 is down"), "x"),
            event(2, Some("db-1 is down"), "y"),
        ];
        let folded = digest(Platform::Lark, Language::En, &events[0], &[&events[1], &events[2]]);
        assert_eq!(folded.content.subject.as_deref(), Some("3 messages"));
        assert_eq!(folded.content.message, Some("• db-1 is down (×2)\n• third one".into()));
        assert_eq!(folded.content.mentions.users, ["u1", "u0"]);
        assert!(folded.urgent);
        assert_eq!(folded.expires_at, Timestamp::from_unix_millis(999));
        assert_eq!(folded.id.as_str(), "e1\ne2\ne3", "the same events are the same digest");
    }

    #[test]
    fn a_line_of_an_event_in_markdown_is_plain_words() {
        for (message, says) in [
            ("## **db-1** is _down_\n\nsince [noon](https://x.test/12)", "db-1 is down"),
            ("---\n\n> `load` is 9\\.5 &gt; 8  \n> since noon", "load is 9.5 > 8"),
            ("- <font color=\"warning\">disk</font> full\n- more", "disk full"),
            ("| host | state |\n|---|---|\n| db-1 | down |", "host | state"),
            ("```sh\nmake all\n```", "make all"),
            ("<at id=ou_1></at> ~~it is down~~ it is up", "@ou_1 ~~it is down~~ it is up"),
            ("![](https://x.test/graph.png)", "![](https://x.test/graph.png)"),
            ("# \n \n", "#"),
        ] {
            let mut event = Arc::unwrap_or_clone(event(1, None, message));
            event.content.format = Format::Markdown;
            assert_eq!(
                line(Platform::WeCom, Language::En, &Arc::new(event.clone())),
                says,
                "{message}"
            );
            event.content.message.as_mut().unwrap().format = Some(Format::Text);
            assert_eq!(
                line(Platform::WeCom, Language::En, &Arc::new(event)),
                message.lines().next().unwrap().trim(),
                "plain text"
            );
        }
    }

    #[test]
    fn events_without_room_in_a_digest_are_counted() {
        let events: Vec<_> = (0..1000)
            .map(|n| event(n, Some(&format!("告警 {n} {}", "x".repeat(300))), "m"))
            .collect();
        let events: Vec<_> = events.iter().collect();
        for platform in Platform::ALL {
            let folded = digest(platform, Language::En, events[0], &events[1..]);
            let text = folded.content.message.unwrap().text;
            assert!(text.len() <= profile(platform).digest_bytes_max() + 20, "{}", text.len());
            let listed = text.lines().count() - 1;
            assert!(text.ends_with(&format!("… and {} more", 1000 - listed)), "{text}");
        }
    }
}
