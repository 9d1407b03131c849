//! One attempt: render the message, send it, read the answer. The only module that names reqwest.
//!
//! Owns three invariants. A request goes to its platform's host or to the configured gateway, and
//! nowhere else. It ends by its deadline. No error contains any part of it.
//!
//! Not here: the text of a message and the meaning of an answer (`platforms/`).

mod courier;
mod guard;
mod rendered;
mod skew;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use url::Url;

use self::{rendered::Rendered, skew::Skews};

pub use courier::{Courier, CourierSettings, install_crypto_provider};

use crate::{
    clock::Clock,
    domain::{Answer, Delivery, Moment, Part, Platform, Secret, Subscription, Verdict},
    platforms::{self, Draft, Prepared, Response, Unsendable, Variant},
};

/// The request of one attempt.
pub struct Request {
    /// The target; it contains the credential.
    pub url: Secret,
    /// The body, as JSON.
    pub body: Bytes,
}

/// The answer to a request.
#[derive(Clone, Debug, Default)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// `Retry-After`, as a wait from now.
    pub retry_after: Option<Duration>,
    /// `x-ogw-ratelimit-reset`, as a wait from now.
    pub rate_reset: Option<Duration>,
    /// `Date`: the platform's time of day.
    pub date: Option<Moment>,
    /// The body, cut to 64 KiB.
    pub body: Bytes,
}

/// No answer was received. Whether the message arrived is unknown, except for `dns` and `connect`:
/// then it did not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoAnswer {
    /// Our code: `timeout`, `dns`, `connect`, `broken`.
    pub code: &'static str,
    /// The error as text that contains no part of the request.
    pub detail: String,
}

/// The trait for the network. The HTTP client implements it, and so does a double in simulations.
#[async_trait]
pub trait Post: Send + Sync {
    /// Sends a request and waits for the whole answer, within the deadline.
    ///
    /// # Errors
    ///
    /// No complete answer was received.
    async fn post(&self, request: Request) -> Result<Reply, NoAnswer>;
}

/// Makes attempts.
#[derive(Clone)]
pub struct Sender {
    post: Arc<dyn Post>,
    gateways: [Option<Url>; 4],
    skews: Arc<Skews>,
    rendered: Arc<Rendered>,
}

/// A request that is ready to be sent.
pub struct Ready {
    /// The part of the text that it carries.
    pub part: Part,
    request: Request,
    /// The platform's time of day that is in the signature.
    now: Moment,
}

/// The result of an attempt.
pub struct Attempted {
    /// The answer.
    pub answer: Answer,
    /// The new correction for the platform's clock, in seconds ahead of ours; `None` if it has not
    /// changed.
    pub skew: Option<i64>,
}

impl Sender {
    /// A sender over this network. A gateway replaces scheme, host and port of its platform, in the
    /// order of [`Platform::ALL`].
    #[must_use]
    pub fn new(post: Arc<dyn Post>, gateways: [Option<Url>; 4]) -> Self {
        Self { post, gateways, skews: Arc::default(), rendered: Arc::default() }
    }

    /// Renders and signs the message. Send it at once, because a signature ages.
    ///
    /// # Errors
    ///
    /// The message cannot be rendered for its platform. The answer says why.
    pub async fn prepare(
        &self,
        delivery: &Delivery,
        subscription: &Subscription,
        clock: &Clock,
    ) -> Result<Box<Ready>, Answer> {
        let written = self.rendered.get(&delivery.event, Variant::of(delivery, subscription)).await;
        let now = self.skews.theirs(subscription.platform, clock.now());
        let draft = Draft { delivery, subscription, now };
        match written.and_then(|written| platforms::sign(written, &draft)) {
            Ok(prepared) => {
                let part = prepared.part;
                Ok(Box::new(Ready { part, request: self.directed(subscription.platform, prepared), now }))
            }
            Err(Unsendable { code, detail }) => {
                Err(Answer { verdict: Verdict::Refused, code: code.to_owned(), detail })
            }
        }
    }

    /// Makes one attempt. Every outcome, also a failure of the network, has an answer.
    pub async fn attempt(&self, ready: Box<Ready>, subscription: &Subscription, clock: &Clock) -> Attempted {
        let (platform, Ready { request, now, .. }) = (subscription.platform, *ready);
        match self.post.post(request).await {
            Ok(Reply { status, retry_after, rate_reset, date, body }) => {
                let response = Response { status, retry_after, rate_reset, body: &body };
                let mut answer = platforms::read_answer(subscription, &response);
                if answer.verdict == Verdict::Security && Skews::explains(date, now) {
                    // The next attempt is signed with the platform's clock.
                    answer.verdict = Verdict::TryAgain { wait: None };
                }
                Attempted { answer, skew: date.and_then(|date| self.skews.observe(platform, date, clock.now())) }
            }
            Err(NoAnswer { code, detail }) => {
                let answer = Answer { verdict: Verdict::TryAgain { wait: None }, code: code.to_owned(), detail };
                Attempted { answer, skew: None }
            }
        }
    }

    fn directed(&self, platform: Platform, prepared: Prepared) -> Request {
        let gateway = Platform::ALL
            .iter()
            .zip(&self.gateways)
            .find(|(one, _)| **one == platform)
            .and_then(|(_, gateway)| gateway.as_ref());
        let url = match gateway {
            None => prepared.url,
            Some(gateway) => through(gateway, &prepared.url),
        };
        Request { url, body: prepared.body.into() }
    }
}

/// The URL with the gateway's scheme, host and port, and the same path and query.
fn through(gateway: &Url, url: &Secret) -> Secret {
    let rest = url.expose().split_once("://").and_then(|(_, rest)| rest.find('/').and_then(|at| rest.get(at..)));
    Secret::concat(&[gateway.as_str().trim_end_matches('/'), rest.unwrap_or_default()])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gateway_takes_the_place_of_scheme_host_and_port_only() {
        let url = Secret::new("https://oapi.dingtalk.com/robot/send?access_token=T&sign=a%2Fb".to_owned());
        for gateway in ["http://127.0.0.1:80", "http://127.0.0.1/"] {
            let directed = through(&gateway.parse().unwrap(), &url);
            assert_eq!(directed.expose(), "http://127.0.0.1/robot/send?access_token=T&sign=a%2Fb");
        }
    }
}
