//! One attempt: render the message, send it, read the answer. The only module that names reqwest.
//!
//! Owns three invariants. A request goes to its platform's host or to the configured gateway, and
//! nowhere else. It ends by its deadline. No error contains any part of it.
//!
//! Not here: the text of a message and the meaning of an answer (`platforms/`).

mod clients;
mod clock_skew;
mod content_coding;
mod failure;
mod guard;
mod http_transport;
mod proxy;
mod proxy_words;
mod render_cache;
mod settings;
#[cfg(test)]
mod tests;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use url::Url;

use self::{clock_skew::ClockSkews, render_cache::RenderCache};

pub use clients::{BuildTransportError, OutgoingRoutes};
pub use guard::PrivateHosts;
pub use http_transport::{HttpTransport, install_crypto_provider};
pub use proxy::{PlatformProxy, ProxyAddress, ProxyCredentials, ProxyRoute, platform_proxy};
pub use settings::HttpTransportSettings;

use crate::{
    clock::Clock,
    domain::{
        AttemptOutcome, Delivery, MessageFeature, Part, Platform, PlatformMap, Secret,
        Subscription, Timestamp, Verdict,
    },
    platforms::{
        self, HttpReply, PlainerMessage, RenderInput, SignedRequest, TOO_LARGE, Unsendable,
        Variant, WebhookHosts,
    },
};

/// What makes a message smaller if it is left out.
const SMALLER_WITHOUT: [MessageFeature; 3] =
    [MessageFeature::Markup, MessageFeature::Mentions, MessageFeature::MentionAll];

/// The request of one attempt.
pub struct Request {
    /// The platform, which decides the route.
    pub platform: Platform,
    /// The target; it contains the credential.
    pub url: Secret,
    /// The body, as JSON.
    pub body: Bytes,
}

/// The answer to a request.
#[derive(Clone, Debug, Default)]
pub struct HttpResponse {
    /// The HTTP status.
    pub status: u16,
    /// `Retry-After`.
    pub retry_after: Option<RetryAfter>,
    /// `x-ogw-ratelimit-reset`, as a wait from now.
    pub rate_reset: Option<Duration>,
    /// `Date`: the platform's time of day.
    pub date: Option<Timestamp>,
    /// The body, cut to 64 KiB.
    pub body: Bytes,
}

/// The value of `Retry-After`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetryAfter {
    /// A wait from the answer on.
    Wait(Duration),
    /// A time of day on the platform's clock.
    Until(Timestamp),
}

impl RetryAfter {
    /// The wait, if the platform's clock shows `now`; zero for a time that has passed.
    #[must_use]
    pub fn wait_at(self, now: Timestamp) -> Duration {
        match self {
            Self::Wait(wait) => wait,
            Self::Until(until) => until.since(now),
        }
    }
}

/// No answer was received. Whether the message arrived is unknown, except for `dns`, `connect` and
/// `proxy`: then it did not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransportError {
    /// Our code: `timeout`, `dns`, `connect`, `proxy`, `broken`.
    pub code: &'static str,
    /// The error as text that contains no part of the request.
    pub detail: String,
}

/// The trait for the network. The HTTP client implements it, and so does a double in simulations.
#[async_trait]
pub trait Transport: Send + Sync {
    /// Sends a request and waits for the whole answer, within the deadline.
    ///
    /// # Errors
    ///
    /// No complete answer was received.
    async fn send(&self, request: Request) -> Result<HttpResponse, TransportError>;
}

/// Makes attempts.
#[derive(Clone)]
pub struct Sender {
    transport: Arc<dyn Transport>,
    gateways: PlatformMap<Option<Url>>,
    hosts: Arc<WebhookHosts>,
    skews: Arc<ClockSkews>,
    rendered: Arc<RenderCache>,
}

/// A request that is ready to be sent.
pub struct PreparedAttempt {
    /// The part of the text that it carries.
    pub part: Part,
    /// The message that it is, if the part without the features that it leaves out needs several.
    pub plain_part: Option<Part>,
    request: Request,
    /// The platform's time of day that is in the signature.
    now: Timestamp,
}

/// The result of an attempt.
pub struct AttemptResult {
    /// The answer.
    pub answer: AttemptOutcome,
    /// The new correction for the platform's clock, in seconds ahead of ours; `None` if it has not
    /// changed.
    pub skew: Option<i64>,
}

impl Sender {
    /// A sender over this network. A gateway replaces scheme, host and port of its platform.
    /// Webhooks may have `hosts`.
    #[must_use]
    pub fn new(
        transport: Arc<dyn Transport>,
        gateways: PlatformMap<Option<Url>>,
        hosts: WebhookHosts,
    ) -> Self {
        let hosts = Arc::new(hosts);
        Self { transport, gateways, hosts, skews: Arc::default(), rendered: Arc::default() }
    }

    /// Renders and signs the message. Send it at once, because a signature ages.
    ///
    /// # Errors
    ///
    /// The message cannot be rendered for its platform, or the webhook's host is not allowed any
    /// more. The answer says why.
    pub async fn prepare(
        &self,
        delivery: &Delivery,
        subscription: &Subscription,
        clock: &Clock,
    ) -> Result<Box<PreparedAttempt>, AttemptOutcome> {
        self.check_host(subscription)?;
        let written = self.rendered.get(&delivery.event, Variant::of(delivery, subscription)).await;
        let now = self.skews.platform_time(subscription.platform, clock.now());
        let draft = RenderInput { delivery, subscription, now };
        match written.and_then(|written| platforms::sign(written, &draft)) {
            Ok(prepared) => {
                let (part, plain_part) = (prepared.part, prepared.plain_part);
                Ok(Box::new(PreparedAttempt {
                    part,
                    plain_part,
                    request: self.directed(subscription.platform, prepared),
                    now,
                }))
            }
            Err(Unsendable { code, detail }) => {
                let refused = AttemptOutcome::new(Verdict::Refused, code, detail);
                // A plainer message may be smaller. For any other mistake it would be the same.
                let refused_for = if code == TOO_LARGE { &SMALLER_WITHOUT[..] } else { &[] };
                Err(AttemptOutcome { refused_for, ..refused })
            }
        }
    }

    /// The next, plainer message after this answer; `None` if the message was not refused, or if it
    /// was the plainest.
    pub async fn plainer(
        &self,
        delivery: &Delivery,
        subscription: &Subscription,
        answer: &AttemptOutcome,
    ) -> Option<PlainerMessage> {
        if answer.verdict != Verdict::Refused {
            return None;
        }
        let variant = Variant::of(delivery, subscription);
        let present = render_cache::features(&delivery.event, variant).await;
        platforms::plainer(delivery.degradation.omitted, present, answer.refused_for)
    }

    /// Makes one attempt. Every outcome, also a failure of the network, has an answer.
    pub async fn attempt(
        &self,
        ready: Box<PreparedAttempt>,
        subscription: &Subscription,
        clock: &Clock,
    ) -> AttemptResult {
        let (platform, PreparedAttempt { request, now, .. }) = (subscription.platform, *ready);
        match self.transport.send(request).await {
            Ok(HttpResponse { status, retry_after, rate_reset, date, body }) => {
                // The date of the answer is the platform's own clock.
                let platform_now = date.unwrap_or_else(|| clock.now());
                let retry_after = retry_after.map(|value| value.wait_at(platform_now));
                let response = HttpReply { status, retry_after, rate_reset, body: &body };
                let mut answer = platforms::read_answer(subscription, &response);
                if answer.verdict == Verdict::Security && ClockSkews::accounts_for(date, now) {
                    // The next attempt is signed with the platform's clock.
                    answer.verdict = Verdict::TryAgain { wait: None };
                }
                AttemptResult {
                    answer,
                    skew: date.and_then(|date| self.skews.observe(platform, date, clock.now())),
                }
            }
            Err(TransportError { code, detail }) => {
                let answer = AttemptOutcome::new(Verdict::TryAgain { wait: None }, code, detail);
                AttemptResult { answer, skew: None }
            }
        }
    }

    /// Refuses a webhook whose host the operator allowed when it was stored, and does not allow any
    /// more. A gateway takes the place of any host.
    fn check_host(&self, subscription: &Subscription) -> Result<(), AttemptOutcome> {
        let Subscription { platform, endpoint, .. } = subscription;
        let refused = self.hosts.not_allowed(*platform, endpoint);
        match refused.filter(|_| self.gateways.get(*platform).is_none()) {
            None => Ok(()),
            Some(host) => Err(AttemptOutcome::new(
                Verdict::Refused,
                "host_not_allowed",
                format!(
                    "the webhook's host {host} is not one of {platform}, \
                     nor in platforms.{platform}.hosts"
                ),
            )),
        }
    }

    fn directed(&self, platform: Platform, prepared: SignedRequest) -> Request {
        let url = match self.gateways.get(platform) {
            None => prepared.url,
            Some(gateway) => through(gateway, &prepared.url),
        };
        Request { platform, url, body: prepared.body.into() }
    }
}

/// The URL with the gateway's scheme, host and port, and the same path and query.
fn through(gateway: &Url, url: &Secret) -> Secret {
    let rest = url
        .expose()
        .split_once("://")
        .and_then(|(_, rest)| rest.find('/').and_then(|at| rest.get(at..)));
    Secret::concat(&[gateway.as_str().trim_end_matches('/'), rest.unwrap_or_default()])
}
