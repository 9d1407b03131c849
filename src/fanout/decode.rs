//! The decoder: from a published message to an event, or to a mistake with its place.
//!
//! Owns the limits and rules of an event's content.
//!
//! Not here: the shape of the JSON (`wire.rs`), the entries of a structure (`structure.rs`), and
//! templates (`templates/`).

use std::time::Duration;

use super::{
    attributes::attributes_of,
    cloudevent::{CloudEvent, Data, unwrap},
    lifetime::alive_since,
    not_before::not_before,
    structure::read_structure,
    templates::{RenderError, Tags, TemplateRegistry},
    undecodable::{Undecodable, catch_panic, mistake},
    wire::EventWire,
};
use crate::domain::{
    Attributes, Audience, DAMAGED, Event, EventContent, EventId, HEADERS_BYTES_MAX, Mentions,
    Platform, PlatformOverride, PublishedMessage, TextBody, Timestamp, TopicName, bytes_of,
    receipt_requested,
};

/// The limits of an event.
#[derive(Clone, Debug)]
pub struct DecoderSettings {
    /// The largest body, in bytes.
    pub size_max: usize,
    /// The time to live of an event that does not set one.
    pub time_to_live: Duration,
    /// The longest time to live; a longer one is cut to this.
    pub time_to_live_max: Duration,
    /// How far ahead an event's not-before time may be.
    pub not_before_max: Duration,
    /// How old the publisher's timestamp may be and still start the event's life.
    pub timestamp_age_max: Duration,
}

/// The facts about an event that are known before its body is read.
#[derive(Clone, Debug)]
pub struct DecodeContext {
    /// Its id.
    pub id: EventId,
    /// When it was first received. For an event whose `expires_at` is known, this is its not-before
    /// time, if that was later.
    pub received_at: Timestamp,
    /// When it expires, if an earlier step has decided that.
    pub expires_at: Option<Timestamp>,
    /// Whether it was redriven. Then its life starts again, and the publisher's timestamp does not
    /// count.
    pub redriven: bool,
    /// Whether it came through the urgent exchange.
    pub urgent: bool,
    /// The only platform for which it is read. Its template is then rendered for that platform
    /// alone, and cannot fail for others.
    pub platform: Option<Platform>,
}

impl DecodeContext {
    /// A placeholder without content for an unreadable event, so that its delivery can become a
    /// dead letter.
    ///
    /// # Errors
    ///
    /// The topic is invalid too. The message is returned.
    pub fn placeholder_event(
        self,
        published: PublishedMessage,
    ) -> Result<Event, Box<PublishedMessage>> {
        let Ok(topic) = published.routing_key.parse() else { return Err(Box::new(published)) };
        Ok(Event {
            id: self.id,
            topic,
            content: EventContent::default(),
            urgent: self.urgent,
            received_at: self.received_at,
            expires_at: self.expires_at.unwrap_or(self.received_at),
            published,
        })
    }
}

/// Messages with at least this AMQP priority are urgent.
const URGENT_PRIORITY: u8 = 5;

/// Whether a message is urgent: it came through the urgent exchange, or its priority says so.
#[must_use]
pub fn is_urgent(published: &PublishedMessage, urgent_exchange: bool) -> bool {
    urgent_exchange || published.priority >= Some(URGENT_PRIORITY)
}

/// Decodes events.
#[derive(Clone, Debug)]
pub struct Decoder {
    settings: DecoderSettings,
    registry: TemplateRegistry,
}

impl Decoder {
    /// A decoder with these limits and templates.
    #[must_use]
    pub const fn new(settings: DecoderSettings, registry: TemplateRegistry) -> Self {
        Self { settings, registry }
    }

    /// Decodes an event.
    ///
    /// # Errors
    ///
    /// The event cannot be read. The message is returned with the mistake.
    pub fn decode(
        &self,
        published: PublishedMessage,
        known: DecodeContext,
    ) -> Result<Event, Box<(PublishedMessage, Undecodable)>> {
        match catch_panic(|| self.content(&published, known.platform)) {
            Ok((topic, content, asked)) => {
                let life =
                    asked.unwrap_or(self.settings.time_to_live).min(self.settings.time_to_live_max);
                let (received_at, expires_at) = match known.expires_at {
                    Some(expires_at) => (known.received_at, expires_at),
                    None => match not_before(
                        &published.headers,
                        known.received_at,
                        self.settings.not_before_max,
                    ) {
                        Ok(not_before) => {
                            let timestamp = published.timestamp.filter(|_| !known.redriven);
                            let since = alive_since(
                                timestamp,
                                known.received_at,
                                self.settings.timestamp_age_max,
                            );
                            let later =
                                |than: Timestamp| not_before.map_or(than, |at| at.max(than));
                            (later(known.received_at), later(since).after(life))
                        }
                        Err(mistake) => return Err(Box::new((published, mistake))),
                    },
                };
                Ok(Event {
                    id: known.id,
                    topic,
                    content,
                    urgent: is_urgent(&published, known.urgent),
                    received_at,
                    expires_at,
                    published,
                })
            }
            Err(mistake) => Err(Box::new((published, mistake))),
        }
    }

    fn content(
        &self,
        published: &PublishedMessage,
        platform: Option<Platform>,
    ) -> Result<(TopicName, EventContent, Option<Duration>), Undecodable> {
        if let Some((_, damage)) = published.headers.iter().find(|(name, _)| name == DAMAGED) {
            let detail = damage.as_text().unwrap_or("the message was damaged").to_owned();
            return Err(Undecodable { code: "damaged", detail });
        }
        let size = published.body.len();
        if size > self.settings.size_max {
            return Err(Undecodable {
                code: "size",
                detail: format!(
                    "the body has {size} bytes: at most {} are possible",
                    self.settings.size_max
                ),
            });
        }
        let size = bytes_of(&published.headers);
        if size > HEADERS_BYTES_MAX {
            let largest = published.headers.iter().max_by_key(|(_, value)| value.bytes());
            let (name, bytes) =
                largest.map_or(("", 0), |(name, value)| (name.as_str(), value.bytes()));
            return Err(Undecodable {
                code: "headers_too_large",
                detail: format!(
                    "the headers have {size} bytes: at most {HEADERS_BYTES_MAX} go along with a message; the largest is {name:?} with {bytes}"
                ),
            });
        }
        let topic = published.routing_key.parse().map_err(|mistake| Undecodable {
            code: "topic",
            detail: format!("routing key: {mistake}"),
        })?;
        receipt_requested(&published.headers)
            .map_err(|mistake| Undecodable { code: "receipt", detail: mistake.to_string() })?;
        let (wire, around) = match unwrap(published)? {
            None => (parse(&published.body)?, Vec::new()),
            Some(CloudEvent { subject, attributes, data }) => {
                let wire = match data {
                    Data::Json(event) => parse(&event)?,
                    Data::Text(format, text) => EventWire::of_text(format, text),
                };
                (EventWire { subject: wire.subject.or(subject), ..wire }, attributes)
            }
        };
        let asked = wire.time_to_live.map(Duration::from_secs);
        let attributes = attributes_of(&wire.message_attributes, around, &published.headers)?;
        Ok((
            topic,
            EventContent { attributes, ..content_of(wire, &self.registry, platform)? },
            asked,
        ))
    }
}

/// Parses the body. The fast path does not track positions; after a mistake, a second parse finds
/// its path.
fn parse(body: &[u8]) -> Result<EventWire, Undecodable> {
    serde_json::from_slice(body).map_err(|_| {
        let mut reader = serde_json::Deserializer::from_slice(body);
        let detail = match serde_path_to_error::deserialize::<_, EventWire>(&mut reader) {
            Err(mistake) => {
                // If the body ends too early, the last step of the path is unknown.
                let path = mistake.path().to_string();
                match path.trim_end_matches('?').trim_end_matches('.') {
                    "" => mistake.inner().to_string(),
                    path => format!("at {path}: {}", mistake.inner()),
                }
            }
            // The first value is a valid event, so the mistake comes after it.
            Ok(_) => reader.end().err().map_or_else(String::new, |mistake| mistake.to_string()),
        };
        Undecodable { code: "json", detail }
    })
}

/// The content of the event. A structure takes precedence over a template, and a template over the
/// message.
fn content_of(
    wire: EventWire,
    registry: &TemplateRegistry,
    platform: Option<Platform>,
) -> Result<EventContent, Undecodable> {
    let mut content = EventContent {
        subject: wire.subject.filter(|subject| !subject.is_empty()),
        format: wire.format.unwrap_or_default().into(),
        message: wire
            .message
            .filter(|message| !message.is_empty())
            .map(|text| TextBody::from(text.as_str())),
        entries: Vec::new(),
        mentions: wire.at.map(Mentions::from).unwrap_or_default(),
        attributes: Attributes::default(),
    };
    let template = wire.message_template_name.filter(|name| !name.is_empty());
    match (wire.message_structure, template) {
        (Some(structure), _) => read_structure(structure, &mut content)?,
        (None, Some(name)) => {
            let failed =
                |why: RenderError| Undecodable { code: "template", detail: why.to_string() };
            let tags = Tags::read(wire.tags.unwrap_or_default())
                .map_err(|mistake| failed(mistake.into()))?;
            let templates = registry.now();
            let said = match platform {
                // Only one platform is read, so its text serves as the message.
                Some(one) => templates
                    .write_for(one, &name, &tags)
                    .map(|said| vec![(Audience::Everybody, said.1)]),
                None => templates.write(&name, &tags),
            };
            for (audience, passage) in said.map_err(failed)? {
                match audience {
                    Audience::Everybody => content.message = Some(passage),
                    Audience::On(platform) => {
                        content.entries.push((platform, PlatformOverride::Text(passage)))
                    }
                }
            }
        }
        (None, None) if content.message.is_none() => {
            return Err(mistake(
                "neither message nor message_structure nor a template says anything",
            ));
        }
        (None, None) => {}
    }
    Ok(content)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        domain::{Format, HeaderValue, NOT_BEFORE, PlatformContent, Template, TemplateEngine},
        fanout::Templates,
    };

    fn decode_from(topic: &str, body: &str) -> Result<Event, Undecodable> {
        decode_for(None, topic, body)
    }

    fn decoder() -> Decoder {
        let settings = DecoderSettings {
            size_max: 1000,
            time_to_live: Duration::from_secs(60),
            time_to_live_max: Duration::from_secs(600),
            not_before_max: Duration::from_secs(3600),
            timestamp_age_max: Duration::from_secs(300),
        };
        let text = |name: &str, audience, engine, text: &str| Template {
            name: name.parse().unwrap(),
            audience,
            engine,
            format: (engine == TemplateEngine::Jinja).then_some(Format::Markdown),
            text: text.to_owned(),
            written_at: Timestamp::from_unix_millis(0),
        };
        let kept = [
            text("down", Audience::Everybody, TemplateEngine::Tags, "{host} is down"),
            text(
                "down",
                Audience::On(Platform::Lark),
                TemplateEngine::Jinja,
                "# {{ host }}\n{{ why }}",
            ),
        ];
        Decoder::new(settings, TemplateRegistry::new(Templates::kept(kept)))
    }

    fn known() -> DecodeContext {
        DecodeContext {
            id: EventId::new("e1"),
            received_at: Timestamp::from_unix_millis(1_000_000),
            expires_at: None,
            redriven: false,
            urgent: false,
            platform: None,
        }
    }

    fn decode_for(
        platform: Option<Platform>,
        topic: &str,
        body: &str,
    ) -> Result<Event, Undecodable> {
        let published = PublishedMessage {
            routing_key: topic.into(),
            body: body.as_bytes().to_vec(),
            ..PublishedMessage::default()
        };
        decoder()
            .decode(published, DecodeContext { platform, ..known() })
            .map_err(|refused| refused.1)
    }

    fn decode(body: &str) -> Result<Event, Undecodable> {
        decode_from("ops.db", body)
    }

    #[test]
    fn an_event_with_every_field_is_read() {
        let event = decode(
            r#"{"subject":"db-1 is down","message":"**help**","format":"markdown","time_to_live":"120",
                "at":{"all":true,"mobiles":["138"],"users":["u1"]},"tags":{"a":"b"},"unknown":1}"#,
        )
        .unwrap();
        assert_eq!(event.topic.as_str(), "ops.db");
        assert_eq!(event.content.subject.as_deref(), Some("db-1 is down"));
        assert_eq!(event.content.format, Format::Markdown);
        assert_eq!(
            event.content.piece_for(Platform::WeCom),
            Some(PlatformContent::Text(&"**help**".into()))
        );
        assert!(event.content.mentions.all);
        assert_eq!(event.expires_at.since(event.received_at), Duration::from_secs(120));
    }

    #[test]
    fn a_mistake_is_named_with_its_place() {
        for (body, code, says) in [
            ("{", "json", "line 1 column 1"),
            ("[]", "json", "expected"),
            (r#"{"message":"x"} x"#, "json", "trailing characters at line 1 column 17"),
            (
                r#"{"message":7}"#,
                "json",
                "at message: invalid type: integer `7`, expected a string",
            ),
            (r#"{"message":"x","at":{"mobiles":[1]}}"#, "json", "at at.mobiles[0]"),
            (r#"{"message":"x","format":"html"}"#, "json", "unknown variant `html`"),
            (r#"{"message":"x","time_to_live":-1}"#, "json", "time_to_live"),
            (r#"{"message":"x","time_to_live":"soon"}"#, "json", "time_to_live"),
            ("{}", "content", "neither message nor message_structure nor a template"),
            (
                r#"{"message":"","message_template_name":""}"#,
                "content",
                "neither message nor message_structure",
            ),
            (
                r#"{"message":"m","message_template_name":"t"}"#,
                "template",
                "there is no template t",
            ),
            (r#"{"message_template_name":"a b"}"#, "template", "\"a b\" is no name of a template"),
            (
                r#"{"message_template_name":"down","tags":{"host":7}}"#,
                "template",
                "template down for lark: line 2: undefined value: `why`",
            ),
            (r#"{"message_template_name":"down","tags":[]}"#, "template", "tags is a list"),
            (
                r#"{"message_template_name":"down","tags":{"a b":"c"}}"#,
                "template",
                "tag \"a b\" has no possible name",
            ),
            (
                r#"{"message_structure":{"lark":7,"default":"d"}}"#,
                "content",
                "message_structure.lark is a number",
            ),
            (r#"{"message_structure":"nonsense"}"#, "json", "message_structure"),
        ] {
            let undecodable = decode(body).unwrap_err();
            assert_eq!(undecodable.code, code, "{body}: {undecodable:?}");
            assert!(undecodable.detail.contains(says), "{body}: {undecodable:?}");
            assert!(!undecodable.detail.contains('?'), "{body}: {undecodable:?}");
        }
        assert_eq!(
            decode(&format!(r#"{{"message":"{}"}}"#, "x".repeat(1000))).unwrap_err().code,
            "size"
        );
        assert_eq!(decode_from("", r#"{"message":"x"}"#).unwrap_err().code, "topic");
    }

    #[test]
    fn a_template_wins_over_the_message_and_a_structure_over_both() {
        let said = |event: &Event, platform| match event.content.piece_for(platform).unwrap() {
            PlatformContent::Text(passage) => (passage.text.clone(), passage.format),
            PlatformContent::Native(_) => panic!("no text"),
        };
        let templated = r#""message":"m","message_template_name":"down","tags":{"host":"db-1","why":"w","unused":"x"}"#;
        let event = decode(&format!("{{{templated}}}")).unwrap();
        assert_eq!(said(&event, Platform::WeCom), ("db-1 is down".to_owned(), None));
        assert_eq!(said(&event, Platform::Lark), ("# db-1\nw".to_owned(), Some(Format::Markdown)));
        let event =
            decode(&format!(r#"{{{templated},"message_structure":{{"default":"d"}}}}"#)).unwrap();
        assert_eq!(said(&event, Platform::Lark), ("d".to_owned(), None));
        // Tags without a template are not read.
        assert!(decode(r#"{"message":"m","tags":7}"#).is_ok());
    }

    #[test]
    fn a_life_begins_when_the_event_was_published_or_may_be_sent_and_anew_when_it_is_redriven() {
        let received_at = Timestamp::from_unix_millis(1_000_000_000);
        let left = |timestamp, not_before: Option<i64>, redriven| {
            let headers = not_before
                .map(|at| (NOT_BEFORE.to_owned(), HeaderValue::Int(at)))
                .into_iter()
                .collect();
            let body = br#"{"message":"m","time_to_live":2}"#.to_vec();
            let published = PublishedMessage {
                routing_key: "t".into(),
                body,
                headers,
                timestamp,
                ..PublishedMessage::default()
            };
            let event = decoder()
                .decode(published, DecodeContext { received_at, redriven, ..known() })
                .unwrap();
            let signed = |at: Timestamp| i64::try_from(at.unix_millis()).unwrap() - 1_000_000_000;
            (signed(event.received_at), signed(event.expires_at))
        };
        assert_eq!(left(None, None, false), (0, 2_000));
        assert_eq!(left(Some(999_992), None, false), (0, -5_000), "published eight seconds ago");
        assert_eq!(left(Some(999_992), None, true), (0, 2_000));
        assert_eq!(left(Some(999_992), Some(1_000_060), false), (60_000, 62_000));
        assert_eq!(left(Some(999_992), Some(999_996), false), (0, -2_000));
        assert_eq!(left(None, Some(999_996), false), (0, 2_000));
    }

    #[test]
    fn an_event_that_is_read_for_one_platform_does_not_fail_for_another() {
        let body = r#"{"message_template_name":"down","tags":{"host":"db-1"}}"#;
        assert_eq!(decode(body).unwrap_err().code, "template");
        let event = decode_for(Some(Platform::WeCom), "ops", body).unwrap();
        assert_eq!(
            event.content.piece_for(Platform::WeCom),
            Some(PlatformContent::Text(&"db-1 is down".into()))
        );
        assert!(decode_for(Some(Platform::Lark), "ops", body).is_err());
        let whole = r#"{"message_template_name":"down","tags":{"host":"db-1","why":"w"}}"#;
        let event = decode_for(Some(Platform::Lark), "ops", whole).unwrap();
        let said = TextBody { format: Some(Format::Markdown), ..TextBody::from("# db-1\nw") };
        assert_eq!(event.content.piece_for(Platform::Lark), Some(PlatformContent::Text(&said)));
    }

    #[test]
    fn a_time_to_live_is_bounded_and_has_a_default() {
        let life = |body| {
            let event = decode(body).unwrap();
            event.expires_at.since(event.received_at).as_secs()
        };
        assert_eq!(life(r#"{"message":"x"}"#), 60);
        assert_eq!(life(r#"{"message":"x","time_to_live":99999}"#), 600);
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_the_decoder_panic(body: Vec<u8>) {
            let _ = parse(&body);
        }
    }
}
