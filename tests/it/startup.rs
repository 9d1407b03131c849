//! Wrong input to the command line and the configuration.
//!
//! Owns the promise that each mistake is one clear sentence with a documented exit code, and loses
//! no data.
//!
//! Not here: `roomcast check` (`check.rs`).

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Output,
    time::{Duration, SystemTime},
};

use lapin::{
    Connection, ConnectionProperties,
    options::{QueueBindOptions, QueueDeclareOptions},
    types::{AMQPValue, FieldTable},
};
use serde_json::{Value, json};

use crate::support::{
    broker,
    daemon::{Home, call},
    emulator::Emulator,
    free_ports,
    publisher::Publisher,
    until,
};

const NOWHERE: &str = "http://127.0.0.1:9";
const SOON: Duration = Duration::from_secs(30);

/// The only sentence on standard error, apart from log lines.
fn sentence(output: &Output) -> String {
    let text = String::from_utf8(output.stderr.clone()).unwrap();
    let text: String =
        text.lines().filter(|line| !line.starts_with("20")).collect::<Vec<_>>().join("\n");
    assert_eq!(text.trim_end().lines().count(), 1, "one sentence: {text}");
    text
}

/// Checks that an error is reported once at the usual level: in the sentence, and not in the log.
fn told_once(output: &Output, what: &str) {
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(text.matches(what).count(), 1, "{text}");
}

fn refused(home: &Home, arguments: &[&str], input: &str, code: i32, says: &str) {
    let output = home.cli(arguments, input);
    let sentence = sentence(&output);
    assert_eq!(output.status.code(), Some(code), "{sentence}");
    assert!(sentence.contains(says), "{says:?} is not in: {sentence}");
}

#[tokio::test]
async fn a_key_that_is_missing_exposed_malformed_or_another_is_named() {
    let broker = broker::shared().await;
    let home = Home::new(broker, NOWHERE, "");
    let kept = home.subscribe("ops", "wecom", "wecom-001", &[]);
    home.set_mode("master.key", 0o644);
    refused(&home, &["run"], "", 64, "can be read by others (mode 0644): chmod 600");
    refused(&home, &["subscription", "list"], "", 64, "can be read by others");
    home.set_mode("master.key", 0o600);
    refused(&home, &["key", "init"], "", 64, "exists already");
    let right = fs::read(home.path("master.key")).unwrap();
    fs::write(home.path("master.key"), "rubbish").unwrap();
    refused(&home, &["run"], "", 64, "is not a master key");
    fs::remove_file(home.path("master.key")).unwrap();
    refused(&home, &["run"], "", 64, "make one with `roomcast key init`");
    home.ok(&["key", "init"], "");
    refused(&home, &["run"], "", 64, "sealed with another master key");
    fs::write(home.path("master.key"), right).unwrap();
    assert!(home.ok(&["subscription", "list"], "").contains(&kept), "nothing was lost");
}

#[tokio::test]
async fn a_bad_subscription_is_refused_by_the_daemon_and_without_it_alike() {
    let broker = broker::shared().await;
    let home = Home::new(broker, NOWHERE, "");
    let good = "https://oapi.dingtalk.com/robot/send?access_token=0123456789abcdef";
    let bad = [
        ("ops", "slack", good, "unknown platform \"slack\""),
        ("no spaces", "dingtalk", good, "the topic's name holds ' '"),
        (
            "ops",
            "dingtalk",
            "http://oapi.dingtalk.com/robot/send?access_token=0123456789abcdef",
            "only https:// is accepted",
        ),
        (
            "ops",
            "dingtalk",
            "https://evil.example/robot/send?access_token=0123456789abcdef",
            "host evil.example is not one of dingtalk",
        ),
        ("ops", "lark", good, "the webhook is one of dingtalk"),
        (
            "ops",
            "dingtalk",
            "https://oapi.dingtalk.com/robot/send?access_token=bad%20token%20here",
            "access_token is malformed",
        ),
        ("ops", "dingtalk", "", "no webhook URL was given"),
        (
            "ops",
            "wecom",
            "https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=12345678\nsecret",
            "no signing secret",
        ),
    ];
    let check = |home: &Home| {
        for (topic, platform, endpoint, says) in bad {
            refused(
                home,
                &["subscription", "add", "--topic", topic, "--platform", platform],
                endpoint,
                64,
                says,
            );
        }
        refused(home, &["subscription", "show", "xyz"], "", 64, "is not a subscription id");
        refused(
            home,
            &["subscription", "remove", &"0".repeat(32)],
            "",
            1,
            "there is no subscription",
        );
        assert_eq!(home.ok(&["subscription", "list"], ""), "no subscriptions");
    };
    check(&home);
    let _daemon = home.start().await;
    check(&home);
}

#[tokio::test]
async fn a_wrong_id_gets_one_sentence_that_names_it_with_the_daemon_and_without() {
    let home = Home::new(broker::shared().await, NOWHERE, "");
    let webhook = "https://oapi.dingtalk.com/robot/send?access_token=0123456789abcdef";
    let commands: [(&[&str], &str); 8] = [
        (&["subscription", "show"], "is not a subscription id: it has 32 hexadecimal digits"),
        (&["subscription", "update", "--name", "x"], "is not a subscription id"),
        (&["subscription", "remove"], "is not a subscription id"),
        (&["subscription", "pause"], "is not a subscription id"),
        (&["subscription", "resume"], "is not a subscription id"),
        (&["robot", "release"], "is not a robot id: it has 32 hexadecimal digits"),
        (&["dead", "show"], "is not the id of a dead letter"),
        (&["store", "prove-erased"], "is not a subscription id"),
    ];
    let check = |home: &Home| {
        for (command, says) in commands {
            for (given, named) in [
                ("", "\"\""),
                ("a/b", "\"a/b\""),
                ("../robots", "\"../robots\""),
                ("..", "\"..\""),
                ("ops-night", "\"ops-night\""),
                ("0123?x=y#z", "\"0123?x=y#z\""),
                (webhook, "a URL"),
            ] {
                refused(home, &[command, &[given]].concat(), "", 64, &format!("{named} {says}"));
            }
        }
    };
    check(&home);
    let _daemon = home.start().await;
    check(&home);
    let socket = home.path("admin.sock");
    for path in ["/v1/subscriptions/a%2Fb", "/v1/dead/a%2Fb"] {
        let (status, body) = call(&socket, "GET", path, &Value::Null).await;
        assert!(status == 400 && body.contains("\\\"a/b\\\" is not"), "{path}: {status} {body}");
    }
    let (status, body) =
        call(&socket, "POST", "/v1/robots/%2E%2E%2Frobots/release", &Value::Null).await;
    assert!(status == 400 && body.contains("is not a robot id"), "{status} {body}");
}

#[tokio::test]
async fn broken_configuration_is_reported_at_once_with_lines() {
    let broker = broker::shared().await;
    let home = Home::new(broker, NOWHERE, "");
    fs::write(
        home.path("roomcast.toml"),
        "[broker]\nprefix = 1 2\nprefetsh = 3\n[sedn]\n[pace]\nmargin = \"x\"\n",
    )
    .unwrap();
    let output = home.cli(&["run"], "");
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(64));
    for says in [
        "roomcast.toml:2:",
        "roomcast.toml:3:1: unknown key broker.prefetsh; did you mean broker.prefetch?",
        "roomcast.toml:4:",
        "roomcast.toml:6:10: pace.margin",
    ] {
        assert!(text.contains(says), "{says:?} is not in: {text}");
    }
    fs::remove_file(home.path("roomcast.toml")).unwrap();
    refused(&home, &["check"], "", 64, "the file cannot be read");
}

#[tokio::test]
async fn a_store_that_is_in_use_says_so() {
    let broker = broker::shared().await;
    let home = Home::new(broker, NOWHERE, "");
    let daemon = home.start().await;
    // Another socket: this command does not find the daemon, and tries to open the store itself.
    let config = fs::read_to_string(home.path("roomcast.toml")).unwrap();
    fs::write(home.path("roomcast.toml"), config.replace("admin.sock", "other.sock")).unwrap();
    refused(&home, &["subscription", "list"], "", 69, "is in use by another process");
    refused(&home, &["run"], "", 69, "is in use by another process");
    fs::write(home.path("roomcast.toml"), config).unwrap();
    refused(&home, &["run"], "", 69, "is in use by another process");
    assert!(daemon.terminate().success());
}

#[tokio::test]
async fn a_socket_path_at_which_another_file_is_leaves_that_file_alone() {
    let broker = broker::shared().await;
    let home = Home::new(broker, NOWHERE, "");
    let key = fs::read(home.path("master.key")).unwrap();
    let home = home.with("admin.sock\"\n[log]", "master.key\"\n[log]");
    refused(&home, &["run"], "", 64, "is a regular file and not a socket");
    assert_eq!(fs::read(home.path("master.key")).unwrap(), key, "the master key is there");
    let home = home.with("master.key\"\n[log]", "link.sock\"\n[log]");
    std::os::unix::fs::symlink(home.path("master.key"), home.path("link.sock")).unwrap();
    refused(&home, &["run"], "", 64, "is a symbolic link and not a socket");
    assert!(
        fs::symlink_metadata(home.path("link.sock")).is_ok() && home.path("master.key").exists()
    );
    let home = home.with("link.sock\"\n[log]", "admin.sock\"\n[log]");
    home.start().await.kill();
    assert!(home.path("admin.sock").exists(), "a daemon that was killed leaves its socket behind");
    assert!(home.start().await.terminate().success());
    assert!(!home.path("admin.sock").exists(), "its own socket goes with it");
}

#[tokio::test]
async fn an_unreachable_broker_is_waited_for_and_check_says_so() {
    let (broker, emulator) = (broker::shared().await, Emulator::start(&[]).await);
    let home = Home::new(broker, &emulator.url(), "")
        .with(&broker.url(), &format!("amqp://guest:guest@127.0.0.1:{}/%2f", free_ports()));
    let output = home.cli(&["check"], "");
    assert_eq!(output.status.code(), Some(69));
    assert_eq!(sentence(&output), "roomcast: not ready: broker", "the list has said why");
    assert!(String::from_utf8(output.stdout).unwrap().contains("cannot be reached"));
    let mut daemon = home.spawn();
    until("it keeps trying", SOON, || async { home.log().matches("still no session").count() > 3 })
        .await;
    assert!(daemon.ended().is_none(), "{}", home.log());
    assert_eq!(home.log().matches("WARN no session with the broker").count(), 1, "said once");
    assert!(
        home.ok(&["subscription", "list"], "").contains("no subscriptions"),
        "its socket answers"
    );
    assert!(daemon.terminate().success());
}

/// All files of a folder, with their bytes and modification times.
fn files(folder: &Path) -> BTreeMap<PathBuf, (Vec<u8>, SystemTime)> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            let changed = fs::metadata(&path).unwrap().modified().unwrap();
            found.insert(path.clone(), (fs::read(&path).unwrap(), changed));
        }
    }
    found
}

#[tokio::test]
async fn check_changes_nothing_on_the_disk_and_reports_each_finding_once() {
    let home = Home::new(broker::shared().await, NOWHERE, "");
    let store = home.path("data");
    assert!(home.ok(&["check"], "").contains("not there yet; the daemon makes it"));
    assert!(!store.exists());
    home.subscribe("ops", "wecom", "wecom-001", &[]);
    let before = files(&store);
    assert!(home.ok(&["check"], "").contains("key ring and slots ok"));
    assert!(files(&store) == before, "something was changed");
    fs::remove_file(home.path("master.key")).unwrap();
    for (says, failed) in
        [("roomcast key init", "master key"), ("sealed with another master key", "store")]
    {
        let output = home.cli(&["check"], "");
        assert_eq!(output.status.code(), Some(64));
        assert_eq!(sentence(&output), format!("roomcast: not ready: {failed}"));
        assert_eq!(String::from_utf8(output.stdout).unwrap().matches(says).count(), 1);
        assert!(files(&store) == before, "something was changed");
        if failed == "master key" {
            home.ok(&["key", "init"], "");
        }
    }
}

#[tokio::test]
async fn a_wrong_password_or_missing_permissions_are_named() {
    let broker = broker::shared().await;
    let wrong = Home::new(broker, NOWHERE, "").with("guest:guest", "guest:hunter2");
    let output = wrong.cli(&["check"], "");
    assert_eq!(output.status.code(), Some(69));
    let said = [sentence(&output), String::from_utf8(output.stdout).unwrap()].concat();
    assert!(said.contains("refuses") && !said.contains("hunter2"), "{said}");
    refused(&wrong, &["run"], "", 69, "user, password or virtual host");

    broker.ctl(&["add_user", "limited", "limited"]);
    broker.ctl(&["set_permissions", "limited", "^$", ".*", ".*"]);
    let limited = Home::new(broker, NOWHERE, "").with(&broker.url(), &broker.url_for("limited"));
    let output = limited.cli(&["run"], "");
    let said = sentence(&output);
    assert!(said.contains("permission") && said.contains(&limited.prefix), "{said}");
    told_once(&output, "refused for user");
}

#[tokio::test]
async fn verify_only_checks_and_works_with_a_topology_that_another_program_declared() {
    let (broker, emulator) = (broker::shared().await, Emulator::start(&[]).await);
    let home = Home::new(broker, &emulator.url(), "")
        .with("[broker]\n", "[broker]\ndeclare = \"verify\"\n");
    refused(&home, &["run"], "", 69, &format!("{}.unrouted", home.prefix));
    // An administrator declares the output of `roomcast topology`.
    let definitions: Value = serde_json::from_str(&home.ok(&["topology"], "")).unwrap();
    declare(&broker.url(), &definitions).await;
    home.subscribe("ops", "wecom", "wecom-001", &[]);
    let daemon = home.start().await;
    let publisher = Publisher::connect(&broker.url(), &home.prefix).await;
    publisher.publish("ops", &json!({"message": "verified"})).await;
    until("it arrives", SOON, || async { emulator.count("accepted").await == 1 }).await;
    assert!(daemon.terminate().success());
    // A daemon that declares the topology itself has nothing to change.
    let home = home.with("declare = \"verify\"", "declare = \"create\"");
    assert!(home.start().await.terminate().success());
}

#[tokio::test]
async fn an_exchange_for_receipts_is_asked_for_only_when_they_are_switched_on() {
    let (broker, emulator) = (broker::shared().await, Emulator::start(&[]).await);
    let home = Home::new(broker, &emulator.url(), "")
        .with("[broker]\n", "[broker]\ndeclare = \"verify\"\n");
    let topology =
        |home: &Home| serde_json::from_str::<Value>(&home.ok(&["topology"], "")).unwrap();
    let outcome = format!("{}.outcome", home.prefix);
    let named = |definitions: &Value| {
        definitions["exchanges"]
            .as_array()
            .unwrap()
            .iter()
            .any(|one| one["name"] == outcome.as_str())
    };
    let before = topology(&home);
    assert!(!named(&before));
    // Declared as for a version without receipts.
    declare(&broker.url(), &before).await;
    assert!(home.start().await.terminate().success());
    let home = home.with("[store]\n", "[outcome]\nreceipts = \"asked\"\n[store]\n");
    refused(&home, &["run"], "", 69, &format!("exchange {outcome} does not exist"));
    assert!(home.fails(&["check"], "", 69).contains(&format!("exchange {outcome} does not exist")));
    let after = topology(&home);
    assert!(named(&after));
    declare(&broker.url(), &after).await;
    assert!(home.start().await.terminate().success());
}

#[tokio::test]
async fn a_topology_that_differs_is_one_sentence_with_queue_argument_and_both_values() {
    let broker = broker::shared().await;
    let home = Home::new(broker, NOWHERE, "");
    assert!(home.start().await.terminate().success());
    let home = home.with("[broker]\n", "[broker]\ndelivery_limit = 77\n");
    let output = home.cli(&["run"], "");
    let said = sentence(&output);
    assert_eq!(output.status.code(), Some(64), "{said}");
    for part in [&format!("{}.publish", home.prefix), "x-delivery-limit", "77", "1000"] {
        assert!(said.contains(part), "{part} is not in: {said}");
    }
    told_once(&output, "x-delivery-limit");
    let home = home.with("delivery_limit = 77", "delivery_limit = 1000");
    assert!(home.start().await.terminate().success(), "nothing was changed");
}

#[tokio::test]
async fn a_second_daemon_on_the_same_prefix_is_refused_and_takes_over_when_the_first_ends() {
    let broker = broker::shared().await;
    let first = Home::new(broker, NOWHERE, "");
    let running = first.start().await;
    let second = Home::with_prefix(&broker.url(), &first.prefix, NOWHERE, "");
    let mut waiting = second.spawn();
    until("it says why it waits", SOON, || async {
        second.log().contains("another roomcast daemon")
    })
    .await;
    assert!(
        waiting.ended().is_none(),
        "a process that has just died may still seem to hold the lock"
    );
    assert!(running.terminate().success());
    waiting.ready().await;
}

/// Declares exchanges, queues and bindings, like an import of definitions.
pub(crate) async fn declare(url: &str, definitions: &Value) {
    let connection = Connection::connect(url, ConnectionProperties::default()).await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    for exchange in definitions["exchanges"].as_array().unwrap() {
        let options =
            lapin::options::ExchangeDeclareOptions { durable: true, ..Default::default() };
        let kind = match exchange["type"].as_str().unwrap() {
            "fanout" => lapin::ExchangeKind::Fanout,
            _ => lapin::ExchangeKind::Topic,
        };
        let name = exchange["name"].as_str().unwrap();
        channel
            .exchange_declare(name.into(), kind, options, table(&exchange["arguments"]))
            .await
            .unwrap();
    }
    for queue in definitions["queues"].as_array().unwrap() {
        let options = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
        channel
            .queue_declare(
                queue["name"].as_str().unwrap().into(),
                options,
                table(&queue["arguments"]),
            )
            .await
            .unwrap();
    }
    for binding in definitions["bindings"].as_array().unwrap() {
        let part = |name: &str| binding[name].as_str().unwrap().to_owned();
        let (queue, exchange, key) = (part("destination"), part("source"), part("routing_key"));
        channel
            .queue_bind(
                queue.as_str().into(),
                exchange.as_str().into(),
                key.as_str().into(),
                QueueBindOptions::default(),
                FieldTable::default(),
            )
            .await
            .unwrap();
    }
}

fn table(arguments: &Value) -> FieldTable {
    let mut table = FieldTable::default();
    for (name, value) in arguments.as_object().unwrap() {
        let value = match value {
            Value::Number(number) => AMQPValue::LongLongInt(number.as_i64().unwrap()),
            other => AMQPValue::LongString(other.as_str().unwrap().into()),
        };
        table.insert(name.as_str().into(), value);
    }
    table
}
