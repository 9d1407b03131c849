//! Messages that a client library cannot parse.
//!
//! Owns the promise that they end neither the daemon nor its session. Each becomes a dead letter
//! that names the damage, and that operators can handle.
//!
//! Not here: fuzzing of the guard (`tests/events/frames.rs`).

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{
    broker::{self, Broker},
    certificates::Authority,
    daemon::Home,
    emulator::Emulator,
    publisher::Publisher,
    raw::{HEADERS, RawPublisher, long, nested, short},
    until,
};

const SOON: Duration = Duration::from_secs(30);

/// A valid event that arrives.
const GOOD: &str = r#"{"message": "good"}"#;

struct Hostile {
    what: &'static str,
    key: &'static [u8],
    flags: u16,
    properties: Vec<u8>,
}

/// One message for each way to break the parser, or the limits of a frame.
fn all_kinds() -> Vec<Hostile> {
    let mut all = vec![Hostile {
        what: "the routing key",
        key: b"ops\xff",
        flags: 0,
        properties: Vec::new(),
    }];
    for (what, place) in [
        ("content_type", 0),
        ("content_encoding", 1),
        ("correlation_id", 5),
        ("reply_to", 6),
        ("message_id", 8),
        ("type", 10),
        ("app_id", 12),
        ("cluster_id", 13),
    ] {
        all.push(Hostile {
            what,
            key: b"ops",
            flags: 0x8000 >> place,
            properties: short(b"a\xff"),
        });
    }
    let deep_name =
        [&short(b"outer")[..], b"F", &long(&[&short(b"\xff")[..], b"V"].concat())].concat();
    for (what, content) in [
        ("the name of a header", [&short(b"\xff")[..], b"V"].concat()),
        ("the name of a header", deep_name),
        ("more than 32 deep", nested(b'A', 2000)),
        ("more than 32 deep", nested(b'F', 2000)),
    ] {
        all.push(Hostile { what, key: b"ops", flags: HEADERS, properties: long(&content) });
    }
    all
}

fn letters(home: &Home) -> Vec<Value> {
    home.ok(&["dead", "list", "--json"], "")
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

async fn delivered(emulator: &Emulator) -> usize {
    emulator.shown().await.get("wecom-001").map_or(0, Vec::len)
}

/// Publishes every hostile message, each followed by an event that arrives.
async fn attack(broker: &Broker, home: &Home, emulator: &Emulator) {
    let publisher = Publisher::connect(&broker.url(), &home.prefix).await;
    let mut raw = RawPublisher::connect(&broker.url());
    let exchange = format!("{}.publish", home.prefix);
    let began = Instant::now();
    for (place, Hostile { what, key, flags, properties }) in all_kinds().into_iter().enumerate() {
        let body = format!("{{ \"message\" : \"{what} {place}\"}}");
        raw.publish(&exchange, key, (flags, &properties), body.as_bytes());
        publisher.publish("ops", &json!({"message": "good", "subject": place.to_string()})).await;
        until(&format!("an event arrives after: {what}"), SOON, || async {
            delivered(emulator).await == place + 1
        })
        .await;
    }
    println!("{} hostile messages took {:?}", all_kinds().len(), began.elapsed());
    until("all are dead letters", SOON, || async {
        publisher.depth("dead.event").await == u32::try_from(all_kinds().len()).unwrap()
    })
    .await;
}

#[tokio::test]
async fn a_message_that_the_parser_refuses_is_a_dead_letter_and_stops_nothing() {
    let (broker, emulator) = (broker::shared().await, Emulator::start(&[]).await);
    let home = Home::new(broker, &emulator.url(), "");
    home.subscribe("ops", "wecom", "wecom-001", &[]);
    let daemon = home.start().await;
    attack(broker, &home, &emulator).await;
    let sessions = daemon.metric("roomcast_broker_sessions_total").await;
    assert!(sessions.is_none_or(|sessions| sessions <= 1.0), "the session lived on: {sessions:?}");

    let found = letters(&home);
    for (place, Hostile { what, .. }) in all_kinds().into_iter().enumerate() {
        let body = format!("{{ \"message\" : \"{what} {place}\"}}");
        let is_it = |letter: &&Value| {
            home.ok(&["dead", "show", letter["id"].as_str().unwrap()], "").contains(&body)
        };
        let letter = found.iter().find(is_it).unwrap_or_else(|| panic!("{what} {place} is kept"));
        assert_eq!(
            (letter["reason"].as_str(), letter["code"].as_str()),
            (Some("undecodable"), Some("damaged"))
        );
        let detail = letter["detail"].as_str().unwrap();
        assert!(detail.contains(what), "{what}: {detail}");
    }

    // A repaired message differs from the sent one, so a redriven letter becomes a dead letter
    // again, once.
    let first = found[0]["id"].as_str().unwrap();
    home.ok(&["dead", "redrive", "--id", first], "");
    until("it is a dead letter again", SOON, || async { letters(&home).len() == found.len() })
        .await;
    let again = letters(&home);
    let again =
        again.iter().find(|letter| !found.iter().any(|known| known["id"] == letter["id"])).unwrap();
    assert_eq!((&again["detail"], &again["code"]), (&found[0]["detail"], &found[0]["code"]));
    home.ok(&["dead", "redrive", "--all"], "");
    until("all are dead letters again", SOON, || async { letters(&home).len() == found.len() })
        .await;
    assert_eq!(delivered(&emulator).await, all_kinds().len());
    home.ok(&["dead", "discard", "--all", "--yes"], "");
    assert!(letters(&home).is_empty());
}

#[tokio::test]
async fn the_guard_is_behind_tls_too() {
    let authority = Authority::new("ours");
    let server = authority.server("localhost");
    let broker = Broker::start_with_tls(&server.certificate, &server.key).await;
    let emulator = Emulator::start(&[]).await;
    let home = Home::new(&broker, &emulator.url(), "");
    let file = home.path("ca.pem");
    std::fs::write(&file, &authority.certificate).unwrap();
    let with =
        format!("url = \"{}\"\nca_file = \"{}\"\n", broker.tls_url("localhost"), file.display());
    let home = home.with(&format!("url = \"{}\"\n", broker.url()), &with);
    home.subscribe("ops", "wecom", "wecom-001", &[]);
    let _daemon = home.start().await;
    attack(&broker, &home, &emulator).await;
    assert_eq!(letters(&home).len(), all_kinds().len());
}

/// The broker also dead-letters such messages unchanged, and other clients can publish to a dead
/// queue.
#[tokio::test]
async fn what_lies_in_a_dead_queue_as_it_came_is_counted_listed_shown_and_discarded() {
    let (broker, emulator) = (broker::shared().await, Emulator::start(&[]).await);
    let home = Home::new(broker, &emulator.url(), "")
        .with("dead_count_every = \"0s\"", "dead_count_every = \"1s\"");
    home.subscribe("ops", "wecom", "wecom-001", &[]);
    let daemon = home.start().await;
    let publisher = Publisher::connect(&broker.url(), &home.prefix).await;
    let mut raw = RawPublisher::connect(&broker.url());
    for Hostile { flags, properties, what, .. } in all_kinds() {
        raw.publish(
            &format!("{}.dead", home.prefix),
            b"event.poison",
            (flags, &properties),
            what.as_bytes(),
        );
    }
    let count = u32::try_from(all_kinds().len()).unwrap();
    let counted = "roomcast_dead_letters_present{platform=\"event\",reason=\"poison\"}";
    until("they are counted", SOON, || async {
        daemon.metric(counted).await == Some(count.into())
    })
    .await;
    let found = letters(&home);
    assert_eq!(found.len(), all_kinds().len());
    for letter in &found {
        home.ok(&["dead", "show", letter["id"].as_str().unwrap()], "");
    }
    publisher.publish_bytes("ops", GOOD.as_bytes(), lapin::BasicProperties::default()).await;
    until("an event arrives", SOON, || async { delivered(&emulator).await == 1 }).await;
    home.ok(&["dead", "discard", "--all", "--yes"], "");
    assert!(letters(&home).is_empty());
}

/// The broker adds headers of its own, and then sends a frame that exceeds the agreed size.
#[tokio::test]
async fn a_message_whose_headers_fill_a_frame_is_read_with_the_additions_of_the_broker() {
    let (broker, emulator) = (broker::shared().await, Emulator::start(&[]).await);
    let home = Home::new(broker, &emulator.url(), "");
    home.subscribe("ops", "wecom", "wecom-001", &[]);
    let daemon = home.start().await;
    daemon.terminate();
    let publisher = Publisher::connect(&broker.url(), &home.prefix).await;
    let mut raw = RawPublisher::connect(&broker.url());
    // Class, body size and flags take 14 bytes, the frame itself 8, the table's length 4, the
    // header's name and type 10.
    let text = vec![b'x'; 131_072 - 14 - 8 - 4 - 10];
    let content = [&short(b"full")[..], b"S", &long(&text)].concat();
    raw.publish(
        &format!("{}.publish", home.prefix),
        b"ops",
        (HEADERS, &long(&content)),
        GOOD.as_bytes(),
    );
    // After one delivery and return, the message carries the number of deliveries.
    raw.give_back(&format!("{}.publish", home.prefix));
    until("it is back", SOON, || async { publisher.depth("publish").await == 1 }).await;
    let _daemon = home.start().await;
    publisher.publish("ops", &json!({"message": "after"})).await;
    until("the next event arrives", SOON, || async {
        emulator
            .shown()
            .await
            .get("wecom-001")
            .is_some_and(|shown| shown.iter().any(|text| text == "after"))
    })
    .await;
    until("the large one is a dead letter", SOON, || async {
        publisher.depth("dead.event").await == 1
    })
    .await;
    let [letter] = &letters(&home)[..] else { panic!("one letter") };
    assert_eq!(letter["code"], "damaged");
    assert!(
        letter["detail"].as_str().unwrap().contains("more than the 131064 of a frame"),
        "{letter}"
    );
}
