//! `roomcast publish` with headers, mentions and whole events.
//!
//! Owns the promise that a message leaves as its options say, and that a mistake is told before it
//! leaves.
//!
//! Not here: its confirm (`blocked.rs`), its receipt (`receipts.rs`), its not-before time
//! (`timing.rs`).

use std::time::Duration;

use lapin::message::BasicGetMessage;
use serde_json::{Value, json};

use crate::support::{
    broker,
    daemon::Home,
    emulator::Emulator,
    publisher::{Publisher, header},
    until,
};

const SOON: Duration = Duration::from_secs(30);

fn body(message: &BasicGetMessage) -> Value {
    serde_json::from_slice(&message.delivery.data).unwrap()
}

#[tokio::test]
async fn headers_mentions_types_and_whole_events_leave_as_the_options_say() {
    let (broker, emulator) = (broker::shared().await, Emulator::start(&[]).await);
    let home = Home::new(broker, &emulator.url(), "");
    let picky = ["--filter", r#"{"severity": ["critical"]}"#];
    home.subscribe("ops", "wecom", "wecom-001", &picky);
    // The daemon makes the queues.
    assert!(home.start().await.terminate().success());
    let publisher = Publisher::connect(&broker.url(), &home.prefix).await;
    let publish = |more: &[&str], input: &str| {
        home.ok(&[&["publish", "--topic", "ops"], more].concat(), input);
    };
    let next = async || publisher.get("publish").await.unwrap();

    let mentions = ["--mention-all", "--mention-mobile", "138", "--mention-user", "ann"];
    let options = ["--header", "severity=critical", "--header", "note=a=b", "db-1 is down"];
    publish(&[&mentions[..], &options[..]].concat(), "");
    let message = next().await;
    let at = json!({"all": true, "mobiles": ["138"], "users": ["ann"]});
    assert_eq!(body(&message), json!({"message": "db-1 is down", "at": at}));
    assert_eq!(
        (header(&message, "severity"), header(&message, "note")),
        ("critical".into(), "a=b".into())
    );
    let of_type = |message: &BasicGetMessage| {
        message.delivery.properties.content_type().as_ref().map(ToString::to_string)
    };
    assert_eq!(of_type(&message).as_deref(), Some("application/json"));

    let cloud = json!({"specversion": "1.0", "id": "1", "source": "/s", "type": "t", "data": "up"});
    let text = cloud.to_string();
    publish(&["--event", "-", "--content-type", "application/cloudevents+json"], &text);
    let message = next().await;
    assert_eq!(message.delivery.data, text.as_bytes(), "byte for byte");
    assert_eq!(of_type(&message).as_deref(), Some("application/cloudevents+json"));

    let file = home.path("event.json");
    let event = json!({"subject": "s", "message": "from a file"});
    std::fs::write(&file, event.to_string()).unwrap();
    let from_file = ["--event", file.to_str().unwrap(), "--header", "severity=critical"];
    let daemon = home.start().await;
    publish(&from_file, "");
    publish(&["--header", "severity=info", "filtered"], "");
    until("it is shown", SOON, || async { !emulator.shown().await.is_empty() }).await;
    let filtered = "roomcast_deliveries_filtered_total";
    until("the filter reads the header", SOON, || async {
        daemon.metric(filtered).await == Some(1.0)
    })
    .await;
    let shown = emulator.shown().await;
    assert!(shown["wecom-001"][0].contains("from a file"), "{shown:?}");
    assert_eq!(shown["wecom-001"].len(), 1);
}

#[tokio::test]
async fn a_mistake_is_told_before_anything_leaves_and_a_past_time_is_said() {
    let broker = broker::shared().await;
    let home = Home::new(broker, "http://127.0.0.1:9", "");
    assert!(home.start().await.terminate().success());
    let publisher = Publisher::connect(&broker.url(), &home.prefix).await;
    let file = home.path("event.json");
    std::fs::write(&file, r#"{"message": "x", "at": {"all": "perhaps"}}"#).unwrap();
    let file = file.to_str().unwrap();
    let cases: [(&[&str], &str, &str); 7] = [
        (&["--event", file], "", "it would be a dead letter: at.all"),
        (&["--event", "-"], "no JSON", "it would be a dead letter"),
        (&["--event", "-"], " \n", "the event is empty"),
        (&["--event", "missing.json"], "", "missing.json cannot be read"),
        (&["--header", "severity", "x"], "", "use NAME=VALUE"),
        (&["--header", "x-roomcast-slot=1", "x"], "", "are reserved"),
        (&["--event", file, "--subject", "s"], "", "cannot be used with"),
    ];
    for (more, input, says) in cases {
        let arguments = [&["publish", "--topic", "ops"], more].concat();
        let said = home.fails(&arguments, input, 64);
        assert!(said.contains(says), "{says}: {said}");
    }
    assert!(publisher.get("publish").await.is_none(), "nothing left");

    let past = ["publish", "--topic", "ops", "--not-before", "2020-01-01T00:00:00Z", "late"];
    let output = home.cli(&past, "");
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success() && said.contains("is in the past"), "{said}");
    let far = ["publish", "--topic", "ops", "--not-before", "2999-01-01T00:00:00Z", "late"];
    let output = home.cli(&far, "");
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success() && said.contains("a dead letter"), "{said}");
    let mut published = 0;
    while publisher.get("publish").await.is_some() {
        published += 1;
    }
    assert_eq!(published, 2, "both are published");
}
