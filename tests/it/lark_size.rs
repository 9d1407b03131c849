//! Cards in Lark's own form, around the size that Lark takes.
//!
//! Owns the promise that a card goes out up to the platform's own limit, and that a card which the
//! platform calls too large is not sent again and again.
//!
//! Not here: the limit (`src/platforms/lark/message.rs`).

use std::time::Duration;

use lapin::BasicProperties;
use serde_json::{Value, json};

use crate::support::{broker, daemon::Home, emulator::Emulator, publisher::Publisher, until};

const SOON: Duration = Duration::from_secs(30);
const CARD: &str = include_str!("../field/lark-too-large/input.json");
const ANSWER: &str = include_str!("../field/lark-too-large/answer.json");

fn letters(home: &Home) -> Vec<Value> {
    let listed = home.ok(&["dead", "list", "--json"], "");
    listed.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test]
async fn a_card_of_21_kb_arrives_and_one_that_lark_calls_too_large_is_given_up_for_good() {
    let (broker, emulator) = (broker::shared().await, Emulator::start(&[]).await);
    let home = Home::new(broker, &emulator.url(), "");
    home.subscribe("ops", "lark", "lark-size", &[]);
    let daemon = home.start().await;
    let publisher = Publisher::connect(&broker.url(), &home.prefix).await;
    publisher.publish_bytes("ops", CARD.as_bytes(), BasicProperties::default()).await;
    until("the card arrives", SOON, || async { emulator.count("accepted").await == 1 }).await;

    // Larger than Lark's limit: the event's own text is sent in its place.
    let mut large: Value = serde_json::from_str(CARD).unwrap();
    let card = &mut large["message_structure"]["lark"]["card"];
    card["elements"][0]["content"] = json!("x".repeat(31_000));
    publisher.publish("ops", &large).await;
    until("its text arrives", SOON, || async { emulator.count("accepted").await == 2 }).await;

    let answer: Value = serde_json::from_str(ANSWER).unwrap();
    emulator.fault(json!({"kind": "answer", "status": 200, "body": answer})).await;
    publisher.publish("ops", &serde_json::from_str(CARD).unwrap()).await;
    until("the refused one is given up", SOON, || async { letters(&home).len() == 1 }).await;
    let letter = &letters(&home)[0];
    assert_eq!((&letter["reason"], &letter["code"]), (&json!("refused"), &json!("19036")));
    assert!(daemon.terminate().success());
}
