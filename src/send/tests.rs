//! Tests of one attempt, with a transport that answers every request in the same way.
//!
//! Owns what leaves the process, and what an answer becomes.
//!
//! Not here: the client that posts (`http_transport.rs`).

use super::*;
use crate::domain::{
    Endpoint, Event, EventContent, EventId, PrivateOptions, PublishedMessage, RobotId,
    SubscriptionId, SubscriptionOptions, SubscriptionState,
};

/// Answers every request with this response.
struct Answering(HttpResponse);

#[async_trait]
impl Transport for Answering {
    async fn send(&self, _: Request) -> Result<HttpResponse, TransportError> {
        Ok(self.0.clone())
    }
}

fn subscription() -> Subscription {
    let endpoint = "https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=k";
    Subscription {
        id: SubscriptionId::from_bytes([1; 16]),
        topic: "ops".parse().unwrap(),
        platform: Platform::WeCom,
        robot: RobotId::from_bytes([1; 16]),
        endpoint: Endpoint::new(endpoint.to_owned()),
        secret: None,
        private: PrivateOptions::default(),
        state: SubscriptionState::Active,
        options: SubscriptionOptions::default(),
        created_at: Timestamp::from_unix_millis(0),
    }
}

#[tokio::test(start_paused = true)]
async fn a_retry_time_is_counted_on_the_clock_of_the_platform_or_else_of_the_daemon() {
    let at = |seconds: u64| Timestamp::from_unix_millis((1_000_000 + seconds) * 1000);
    let (subscription, clock) = (subscription(), Clock::from(at(0)));
    let event = Event {
        id: EventId::new("e"),
        topic: "ops".parse().unwrap(),
        content: EventContent { message: Some("m".into()), ..EventContent::default() },
        urgent: false,
        received_at: at(0),
        expires_at: at(999),
        published: PublishedMessage::default(),
    };
    let delivery = Delivery::fresh(
        &Arc::new(event),
        subscription.id,
        subscription.platform,
        subscription.robot,
    );
    for (retry_after, date, wait) in [
        (RetryAfter::Until(at(90)), None, 90),
        (RetryAfter::Until(at(90)), Some(at(60)), 30),
        (RetryAfter::Until(at(90)), Some(at(100)), 0),
        (RetryAfter::Wait(Duration::from_secs(7)), Some(at(60)), 7),
    ] {
        let response = HttpResponse {
            status: 503,
            retry_after: Some(retry_after),
            date,
            ..HttpResponse::default()
        };
        let sender =
            Sender::new(Arc::new(Answering(response)), <_>::default(), WebhookHosts::default());
        let ready = sender.prepare(&delivery, &subscription, &clock).await.unwrap();
        let answer = sender.attempt(ready, &subscription, &clock).await.answer;
        let wait = Some(Duration::from_secs(wait));
        assert_eq!(answer.verdict, Verdict::TryAgain { wait }, "{retry_after:?} {date:?}");
    }
}

#[tokio::test]
async fn a_stored_webhook_at_a_host_that_is_not_allowed_any_more_is_not_called() {
    let event = Event {
        id: EventId::new("e"),
        topic: "ops".parse().unwrap(),
        content: EventContent { message: Some("m".into()), ..EventContent::default() },
        urgent: false,
        received_at: Timestamp::default(),
        expires_at: Timestamp::default(),
        published: PublishedMessage::default(),
    };
    let mut subscription = subscription();
    let wecom = subscription.platform;
    subscription.endpoint =
        Endpoint::new("https://wecom.test/cgi-bin/webhook/send?key=MARKER12".to_owned());
    let delivery = Delivery::fresh(&Arc::new(event), subscription.id, wecom, subscription.robot);
    let gateway = "https://gateway.test".parse().ok();
    let with_gateway = PlatformMap::from_fn(|one| gateway.clone().filter(|_| one == wecom));
    let allowed =
        PlatformMap::from_fn(
            |one| {
                if one == wecom { vec!["wecom.test".to_owned()] } else { Vec::new() }
            },
        );
    let none = WebhookHosts::default;
    for (gateways, hosts, is_called) in [
        (<_>::default(), none(), false),
        (<_>::default(), WebhookHosts::new(allowed), true),
        (with_gateway, none(), true),
    ] {
        let sender = Sender::new(Arc::new(Answering(HttpResponse::default())), gateways, hosts);
        let clock = Clock::from(Timestamp::default());
        match sender.prepare(&delivery, &subscription, &clock).await {
            Ok(_) => assert!(is_called),
            Err(refused) => {
                assert!(!is_called);
                assert_eq!(
                    (refused.verdict, refused.code.as_str()),
                    (Verdict::Refused, "host_not_allowed")
                );
                assert_eq!(
                    refused.detail,
                    "the webhook's host wecom.test is not one of wecom, \
                     nor in platforms.wecom.hosts"
                );
            }
        }
    }
}

#[test]
fn a_gateway_takes_the_place_of_scheme_host_and_port_only() {
    let url =
        Secret::new("https://oapi.dingtalk.com/robot/send?access_token=T&sign=a%2Fb".to_owned());
    for gateway in ["http://127.0.0.1:80", "http://127.0.0.1/"] {
        let directed = through(&gateway.parse().unwrap(), &url);
        assert_eq!(directed.expose(), "http://127.0.0.1/robot/send?access_token=T&sign=a%2Fb");
    }
}
