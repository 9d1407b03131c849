//! The content of events: texts, platforms' own forms, filters, CloudEvents.
//!
//! Owns the promise that each documented form is delivered, and that mistakes are named.
//!
//! Not here: texts that are too long (`parts.rs`), templates (`template.rs`).

use std::time::Duration;

use lapin::BasicProperties;
use serde_json::{Value, json};

use crate::support::{
    broker,
    daemon::Home,
    emulator::Emulator,
    publisher::{Publisher, header},
    until,
};

const SOON: Duration = Duration::from_secs(30);

fn dingtalk() -> Vec<Value> {
    vec![
        json!({
            "msgtype": "text", "text": {"content": "a text @138"},
            "at": {"atMobiles": ["138"], "isAtAll": false}
        }),
        json!({"msgtype": "markdown", "markdown": {"title": "t", "text": "# x"}}),
        json!({
            "msgtype": "link", "link": {"title": "t", "text": "x", "messageUrl": "https://x.test"}
        }),
        json!({
            "msgtype": "actionCard",
            "actionCard": {
                "title": "t", "text": "x", "singleTitle": "read", "singleURL": "https://x.test"
            }
        }),
        json!({
            "msgtype": "actionCard",
            "actionCard": {
                "title": "t", "text": "x", "btnOrientation": "1",
                "btns": [
                    {"title": "yes", "actionURL": "https://x.test"},
                    {"title": "no", "actionURL": "https://x.test"}
                ]
            }
        }),
        json!({"msgtype": "feedCard", "feedCard": {"links": [
            {"title": "t", "messageURL": "https://x.test", "picURL": "https://x.test/p.png"}]}}),
    ]
}

fn lark() -> Vec<Value> {
    let header = json!({"title": {"tag": "plain_text", "content": "t"}, "template": "red"});
    vec![
        json!({"msg_type": "text", "content": {"text": "x <at user_id=\"all\">all</at>"}}),
        json!({
            "msg_type": "post",
            "content": {"post": {"zh_cn": {
                "title": "t",
                "content": [[
                    {"tag": "text", "text": "x"},
                    {"tag": "a", "text": "here", "href": "https://x.test"},
                    {"tag": "at", "user_id": "all"}
                ]]
            }}}
        }),
        json!({"msg_type": "interactive", "card": {"header": header, "elements": [
            {"tag": "div", "text": {"tag": "lark_md", "content": "**x**"}}]}}),
        json!({"msg_type": "interactive", "card": {"schema": "2.0", "header": header,
            "body": {"elements": [{"tag": "markdown", "content": "# x"}]}}}),
        json!({"msg_type": "interactive", "card": {"type": "template",
            "data": {"template_id": "AAq", "template_variable": {"name": "x"}}}}),
    ]
}

fn wecom() -> Vec<Value> {
    let action = json!({"type": 1, "url": "https://x.test"});
    vec![
        json!({"msgtype": "text", "text": {"content": "x", "mentioned_list": ["ann", "@all"]}}),
        json!({"msgtype": "markdown", "markdown": {"content": "<font color=\"warning\">x</font>"}}),
        json!({"msgtype": "markdown_v2", "markdown_v2": {"content": "| a |\n|---|\n| b |"}}),
        json!({
            "msgtype": "image",
            "image": {"base64": "aGVsbG8=", "md5": "5d41402abc4b2a76b9719d911017c592"}
        }),
        json!({"msgtype": "news", "news": {"articles": [{"title": "t", "url": "https://x.test"}]}}),
        json!({"msgtype": "file", "file": {"media_id": "m"}}),
        json!({"msgtype": "template_card", "template_card": {
            "card_type": "text_notice", "main_title": {"title": "t"}, "card_action": action}}),
        json!({
            "msgtype": "template_card",
            "template_card": {
                "card_type": "news_notice", "main_title": {"title": "t"},
                "card_image": {"url": "https://x.test/p.png"}, "card_action": action
            }
        }),
    ]
}

#[tokio::test]
async fn every_type_of_every_platform_passes_and_the_platform_takes_it() {
    let (broker, emulator) = (broker::shared().await, Emulator::start(&[]).await);
    let home = Home::new(broker, &emulator.url(), "");
    let mut expected = 0;
    let mut events = Vec::new();
    for (platform, token, bodies) in [
        ("dingtalk", "ding-0001", dingtalk()),
        ("dingtalk_internal", "intern-01", dingtalk()),
        ("lark", "lark-0001", lark()),
        ("wecom", "wecom-001", wecom()),
    ] {
        home.subscribe(platform, platform, token, &[]);
        for body in bodies {
            expected += 1;
            // Alternately as an object, and as JSON in a string, as publishers of SMN send it.
            let structure = json!({"default": "unheard", platform: body});
            let structure =
                if expected % 2 == 0 { json!(structure.to_string()) } else { structure };
            events.push((platform, token, json!({"message_structure": structure}), body));
        }
    }
    let _daemon = home.start().await;
    let publisher = Publisher::connect(&broker.url(), &home.prefix).await;
    for (topic, _, event, _) in &events {
        publisher.publish(topic, event).await;
    }
    until("all arrive", SOON, || async { emulator.count("accepted").await == expected }).await;
    assert_eq!(emulator.count("refused").await, 0);
    let received = emulator.received().await;
    for (platform, token, _, body) in &events {
        let as_written = received.iter().any(|one| {
            let mut sent = one["body"].clone();
            sent.as_object_mut().unwrap().shift_remove("msgUuid");
            one["token"] == *token && sent == *body
        });
        assert!(as_written, "{platform} was sent {body} as it was written");
    }
}

#[tokio::test]
async fn one_markdown_reaches_each_platform_in_its_own_dialect() {
    let (broker, emulator) = (broker::shared().await, Emulator::start(&[]).await);
    let home = Home::new(broker, &emulator.url(), "");
    for (platform, token) in
        [("dingtalk", "ding-0001"), ("lark", "lark-0001"), ("wecom", "wecom-001")]
    {
        home.subscribe("ops", platform, token, &[]);
    }
    let _daemon = home.start().await;
    let publisher = Publisher::connect(&broker.url(), &home.prefix).await;
    let table = "| host | state |\n|---|---|\n| db-1 | *down* |";
    publisher.publish("ops", &json!({"message": table, "format": "markdown"})).await;
    let colour = "<font color=\"red\">down</font>";
    publisher.publish("ops", &json!({"message": colour, "format": "markdown"})).await;
    until("all arrive", SOON, || async { emulator.count("accepted").await == 6 }).await;
    let (mut shown, received) = (emulator.shown().await, emulator.received().await);
    shown.values_mut().for_each(|texts| texts.sort_by_key(|text| !text.contains("host")));
    assert_eq!(shown["ding-0001"], ["**host** | **state**  \n  db-1 | *down*", "down"]);
    let table = "| host | state |\n| --- | --- |\n| db-1 | *down* |";
    assert_eq!(shown["lark-0001"], [table, "<font color='red'>down</font>"]);
    assert_eq!(shown["wecom-001"], [table, "<font color=\"warning\">down</font>"]);
    let mut kinds: Vec<_> = received
        .iter()
        .filter(|one| one["token"] == "wecom-001")
        .map(|one| one["msgtype"].as_str().unwrap())
        .collect();
    kinds.sort_unstable();
    assert_eq!(kinds, ["markdown", "markdown_v2"]);
}

#[tokio::test]
async fn a_message_that_a_platform_would_refuse_is_not_sent_and_its_dead_letter_names_the_field() {
    let (broker, emulator) = (broker::shared().await, Emulator::start(&[]).await);
    let home = Home::new(broker, &emulator.url(), "");
    home.subscribe("ops", "lark", "lark-0001", &[]);
    let _daemon = home.start().await;
    let publisher = Publisher::connect(&broker.url(), &home.prefix).await;
    let body = json!({"message_structure": {
        "default": "d",
        "lark": {
            "msg_type": "interactive",
            "card": {"schema": "2.0", "body": {"elements": [{"content": "no tag"}]}}
        }
    }});
    publisher.publish_bytes("ops", body.to_string().as_bytes(), BasicProperties::default()).await;
    until("it is given up", SOON, || async { publisher.depth("dead.event").await == 1 }).await;
    let letter = publisher.get("dead.event").await.unwrap();
    assert_eq!(
        header(&letter, "x-roomcast-detail"),
        "message_structure.lark.card.body.elements[0].tag is missing"
    );
    assert_eq!(letter.delivery.data, body.to_string().as_bytes());
    assert_eq!(emulator.count("accepted").await + emulator.count("refused").await, 0);
}

#[tokio::test]
async fn a_message_in_the_platforms_own_form_without_the_keyword_is_refused_before_it_is_sent() {
    let (broker, emulator) = (broker::shared().await, Emulator::start(&[]).await);
    let home = Home::new(broker, &emulator.url(), "");
    home.subscribe("ops", "wecom", "wecom-001", &[]);
    home.subscribe("ops", "lark", "lark-0001", &["--keyword", "告警"]);
    let _daemon = home.start().await;
    let publisher = Publisher::connect(&broker.url(), &home.prefix).await;
    let event = json!({"message_structure": {
        "default": "d", "lark": {"msg_type": "text", "content": {"text": "x"}}
    }});
    publisher.publish("ops", &event).await;
    until("it is given up", SOON, || async { publisher.depth("dead.lark").await == 1 }).await;
    let letter = publisher.get("dead.lark").await.unwrap();
    assert_eq!(header(&letter, "x-roomcast-reason"), "refused");
    assert_eq!(header(&letter, "x-roomcast-code"), "no_keyword");
    until("the other is delivered", SOON, || async { emulator.count("accepted").await == 1 }).await;
}

#[tokio::test]
async fn a_subscription_gets_the_events_that_its_filter_accepts_by_attributes_and_headers() {
    let (broker, emulator) = (broker::shared().await, Emulator::start(&[]).await);
    let home = Home::new(broker, &emulator.url(), "");
    let sns = r#"{"severity": [{"prefix": "crit"}, "error"], "load": [{"numeric": [">", 8]}]}"#;
    home.subscribe("ops", "wecom", "wecom-001", &["--filter", sns]);
    let smn = concat!(
        r#"[{"name": "severity", "string_equals": ["info"]}, "#,
        r#"{"name": "team", "string_equals": ["db"]}]"#
    );
    home.subscribe("ops", "wecom", "wecom-002", &["--filter", smn]);
    let daemon = home.start().await;
    let all = home.subscribe("ops", "lark", "lark-0001", &[]);
    let publisher = Publisher::connect(&broker.url(), &home.prefix).await;
    let severity = |value: &str| json!([{"name": "severity", "type": "STRING", "value": value}]);
    for (text, attributes, load) in [
        ("hot", severity("critical"), 9),
        ("cool", severity("critical"), 2),
        ("calm", severity("info"), 9),
        (
            "for lark alone",
            json!([{"name": "smn_protocol", "type": "PROTOCOL", "value": ["feishu"]}]),
            9,
        ),
    ] {
        let body = json!({"message": text, "message_attributes": attributes}).to_string();
        let mut headers = lapin::types::FieldTable::default();
        headers.insert("load".into(), lapin::types::AMQPValue::LongInt(load));
        let properties = BasicProperties::default().with_headers(headers);
        publisher.publish_bytes("ops", body.as_bytes(), properties).await;
    }
    until("who wants them has them", SOON, || async { emulator.count("accepted").await == 6 })
        .await;
    until("the others are counted", SOON, || async {
        daemon.metric("roomcast_deliveries_filtered_total").await == Some(6.0)
    })
    .await;
    let mut shown = emulator.shown().await;
    shown.values_mut().for_each(|texts| texts.sort());
    assert_eq!(shown["wecom-001"], ["hot"]);
    assert_eq!(shown["wecom-002"], ["calm"]);
    assert_eq!(shown["lark-0001"], ["calm", "cool", "for lark alone", "hot"]);
    until("all are acked", SOON, || async { publisher.depth("publish").await == 0 }).await;

    // A filter is shown, changed and removed. An error in a filter is named.
    let updated = home.ok(
        &["subscription", "update", &all, "--filter", r#"{"severity": ["none"]}"#, "--json"],
        "",
    );
    assert!(updated.contains(r#""filter":{"severity":["none"]}"#), "{updated}");
    publisher
        .publish("ops", &json!({"message": "unwanted", "message_attributes": severity("info")}))
        .await;
    until("it is passed by", SOON, || async {
        daemon.metric("roomcast_deliveries_filtered_total").await == Some(8.0)
    })
    .await;
    home.ok(&["subscription", "update", &all, "--filter", ""], "");
    assert!(home.ok(&["subscription", "show", &all], "").contains("filter     none"));
    for (filter, says) in
        [("{", "--filter is not JSON"), (r#"{"a": [{"suffix": "x"}]}"#, "filter: a: use texts")]
    {
        let refused = home.cli(&["subscription", "update", &all, "--filter", filter], "");
        let error = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(refused.status.code() == Some(64) && error.contains(says), "{error}");
    }
}

/// The properties of a CloudEvent in binary mode.
fn cloudevent(id: &str) -> BasicProperties {
    let mut headers = lapin::types::FieldTable::default();
    for (name, value) in [
        ("cloudEvents:specversion", "1.0"),
        ("cloudEvents:id", id),
        ("cloudEvents:source", "/db"),
        ("cloudEvents:type", "db.down"),
        ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
    ] {
        headers.insert(name.into(), lapin::types::AMQPValue::LongString(value.into()));
    }
    BasicProperties::default().with_headers(headers)
}

#[tokio::test]
async fn cloudevents_of_both_modes_are_delivered_filtered_by_type_and_recognised_by_their_id() {
    let (broker, emulator) = (broker::shared().await, Emulator::start(&[]).await);
    let home = Home::new(broker, &emulator.url(), "");
    home.subscribe("ops", "wecom", "wecom-001", &["--filter", r#"{"type": ["db.down"]}"#]);
    home.subscribe("ops", "wecom", "wecom-002", &["--filter", r#"{"type": ["db.up"]}"#]);
    let daemon = home.start().await;
    let publisher = Publisher::connect(&broker.url(), &home.prefix).await;
    let structured = json!({
        "specversion": "1.0", "id": "8", "source": "/db", "type": "db.up", "subject": "db-1",
        "datacontenttype": "text/markdown", "data": "**up**"
    });
    let properties =
        BasicProperties::default().with_content_type("application/cloudevents+json".into());
    publisher.publish_bytes("ops", structured.to_string().as_bytes(), properties.clone()).await;
    publisher.publish_bytes("ops", br#"{"message": "down"}"#, cloudevent("7")).await;
    until("both arrive", SOON, || async { emulator.count("accepted").await == 2 }).await;
    let shown = emulator.shown().await;
    assert_eq!(
        (&shown["wecom-001"][..], &shown["wecom-002"][..]),
        (&["down".to_owned()][..], &["### db-1\n**up**".to_owned()][..])
    );
    until("a repeat is recognised", SOON, || async {
        publisher.publish_bytes("ops", br#"{"message": "down"}"#, cloudevent("7")).await;
        daemon.metric("roomcast_duplicates_skipped_total").await > Some(0.0)
    })
    .await;
    publisher.publish_bytes("ops", br#"{"message": "down"}"#, cloudevent("9")).await;
    until("another id is another event", SOON, || async { emulator.count("accepted").await == 3 })
        .await;

    let bad = json!({"specversion": "0.3", "id": "1", "source": "/", "type": "t"}).to_string();
    publisher.publish_bytes("ops", bad.as_bytes(), properties).await;
    until("it is given up", SOON, || async { publisher.depth("dead.event").await == 1 }).await;
    let letter = publisher.get("dead.event").await.unwrap();
    assert_eq!(
        header(&letter, "x-roomcast-detail"),
        "CloudEvent: specversion is 0.3: only 1.0 is taken"
    );
}

#[tokio::test]
async fn the_trace_of_an_event_survives_every_delay_and_its_death() {
    let (broker, emulator) = (broker::shared().await, Emulator::start(&[]).await);
    let home =
        Home::new(broker, &emulator.url(), "[retry]\ndelays = [\"1s\", \"1s\"]\njitter = 0.0\n");
    home.subscribe("ops", "wecom", "wecom-001", &[]);
    let _daemon = home.start().await;
    emulator.fault(json!({"kind": "status", "status": 503})).await;
    let publisher = Publisher::connect(&broker.url(), &home.prefix).await;
    publisher.publish_bytes("ops", br#"{"message": "down"}"#, cloudevent("7")).await;
    until("it is given up after two delays", SOON, || async {
        publisher.depth("dead.wecom").await == 1
    })
    .await;
    let letter = publisher.get("dead.wecom").await.unwrap();
    assert_eq!(
        header(&letter, "traceparent"),
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    );
    assert_eq!(header(&letter, "cloudEvents:type"), "db.down");
    assert_eq!(header(&letter, "x-roomcast-event"), "/db#7");
    assert!(header(&letter, "x-roomcast-attempts").contains('3'), "it was delayed twice");
}
