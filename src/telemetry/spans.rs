//! The spans that occurrences produce.
//!
//! Owns the nesting and the attributes of spans. They never contain a webhook or the content of an
//! event.
//!
//! Not here: their names (`span_name.rs`), trace ids, sampling and sending (`traces.rs`).

use opentelemetry::{KeyValue, Value, trace::SpanKind};

use super::{
    events::{AttemptMade, AttemptStarted, DeliverySettled, EventExpanded, EventUndecodable},
    span_name::SpanName,
    traces::{Parent, Span, TimeRange, Traces},
};
use crate::domain::{Delivery, EventId, Settlement, Verdict, WaitReason};

impl Traces {
    /// `event`: from its reception until all its deliveries have started. It contains `decode` and
    /// `expand`.
    pub(super) fn expanded(&self, one: &EventExpanded<'_>) {
        let Some(trace) = self.of(&one.event.published, &one.event.id) else { return };
        let inner = |station, from, until| Span {
            station,
            kind: SpanKind::Internal,
            id: None,
            parent: Parent::Span(trace.event()),
            from,
            until,
            attributes: Vec::new(),
            failure: None,
        };
        self.end(&trace, inner(SpanName::Decode, one.received, one.decoded));
        self.end(&trace, inner(SpanName::Expand, one.decoded, one.expanded));
        let mut attributes = of_event(one.event.topic.as_str(), &one.event.id);
        attributes.push(KeyValue::new("roomcast.urgent", one.event.urgent));
        attributes.push(KeyValue::new("roomcast.deliveries", i64::from(one.deliveries)));
        self.end(
            &trace,
            Span {
                station: SpanName::Event,
                kind: SpanKind::Consumer,
                id: Some(trace.event()),
                parent: Parent::Publisher,
                from: one.received,
                until: one.expanded,
                attributes,
                failure: None,
            },
        );
    }

    /// `event` with an error: it cannot be decoded.
    pub(super) fn undecodable(&self, one: &EventUndecodable<'_>) {
        let Some(trace) = self.of(one.published, one.event) else { return };
        let mut attributes = of_event(&one.published.routing_key, one.event);
        attributes.push(KeyValue::new("roomcast.code", one.code.to_owned()));
        self.end(
            &trace,
            Span {
                station: SpanName::Event,
                kind: SpanKind::Consumer,
                id: Some(trace.event()),
                parent: Parent::Publisher,
                from: one.at,
                until: one.at,
                attributes,
                failure: Some("undecodable".to_owned()),
            },
        );
    }

    /// `wait`: in memory, in the robot's queue.
    pub(super) fn left(&self, one: &AttemptStarted<'_>) {
        let from = one.now.before(one.waited);
        let reason = one.wait_reason.map(WaitReason::as_str);
        let reason = reason.map(|reason| KeyValue::new("roomcast.wait_reason", reason));
        self.within(
            one.delivery,
            SpanName::Wait,
            SpanKind::Internal,
            TimeRange { from, until: one.now },
            reason.into_iter().collect(),
            None,
        );
    }

    /// `attempt`: from the request to its answer.
    pub(super) fn attempted(&self, one: &AttemptMade<'_>) {
        let verdict = one.answer.verdict;
        let mut attributes = vec![
            KeyValue::new("roomcast.verdict", verdict.kind().as_str()),
            KeyValue::new("roomcast.code", one.answer.code.clone()),
            KeyValue::new("roomcast.attempts", i64::from(one.delivery.attempts)),
        ];
        let omitted = one.delivery.degradation.omitted;
        if !omitted.is_empty() {
            attributes.push(KeyValue::new("roomcast.omitted", omitted.to_string()));
        }
        if one.folded > 0 {
            attributes.push(KeyValue::new("roomcast.folded", whole(one.folded)));
        }
        let failure = (verdict != Verdict::Delivered).then(|| verdict.kind().as_str().to_owned());
        let range = TimeRange { from: one.now.before(one.took), until: one.now };
        self.within(one.delivery, SpanName::Attempt, SpanKind::Client, range, attributes, failure);
    }

    /// `settle`: until the next step is stored. The last settlement also ends `delivery`, which
    /// begins with the event's reception.
    pub(super) fn settled(&self, one: &DeliverySettled<'_>) {
        let outcome = one.settlement.kind().as_str();
        let mut attributes = vec![KeyValue::new("roomcast.outcome", outcome)];
        match one.settlement {
            Settlement::Deferred { until, .. } | Settlement::Retried { until, .. } => {
                attributes.push(KeyValue::new(
                    "roomcast.wait_seconds",
                    until.wait(one.now).as_secs_f64(),
                ));
                let reason = one.settlement.wait_reason().map(WaitReason::as_str);
                attributes
                    .extend(reason.map(|reason| KeyValue::new("roomcast.wait_reason", reason)));
            }
            Settlement::Dead { reason, code, .. } => {
                attributes.push(KeyValue::new("roomcast.reason", reason.as_str()));
                attributes.push(KeyValue::new("roomcast.code", code.clone()));
            }
            Settlement::Done | Settlement::Dropped => (),
        }
        self.within(
            one.delivery,
            SpanName::Settle,
            SpanKind::Producer,
            TimeRange { from: one.now, until: one.stored },
            attributes.clone(),
            None,
        );
        if matches!(one.settlement, Settlement::Deferred { .. } | Settlement::Retried { .. }) {
            return;
        }
        let event = &one.delivery.event;
        let Some(trace) = self.of(&event.published, &event.id) else { return };
        attributes.extend(of_event(event.topic.as_str(), &event.id));
        attributes.extend(of_delivery(one.delivery));
        let failure = match one.settlement {
            Settlement::Dead { reason, .. } => Some(reason.as_str().to_owned()),
            _ => None,
        };
        self.end(
            &trace,
            Span {
                station: SpanName::Delivery,
                kind: SpanKind::Internal,
                id: Some(trace.delivery(one.delivery)),
                parent: Parent::Span(trace.event()),
                from: event.received_at,
                until: one.stored,
                attributes,
                failure,
            },
        );
    }

    /// A span inside the span of a delivery.
    fn within(
        &self,
        delivery: &Delivery,
        station: SpanName,
        kind: SpanKind,
        TimeRange { from, until }: TimeRange,
        mut attributes: Vec<KeyValue>,
        failure: Option<String>,
    ) {
        let Some(trace) = self.of(&delivery.event.published, &delivery.event.id) else { return };
        attributes.extend(of_delivery(delivery));
        let parent = Parent::Span(trace.delivery(delivery));
        self.end(
            &trace,
            Span { station, kind, id: None, parent, from, until, attributes, failure },
        );
    }
}

fn of_event(topic: &str, event: &EventId) -> Vec<KeyValue> {
    vec![
        KeyValue::new("messaging.system", "rabbitmq"),
        KeyValue::new("messaging.rabbitmq.destination.routing_key", topic.to_owned()),
        KeyValue::new("messaging.message.id", event.to_string()),
    ]
}

fn of_delivery(delivery: &Delivery) -> [KeyValue; 5] {
    [
        KeyValue::new("roomcast.platform", delivery.platform.as_str()),
        KeyValue::new("roomcast.subscription", delivery.subscription.to_string()),
        KeyValue::new("roomcast.robot", delivery.robot.to_string()),
        KeyValue::new("roomcast.hops", i64::from(delivery.hops)),
        KeyValue::new("roomcast.generation", i64::from(delivery.generation)),
    ]
}

fn whole(count: usize) -> Value {
    Value::I64(i64::try_from(count).unwrap_or(i64::MAX))
}
