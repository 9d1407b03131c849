//! Dead letters through the admin API and the command line: filters, counts, one whole letter,
//! redrive, discard, export.
//!
//! Owns the promises of these operations.
//!
//! Not here: wrong use of the commands (`dead_asked.rs`), very many letters (`dead_many.rs`).

use std::time::Duration;

use lapin::{BasicProperties, types::FieldTable};
use serde_json::{Value, json};

use crate::support::{
    broker,
    daemon::{Home, call},
    emulator::Emulator,
    letters::{Letter, lines, numbers},
    publisher::Publisher,
    until,
};

const SOON: Duration = Duration::from_secs(30);
const AT_ONCE: &str = "[retry]\ndelays = []\n";

async fn ask(home: &Home, method: &str, path: &str, body: Value) -> (u16, Value) {
    let (status, text) = call(&home.path("admin.sock"), method, path, &body).await;
    (status, serde_json::from_str(&text).unwrap_or_else(|_| panic!("{status} {text}")))
}

async fn get(home: &Home, path: &str) -> Value {
    let (status, answer) = ask(home, "GET", path, Value::Null).await;
    assert_eq!(status, 200, "{path}: {answer}");
    answer
}

fn ids(page: &Value) -> Vec<String> {
    page["letters"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["id"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn a_reason_of_another_version_is_listed_counted_found_and_redriven_as_it_is() {
    let (broker, emulator) = (broker::shared().await, Emulator::start(&[]).await);
    let home = Home::new(broker, &emulator.url(), AT_ONCE);
    let subscription = home.subscribe("ops", "wecom", "wecom-001", &[]);
    let _daemon = home.start().await;
    let publisher = Publisher::connect(&broker.url(), &home.prefix).await;
    let mut letters: Vec<_> = (0..3).map(|number| Letter::number(number, &subscription)).collect();
    letters[1].reason = "haunted";
    publisher.bury(&letters).await;

    let page = get(&home, "/v1/dead?reason=haunted").await;
    assert_eq!(ids(&page), [letters[1].id.as_str()]);
    let letter = &page["letters"][0];
    assert_eq!(
        (letter["reason"].as_str(), letter["code"].as_str(), letter["detail"].as_str()),
        (Some("haunted"), Some("made_up"), Some("made up by a test")),
        "{letter}"
    );
    let summary = get(&home, "/v1/dead/summary?by=reason").await;
    assert_eq!(summary["rows"][1]["values"]["reason"], "haunted", "{summary}");
    let redrive = json!({"which": {"reason": "haunted"}});
    let (status, answer) = ask(&home, "POST", "/v1/dead/redrive", redrive).await;
    assert_eq!((status, answer["done"].as_u64()), (200, Some(1)), "{answer}");
    until("it is delivered", SOON, || async { emulator.count("accepted").await == 1 }).await;
    assert_eq!(emulator.shown().await["wecom-001"], ["m1"]);
    assert_eq!(get(&home, "/v1/dead").await["matched"], 2);
}

#[tokio::test]
async fn the_admin_api_lists_counts_and_shows_dead_letters() {
    let (broker, emulator) = (broker::shared().await, Emulator::start(&[]).await);
    let home = Home::new(broker, &emulator.url(), AT_ONCE);
    let subscription = home.subscribe(
        "ops",
        "wecom",
        "wecom-001",
        &["--name", "team a", "--mention-user", "zhang"],
    );
    let _daemon = home.start().await;
    let publisher = Publisher::connect(&broker.url(), &home.prefix).await;
    let mut letters: Vec<_> = (0..5).map(|number| Letter::number(number, &subscription)).collect();
    for (letter, hours) in letters.iter_mut().zip([3, 5, 1, 4, 2]) {
        letter.dead_at = jiff::Timestamp::now() - jiff::SignedDuration::from_hours(hours);
    }
    publisher.bury(&letters).await;
    publisher.publish_bytes("ops", b"no event", BasicProperties::default()).await;
    until("the other is dead as well", SOON, || async { publisher.depth("dead.event").await == 1 })
        .await;

    let page = get(&home, "/v1/dead?platform=wecom&limit=2").await;
    assert_eq!((page["matched"].as_u64(), page["total"].as_u64()), (Some(5), Some(5)));
    assert_eq!(ids(&page), [letters[2].id.as_str(), &letters[4].id], "the newest first");
    let after = page["next"].as_str().unwrap();
    let page = get(&home, &format!("/v1/dead?platform=wecom&limit=3&after={after}")).await;
    assert_eq!(ids(&page), [letters[0].id.as_str(), &letters[3].id, &letters[1].id]);
    let all = get(&home, "/v1/dead").await;
    assert_eq!((ids(&all).len(), all["next"].clone()), (6, Value::Null));
    assert_eq!(all["letters"][0]["platform"], Value::Null, "what was no event has no platform");

    for (query, expected) in [
        ("platform=event", 1),
        ("reason=expired", 3),
        ("reason=tired", 0),
        ("reason=expired&older_than=150m", 1),
        ("platform=wecom&newer_than=150m", 2),
        ("text=M4", 1),
        ("text=NO%20event", 1),
        ("event=event-3", 1),
        ("generation=1", 0),
        ("code=made_up&topic=ops", 5),
        (&format!("subscription={subscription}"), 5),
        ("robot=abababababababababababababababab", 5),
        ("robot=00000000000000000000000000000000", 0),
    ] {
        let page = get(&home, &format!("/v1/dead?{query}")).await;
        assert_eq!(page["matched"].as_u64(), Some(expected), "{query}: {page}");
    }
    for (query, says) in [
        ("platform=slack", "platform: unknown platform"),
        ("older_than=long", "older_than:"),
        ("colour=red", "colour"),
        ("after=here", "after:"),
        ("by=reason", "by is not taken here"),
    ] {
        let (status, answer) = ask(&home, "GET", &format!("/v1/dead?{query}"), Value::Null).await;
        assert_eq!(
            (status, answer["message"].as_str().unwrap().contains(says)),
            (400, true),
            "{query}: {answer}"
        );
    }

    let summary = get(&home, "/v1/dead/summary?by=reason,robot").await;
    assert_eq!(
        (summary["matched"].as_u64(), summary["rows"].as_array().unwrap().len()),
        (Some(6), 3)
    );
    assert_eq!(
        summary["rows"][0]["values"],
        json!({"reason": "expired", "robot": "ab".repeat(16)})
    );
    assert_eq!(summary["rows"][0]["count"], 3);
    assert_eq!(
        summary["rows"][0]["oldest"].as_str().unwrap()[..19],
        letters[0].dead_at.to_string()[..19]
    );

    let shown = get(&home, &format!("/v1/dead/{}", letters[1].id)).await;
    assert_eq!(
        (shown["body"].as_str(), shown["says"].as_str()),
        (Some("{\"message\":\"m1\"}"), Some("m1"))
    );
    assert!(shown["advice"].as_str().unwrap().contains("redrive"));
    assert_eq!(shown["rendered"]["text"]["content"], "m1", "{shown}");
    assert_eq!(
        shown["rendered"]["text"]["mentioned_list"],
        json!(["zhang"]),
        "whom the subscription mentions"
    );
    let (status, answer) =
        ask(&home, "GET", "/v1/dead/00000000-0000-0000-0000-000000000000", Value::Null).await;
    assert_eq!((status, answer["error"].as_str()), (404, Some("not_found")));
    // So far the letters were only read.
    until("nobody holds them", SOON, || async {
        publisher.ready_and_consumers("dead.wecom").await.1 == 0
    })
    .await;
    assert_eq!(
        publisher.drain("dead.wecom").await.into_iter().map(|(id, _)| id).collect::<Vec<_>>(),
        letters.iter().map(|letter| letter.id.clone()).collect::<Vec<_>>()
    );
}

#[tokio::test]
async fn the_admin_api_redrives_and_discards_the_named_letters_and_no_others() {
    let (broker, emulator) = (broker::shared().await, Emulator::start(&["--no-quota"]).await);
    let home = Home::new(
        broker,
        &emulator.url(),
        "[platforms.wecom]\nbase_url = \"BASE_URL\"\nwindows = []\n",
    );
    let subscription = home.subscribe("ops", "wecom", "wecom-001", &[]);
    home.subscribe("ops", "lark", "lark-0001", &[]);
    let _daemon = home.start().await;
    let publisher = Publisher::connect(&broker.url(), &home.prefix).await;
    let letters: Vec<_> = (0..20).map(|number| Letter::number(number, &subscription)).collect();
    publisher.bury(&letters).await;
    for (body, says) in [
        (json!({}), "\"all\": true"),
        (json!({"which": {"limit": 3}, "all": true}), "which.limit"),
        (json!({"all": true, "per_second": 0}), "per_second"),
        (json!({"all": true, "per_second": 0.001}), "longer than"),
    ] {
        let (status, answer) = ask(&home, "POST", "/v1/dead/redrive", body).await;
        assert_eq!(
            (status, answer["message"].as_str().unwrap().contains(says)),
            (400, true),
            "{answer}"
        );
    }
    let (_, dry) = ask(
        &home,
        "POST",
        "/v1/dead/redrive",
        json!({"which": {"reason": "expired"}, "dry_run": true, "limit": 4}),
    )
    .await;
    assert_eq!((dry["matched"].as_u64(), dry["done"].as_u64()), (Some(10), Some(4)));
    let named = [&letters[3].id, &letters[8].id];
    let (status, done) = ask(&home, "POST", "/v1/dead/redrive", json!({"ids": named})).await;
    assert_eq!((status, done["done"].as_u64()), (200, Some(2)), "{done}");
    assert_eq!(
        done["rows"][0]["values"],
        json!({"platform": "wecom", "reason": "exhausted", "code": "made_up"})
    );
    let (_, done) =
        ask(&home, "POST", "/v1/dead/redrive", json!({"which": {"reason": "expired"}, "limit": 2}))
            .await;
    assert_eq!((done["matched"].as_u64(), done["done"].as_u64()), (Some(9), Some(2)));
    until("four arrive", SOON, || async { emulator.count("accepted").await == 4 }).await;
    assert_eq!(
        numbers(&emulator.shown().await["wecom-001"]),
        [0, 2, 3, 8],
        "the oldest of each queue first"
    );
    let (_, gone) =
        ask(&home, "POST", "/v1/dead/discard", json!({"which": {"reason": "expired"}})).await;
    assert_eq!(gone["done"].as_u64(), Some(7));
    until("nobody holds them", SOON, || async {
        publisher.ready_and_consumers("dead.wecom").await.1 == 0
    })
    .await;
    let left: Vec<_> = publisher.drain("dead.wecom").await.into_iter().map(|(id, _)| id).collect();
    let expected: Vec<_> =
        [1, 5, 7, 9, 11, 13, 15, 17, 19].map(|number: usize| letters[number].id.clone()).to_vec();
    assert_eq!(left, expected);
    assert_eq!(emulator.shown().await.len(), 1, "nobody else heard anything");
}

#[tokio::test]
async fn a_letter_whose_redriving_was_interrupted_is_delivered_once() {
    let (broker, emulator) = (broker::shared().await, Emulator::start(&[]).await);
    let home = Home::new(broker, &emulator.url(), AT_ONCE);
    let subscription = home.subscribe("ops", "wecom", "wecom-001", &[]);
    let daemon = home.start().await;
    let publisher = Publisher::connect(&broker.url(), &home.prefix).await;
    let letters = [
        Letter::number(1, &subscription),
        Letter { event: "event-1".into(), ..Letter::number(2, &subscription) },
    ];
    // The second letter has other content with the same `message_id`, as some publishers do.
    publisher.bury(&letters).await;
    home.ok(&["dead", "redrive", "--all"], "");
    until("both arrive", SOON, || async { emulator.count("accepted").await == 2 }).await;
    // A redrive that was killed between the confirm of the copy and the ack of the letter leaves
    // the letter in its queue.
    publisher.bury(&letters[..1]).await;
    home.ok(&["dead", "redrive", "--all"], "");
    let skipped = async || daemon.metric("roomcast_duplicates_skipped_total").await;
    until("the copy is recognised", SOON, || async { skipped().await == Some(1.0) }).await;
    assert_eq!(numbers(&emulator.shown().await["wecom-001"]), [1, 2]);
    // A letter that is dead and redriven once more is another delivery.
    emulator.fault(json!({"kind": "status", "status": 500, "times": 1})).await;
    publisher.bury(&[Letter { event: "event-9".into(), ..Letter::number(9, &subscription) }]).await;
    home.ok(&["dead", "redrive", "--all"], "");
    until("it is dead again", SOON, || async { publisher.depth("dead.wecom").await == 1 }).await;
    assert_eq!(lines(&home.ok(&["dead", "list", "--json", "--generation", "1"], "")).len(), 1);
    home.ok(&["dead", "redrive", "--generation", "1"], "");
    until("it arrives", SOON, || async { emulator.count("accepted").await == 3 }).await;
}

#[tokio::test]
async fn an_undecodable_event_is_redriven_as_soon_as_it_can_be_read() {
    let (broker, emulator) = (broker::shared().await, Emulator::start(&[]).await);
    let home = Home::new(broker, &emulator.url(), "[event]\nsize_max = 2000\n");
    home.subscribe("ops", "wecom", "wecom-001", &[]);
    let daemon = home.start().await;
    let publisher = Publisher::connect(&broker.url(), &home.prefix).await;
    let large = json!({"message": "x".repeat(1900), "unknown": "y".repeat(1000)}).to_string();
    let named = BasicProperties::default().with_message_id("named".into());
    publisher.publish_bytes("ops", large.as_bytes(), named).await;
    until("it is too large", SOON, || async { publisher.depth("dead.event").await == 1 }).await;
    // A premature redrive makes it a dead letter again. It is not mistaken for the settled one.
    for generation in 1..3 {
        home.ok(&["dead", "redrive", "--platform", "event"], "");
        let at = generation.to_string();
        until("it is dead again", SOON, || async {
            lines(&home.ok(&["dead", "list", "--json", "--generation", &at], "")).len() == 1
        })
        .await;
    }
    daemon.terminate();
    let home = home.with("size_max = 2000", "size_max = 20000");
    let _daemon = home.start().await;
    let redriven = home.ok(&["dead", "redrive", "--all"], "");
    assert!(redriven.starts_with("1 redriven"), "{redriven}");
    until("it arrives", SOON, || async { emulator.count("accepted").await == 1 }).await;
    assert_eq!(publisher.depth("dead.event").await, 0);
}

#[tokio::test]
async fn a_redriven_delivery_respects_its_robots_window() {
    let (broker, emulator) =
        (broker::shared().await, Emulator::start(&["--window-seconds", "3"]).await);
    let windows = "[platforms.wecom]\nbase_url = \"BASE_URL\"\nwindows = [\"20/3s\"]\n\
        [pace]\nhold_max = \"1s\"\nmargin = \"200ms\"\n";
    let home = Home::new(broker, &emulator.url(), windows);
    let subscription = home.subscribe("ops", "wecom", "wecom-001", &[]);
    let _daemon = home.start().await;
    let publisher = Publisher::connect(&broker.url(), &home.prefix).await;
    publisher
        .bury(&(0..70).map(|number| Letter::number(number, &subscription)).collect::<Vec<_>>())
        .await;
    home.ok(&["dead", "redrive", "--all"], "");
    until("all arrive", SOON * 3, || async { emulator.count("accepted").await == 70 }).await;
    assert_eq!(numbers(&emulator.shown().await["wecom-001"]), (0..70).collect::<Vec<_>>());
    let received = emulator.received().await;
    let refused: Vec<_> = received.iter().filter(|one| one["outcome"] != "accepted").collect();
    assert!(refused.is_empty(), "{refused:?}");
    assert_eq!(publisher.depth("dead.wecom").await, 0);
}

#[tokio::test]
async fn an_export_has_every_event_byte_for_byte() {
    let (broker, emulator) = (broker::shared().await, Emulator::start(&[]).await);
    let home = Home::new(broker, &emulator.url(), AT_ONCE);
    let subscription = home.subscribe("ops", "wecom", "wecom-001", &[]);
    let _daemon = home.start().await;
    let publisher = Publisher::connect(&broker.url(), &home.prefix).await;
    publisher
        .bury(&[Letter {
            body: b"{ \"message\" : \"\\u6570\" }".to_vec(),
            ..Letter::number(1, &subscription)
        }])
        .await;
    let mut headers = FieldTable::default();
    headers
        .insert("traceparent".into(), lapin::types::AMQPValue::LongString("00-abc-def-01".into()));
    publisher
        .publish_bytes("ops", b"\xff\xfe\x00", BasicProperties::default().with_headers(headers))
        .await;
    until("both are dead", SOON, || async { publisher.depth("dead.event").await == 1 }).await;
    let exported = lines(&home.ok(&["dead", "export"], ""));
    assert_eq!(exported[0]["body"], "{ \"message\" : \"\\u6570\" }");
    assert_eq!(exported[1]["body_base64"], "//4A");
    assert_eq!(exported[1]["headers"], json!({"traceparent": "00-abc-def-01"}));
    assert!(exported[1].get("body").is_none());
    let full = std::process::Command::new("sh")
        .args([
            "-c",
            "exec \"$0\" dead export --config \"$1\" > /dev/full",
            env!("CARGO_BIN_EXE_roomcast"),
        ])
        .arg(home.path("roomcast.toml"))
        .env_clear()
        .output()
        .unwrap();
    assert_eq!(full.status.code(), Some(69), "what could not be written is no export");
    for queue in ["dead.wecom", "dead.event"] {
        until("it is where it was", SOON, || async {
            publisher.ready_and_consumers(queue).await == (1, 0)
        })
        .await;
    }
}
