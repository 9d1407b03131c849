//! What a platform would be sent for a dead letter, as far as that can be said without its robot's secrets.

use std::sync::Arc;

use serde_json::Value;

use crate::{
    admin::wire::SubscriptionView,
    broker::DeadLetter,
    domain::{
        Delivery, EventId, Mentions, Moment, Options, Platform, RobotId, Subscription, SubscriptionId,
        SubscriptionState,
    },
    fanout::{Decoder, Known},
    platforms::{self, Draft},
};

/// The request body, without a signature, or why there is none. Without the subscription its keyword and mentions are missing.
pub fn render(
    letter: &DeadLetter,
    decoder: &Decoder,
    subscription: Option<&SubscriptionView>,
    now: Moment,
) -> Result<Value, String> {
    let (Some(platform), Some(id)) = (letter.platform, letter.subscription) else {
        return Err("it is no delivery to a platform".to_owned());
    };
    let known = Known {
        id: EventId::new(&letter.event),
        received_at: now,
        expires_at: None,
        urgent: letter.urgent,
        platform: Some(platform),
    };
    let event = decoder
        .decode(letter.published.clone(), known)
        .map_err(|refused| format!("the event cannot be read: {}", refused.1.detail))?;
    let robot = letter.robot.unwrap_or_else(|| RobotId::from_bytes([0; 16]));
    let subscription = stand_in(&letter.topic, platform, id, robot, subscription, now)?;
    let delivery = Delivery {
        generation: letter.generation,
        part: letter.part,
        ..Delivery::fresh(&Arc::new(event), subscription.id, platform, robot)
    };
    let prepared = platforms::prepare(&Draft { delivery: &delivery, subscription: &subscription, now });
    let body = prepared.map_err(|unsendable| unsendable.detail)?.body;
    serde_json::from_slice(&body).map_err(|error| error.to_string())
}

/// A subscription whose endpoint is nobody's.
fn stand_in(
    topic: &str,
    platform: Platform,
    id: SubscriptionId,
    robot: RobotId,
    known: Option<&SubscriptionView>,
    now: Moment,
) -> Result<Subscription, String> {
    let nobody = match platform {
        Platform::DingTalk | Platform::DingTalkInternal => {
            "https://oapi.dingtalk.com/robot/send?access_token=nobody-at-all"
        }
        Platform::Lark => "https://open.feishu.cn/open-apis/bot/v2/hook/nobody-at-all",
        Platform::WeCom => "https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=nobody-at-all",
    };
    Ok(Subscription {
        id,
        topic: topic.parse().map_err(|mistake| format!("the topic: {mistake}"))?,
        platform,
        robot,
        endpoint: platforms::check_endpoint(platform, nobody).map_err(|mistake| mistake.to_string())?,
        secret: None,
        keyword: known.and_then(|known| known.keyword.clone()),
        name: None,
        mentions: known.map_or_else(Mentions::default, |known| known.mentions.clone().into()),
        state: SubscriptionState::Active,
        options: Options {
            too_long: known.and_then(|known| known.too_long.parse().ok()).unwrap_or_default(),
            ..Options::default()
        },
        created_at: now,
    })
}
