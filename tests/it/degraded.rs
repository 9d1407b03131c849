//! Messages that a platform refuses for a part of them.
//!
//! Owns the promise that the alert arrives without that part, within the quota, and that only the
//! plainest message can be refused for good.
//!
//! Not here: which code is about which part (`src/platforms/*/answer.rs`).

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{
    broker,
    daemon::{Daemon, Home},
    emulator::Emulator,
    publisher::{Publisher, header},
    receipts::Receipts,
    until,
};

const SOON: Duration = Duration::from_secs(30);

/// A refusal of every message whose body contains a text.
fn refusing(platform: &str, contains: &str, status: u16, body: Value) -> Value {
    json!({
        "kind": "answer", "platform": platform, "contains": contains, "status": status, "body": body
    })
}

/// The requests for a robot: message type and text of its body.
async fn requests(emulator: &Emulator, token: &str) -> Vec<(String, String)> {
    let received = emulator.received().await.into_iter().filter(|one| one["token"] == token);
    received
        .map(|one| (one["msgtype"].as_str().unwrap().to_owned(), one["body"].to_string()))
        .collect()
}

async fn degraded(daemon: &Daemon<'_>, platform: &str, cause: &str) -> f64 {
    let name = format!("roomcast_degraded_total{{platform=\"{platform}\",cause=\"{cause}\"}}");
    daemon.metric(&name).await.unwrap()
}

async fn settled(daemon: &Daemon<'_>, platform: &str, outcome: &str) -> f64 {
    let name =
        format!("roomcast_deliveries_total{{platform=\"{platform}\",outcome=\"{outcome}\"}}");
    daemon.metric(&name).await.unwrap()
}

#[tokio::test]
async fn an_id_that_lark_does_not_know_costs_the_mention_and_not_the_alert() {
    let (broker, emulator) = (broker::shared().await, Emulator::start(&[]).await);
    emulator.robot("lark", "lark-0001", json!({"members": ["ou_1"], "no_mention_all": true})).await;
    let home = Home::new(broker, &emulator.url(), "[outcome]\nreceipts = \"all\"\n");
    home.subscribe("ops", "lark", "lark-0001", &[]);
    let daemon = home.start().await;
    let receipts = Receipts::bound(&broker.url(), &home.prefix, "#").await;
    let publisher = Publisher::connect(&broker.url(), &home.prefix).await;

    // The id of another platform is not even tried.
    let field = include_str!("../field/mention-that-lark-refuses/input.json");
    publisher.publish("ops", &serde_json::from_str(field).unwrap()).await;
    until("it has its receipt", SOON, || async { receipts.all().len() == 1 }).await;
    assert_eq!(emulator.count("refused").await, 0);
    let (_, body) = requests(&emulator, "lark-0001").await.remove(0);
    assert!(body.contains("**磁盘满** db-1") && !body.contains("<at"), "{body}");
    assert!(body.contains("无法提醒"), "{body}");

    let unknown = json!({"message": "**two**", "format": "markdown", "at": {"users": ["ou_gone"]}});
    publisher.publish("ops", &unknown).await;
    until("it arrives without", SOON, || async { receipts.all().len() == 2 }).await;
    assert_eq!(emulator.count("refused").await, 1);
    let (kind, body) = requests(&emulator, "lark-0001").await.pop().unwrap();
    assert_eq!(kind, "interactive", "the card stays");
    assert!(!body.contains("<at") && body.contains("无法提醒"), "{body}");

    let everyone = json!({"message": "**three**", "format": "markdown", "at": {"all": true}});
    publisher.publish("ops", &everyone).await;
    until("it arrives as well", SOON, || async { receipts.all().len() == 3 }).await;
    assert_eq!((emulator.count("accepted").await, emulator.count("refused").await), (3, 2));
    let omitted: Vec<_> = receipts.all().iter().map(|one| one.body["omitted"].clone()).collect();
    assert_eq!(omitted, [Value::Null, json!(["mentions"]), json!(["mention_all"])]);
    assert!(receipts.all().iter().all(|one| one.body["attempts"] == 1), "no attempt was used up");
    assert_eq!(degraded(&daemon, "lark", "mentions").await, 1.0);
    assert_eq!(degraded(&daemon, "lark", "mention_all").await, 1.0);
    assert_eq!(settled(&daemon, "lark", "retried").await, 0.0);
    assert!(home.log().contains("a platform refused a part of a message"));
}

#[tokio::test]
async fn each_platform_gets_a_refused_message_without_the_part_that_it_refuses() {
    let (broker, emulator) = (broker::shared().await, Emulator::start(&[]).await);
    let home = Home::new(broker, &emulator.url(), "");
    for (topic, platform) in [
        ("tables", "lark"),
        ("all", "lark"),
        ("native", "lark"),
        ("picture", "dingtalk"),
        ("field", "dingtalk"),
        ("internal", "dingtalk_internal"),
        ("kind", "wecom"),
    ] {
        emulator.robot(platform, &format!("{topic}-0001"), json!({})).await;
        home.subscribe(topic, platform, &format!("{topic}-0001"), &[]);
    }
    let daemon = home.start().await;
    let publisher = Publisher::connect(&broker.url(), &home.prefix).await;
    let tables =
        "Failed to create card content, ext=ErrCode: 11310; ErrMsg: card table number over limit; ";
    let card =
        "Failed to create card content, ext=ErrCode: 200570; ErrMsg: card content is invalid; ";
    for fault in [
        refusing("lark", "| --- |", 400, json!({"code": 230_099, "msg": tables, "data": {}})),
        refusing("lark", "<at id=all>", 400, json!({"code": 230_099, "msg": card, "data": {}})),
        refusing(
            "dingtalk",
            "![g]",
            200,
            json!({"errcode": 430_103, "errmsg": "contain unsafe picture"}),
        ),
        refusing("dingtalk", "\"markdown\"", 200, json!({"errcode": 400_402, "errmsg": "invalid"})),
        refusing(
            "dingtalk_internal",
            "\"isAtAll\":true",
            200,
            json!({"errcode": 400_301, "errmsg": "isAtAll"}),
        ),
        refusing(
            "wecom",
            "\"markdown",
            200,
            json!({"errcode": 40_008, "errmsg": "invalid message type"}),
        ),
    ] {
        emulator.fault(fault).await;
    }
    let markdown = |text: &str| json!({"subject": "db-1", "message": text, "format": "markdown"});
    let native = json!({"message_structure": {"default": "in plain words", "lark":
        {"msg_type": "interactive", "card": {"schema": "2.0", "fallback": {}, "body": {"elements": [
            {"tag": "markdown", "content": "**in a card**"}]}}}}});
    let everyone = json!({"message": "**down**", "format": "markdown", "at": {"all": true}});
    for (topic, event, kinds, has, lacks) in [
        (
            "tables",
            markdown("| a | b |\n|---|---|\n| 1 | 2 |"),
            vec!["interactive"; 2],
            "a | b",
            "---",
        ),
        ("all", everyone.clone(), vec!["interactive"; 2], "**down**", "<at"),
        ("native", native, vec!["interactive", "text"], "in plain words", "in a card"),
        (
            "picture",
            markdown("**down** ![g](https://x.test/g.png)"),
            // Then the markdown itself is refused, by the other fault.
            vec!["markdown", "markdown", "text"],
            "down g (https://x.test/g.png)",
            "![",
        ),
        ("field", markdown("**down**"), vec!["markdown", "text"], "db-1\\ndown", "**"),
        ("internal", everyone, vec!["markdown"; 2], "**down**", "\"isAtAll\":true"),
        (
            "kind",
            markdown("**down** [r](https://x.test)"),
            vec!["markdown", "text"],
            "down r (https://x.test)",
            "**",
        ),
    ] {
        publisher.publish(topic, &event).await;
        let token = format!("{topic}-0001");
        until(&format!("{topic} arrives"), SOON, || async {
            emulator.shown().await.contains_key(&token)
        })
        .await;
        let requests = requests(&emulator, &token).await;
        let found: Vec<_> = requests.iter().map(|(kind, _)| kind.as_str()).collect();
        assert_eq!(found, kinds, "{topic}: {requests:?}");
        let (_, last) = requests.last().unwrap();
        assert!(last.contains(has) && !last.contains(lacks), "{topic}: {last}");
    }
    for platform in ["lark", "dingtalk", "dingtalk_internal", "wecom"] {
        assert_eq!(settled(&daemon, platform, "dead").await, 0.0, "{platform}");
        assert_eq!(settled(&daemon, platform, "retried").await, 0.0, "{platform}");
    }
    assert_eq!(degraded(&daemon, "dingtalk", "pictures").await, 1.0);
    assert_eq!(degraded(&daemon, "lark", "tables").await, 1.0);
    assert_eq!(degraded(&daemon, "wecom", "markup").await, 1.0);
}

#[tokio::test]
async fn a_message_that_is_refused_in_its_plainest_form_is_a_dead_letter_after_three_plainer_ones()
{
    let (broker, emulator) = (broker::shared().await, Emulator::start(&[]).await);
    let home = Home::new(broker, &emulator.url(), "[outcome]\nreceipts = \"all\"\n");
    home.subscribe("ops", "lark", "lark-0001", &[]);
    let daemon = home.start().await;
    let receipts = Receipts::bound(&broker.url(), &home.prefix, "#").await;
    let answer = include_str!("../field/lark-too-large/answer.json");
    let answer: Value = serde_json::from_str(answer).unwrap();
    emulator.fault(refusing("lark", "", 200, answer)).await;
    let publisher = Publisher::connect(&broker.url(), &home.prefix).await;
    let at = json!({"all": true, "users": ["ou_1"]});
    let event = json!({"message": "**down**", "format": "markdown", "at": at});
    publisher.publish("ops", &event).await;
    publisher.publish("ops", &json!({"message": "plain"})).await;
    until("both are given up", SOON, || async { publisher.depth("dead.lark").await == 2 }).await;
    let mut omitted = Vec::new();
    for _ in 0..2 {
        let letter = publisher.get("dead.lark").await.unwrap();
        assert_eq!(header(&letter, "x-roomcast-reason"), "refused");
        assert_eq!(header(&letter, "x-roomcast-code"), "19036");
        assert_eq!(header(&letter, "x-roomcast-attempts"), "LongLongInt(1)");
        omitted.push(header(&letter, "x-roomcast-omitted"));
    }
    omitted.sort();
    assert_eq!(omitted, ["", "mention_all,mentions,markup"]);
    let requests = requests(&emulator, "lark-0001").await;
    assert_eq!(requests.len(), 4 + 1, "{requests:?}");
    until("both have receipts", SOON, || async { receipts.all().len() == 2 }).await;
    assert!(receipts.all().iter().all(|one| one.body["reason"] == "refused"));
    assert_eq!(settled(&daemon, "lark", "retried").await, 0.0);
}

/// A robot that takes one message in a window of [`WINDOW_MS`]. The window is long enough that
/// also a loaded machine does within one what a test expects there.
const ONE_IN_A_WINDOW: &str = "[platforms.wecom]\nbase_url = \"BASE_URL\"\nwindows = [\"1/10s\"]\n\
    [delay]\ntiers = [\"1s\", \"5s\"]\n";
const WINDOW_MS: i64 = 10_000;

/// Whether no window has more than `most` requests.
async fn keeps_the_window(emulator: &Emulator, most: usize) -> bool {
    let at: Vec<_> =
        emulator.received().await.iter().map(|one| one["at_ms"].as_i64().unwrap()).collect();
    at.windows(most + 1).all(|some| some[most] - some[0] >= WINDOW_MS)
}

#[tokio::test]
async fn a_plainer_message_waits_for_its_permit_in_memory_and_a_kill_meanwhile_loses_nothing() {
    let (broker, emulator) = (broker::shared().await, Emulator::start(&["--no-quota"]).await);
    let more = format!("{ONE_IN_A_WINDOW}[pace]\nhold_max = \"60s\"\n");
    let home = Home::new(broker, &emulator.url(), &more);
    home.subscribe("ops", "wecom", "wecom-001", &[]);
    let body = json!({"errcode": 40_008, "errmsg": "invalid message type"});
    emulator.fault(refusing("wecom", "\"markdown", 200, body)).await;
    let daemon = home.start().await;
    let publisher = Publisher::connect(&broker.url(), &home.prefix).await;
    publisher.publish("ops", &json!({"message": "**down**", "format": "markdown"})).await;
    until("it is refused", SOON, || async { degraded(&daemon, "wecom", "markup").await == 1.0 })
        .await;
    daemon.kill();
    assert!(emulator.shown().await.is_empty(), "the plainer one had to wait");
    let daemon = home.start().await;
    // Two windows pass until then.
    until("it arrives", SOON * 3, || async { emulator.shown().await.contains_key("wecom-001") })
        .await;
    let requests = requests(&emulator, "wecom-001").await;
    let kinds: Vec<_> = requests.iter().map(|(kind, _)| kind.as_str()).collect();
    // The event starts again from its stored step, which is the event itself.
    assert_eq!(kinds, ["markdown", "markdown", "text"]);
    assert!(keeps_the_window(&emulator, 1).await);
    until("it is settled", SOON, || async { broker.is_settled(&home.prefix) }).await;
    assert!(daemon.terminate().success());
}

#[tokio::test]
async fn a_plainer_message_whose_permit_is_far_away_waits_in_a_tier_and_stays_plain_over_a_kill() {
    let (broker, emulator) = (broker::shared().await, Emulator::start(&["--no-quota"]).await);
    let more = ONE_IN_A_WINDOW.replace("1/10s", "2/10s") + "[pace]\nhold_max = \"1s\"\n";
    let home = Home::new(broker, &emulator.url(), &more);
    home.subscribe("ops", "wecom", "wecom-001", &[]);
    let body = json!({"errcode": 40_008, "errmsg": "invalid message type"});
    emulator.fault(refusing("wecom", "\"markdown", 200, body)).await;
    let daemon = home.start().await;
    let publisher = Publisher::connect(&broker.url(), &home.prefix).await;
    // With this one answered, it is known when the window has room again.
    publisher.publish("ops", &json!({"message": "before"})).await;
    until("it arrives", SOON, || async { settled(&daemon, "wecom", "done").await == 1.0 }).await;
    publisher.publish("ops", &json!({"message": "**down**", "format": "markdown"})).await;
    until("it waits in a tier", SOON, || async {
        settled(&daemon, "wecom", "deferred").await > 0.0
    })
    .await;
    // Otherwise the event comes back, and begins again.
    let events = format!("{}.publish", home.prefix);
    until("its event is acked", SOON, || async { broker.messages(&events) == 0 }).await;
    daemon.kill();
    let daemon = home.start().await;
    until("both are shown", SOON * 2, || async { emulator.shown().await["wecom-001"].len() == 2 })
        .await;
    let requests = requests(&emulator, "wecom-001").await;
    let kinds: Vec<_> = requests.iter().map(|(kind, _)| kind.as_str()).collect();
    assert_eq!(kinds, ["text", "markdown", "text"], "what was refused is not tried again");
    assert!(keeps_the_window(&emulator, 2).await);
    assert_eq!(settled(&daemon, "wecom", "retried").await, 0.0);
}

#[tokio::test]
async fn of_a_text_in_parts_only_the_refused_part_is_plainer_and_no_line_is_lost() {
    let (broker, emulator) = (broker::shared().await, Emulator::start(&["--no-quota"]).await);
    let home = Home::new(broker, &emulator.url(), "");
    home.subscribe("ops", "wecom", "wecom-001", &[]);
    let body = json!({"errcode": 40_058, "errmsg": "markdown.content is invalid"});
    emulator.fault(json!({"kind": "answer", "contains": "(2/3)", "times": 1, "body": body})).await;
    let daemon = home.start().await;
    let publisher = Publisher::connect(&broker.url(), &home.prefix).await;
    let text: String =
        (0..300).map(|line| format!("**line {line:03}** of the report\n\n")).collect();
    let event = json!({"subject": "nightly", "message": text, "format": "markdown"});
    publisher.publish("ops", &event).await;
    until("it is delivered", SOON, || async { settled(&daemon, "wecom", "done").await == 1.0 })
        .await;
    let all = requests(&emulator, "wecom-001").await;
    let kinds: Vec<_> = all.iter().map(|(kind, _)| kind.as_str()).collect();
    // The plain form of a part of 4,096 bytes needs two messages of 2,048.
    assert_eq!(kinds, ["markdown", "markdown", "text", "text", "markdown"], "{all:?}");
    let shown = emulator.shown().await.remove("wecom-001").unwrap().join("\n");
    for line in 0..300 {
        assert_eq!(shown.matches(&format!("line {line:03}")).count(), 1, "line {line}");
    }
    assert_eq!(degraded(&daemon, "wecom", "markup").await, 1.0);
}

#[tokio::test]
async fn a_digest_that_is_refused_for_a_mention_arrives_without_it_for_all_that_it_covers() {
    let (broker, emulator) =
        (broker::shared().await, Emulator::start(&["--window-seconds", "3"]).await);
    let more = "[platforms.dingtalk]\nbase_url = \"BASE_URL\"\nwindows = [\"2/3s\"]\n\
        [pace]\nhold_max = \"10s\"\n";
    let home = Home::new(broker, &emulator.url(), more);
    home.subscribe("ops", "dingtalk", "ding-0001", &["--overflow", "digest"]);
    let body = json!({"errcode": 400_301, "errmsg": "isAtAll is not allowed"});
    emulator.fault(refusing("dingtalk", "\"isAtAll\":true", 200, body)).await;
    let daemon = home.start().await;
    let publisher = Publisher::connect(&broker.url(), &home.prefix).await;
    let event = |number| json!({"message": format!("m-{number:02}"), "at": {"all": true}});
    let events: Vec<_> = (0..12).map(|number| (format!("id-{number}"), event(number))).collect();
    publisher.try_publish_all("ops", &events).await.unwrap();
    until("all are delivered", SOON * 2, || async {
        settled(&daemon, "dingtalk", "done").await == 12.0
    })
    .await;
    let shown = emulator.shown().await.remove("ding-0001").unwrap();
    for number in 0..12 {
        let text = format!("m-{number:02}");
        assert_eq!(shown.iter().filter(|one| one.contains(&text)).count(), 1, "{text}: {shown:?}");
    }
    assert!(shown.iter().any(|text| text.matches("m-").count() > 1), "one is a digest: {shown:?}");
    assert_eq!(settled(&daemon, "dingtalk", "dead").await, 0.0);
    assert_eq!(emulator.count("refused").await, 0, "the quota is kept");
}

#[tokio::test]
async fn a_packed_or_marked_answer_is_a_success_and_the_chat_hears_the_message_once() {
    let (broker, emulator) = (broker::shared().await, Emulator::start(&[]).await);
    let home = Home::new(broker, &emulator.url(), "[retry]\ndelays = [\"1s\"]\n");
    for (platform, token) in
        [("dingtalk", "ding-0001"), ("lark", "lark-0001"), ("wecom", "wecom-001")]
    {
        home.subscribe("ops", platform, token, &[]);
    }
    let daemon = home.start().await;
    let publisher = Publisher::connect(&broker.url(), &home.prefix).await;
    for (number, kind) in [(1.0, "gzip"), (2.0, "byte_order_mark")] {
        emulator.no_faults().await;
        emulator.fault(json!({"kind": kind})).await;
        publisher.publish("ops", &json!({"message": kind})).await;
        for platform in ["dingtalk", "lark", "wecom"] {
            until(&format!("{platform} is done"), SOON, || async {
                settled(&daemon, platform, "done").await == number
            })
            .await;
            assert_eq!(settled(&daemon, platform, "retried").await, 0.0, "{platform}: {kind}");
        }
    }
    assert!(emulator.shown().await.values().all(|shown| shown.len() == 2));
}
