//! Delivery receipts: reports on the end of a delivery, for publishers that request them.
//!
//! Owns which events get receipts, and which settlements end a delivery.
//!
//! Not here: the wire form of a receipt (`broker/outcome.rs`).

use super::{
    DeadCause, DeadReason, Delivery, EventId, FeatureSet, HeaderValue, Headers, Platform,
    PublishedMessage, RobotId, Settlement, SubscriptionId, Timestamp,
};

/// The header with which a publisher requests or declines receipts of one event. Every republish
/// keeps it.
pub const RECEIPT: &str = "x-roomcast-receipt";

/// The headers of W3C Trace Context, which a receipt carries along.
const TRACE: [&str; 2] = ["traceparent", "tracestate"];

/// Which events get receipts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReceiptPolicy {
    /// No event, whatever its header says.
    Off,
    /// Events that request receipts.
    Asked,
    /// All events except those that decline receipts.
    All,
}

impl ReceiptPolicy {
    /// Whether an event with these headers gets receipts.
    #[must_use]
    pub fn wants(self, headers: &Headers) -> bool {
        // An event with an unreadable header is a dead letter already; here the header counts as
        // absent.
        let asked = || receipt_requested(headers).ok().flatten();
        match self {
            Self::Off => false,
            Self::Asked => asked() == Some(true),
            Self::All => asked() != Some(false),
        }
    }
}

/// The header is neither true nor false.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("header {RECEIPT} must be true or false")]
pub struct InvalidReceipt;

/// The value of the header [`RECEIPT`]: a truth value, as such, as 0 or 1, or as text. `None` if it
/// is absent or void.
pub fn receipt_requested(headers: &Headers) -> Result<Option<bool>, InvalidReceipt> {
    let Some((_, value)) = headers.iter().find(|(name, _)| name == RECEIPT) else {
        return Ok(None);
    };
    let text = value.as_text().map(|text| text.trim().to_ascii_lowercase());
    match (value, text.as_deref()) {
        (HeaderValue::Void, _) => Ok(None),
        (HeaderValue::Bool(truth), _) => Ok(Some(*truth)),
        (HeaderValue::Int(1), _) | (_, Some("true" | "1")) => Ok(Some(true)),
        (HeaderValue::Int(0), _) | (_, Some("false" | "0")) => Ok(Some(false)),
        _ => Err(InvalidReceipt),
    }
}

/// The end of a delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeliveryOutcome {
    /// The platform accepted the whole text.
    Delivered,
    /// It is a dead letter.
    Dead {
        /// The reason.
        reason: DeadReason,
        /// The platform's code, or roomcast's.
        code: String,
        /// The platform's message, redacted.
        detail: String,
    },
    /// Its subscription is removed or paused.
    Dropped,
}

impl DeliveryOutcome {
    /// The name in routing keys, headers and bodies.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Dead { .. } => "dead",
            Self::Dropped => "dropped",
        }
    }
}

/// A report on the end of a delivery, or of an event that could not be read. It contains no
/// endpoint and nothing of the event's content.
#[derive(Clone, Debug, PartialEq)]
pub struct DeliveryReceipt {
    /// The event's id.
    pub event: EventId,
    /// The routing key of the publication.
    pub topic: String,
    /// The publisher's own `correlation_id`.
    pub correlation_id: Option<String>,
    /// The publisher's trace context.
    pub trace: Headers,
    /// The subscription; `None` for an event that could not be read.
    pub subscription: Option<SubscriptionId>,
    /// The platform; `None` for an event that could not be read.
    pub platform: Option<Platform>,
    /// The robot; `None` for an event that could not be read, and for a dropped delivery.
    pub robot: Option<RobotId>,
    /// The end.
    pub ending: DeliveryOutcome,
    /// The attempts of the last part, as in [`Delivery::attempts`].
    pub attempts: u32,
    /// The number of messages into which the text is split, as far as known; 1 for an unsplit text.
    pub parts: u32,
    /// The number of delivered messages among them.
    pub parts_delivered: u32,
    /// What the messages left out because the platform refused them.
    pub omitted: FeatureSet,
    /// How often the delivery, or the event, was redriven.
    pub generation: u32,
    /// When the event was first received, or its not-before time. `None` for an event that could
    /// not be read.
    pub received_at: Option<Timestamp>,
    /// When it ended.
    pub settled_at: Timestamp,
}

impl DeliveryReceipt {
    /// The receipt of a delivery; `None` if this settlement does not end it.
    #[must_use]
    pub fn of(delivery: &Delivery, settlement: &Settlement, at: Timestamp) -> Option<Self> {
        let ending = match settlement {
            Settlement::Done => DeliveryOutcome::Delivered,
            Settlement::Dead { reason, code, detail } => DeliveryOutcome::Dead {
                reason: *reason,
                code: code.clone(),
                detail: detail.clone(),
            },
            Settlement::Dropped => DeliveryOutcome::Dropped,
            Settlement::Deferred { .. } | Settlement::Retried { .. } => return None,
        };
        let (event, part) = (&delivery.event, delivery.part);
        Some(Self {
            event: event.id.clone(),
            topic: event.topic.as_str().to_owned(),
            correlation_id: event.published.correlation_id.clone(),
            trace: trace_of(&event.published),
            subscription: Some(delivery.subscription),
            platform: Some(delivery.platform),
            robot: (ending != DeliveryOutcome::Dropped).then_some(delivery.robot),
            attempts: delivery.attempts,
            parts: part.total.unwrap_or(1).max(part.index + 1),
            parts_delivered: if ending == DeliveryOutcome::Delivered {
                part.index + 1
            } else {
                part.index
            },
            omitted: delivery.degradation.all(),
            generation: delivery.generation,
            received_at: Some(event.received_at),
            settled_at: at,
            ending,
        })
    }

    /// The receipt of an event that could not be read.
    #[must_use]
    pub fn of_unread(
        published: &PublishedMessage,
        event: &EventId,
        generation: u32,
        why: DeadCause<'_>,
        at: Timestamp,
    ) -> Self {
        let DeadCause { reason, code, detail } = why;
        Self {
            event: event.clone(),
            topic: published.routing_key.clone(),
            correlation_id: published.correlation_id.clone(),
            trace: trace_of(published),
            subscription: None,
            platform: None,
            robot: None,
            ending: DeliveryOutcome::Dead {
                reason,
                code: code.to_owned(),
                detail: detail.to_owned(),
            },
            attempts: 0,
            parts: 1,
            parts_delivered: 0,
            omitted: FeatureSet::default(),
            generation,
            received_at: None,
            settled_at: at,
        }
    }
}

fn trace_of(published: &PublishedMessage) -> Headers {
    published.headers.iter().filter(|(name, _)| TRACE.contains(&name.as_str())).cloned().collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::domain::{DueTime, Event, EventContent, Part, WaitReason};

    const AT: Timestamp = Timestamp::from_unix_millis(7);
    const DUE: DueTime = DueTime { at: AT, read_at: AT };

    fn asking(value: HeaderValue) -> Headers {
        vec![("traceparent".to_owned(), HeaderValue::text("00-abc")), (RECEIPT.to_owned(), value)]
    }

    fn delivery(part: Part) -> Delivery {
        let published = PublishedMessage {
            headers: asking(HeaderValue::Bool(true)),
            correlation_id: Some("mine".to_owned()),
            ..PublishedMessage::default()
        };
        let event = Event {
            id: EventId::new("e"),
            topic: "ops".parse().unwrap(),
            content: EventContent::default(),
            urgent: false,
            received_at: Timestamp::from_unix_millis(1),
            expires_at: Timestamp::from_unix_millis(9),
            published,
        };
        let robot = RobotId::from_bytes([2; 16]);
        let fresh = Delivery::fresh(
            &Arc::new(event),
            SubscriptionId::from_bytes([1; 16]),
            Platform::Lark,
            robot,
        );
        Delivery { attempts: 3, generation: 1, part, ..fresh }
    }

    #[test]
    fn the_setting_and_the_header_decide_about_receipts() {
        let (yes, no) = (asking(HeaderValue::Bool(true)), asking(HeaderValue::Bool(false)));
        let unreadable = asking(HeaderValue::text("perhaps"));
        for (receipts, headers, told) in [
            (ReceiptPolicy::Off, &yes, false),
            (ReceiptPolicy::Asked, &yes, true),
            (ReceiptPolicy::Asked, &no, false),
            (ReceiptPolicy::Asked, &Headers::new(), false),
            (ReceiptPolicy::Asked, &unreadable, false),
            (ReceiptPolicy::All, &yes, true),
            (ReceiptPolicy::All, &no, false),
            (ReceiptPolicy::All, &Headers::new(), true),
            (ReceiptPolicy::All, &unreadable, true),
        ] {
            assert_eq!(receipts.wants(headers), told, "{receipts:?} {headers:?}");
        }
    }

    #[test]
    fn the_header_is_a_truth_value_in_any_of_its_forms() {
        for (value, asked) in [
            (HeaderValue::Bool(true), Ok(Some(true))),
            (HeaderValue::text(" true "), Ok(Some(true))),
            (HeaderValue::Int(1), Ok(Some(true))),
            (HeaderValue::Bool(false), Ok(Some(false))),
            (HeaderValue::text("false"), Ok(Some(false))),
            (HeaderValue::Int(0), Ok(Some(false))),
            (HeaderValue::text("yes"), Err(InvalidReceipt)),
            (HeaderValue::Int(2), Err(InvalidReceipt)),
            (HeaderValue::text("True"), Ok(Some(true))),
            (HeaderValue::text("0"), Ok(Some(false))),
            (HeaderValue::text(""), Err(InvalidReceipt)),
            (HeaderValue::Void, Ok(None)),
        ] {
            assert_eq!(receipt_requested(&asking(value.clone())), asked, "{value:?}");
        }
        assert_eq!(receipt_requested(&Headers::new()), Ok(None));
    }

    #[test]
    fn there_is_a_receipt_of_each_end_and_of_nothing_else() {
        let dead = Settlement::Dead {
            reason: DeadReason::Refused,
            code: "c".to_owned(),
            detail: "d".to_owned(),
        };
        for (settlement, told) in [
            (Settlement::Done, Some("delivered")),
            (dead, Some("dead")),
            (Settlement::Dropped, Some("dropped")),
            (Settlement::Deferred { until: DUE, slot: None, reason: WaitReason::RobotQuota }, None),
            (Settlement::Retried { until: DUE, reason: WaitReason::Retry }, None),
        ] {
            let receipt = DeliveryReceipt::of(&delivery(Part::default()), &settlement, AT);
            assert_eq!(
                receipt.as_ref().map(|receipt| receipt.ending.as_str()),
                told,
                "{settlement:?}"
            );
            let Some(receipt) = receipt else { continue };
            assert_eq!((receipt.attempts, receipt.generation, receipt.settled_at), (3, 1, AT));
            assert_eq!(receipt.correlation_id.as_deref(), Some("mine"));
            assert_eq!(receipt.trace, [("traceparent".to_owned(), HeaderValue::text("00-abc"))]);
            // A receipt names no robot of a removed subscription.
            assert_eq!(receipt.robot.is_none(), settlement == Settlement::Dropped);
        }
    }

    #[test]
    fn parts_are_counted_as_people_do() {
        let counted = |at, of, settlement: &Settlement| {
            let receipt =
                DeliveryReceipt::of(&delivery(Part { index: at, total: of }), settlement, AT)
                    .unwrap();
            (receipt.parts, receipt.parts_delivered)
        };
        let dead = Settlement::Dead {
            reason: DeadReason::Refused,
            code: "c".to_owned(),
            detail: "d".to_owned(),
        };
        assert_eq!(counted(0, None, &Settlement::Done), (1, 1));
        assert_eq!(counted(2, Some(3), &Settlement::Done), (3, 3));
        assert_eq!(counted(2, None, &Settlement::Done), (3, 3));
        assert_eq!(counted(0, None, &dead), (1, 0));
        assert_eq!(counted(1, Some(3), &dead), (3, 1));
    }
}
