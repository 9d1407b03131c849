//! One attempt: write the message, post it, read the answer. The only room that names reqwest.
//!
//! Owns that a request goes to its platform's host, or to the gateway that the operator put in its place, and nowhere else; that it ends by its
//! deadline; and that nothing of it is left in an error. What is written and what an answer means is `platforms/`.

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

/// What goes over the wire.
pub struct Request {
    /// Where to; it contains the credential.
    pub url: Secret,
    /// JSON.
    pub body: Bytes,
}

/// What came back.
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
    /// The body, or its beginning if it was very long.
    pub body: Bytes,
}

/// No answer came. Whether the message arrived is not known, except for `dns` and `connect`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoAnswer {
    /// Our code: `timeout`, `dns`, `connect`, `broken`.
    pub code: &'static str,
    /// What happened, in words that contain nothing of the request.
    pub detail: String,
}

/// The seam to the network: implemented over HTTP, and by a double in simulations.
#[async_trait]
pub trait Post: Send + Sync {
    /// Posts a request and waits for the whole answer, within the deadline.
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

/// A request that is ready to leave.
pub struct Ready {
    /// Which part of the text it is.
    pub part: Part,
    request: Request,
    /// The platform's time of day by which it is signed.
    now: Moment,
}

/// What an attempt brought.
pub struct Attempted {
    /// The answer.
    pub answer: Answer,
    /// By how many seconds the platform's clock is found to be ahead of ours, if that is news.
    pub skew: Option<i64>,
}

impl Sender {
    /// A sender over this network. A platform's gateway, in the order of [`Platform::ALL`], takes the place of scheme, host and port.
    #[must_use]
    pub fn new(post: Arc<dyn Post>, gateways: [Option<Url>; 4]) -> Self {
        Self { post, gateways, skews: Arc::default(), rendered: Arc::default() }
    }

    /// Writes and signs the message, to be posted at once: a signature ages. What cannot be written for its platform has its answer already.
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

    /// Makes one attempt. Whatever happens has an answer.
    pub async fn attempt(&self, ready: Box<Ready>, subscription: &Subscription, clock: &Clock) -> Attempted {
        let (platform, Ready { request, now, .. }) = (subscription.platform, *ready);
        match self.post.post(request).await {
            Ok(Reply { status, retry_after, rate_reset, date, body }) => {
                let response = Response { status, retry_after, rate_reset, body: &body };
                let mut answer = platforms::read_answer(subscription, &response);
                if answer.verdict == Verdict::Security && Skews::explains(date, now) {
                    // The next attempt is signed by the platform's clock.
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

/// The same path and query at the gateway.
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
