//! The decoder: from a published message to an event, or to a mistake with its place.
//!
//! Owns the limits and rules of an event's content.
//!
//! Not here: the shape of the JSON (`wire.rs`), the entries of a structure (`structure.rs`), and
//! templates (`templates/`).

use std::time::Duration;

use super::{
    attributes::attributes_of,
    body::text_of,
    cloudevent::{self, CloudEvent, Data, Unwrapped, unwrap},
    lifetime::alive_since,
    not_before::not_before,
    structure::read_structure,
    templates::{RenderError, RenderedText, Tags, TemplateRegistry},
    undecodable::{Undecodable, blank, catch_panic, headers_within, mistake},
    wire::EventWire,
};
use crate::{
    domain::{
        Attributes, Audience, DAMAGED, Event, EventContent, EventId, HEADERS_BYTES_MAX, NoContent,
        Platform, PlatformOverride, PublishedMessage, TextBody, Timestamp, TopicName, is_blank,
        receipt_requested,
    },
    settings::{duration, number_of, section, some_duration},
};

section! {
    /// The limits of an event.
    pub struct DecoderSettings in "event" {
        /// The largest event. A larger one becomes a dead letter. Only one larger body is in memory
        /// at a time.
        size_max: usize = one(number_of("bytes", 1..=16_777_216), "262144"), AtStart;
        /// How long an event is worth sending if it does not say so itself.
        time_to_live: Duration = one(some_duration(), "24h"), AtStart;
        /// The longest life that an event may request. A longer one is cut to this.
        time_to_live_max: Duration = one(some_duration(), "7d"), AtStart;
        /// How far ahead the time in its header `x-roomcast-not-before` may be. An event further
        /// ahead becomes a dead letter.
        not_before_max: Duration = one(some_duration(), "7d"), AtStart;
        /// How old the AMQP timestamp of an event may be, so that its time to live counts from
        /// then. An event with an older timestamp counts as published when it was received, as its
        /// publisher's clock is wrong. `0s` ignores timestamps.
        timestamp_age_max: Duration = one(duration(), "12h"), AtStart;
    }
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
    /// The facts about an event that is received now, for all platforms.
    #[must_use]
    pub const fn new(id: EventId, received_at: Timestamp) -> Self {
        Self { id, received_at, expires_at: None, redriven: false, urgent: false, platform: None }
    }

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

    /// Sets the `message_id` of a CloudEvent without one, so that a repeat is recognised.
    #[must_use]
    pub fn ensure_message_id(&self, published: PublishedMessage) -> PublishedMessage {
        cloudevent::ensure_message_id(published, self.settings.size_max)
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
        headers_within(&published.headers, HEADERS_BYTES_MAX)?;
        let topic = published.routing_key.parse().map_err(|mistake| Undecodable {
            code: "topic",
            detail: format!("routing key: {mistake}"),
        })?;
        receipt_requested(&published.headers)
            .map_err(|mistake| Undecodable { code: "receipt", detail: mistake.to_string() })?;
        let text = text_of(published, self.settings.size_max)?;
        let (wire, around) = match unwrap(published, &text)? {
            Unwrapped::Event(fields) => (EventWire::read(fields)?, Vec::new()),
            Unwrapped::CloudEvent(CloudEvent { subject, attributes, data }) => {
                let wire = match data {
                    Data::Event(fields) => EventWire::read(fields)?,
                    Data::Text(format, text) => EventWire::of_text(format, text),
                    Data::Template { name, tags } => EventWire::of_template(name, tags),
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

/// The content of the event. A structure takes precedence over a template, and a template over the
/// message.
fn content_of(
    wire: EventWire,
    registry: &TemplateRegistry,
    platform: Option<Platform>,
) -> Result<EventContent, Undecodable> {
    let (mentions, platform_users) = wire.at.into_parts();
    let (message, is_silent) = match wire.message {
        Some(message) if is_blank(&message) => (None, true),
        message => (message, false),
    };
    let mut content = EventContent {
        subject: wire.subject.filter(|subject| !is_blank(subject)),
        format: wire.format.unwrap_or_default(),
        message: message.map(|text| TextBody { text, ..TextBody::default() }),
        entries: Vec::new(),
        mentions,
        platform_users,
        attributes: Attributes::default(),
    };
    let template = wire.message_template_name.filter(|name| !is_blank(name));
    match (wire.message_structure, template) {
        (Some(structure), _) => read_structure(structure, &mut content)?,
        (None, Some(name)) => {
            let failed =
                |why: RenderError| Undecodable { code: "template", detail: why.to_string() };
            let tags = Tags::read(wire.tags).map_err(|mistake| failed(mistake.into()))?;
            let templates = registry.now();
            match platform {
                // Only one platform is read, so its text serves as the message.
                Some(one) => {
                    let (_, text) = templates.render_for(one, &name, &tags).map_err(failed)?;
                    content.message = Some(text);
                }
                None => put_rendered(templates.write(&name, &tags).map_err(failed)?, &mut content),
            }
        }
        (None, None) if is_silent => {
            return Err(blank("the message has only blanks: a member would see nothing of it"));
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

/// Puts the rendered texts of a template into the content. A text that failed concerns only the
/// platforms that would get it.
fn put_rendered(texts: Vec<RenderedText>, content: &mut EventContent) {
    let mut default = None;
    for RenderedText { audience, text } in texts {
        match audience {
            Audience::Everybody => default = Some(text),
            Audience::On(platform) => content.entries.push((
                platform,
                match text {
                    Ok(text) => PlatformOverride::Text(text),
                    Err(why) => PlatformOverride::Unrendered(why.to_string()),
                },
            )),
        }
    }
    // The template replaces the event's message even if its own text failed.
    content.message = None;
    match default {
        Some(Ok(text)) => content.message = Some(text),
        Some(Err(why)) => {
            let why = why.to_string();
            for platform in Platform::ALL {
                if content.for_platform(platform) == Err(NoContent::NoEntry(platform)) {
                    content.entries.push((platform, PlatformOverride::Unrendered(why.clone())));
                }
            }
        }
        // A template always has a default text.
        None => {}
    }
}

#[cfg(test)]
mod tests;
