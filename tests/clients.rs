//! The requests of roomcast, compared with those of independent clients for the same content.
//!
//! `tests/clients/record.sh` recorded the clients' requests: once for `tests/golden/clients`, and
//! for each run in the folder that `ROOMCAST_CLIENTS` names.
//!
//! Owns the list of intended differences.
//!
//! Not here: the platforms' documented forms (`src/platforms/`).
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that meets the unexpected fails by panicking"
)]

use std::{collections::BTreeMap, fs, path::Path, sync::Arc};

use roomcast::{
    domain::{
        Delivery, Endpoint, EventId, Platform, PrivateOptions, PublishedMessage, RobotId, Secret,
        Subscription, SubscriptionId, SubscriptionOptions, SubscriptionState, Timestamp,
    },
    fanout::{DecodeContext, Decoder, DecoderSettings, TemplateRegistry},
    platforms::{RenderInput, main_host, prepare, webhook_path},
    settings::Section as _,
};
use serde_json::{Value, json};
use url::Url;

/// A recorded request.
struct Recorded {
    client: String,
    name: String,
    path: String,
    query: BTreeMap<String, String>,
    body: Value,
}

fn recorded() -> Vec<Recorded> {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/clients");
    let folder = std::env::var_os("ROOMCAST_CLIENTS").map_or(golden, Into::into);
    let mut all = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let file: Value =
            serde_json::from_slice(&fs::read(entry.unwrap().path()).unwrap()).unwrap();
        for request in file["requests"].as_array().unwrap() {
            all.push(Recorded {
                client: file["client"].as_str().unwrap().to_owned(),
                name: request["name"].as_str().unwrap().to_owned(),
                path: request["path"].as_str().unwrap().to_owned(),
                query: serde_json::from_value(request["query"].clone()).unwrap(),
                body: request["body"].clone(),
            });
        }
    }
    assert_eq!(all.len(), 26, "all clients were recorded");
    all
}

impl Recorded {
    fn platform(&self) -> Platform {
        match self.path.as_str() {
            "/robot/send" => Platform::DingTalk,
            "/cgi-bin/webhook/send" => Platform::WeCom,
            _ => Platform::Lark,
        }
    }

    /// The time and secret of a signature, and the signature itself.
    fn signature(&self) -> Option<(Timestamp, &'static str, String)> {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        match self.platform() {
            Platform::Lark => {
                let seconds: u64 = text(self.body.get("timestamp")?).parse().unwrap();
                Some((
                    Timestamp::from_unix_millis(seconds * 1000),
                    "testsecret",
                    text(&self.body["sign"]),
                ))
            }
            _ => {
                let millis = self.query.get("timestamp")?.parse().unwrap();
                Some((Timestamp::from_unix_millis(millis), "SECtest", self.query["sign"].clone()))
            }
        }
    }
}

/// Roomcast's request for an event: path and query of the URL, and the body.
fn sent(platform: Platform, event: &Value, signed: Option<(Timestamp, &str)>) -> (Url, Value) {
    let settings = DecoderSettings::by_default().unwrap();
    let published = PublishedMessage {
        routing_key: "ops".into(),
        body: event.to_string().into_bytes(),
        ..PublishedMessage::default()
    };
    let now = signed.map_or(Timestamp::from_unix_millis(0), |(at, _)| at);
    let known = DecodeContext::new(EventId::new("e"), now);
    let event = Decoder::new(settings, TemplateRegistry::default())
        .decode(published, known)
        .map_err(|refused| refused.1)
        .unwrap();
    let token =
        if platform == Platform::WeCom { "693a91f6-7aaa-4bc4-97a0-0ec2afa5aaa1" } else { "TOKEN" };
    let endpoint = format!("https://{}{}{token}", main_host(platform), webhook_path(platform));
    let (id, robot) = (SubscriptionId::from_bytes([1; 16]), RobotId::from_bytes([1; 16]));
    let subscription = Subscription {
        id,
        topic: "ops".parse().unwrap(),
        platform,
        robot,
        endpoint: Endpoint::new(endpoint),
        secret: signed.map(|(_, secret)| Secret::new(secret.to_owned())),
        private: PrivateOptions::default(),
        state: SubscriptionState::Active,
        options: SubscriptionOptions::default(),
        created_at: now,
    };
    let delivery = Delivery::fresh(&Arc::new(event), id, platform, robot);
    let prepared = prepare(&RenderInput { delivery: &delivery, subscription: &subscription, now });
    let prepared = prepared.unwrap_or_else(|unsendable| panic!("{unsendable:?}"));
    (prepared.url.expose().parse().unwrap(), serde_json::from_slice(&prepared.body).unwrap())
}

#[test]
fn what_every_client_sends_is_taken_as_an_entry_and_sent_to_its_address_with_its_signature() {
    for one in recorded() {
        let (platform, signature) = (one.platform(), one.signature());
        let event = json!({"message_structure": {"default": "d", platform.as_str(): one.body}});
        let (url, mut body) =
            sent(platform, &event, signature.as_ref().map(|(at, secret, _)| (*at, *secret)));
        // The id by which DingTalk recognises repeats. The clients do not send it.
        assert_eq!(
            body.as_object_mut().unwrap().shift_remove("msgUuid").is_some(),
            platform == Platform::DingTalk
        );
        assert_eq!(body, one.body, "{} {}", one.client, one.name);
        assert_eq!(url.path(), one.path, "{} {}", one.client, one.name);
        let query: BTreeMap<String, String> = url.query_pairs().into_owned().collect();
        assert_eq!(query, one.query, "{} {}", one.client, one.name);
    }
    let signed = recorded().iter().filter(|one| one.signature().is_some()).count();
    assert_eq!(signed, 3, "two clients for DingTalk and one for Lark sign");
}

/// The input of a client as an event, with the intended differences of our request and their
/// reasons.
struct Same {
    client: &'static str,
    name: &'static str,
    event: Value,
    /// Pointers into the client's body, and our values there.
    differences: Vec<(&'static str, Value)>,
}

fn same() -> Vec<Same> {
    // Roomcast always sends all three kinds of mentions; the clients omit empty ones.
    let at = |mobiles: &[&str], all: bool| {
        ("/at", json!({"atMobiles": mobiles, "atUserIds": [], "isAtAll": all}))
    };
    let number = "13800000000";
    vec![
        Same {
            client: "DingtalkChatbot",
            name: "signed text",
            event: json!({"message": "db-1 告警", "at": {"mobiles": [number]}}),
            differences: vec![at(&[number], false)],
        },
        Same {
            client: "DingtalkChatbot",
            name: "text to all",
            event: json!({"message": "db-1 is down", "at": {"all": true}}),
            differences: vec![at(&[], true)],
        },
        Same {
            client: "DingtalkChatbot",
            name: "markdown",
            event: json!({
                "subject": "db-1", "message": "is **down**", "format": "markdown",
                "at": {"mobiles": [number]}
            }),
            differences: vec![at(&[number], false)],
        },
        Same {
            client: "dingtalk-robot-sender",
            name: "signed text",
            event: json!({"message": "db-1 告警 @13800000000", "at": {"mobiles": [number]}}),
            differences: vec![at(&[number], false)],
        },
        Same {
            client: "dingtalk-robot-sender",
            name: "markdown",
            event: json!({
                "subject": "db-1", "message": "is **down**", "format": "markdown",
                "at": {"all": true}
            }),
            differences: vec![at(&[], true)],
        },
        Same {
            client: "pylgb",
            name: "signed text",
            event: json!({"message": "db-1 告警"}),
            differences: vec![],
        },
        Same {
            client: "pylgb",
            name: "text to all",
            event: json!({"message": "db-1 is down", "at": {"all": true}}),
            // The client gets the mention inside the line; roomcast writes it on a line of its own.
            differences: vec![("/content/text", json!("db-1 is down\n<at user_id=\"all\"></at>"))],
        },
        Same {
            client: "larkpy",
            name: "card",
            event: json!({"subject": "db-1", "message": "is **down**", "format": "markdown"}),
            // The client sets margins, sizes, an empty subtitle and a colour. Roomcast uses the
            // defaults.
            differences: vec![
                ("/card/config", Value::Null),
                ("/card/header", json!({"title": {"tag": "plain_text", "content": "db-1"}})),
                (
                    "/card/body",
                    json!({"elements": [{"tag": "markdown", "content": "is **down**"}]}),
                ),
            ],
        },
        Same {
            client: "pywgb",
            name: "text",
            event: json!({
                "message": "db-1 告警", "at": {"all": true, "mobiles": [number], "users": ["ann"]}
            }),
            differences: vec![],
        },
        Same {
            client: "pywgb",
            name: "markdown",
            event: json!({
                "subject": "db-1", "message": "is **down**", "format": "markdown",
                "at": {"users": ["ann"]}
            }),
            differences: vec![],
        },
        Same {
            client: "pywgb",
            name: "markdown_v2",
            event: json!({"message": "|host|state|\n|-|-|\n|db-1|down|", "format": "markdown"}),
            differences: vec![],
        },
    ]
}

#[test]
fn our_own_text_and_markdown_equal_those_of_the_clients_for_the_same_content() {
    let recorded = recorded();
    for one in same() {
        let theirs = recorded
            .iter()
            .find(|other| other.client == one.client && other.name == one.name)
            .unwrap();
        let signature = theirs.signature();
        let signed = signature.as_ref().map(|(at, secret, _)| (*at, *secret));
        let (url, mut body) = sent(theirs.platform(), &one.event, signed);
        body.as_object_mut().unwrap().shift_remove("msgUuid");
        let mut expected = theirs.body.clone();
        for (pointer, ours) in one.differences {
            let (parent, field) = pointer.rsplit_once('/').unwrap();
            let parent = expected.pointer_mut(parent).unwrap().as_object_mut().unwrap();
            assert!(
                parent.contains_key(field),
                "{} {}: {pointer} is in the client's request",
                one.client,
                one.name
            );
            if ours.is_null() {
                parent.shift_remove(field);
            } else {
                parent.insert(field.to_owned(), ours);
            }
        }
        assert_eq!(body, expected, "{} {}", one.client, one.name);
        let query: BTreeMap<String, String> = url.query_pairs().into_owned().collect();
        assert_eq!(query, theirs.query, "{} {}", one.client, one.name);
    }
}
