//! Credentials.
//!
//! Owns the promise that a webhook occurs only in requests: not in logs, metrics, messages, answers
//! or files.
//!
//! Not here: the access rights of the files (`private_files.rs`).

use std::{path::Path, time::Duration};

use futures_util::StreamExt;
use lapin::{
    Connection, ConnectionProperties,
    options::{BasicConsumeOptions, QueueBindOptions, QueueDeclareOptions},
    types::FieldTable,
};
use serde_json::json;

use crate::support::{
    broker,
    daemon::{Home, get},
    emulator::Emulator,
    publisher::Publisher,
    until,
};

const SOON: Duration = Duration::from_secs(60);
const MARKERS: [&str; 3] = ["LEAKMARKER", "SECLEAK", "leakbot"];

fn assert_clean(what: &str, bytes: &[u8]) {
    for marker in MARKERS {
        let found = bytes
            .windows(marker.len())
            .any(|window| window.eq_ignore_ascii_case(marker.as_bytes()));
        assert!(
            !found,
            "{what} holds {marker}: {}",
            String::from_utf8_lossy(bytes).chars().take(2000).collect::<String>()
        );
    }
}

fn assert_clean_folder(folder: &Path, except: &[&str]) -> usize {
    let mut looked_at = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if except.contains(&name.as_str()) || !(path.is_file() || path.is_dir()) {
            continue;
        }
        if path.is_dir() {
            looked_at += assert_clean_folder(&path, except);
        } else {
            assert_clean(&path.display().to_string(), &std::fs::read(&path).unwrap());
            looked_at += 1;
        }
    }
    looked_at
}

#[tokio::test]
async fn no_log_message_file_or_answer_holds_a_webhook_or_secret() {
    let (broker, emulator) = (broker::shared().await, Emulator::start(&["--no-quota"]).await);
    let more = "[outcome]\nreceipts = \"all\"\n[retry]\ndelays = [\"1s\"]\n\
        [send]\nconnect_timeout = \"5s\"\ndeadline = \"5s\"\n";
    // Everything is logged, including the libraries' lines.
    let home = Home::new(broker, &emulator.url(), more)
        .with("level = \"debug\"", "level = \"trace\"\nformat = \"json\"");
    let secret = home.path("secret-file");
    std::fs::write(&secret, "SECLEAKMARKER\n").unwrap();
    let secret = secret.to_str().unwrap();
    for (platform, token, kind) in [
        ("dingtalk", "LEAKMARKER-ding-status", "status"),
        ("dingtalk", "LEAKMARKER-ding-hang", "hang"),
        ("lark", "LEAKMARKER-lark-cut", "cut"),
        ("lark", "LEAKMARKER-lark-html", "html"),
        ("wecom", "LEAKMARKER-wecom-redirect", "redirect"),
        ("wecom", "LEAKMARKER-wecom-huge", "huge"),
    ] {
        let with_secret: &[&str] =
            if platform == "wecom" { &[] } else { &["--secret-file", secret] };
        home.subscribe("ops", platform, token, with_secret);
        emulator
            .fault(json!({
                "platform": platform, "token": token, "kind": kind, "status": 500, "location": "/x"
            }))
            .await;
    }
    home.subscribe(
        "ops",
        "dingtalk",
        "LEAKMARKER-ding-echo",
        &["--secret-file", secret, "--name", "leakbot"],
    );
    emulator
        .fault(json!({
            "token": "LEAKMARKER-ding-echo", "kind": "answer", "status": 200,
            "body": {
                "errcode": 310000,
                "errmsg": "sign not match for LEAKMARKER-ding-echo with SECLEAKMARKER"
            }
        }))
        .await;
    home.subscribe("ops", "wecom", "LEAKMARKER-wecom-well", &[]);

    let daemon = home.start().await;
    let tap = Tap::on(&broker.url(), &home.prefix).await;
    let publisher = Publisher::connect(&broker.url(), &home.prefix).await;
    publisher.publish("ops", &json!({"message": "x"})).await;
    until("all are settled", SOON, || async {
        publisher.depth("dead.dingtalk").await == 3
            && publisher.depth("dead.lark").await == 2
            && publisher.depth("dead.wecom").await == 2
    })
    .await;
    until("the markers did travel", SOON, || async {
        emulator.received().await.iter().any(|one| one["token"] == "LEAKMARKER-wecom-well")
    })
    .await;

    until("each delivery has a receipt", SOON, || async {
        let messages = tap.messages().await;
        messages.iter().filter(|message| message.contains("\"outcome\":\"")).count() >= 8
    })
    .await;
    let messages = tap.messages().await;
    assert!(messages.len() > 12, "retries and dead letters were seen: {}", messages.len());
    messages.iter().for_each(|message| assert_clean("a broker message", message.as_bytes()));
    let socket = home.path("admin.sock");
    for path in ["/v1/subscriptions", "/v1/robots", "/metrics", "/v1/subscriptions/zz", "/healthz"]
    {
        let answer = get(&socket, path).await;
        assert!(!answer.is_empty(), "{path}");
        // The name is not a credential. Users of the socket may see it.
        assert_clean(path, answer.replace("leakbot", "").as_bytes());
    }
    for arguments in
        [&["subscription", "list"][..], &["dead", "list"], &["dead", "list", "--json"], &["check"]]
    {
        let output = home.cli(arguments, "");
        let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert_clean(&format!("{arguments:?}"), said.replace("leakbot", "").as_bytes());
    }
    for endpoint in [
        "http://x/?access_token=LEAKMARKER",
        "LEAKMARKER",
        "https://oapi.dingtalk.com/robot/send?access_token=LEAKMARKER!!",
    ] {
        let output =
            home.cli(&["subscription", "add", "--topic", "t", "--platform", "dingtalk"], endpoint);
        assert_eq!(output.status.code(), Some(64));
        assert_clean("a refusal", &output.stderr);
    }
    assert!(daemon.terminate().success());
    assert!(home.log().lines().count() > 100, "the log was written at trace level");
    let looked_at = assert_clean_folder(home.dir(), &["secret-file"]);
    assert!(looked_at > 6, "{looked_at} files were looked at");
}

/// Receives every message that is published to any of the exchanges.
struct Tap {
    _connection: Connection,
    seen: std::sync::Arc<std::sync::Mutex<Vec<String>>>,
}

impl Tap {
    async fn on(url: &str, prefix: &str) -> Self {
        let connection = Connection::connect(url, ConnectionProperties::default()).await.unwrap();
        let channel = connection.create_channel().await.unwrap();
        let options = QueueDeclareOptions { exclusive: true, ..QueueDeclareOptions::default() };
        let queue = channel.queue_declare("".into(), options, FieldTable::default()).await.unwrap();
        for exchange in ["publish", "delay", "delivery", "dead", "outcome"] {
            let exchange = format!("{prefix}.{exchange}");
            channel
                .queue_bind(
                    queue.name().clone(),
                    exchange.as_str().into(),
                    "#".into(),
                    QueueBindOptions::default(),
                    FieldTable::default(),
                )
                .await
                .unwrap();
        }
        let options = BasicConsumeOptions { no_ack: true, ..BasicConsumeOptions::default() };
        let mut consumer = channel
            .basic_consume(queue.name().clone(), "".into(), options, FieldTable::default())
            .await
            .unwrap();
        let seen = std::sync::Arc::<std::sync::Mutex<Vec<String>>>::default();
        let sink = std::sync::Arc::clone(&seen);
        tokio::spawn(async move {
            let _channel = channel;
            while let Some(Ok(message)) = consumer.next().await {
                let text =
                    format!("{:?} {}", message.properties, String::from_utf8_lossy(&message.data));
                sink.lock().unwrap().push(text);
            }
        });
        Self { _connection: connection, seen }
    }

    async fn messages(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }
}
