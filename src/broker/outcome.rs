//! A delivery receipt as a message.
//!
//! Owns the fields of its body and its headers, which are public.
//!
//! Not here: when a receipt is stored (`pipeline/receipts.rs`), its routing key (`topology.rs`).

use serde::Serialize;

use super::envelope::{
    ATTEMPTS, CODE, EVENT, GENERATION, PLATFORM, REASON, ROBOT, SUBSCRIPTION, TOPIC, words,
};
use crate::domain::{
    DeadReason, DeliveryOutcome, DeliveryReceipt, HeaderValue, Headers, MessageFeature,
    PublishedMessage,
};

/// The outcome of the delivery, which the routing key contains as well.
const OUTCOME: &str = "x-roomcast-outcome";

/// A field that is unknown or does not apply is left out.
#[derive(Serialize)]
struct ReceiptBody<'a> {
    event: &'a str,
    topic: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    correlation_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    subscription: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    robot: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    platform: Option<&'static str>,
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'a str>,
    attempts: u32,
    parts: u32,
    parts_delivered: u32,
    /// What the messages left out because the platform refused them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    omitted: Vec<&'static str>,
    generation: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    received_at: Option<String>,
    settled_at: String,
}

/// The message of a receipt, and our headers for it. It answers the event, so its `correlation_id`
/// is the event id.
pub(super) fn message(receipt: &DeliveryReceipt) -> (PublishedMessage, Headers) {
    let (reason, code, detail) = match &receipt.ending {
        DeliveryOutcome::Dead { reason, code, detail } => {
            (Some(*reason), Some(code.as_str()), Some(detail.as_str()))
        }
        DeliveryOutcome::Delivered | DeliveryOutcome::Dropped => (None, None, None),
    };
    let body = ReceiptBody {
        event: receipt.event.as_str(),
        topic: &receipt.topic,
        correlation_id: receipt.correlation_id.as_deref(),
        subscription: receipt.subscription.map(|id| id.to_string()),
        robot: receipt.robot.map(|id| id.to_string()),
        platform: receipt.platform.map(|platform| platform.as_str()),
        outcome: receipt.ending.as_str(),
        reason: reason.map(DeadReason::as_str),
        code,
        detail,
        attempts: receipt.attempts,
        parts: receipt.parts,
        parts_delivered: receipt.parts_delivered,
        omitted: receipt.omitted.iter().map(MessageFeature::as_str).collect(),
        generation: receipt.generation,
        received_at: receipt.received_at.map(words),
        settled_at: words(receipt.settled_at),
    };
    let headers = headers(&body);
    let published = PublishedMessage {
        // Serialising texts and numbers cannot fail.
        body: serde_json::to_vec(&body).unwrap_or_default(),
        headers: receipt.trace.clone(),
        content_type: Some("application/json".to_owned()),
        correlation_id: Some(receipt.event.as_str().to_owned()),
        timestamp: Some(receipt.settled_at.unix_seconds()),
        ..PublishedMessage::default()
    };
    (published, headers)
}

/// The fields by which a consumer may route or filter without parsing the body.
fn headers(body: &ReceiptBody<'_>) -> Headers {
    let texts = [
        (OUTCOME, Some(body.outcome)),
        (REASON, body.reason),
        (CODE, body.code),
        (PLATFORM, body.platform),
        (TOPIC, Some(body.topic)),
        (EVENT, Some(body.event)),
        (SUBSCRIPTION, body.subscription.as_deref()),
        (ROBOT, body.robot.as_deref()),
    ];
    let mut headers: Headers = texts
        .into_iter()
        .filter_map(|(name, text)| Some((name.to_owned(), HeaderValue::text(text?))))
        .collect();
    headers.push((ATTEMPTS.to_owned(), HeaderValue::Int(body.attempts.into())));
    headers.push((GENERATION.to_owned(), HeaderValue::Int(body.generation.into())));
    headers
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::{
        broker::envelope,
        domain::{EventId, FeatureSet, Platform, RobotId, SubscriptionId, Timestamp},
    };

    fn receipt(ending: DeliveryOutcome) -> DeliveryReceipt {
        DeliveryReceipt {
            event: EventId::new("e-1"),
            topic: "ops.db".to_owned(),
            correlation_id: None,
            trace: vec![("traceparent".to_owned(), HeaderValue::text("00-abc"))],
            subscription: Some(SubscriptionId::from_bytes([7; 16])),
            platform: Some(Platform::WeCom),
            robot: Some(RobotId::from_bytes([8; 16])),
            ending,
            attempts: 2,
            parts: 3,
            parts_delivered: 1,
            omitted: FeatureSet::named("mentions,tables"),
            generation: 0,
            received_at: Some(Timestamp::from_unix_millis(1_700_000_000_123)),
            settled_at: Timestamp::from_unix_millis(1_700_000_060_000),
        }
    }

    fn written(receipt: &DeliveryReceipt) -> (Value, PublishedMessage, Headers) {
        let (published, headers) = message(receipt);
        (serde_json::from_slice(&published.body).unwrap(), published, headers)
    }

    #[test]
    fn a_receipt_of_a_dead_delivery_says_why_in_body_and_headers() {
        let ending = DeliveryOutcome::Dead {
            reason: DeadReason::Refused,
            code: "40058".to_owned(),
            detail: "invalid \"parameter\"".to_owned(),
        };
        let (body, published, headers) = written(&receipt(ending));
        let id = SubscriptionId::from_bytes([7; 16]).to_string();
        assert_eq!(
            body,
            json!({
                "event": "e-1", "topic": "ops.db", "subscription": id, "robot": "08".repeat(16),
                "platform": "wecom", "outcome": "dead", "reason": "refused", "code": "40058",
                "detail": "invalid \"parameter\"", "attempts": 2, "parts": 3, "parts_delivered": 1,
                "omitted": ["mentions", "tables"], "generation": 0,
                "received_at": "2023-11-14T22:13:20.123Z", "settled_at": "2023-11-14T22:14:20Z"
            })
        );
        let text = |name: &str| envelope::text(&headers, name).unwrap().to_owned();
        assert_eq!(
            (text(OUTCOME), text(REASON), text(CODE)),
            ("dead".into(), "refused".into(), "40058".into())
        );
        assert_eq!(
            (text(PLATFORM), text(TOPIC), text(SUBSCRIPTION)),
            ("wecom".into(), "ops.db".into(), id)
        );
        assert_eq!(published.correlation_id.as_deref(), Some("e-1"));
        assert_eq!((published.timestamp, published.message_id), (Some(1_700_000_060), None));
        assert_eq!(published.headers, [("traceparent".to_owned(), HeaderValue::text("00-abc"))]);
    }

    #[test]
    fn fields_that_do_not_apply_are_left_out() {
        let (body, ..) = written(&receipt(DeliveryOutcome::Delivered));
        for name in ["reason", "code", "detail", "correlation_id"] {
            assert!(body.get(name).is_none(), "{name}: {body}");
        }
        let unread = DeliveryReceipt {
            subscription: None,
            platform: None,
            robot: None,
            received_at: None,
            correlation_id: Some("mine".to_owned()),
            ..receipt(DeliveryOutcome::Dropped)
        };
        let (body, _, headers) = written(&unread);
        for name in ["subscription", "platform", "robot", "received_at"] {
            assert!(body.get(name).is_none(), "{name}: {body}");
        }
        assert_eq!(body["correlation_id"], "mine");
        assert!(headers.iter().all(|(name, _)| name != SUBSCRIPTION && name != PLATFORM));
    }
}
