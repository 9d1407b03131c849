//! Headers of an event that do not fit the broker's frame together.
//!
//! A publisher's message may fill a frame. With roomcast's headers it would be larger, and the
//! broker would end the connection. So the largest headers are left out before the first step.
//!
//! Owns which headers must stay: those that roomcast knows, and those that a filter tests.
//!
//! Not here: the order in which the others are left out (`domain/header_fit.rs`).

use std::collections::HashSet;

use super::{Pipeline, Unsettled};
use crate::{
    domain::{EventId, PublishedMessage, TopicName, bytes_of, fit_headers, is_known_header},
    fanout::{self, Undecodable},
    telemetry::events,
};

/// The attribute that passes quiet hours.
const SEVERITY: &str = "severity";

impl Pipeline {
    /// Leaves out headers that do not fit, and names them in a header. The inner error says that
    /// even the headers which must stay do not fit.
    pub(super) async fn fit_headers(
        &self,
        published: &mut PublishedMessage,
        event: &EventId,
    ) -> Result<Result<(), Undecodable>, Unsettled> {
        let max = self.step_publisher.headers_max();
        if bytes_of(&published.headers) <= max {
            return Ok(Ok(()));
        }
        let tested = self.tested_attributes(published).await?;
        let is_needed =
            |name: &str| name == SEVERITY || is_known_header(name) || tested.contains(name);
        let mut headers = published.headers.clone();
        let left_out = fit_headers(&mut headers, max, is_needed);
        if let Err(refused) = fanout::headers_within(&headers, max) {
            return Ok(Err(refused));
        }
        events::HeadersLeftOut { event, topic: &published.routing_key, headers: &left_out }
            .emit(&self.parts.telemetry);
        published.headers = headers;
        Ok(Ok(()))
    }

    /// The attributes that filters of the topic's subscriptions test. Such messages are rare, so
    /// the subscriptions are read for each.
    async fn tested_attributes(
        &self,
        published: &PublishedMessage,
    ) -> Result<HashSet<String>, Unsettled> {
        let mut tested = HashSet::new();
        let Ok(topic) = published.routing_key.parse::<TopicName>() else { return Ok(tested) };
        let mut after = None;
        loop {
            let page = self.parts.subscriptions.page(&topic, after).await?;
            for filter in page.recipients.iter().filter_map(|one| one.options.filter.as_ref()) {
                tested.extend(filter.attributes().map(str::to_owned));
            }
            after = page.next;
            if after.is_none() {
                return Ok(tested);
            }
        }
    }
}
