//! Templates from end to end.
//!
//! Owns the promise that stored templates are rendered, and that an event with a missing or failing
//! template becomes a dead letter.
//!
//! Not here: the syntax of templates (`src/fanout/templates/tests.rs`).

use std::time::Duration;

use lapin::BasicProperties;
use serde_json::{Value, json};

use crate::support::{
    broker,
    daemon::{Daemon, Home},
    emulator::Emulator,
    publisher::{Publisher, header},
    until,
};

const SOON: Duration = Duration::from_secs(30);

/// A home whose daemon never finds a broker. Its store works nevertheless.
fn home_without_broker() -> Home {
    Home::with_prefix("amqp://guest:guest@127.0.0.1:9/%2f", "none", "http://127.0.0.1:9", "")
}

async fn start_without_broker(home: &Home) -> Daemon<'_> {
    let daemon = home.spawn();
    let socket = home.path("admin.sock");
    until("the daemon answers", SOON, || async {
        tokio::net::UnixStream::connect(&socket).await.is_ok()
    })
    .await;
    daemon
}

fn texts(home: &Home, arguments: &[&str]) -> Vec<Value> {
    home.ok(arguments, "").lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test]
async fn templates_are_added_shown_tried_and_removed_with_a_daemon_and_without_alike() {
    for with_daemon in [true, false] {
        let home = home_without_broker();
        let daemon = if with_daemon { Some(start_without_broker(&home).await) } else { None };
        assert_eq!(home.ok(&["template", "list"], ""), "no templates");
        let early = home.fails(&["template", "add", "down", "--platform", "lark"], "x", 64);
        assert!(
            early.contains("template down has no text for all platforms: add that first"),
            "{early}"
        );
        assert_eq!(home.ok(&["template", "add", "down"], "{host} is down\n"), "down");
        assert!(
            home.ok(&["template", "add", "down"], "{host} is down\n")
                .contains("nothing was changed")
        );
        let other = home.fails(&["template", "add", "down"], "{host} fell", 64);
        assert!(other.contains("another text for default already: use --replace"), "{other}");
        home.ok(&["template", "add", "down", "--replace"], "{host} fell");
        std::fs::write(
            home.path("lark.j2"),
            "# {{ host|upper }}\n{% for one in why %}\n- {{ one }}\n{% endfor %}\n",
        )
        .unwrap();
        let file = home.path("lark.j2").display().to_string();
        let add = [
            "template",
            "add",
            "down",
            "--platform",
            "feishu",
            "--engine",
            "jinja",
            "--format",
            "markdown",
        ];
        home.ok(&[&add[..], &["--file", &file]].concat(), "");

        let listed = texts(&home, &["template", "list", "--json"]);
        let kinds: Vec<_> = listed
            .iter()
            .map(|one| (one["platform"].as_str().unwrap(), one["engine"].as_str().unwrap()))
            .collect();
        assert_eq!(kinds, [("default", "tags"), ("lark", "jinja")]);
        assert!(listed.iter().all(|one| one.get("text").is_none() && one["broken"].is_null()));
        let table = home.ok(&["template", "list"], "");
        assert!(table.trim_start().starts_with("NAME") && table.contains("markdown"), "{table}");
        let shown = texts(&home, &["template", "show", "down", "--json"]);
        assert_eq!(
            (&shown[0]["text"], &shown[1]["format"]),
            (&json!("{host} fell"), &json!("markdown"))
        );
        assert!(
            home.ok(&["template", "show", "down"], "").contains("\n\nfor lark (jinja, markdown, ")
        );

        std::fs::write(home.path("tags.json"), r#"{"host": "db-0", "why": ["disk", "load"]}"#)
            .unwrap();
        let tags = home.path("tags.json").display().to_string();
        let render =
            |more: &[&str]| home.ok(&[&["template", "render", "down"][..], more].concat(), "");
        assert_eq!(render(&["--tag", "host=db-1", "--tag", "unused=x"]), "db-1 fell");
        assert_eq!(render(&["--platform", "wecom", "--tags", &tags]), "db-0 fell");
        let lark = render(&["--platform", "lark", "--tags", &tags, "--tag", "host=db-1", "--json"]);
        let lark: Value = serde_json::from_str(&lark).unwrap();
        assert_eq!(
            lark,
            json!({"platform": "lark", "format": "markdown", "text": "# DB-1\n- disk\n- load\n"})
        );

        for (arguments, input, code, says) in [
            (
                &["template", "render", "down", "--platform", "lark", "--tag", "host=x"][..],
                "",
                64,
                "template down for lark: line 2: undefined value: `why` is undefined",
            ),
            (
                &["template", "render", "down", "--tag", "host"],
                "",
                64,
                "--tag \"host\" has no value",
            ),
            (&["template", "render", "up"], "", 1, "there is no template up"),
            (&["template", "show", "up"], "", 1, "there is no template up"),
            (&["template", "show", "a b"], "", 64, "is not a name of a template"),
            (&["template", "add", "a b"], "x", 64, "is not a name of a template"),
            (&["template", "add", "x", "--platform", "sms"], "x", 64, "use default, dingtalk"),
            (
                &["template", "add", "x", "--engine", "jinja"],
                "one\n{% if %}",
                64,
                "line 2: syntax error",
            ),
            (&["template", "add", "x"], &"{a}".repeat(257), 64, "257 placeholders: at most 256"),
            (&["template", "add", "x"], &"x".repeat(262_145), 64, "262145 bytes: at most 262144"),
            (&["template", "remove", "up"], "", 1, "there is no template up"),
            (
                &["template", "remove", "down", "--platform", "wecom"],
                "",
                1,
                "template down has no text for wecom",
            ),
            (
                &["template", "remove", "down", "--platform", "default"],
                "",
                64,
                "remove those first, or the whole template",
            ),
        ] {
            let said = home.fails(arguments, input, code);
            assert!(said.contains(says), "{arguments:?}: {said}");
        }
        let longest = "\u{1}".repeat(262_144);
        home.ok(&["template", "add", "longest"], &longest);

        let verified = home.ok(&["store", "verify"], "");
        assert!(verified.contains("whole texts of templates             3"), "{verified}");
        let backup = home.path("backup").display().to_string();
        assert!(home.ok(&["store", "backup", &backup], "").contains("3 texts of templates"));
        assert_eq!(
            home.ok(&["template", "remove", "down", "--platform", "lark"], ""),
            "removed the text of down for lark"
        );
        assert_eq!(home.ok(&["template", "remove", "down"], ""), "removed down");
        drop(daemon);
        std::fs::rename(home.path("data"), home.path("old")).unwrap();
        assert!(
            home.ok(&["store", "restore", &backup, "--yes"], "").contains("3 texts of templates")
        );
        assert_eq!(texts(&home, &["template", "list", "--json"]).len(), 3);
        assert!(!home.log().contains("fell"), "what templates say is not logged");
    }
}

#[tokio::test]
async fn a_templated_event_says_on_each_platform_what_its_template_says_there() {
    let (broker, emulator) = (broker::shared().await, Emulator::start(&[]).await);
    let home = Home::new(broker, &emulator.url(), "");
    for (platform, token) in [
        ("dingtalk", "ding-0001"),
        ("dingtalk_internal", "intern-01"),
        ("lark", "lark-0001"),
        ("wecom", "wecom-001"),
    ] {
        home.subscribe("ops", platform, token, &[]);
    }
    home.ok(&["template", "add", "down"], "{host} is down{unset}");
    home.ok(&["template", "add", "down", "--platform", "dingtalk"], "ding: {host}");
    let daemon = home.start().await;
    let jinja = "{% for one in why %}{{ loop.index }}. {{ one }}\n{% endfor %}";
    home.ok(
        &[
            "template",
            "add",
            "down",
            "--platform",
            "lark",
            "--engine",
            "jinja",
            "--format",
            "markdown",
        ],
        jinja,
    );
    let publisher = Publisher::connect(&broker.url(), &home.prefix).await;
    let tags = json!({"host": "db-1", "why": ["disk", "load"]});
    publisher
        .publish(
            "ops",
            &json!({"message_template_name": "down", "tags": tags, "message": "unheard"}),
        )
        .await;
    until("all four hear it", SOON, || async { emulator.count("accepted").await == 4 }).await;
    let shown = emulator.shown().await;
    for (token, says) in [
        ("ding-0001", "ding: db-1"),
        ("intern-01", "ding: db-1"),
        ("lark-0001", "1. disk\n2. load"),
        ("wecom-001", "db-1 is down"),
    ] {
        assert_eq!(shown[token], [says], "{token}");
    }
    let kinds: Vec<_> = emulator
        .received()
        .await
        .iter()
        .map(|one| one["msgtype"].as_str().map(str::to_owned))
        .collect();
    assert_eq!(kinds.iter().flatten().filter(|kind| *kind == "text").count(), 3, "{kinds:?}");

    // A change applies at once, in the daemon as well as on the command line.
    home.ok(&["template", "add", "down", "--replace"], "{host} fell");
    home.ok(&["template", "remove", "down", "--platform", "lark"], "");
    home.ok(&["publish", "--topic", "ops", "--template", "down", "--tag", "host=db-2"], "");
    until("all four hear it", SOON, || async { emulator.count("accepted").await == 8 }).await;
    let shown = emulator.shown().await;
    assert_eq!(
        (&shown["lark-0001"][1], &shown["wecom-001"][1]),
        (&"db-2 fell".to_owned(), &"db-2 fell".to_owned())
    );
    drop(daemon);
}

#[tokio::test]
async fn an_event_whose_template_is_missing_or_fails_is_a_dead_letter_until_it_is_corrected() {
    let (broker, emulator) = (broker::shared().await, Emulator::start(&[]).await);
    let home = Home::new(broker, &emulator.url(), "");
    home.subscribe("ops", "wecom", "wecom-001", &[]);
    let _daemon = home.start().await;
    let publisher = Publisher::connect(&broker.url(), &home.prefix).await;
    home.ok(&["template", "add", "up", "--engine", "jinja"], "one\n{{ host }}");
    for (event, detail) in [
        (json!({"message_template_name": "down"}), "there is no template down"),
        (
            json!({"message_template_name": "up", "tags": {}}),
            "template up for default: line 2: undefined value: `host` is undefined",
        ),
        (
            json!({"message_template_name": "up", "tags": ["db-1"]}),
            "tags is a list: it must be an object, or one as JSON in text",
        ),
    ] {
        publisher.publish("ops", &event).await;
        until("it is given up", SOON, || async { publisher.depth("dead.event").await == 1 }).await;
        let letter = publisher.get("dead.event").await.unwrap();
        assert_eq!(header(&letter, "x-roomcast-reason"), "undecodable");
        assert_eq!(header(&letter, "x-roomcast-code"), "template");
        assert_eq!(header(&letter, "x-roomcast-detail"), detail);
        assert_eq!(letter.delivery.data, event.to_string().as_bytes());
    }
    // Redriven within the period in which a publisher's repeat is recognised.
    let body = json!({"message_template_name": "down", "tags": {"host": "db-1"}}).to_string();
    let named = || BasicProperties::default().with_message_id("event-7".into());
    publisher.publish_bytes("ops", body.as_bytes(), named()).await;
    until("it is given up", SOON, || async { publisher.depth("dead.event").await == 1 }).await;
    let letter: Value = serde_json::from_str(&home.ok(&["dead", "list", "--json"], "")).unwrap();
    let shown = home.ok(&["dead", "show", letter["id"].as_str().unwrap()], "");
    assert!(shown.contains("add or correct the template"), "{shown}");
    home.ok(&["template", "add", "down"], "{host} is down");
    home.ok(&["dead", "redrive", "--code", "template"], "");
    until("it arrives", SOON, || async { emulator.count("accepted").await == 1 }).await;
    assert_eq!(emulator.shown().await["wecom-001"], ["db-1 is down"]);
    assert_eq!(publisher.depth("dead.event").await, 0);
}

#[tokio::test]
async fn a_delivery_that_comes_back_to_a_removed_template_is_given_up_and_redriven_alone() {
    let (broker, emulator) = (broker::shared().await, Emulator::start(&[]).await);
    let home = Home::new(broker, &emulator.url(), "[retry]\ndelays = [\"12s\"]\njitter = 0.0\n");
    let wecom = home.subscribe("ops", "wecom", "wecom-001", &[]);
    home.subscribe("ops", "lark", "lark-0001", &[]);
    home.ok(&["template", "add", "down"], "{host} is down");
    let daemon = home.start().await;
    emulator.fault(json!({"platform": "wecom", "kind": "status", "status": 503, "times": 1})).await;
    let publisher = Publisher::connect(&broker.url(), &home.prefix).await;
    let body = json!({"message_template_name": "down", "tags": {"host": "db-1"}});
    publisher.publish("ops", &body).await;
    until("one waits in a tier", SOON, || async {
        daemon.metric("roomcast_deliveries_total{platform=\"wecom\",outcome=\"retried\"}").await
            == Some(1.0)
    })
    .await;
    home.ok(&["template", "remove", "down"], "");
    until("it is given up when it comes back", SOON, || async {
        publisher.depth("dead.wecom").await == 1
    })
    .await;
    let events = format!("{}.publish", home.prefix);
    until("the event is acked", SOON, || async { broker.messages(&events) == 0 }).await;
    assert_eq!(publisher.depth("dead.event").await, 0);
    assert_eq!(emulator.shown().await["lark-0001"], ["db-1 is down"]);
    let letter: Value = serde_json::from_str(&home.ok(&["dead", "list", "--json"], "")).unwrap();
    for (name, value) in [
        ("reason", json!("undecodable")),
        ("code", json!("template")),
        ("detail", json!("there is no template down")),
        ("subscription", json!(wecom)),
        ("attempts", json!(1)),
    ] {
        assert_eq!(letter[name], value, "{letter}");
    }
    home.ok(&["template", "add", "down"], "{host} is down, said again");
    home.ok(&["dead", "redrive", "--reason", "undecodable"], "");
    until("it arrives", SOON, || async { emulator.shown().await.contains_key("wecom-001") }).await;
    let shown = emulator.shown().await;
    assert_eq!(shown["wecom-001"], ["db-1 is down, said again"]);
    assert_eq!(shown["lark-0001"], ["db-1 is down"], "whom it reached does not hear it again");
}
