//! Explains an event without sending it: what each subscription of its topic would get, and when.
//!
//! Owns the outcome of an explanation, by the same rules that the pipeline uses. It opens no
//! credential and reserves no slot.
//!
//! Not here: the time that the pace predicts (`Pace::send_estimate`), and the request's shape
//! (`wire/explain.rs`).

use std::{sync::Arc, time::Duration};

use base64::{Engine, prelude::BASE64_STANDARD};

use super::{
    ApiError,
    blocking::blocking,
    explained_outcome::ExplainedOutcome,
    ports::AdminStore,
    render_target::render_target,
    wire::{ExplainRequest, ExplainResponse, Explanation, PartView, UndecodableView},
};
use crate::{
    clock::Clock,
    domain::{
        DeadReason, Delivery, Event, EventId, HeaderValue, ListFilter, OverflowPolicy, Part,
        PublishedMessage, SubscriptionState, SubscriptionView, WaitReason,
    },
    fanout::{DecodeContext, Decoder},
    pace::{Pace, SendEstimate},
    platforms::{self, RenderTarget, Unsendable},
};

/// How many subscriptions are explained in one page.
const PAGE: usize = 100;

/// Explains events.
#[derive(Clone)]
pub struct Explainer {
    /// The store of the subscriptions.
    pub store: Arc<dyn AdminStore>,
    /// Decodes events.
    pub decoder: Decoder,
    /// Predicts when a robot may be sent to; only a daemon has it.
    pub pace: Option<Pace>,
    /// The clock.
    pub clock: Clock,
}

impl Explainer {
    /// Explains what would happen to an event.
    pub async fn explain(&self, request: &ExplainRequest) -> Result<ExplainResponse, ApiError> {
        let event = match self.event(request, body(request)?) {
            Ok(event) => Arc::new(event),
            Err(mistake) => {
                return Ok(ExplainResponse {
                    undecodable: Some(mistake),
                    subscriptions: Vec::new(),
                    next: None,
                });
            }
        };
        let topic = &request.topic;
        let (views, next) = match request.subscription {
            Some(id) => {
                let one = self.store.show(id).await?;
                if one.topic != *topic {
                    return Err(ApiError::Invalid(format!(
                        "the subscription is for {}, not {topic}",
                        one.topic
                    )));
                }
                (vec![one], None)
            }
            None => {
                let filter = ListFilter { topic: Some(topic.clone()), ..ListFilter::default() };
                let page = self.store.list(&filter, request.after.clone(), PAGE).await?;
                (page.subscriptions, page.next)
            }
        };
        let explainer = self.clone();
        // Each message is rendered.
        blocking(move || {
            let subscriptions =
                views.into_iter().map(|one| explainer.explained(&event, one)).collect();
            Ok(ExplainResponse { undecodable: None, subscriptions, next })
        })
        .await
    }

    fn event(&self, request: &ExplainRequest, body: Vec<u8>) -> Result<Event, UndecodableView> {
        let headers = request
            .headers
            .iter()
            .map(|(name, value)| (name.clone(), HeaderValue::text(value.clone())));
        let published = self.decoder.ensure_message_id(PublishedMessage {
            routing_key: request.topic.to_string(),
            body,
            headers: headers.collect(),
            content_type: request.content_type.clone(),
            content_encoding: request.content_encoding.clone(),
            ..PublishedMessage::default()
        });
        let id = EventId::from_bytes(EventId::random_bytes());
        let known =
            DecodeContext { urgent: request.urgent, ..DecodeContext::new(id, self.clock.now()) };
        self.decoder.decode(published, known).map_err(|refused| UndecodableView {
            code: refused.1.code.to_owned(),
            detail: refused.1.detail,
        })
    }

    fn explained(&self, event: &Arc<Event>, one: SubscriptionView) -> Explanation {
        let mut explanation = Explanation {
            subscription: one.id,
            name: one.private.name.clone(),
            platform: one.platform,
            robot: one.robot,
            outcome: ExplainedOutcome::Sent.as_str().to_owned(),
            why: None,
            wait: None,
            first_in_seconds: None,
            last_in_seconds: None,
            parts: Vec::new(),
        };
        let ends = match self.outcome(event, one, &mut explanation) {
            Ok(()) => return explanation,
            Err(ends) => ends,
        };
        explanation.outcome = ends.outcome.as_str().to_owned();
        explanation.why = Some(ends.why);
        explanation
    }

    /// Fills in the messages and their times; an error says why nothing would be sent.
    fn outcome(
        &self,
        event: &Arc<Event>,
        one: SubscriptionView,
        explanation: &mut Explanation,
    ) -> Result<(), NotSent> {
        if one.state == SubscriptionState::Paused {
            return Err(NotSent {
                outcome: ExplainedOutcome::Paused,
                why: "events pass it by until it is resumed".to_owned(),
            });
        }
        if let Some(why) = one.options.filter_rejection(one.platform, &event.content.attributes) {
            return Err(NotSent { outcome: ExplainedOutcome::Filtered, why: why.to_string() });
        }
        if let Err(why) = event.content.for_platform(one.platform) {
            return Err(NotSent {
                outcome: ExplainedOutcome::Dead(why.reason()),
                why: format!("{}: {why}", why.code()),
            });
        }
        let options = one.options.clone();
        let mut delivery = Delivery::fresh(event, one.id, one.platform, one.robot);
        explanation.parts = parts(&mut delivery, &render_target(&one))?;
        let now = self.clock.now();
        let messages = u32::try_from(explanation.parts.len()).unwrap_or(u32::MAX);
        let send_estimate = self.pace.as_ref().map(|pace| {
            pace.send_estimate(
                delivery.robot,
                delivery.platform,
                options.group.as_ref(),
                event.urgent,
                messages,
            )
        });
        if send_estimate.is_some_and(|send_estimate| send_estimate.out_of_budget) {
            let group = options.group.as_ref().map(ToString::to_string).unwrap_or_default();
            let why =
                format!("the monthly quota of {group} is used up, and its setting is not to wait");
            return Err(NotSent { outcome: ExplainedOutcome::Dead(DeadReason::Exhausted), why });
        }
        let begins = event.received_at.since(now);
        let quiet = options.quiet_until(event, event.received_at).map(|end| end.since(now));
        let quota = send_estimate.map_or(Duration::ZERO, |send_estimate| send_estimate.first_in);
        let first = begins.max(quiet.unwrap_or_default()).max(quota);
        if now.after(first) >= event.expires_at {
            explanation.parts = Vec::new();
            let wait = wait_reason(begins, quiet, send_estimate);
            let why = format!("{}; its time to live ends before", wait.sentence());
            return Err(NotSent { outcome: ExplainedOutcome::Dead(DeadReason::Expired), why });
        }
        if !first.is_zero() {
            let wait = wait_reason(begins, quiet, send_estimate);
            let why = why(wait, first, options.overflow);
            explanation.outcome = ExplainedOutcome::Waits.as_str().to_owned();
            explanation.why = Some(why);
            explanation.wait = Some(wait.into());
        }
        if let Some(send_estimate) = send_estimate {
            explanation.first_in_seconds = Some(first.as_secs_f64());
            let last = first + send_estimate.last_in.saturating_sub(send_estimate.first_in);
            explanation.last_in_seconds = Some(last.as_secs_f64());
        }
        Ok(())
    }
}

/// The body of the message, byte for byte.
fn body(request: &ExplainRequest) -> Result<Vec<u8>, ApiError> {
    match &request.body_base64 {
        None => Ok(request.body.clone().into_bytes()),
        Some(encoded) => BASE64_STANDARD
            .decode(encoded)
            .map_err(|_| ApiError::Invalid("body_base64 is not written in base64".to_owned())),
    }
}

/// Why nothing would be sent.
struct NotSent {
    outcome: ExplainedOutcome,
    why: String,
}

/// The reason of the longest wait.
fn wait_reason(
    begins: Duration,
    quiet: Option<Duration>,
    send_estimate: Option<SendEstimate>,
) -> WaitReason {
    let quota = send_estimate.map_or(Duration::ZERO, |send_estimate| send_estimate.first_in);
    if quiet.is_some_and(|quiet| quiet >= quota.max(begins)) {
        return WaitReason::QuietHours;
    }
    let at_robot = send_estimate.filter(|_| quota > begins).and_then(|estimate| estimate.reason);
    at_robot.unwrap_or(WaitReason::NotBefore)
}

/// The reason of a wait with its length, and with what becomes of it meanwhile.
fn why(reason: WaitReason, wait: Duration, overflow: OverflowPolicy) -> String {
    let meanwhile = match (reason, overflow) {
        (WaitReason::RobotQuota, OverflowPolicy::Digest) => {
            ", in one message with the others that wait"
        }
        (WaitReason::RobotQuota, OverflowPolicy::Latest) => {
            ", in place of the older ones that wait"
        }
        _ => "",
    };
    format!("{}; it leaves in {} s{meanwhile}", reason.sentence(), wait.as_secs())
}

/// Every message that would be sent, with its rendered body.
fn parts(delivery: &mut Delivery, target: &RenderTarget) -> Result<Vec<PartView>, NotSent> {
    let mut parts = Vec::new();
    loop {
        let prepared = platforms::preview(delivery, target).map_err(|unsendable| {
            let Unsendable { code, detail } = unsendable;
            let why = format!("{code}: {detail}");
            NotSent { outcome: ExplainedOutcome::Dead(DeadReason::Refused), why }
        })?;
        let body = serde_json::from_slice(&prepared.body).unwrap_or_default();
        parts.push(PartView { bytes: prepared.body.len(), body });
        if !prepared.part.has_next() {
            return Ok(parts);
        }
        delivery.part = Part { index: prepared.part.index + 1, ..prepared.part };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::HoldCause;

    #[test]
    fn the_longest_wait_gives_the_reason() {
        let seconds = Duration::from_secs;
        let estimate = |first, reason| {
            let (first_in, out_of_budget) = (seconds(first), false);
            Some(SendEstimate { first_in, last_in: first_in, reason, out_of_budget })
        };
        let held = WaitReason::Hold(HoldCause::Security);
        for (begins, quiet, at_robot, expected) in [
            (0, Some(30), estimate(10, Some(WaitReason::RobotQuota)), WaitReason::QuietHours),
            (0, Some(10), estimate(30, Some(WaitReason::RobotQuota)), WaitReason::RobotQuota),
            (20, None, estimate(10, Some(WaitReason::RobotQuota)), WaitReason::NotBefore),
            (20, None, None, WaitReason::NotBefore),
            (0, None, estimate(9, Some(held)), held),
            (0, None, estimate(9, Some(WaitReason::MonthlyBudget)), WaitReason::MonthlyBudget),
        ] {
            let reason = wait_reason(seconds(begins), quiet.map(seconds), at_robot);
            assert_eq!(reason, expected, "{begins} {quiet:?}");
        }
    }
}
