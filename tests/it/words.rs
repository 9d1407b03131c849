//! Texts from publishers and users with control characters.
//!
//! Owns the promise that they control no terminal, wherever they are shown, and that new names
//! cannot contain them.
//!
//! Not here: which characters are forbidden (`src/domain/printable.rs`).

use std::process::Output;

use roomcast::{
    crypto::MasterKey,
    domain::{
        Endpoint, Mentions, Platform, PrivateOptions, SubscriptionOptions, SubscriptionSpec,
        SubscriptionState,
    },
    store::{Store, StoreSettings},
};
use serde_json::{Value, json};

use crate::support::{
    broker,
    daemon::{Home, call, endpoint},
    letters::Letter,
    publisher::Publisher,
    until,
};

const NOWHERE: &str = "http://127.0.0.1:9";
/// Clears the screen, sets the window's title, begins a line, changes the text direction.
const HOSTILE: &str = "a\u{1b}[2J\u{9b}31m\u{1b}]0;owned\u{7}\r\nforged line\u{202e}b";

fn is_hostile(letter: char) -> bool {
    letter != '\n' && (letter.is_control() || letter == '\u{202e}')
}

fn clean(what: &str, output: &Output) -> String {
    let text = String::from_utf8([output.stdout.clone(), output.stderr.clone()].concat()).unwrap();
    assert!(!text.contains(is_hostile), "{what}: {text:?}");
    assert!(!text.lines().any(|line| line.starts_with("forged line")), "{what}: {text}");
    text
}

/// A subscription with such a name, created before the rule existed.
fn kept_from_before(home: &Home) -> String {
    let key = MasterKey::load(&home.path("master.key")).unwrap();
    let store =
        Store::open(&StoreSettings::at(home.path("data")), &key, roomcast::clock::Clock::System)
            .unwrap();
    let added = store.add(SubscriptionSpec {
        topic: "ops".parse().unwrap(),
        platform: Platform::WeCom,
        endpoint: Endpoint::new(endpoint("wecom", "token-aaaaa-0123456789")),
        secret: None,
        private: PrivateOptions {
            keyword: Some(HOSTILE.to_owned()),
            name: Some(HOSTILE.to_owned()),
            mentions: Mentions { all: false, mobiles: vec![], users: vec![HOSTILE.to_owned()] },
        },
        options: SubscriptionOptions::default(),
        state: SubscriptionState::Active,
    });
    added.unwrap().id.to_string()
}

#[tokio::test]
async fn what_others_have_written_commands_no_terminal_behind_a_pipe() {
    let broker = broker::shared().await;
    let home = Home::new(broker, NOWHERE, "");
    let id = kept_from_before(&home);
    assert!(home.start().await.terminate().success());
    let publisher = Publisher::connect(&broker.url(), &home.prefix).await;
    let body = HOSTILE.replace('\n', " ").into_bytes();
    let letter = Letter { event: HOSTILE.to_owned(), body: body.clone(), ..Letter::number(1, &id) };
    let letter_id = letter.id.clone();
    publisher.bury(&[letter]).await;
    let event = json!({"message": HOSTILE}).to_string();
    for command in [
        &["subscription", "list"][..],
        &["subscription", "show", &id],
        &["subscription", "export", "--format", "csv"],
        &["explain", "--topic", "ops", "--event", "-", "--bodies"],
        &["dead", "list"],
        &["dead", "list", "--by", "event"],
        &["dead", "show", &letter_id],
        &["dead", "list", "--limit", HOSTILE],
        &["dead", "show", HOSTILE],
        &["subscription", "show", HOSTILE],
        &["template", "show", HOSTILE],
        &["check", "--config", HOSTILE],
    ] {
        let output = home.cli(command, &event);
        clean(&format!("{command:?}"), &output);
    }
    let listed = clean("list", &home.cli(&["subscription", "list"], ""));
    assert!(listed.contains("a·[2J·31m·]0;owned···forged line·b"), "{listed}");
    // A program reads it unchanged.
    let read = |arguments: &[&str]| {
        let output = home.cli(arguments, "");
        clean("as JSON", &output);
        serde_json::from_slice::<Value>(&output.stdout).unwrap()
    };
    assert_eq!(read(&["subscription", "list", "--json"])["name"], HOSTILE);
    let letter = read(&["dead", "list", "--json"]);
    let body = json!(std::str::from_utf8(&body).unwrap());
    assert_eq!((&letter["event"], &letter["body"]), (&json!(HOSTILE), &body));
    assert_eq!(read(&["dead", "export"])["body"], body);
}

#[tokio::test]
async fn no_name_keyword_or_mention_takes_a_character_that_cannot_be_shown() {
    let home = Home::with_prefix("amqp://guest:guest@127.0.0.1:9/%2f", "none", NOWHERE, "");
    let url = endpoint("wecom", "token-aaaaa-0123456789");
    let id = home.subscribe("ops", "wecom", "token-aaaaa-0123456789", &["--name", "告警组 🚨"]);
    for with_daemon in [false, true] {
        let daemon = with_daemon.then(|| home.spawn());
        if daemon.is_some() {
            let socket = home.path("admin.sock");
            let answers = || async { tokio::net::UnixStream::connect(&socket).await.is_ok() };
            until("the daemon answers", std::time::Duration::from_secs(30), answers).await;
        }
        for word in [HOSTILE, "a\nb", "a\u{85}b", "a\u{2028}b", "a\u{2066}b"] {
            for option in ["--name", "--keyword", "--mention-user"] {
                let add = [
                    "subscription",
                    "add",
                    "--topic",
                    "other",
                    "--platform",
                    "wecom",
                    option,
                    word,
                ];
                let update = ["subscription", "update", &id, option, word];
                for (command, input) in [(&add[..], url.as_str()), (&update[..], "")] {
                    let said = home.fails(command, input, 64);
                    assert!(
                        said.contains("holds '\\") && said.contains("leave out line breaks"),
                        "{said}"
                    );
                    assert_eq!(said.trim_end().lines().count(), 1, "one sentence: {said}");
                }
            }
            let line =
                json!({"topic": "other", "platform": "wecom", "endpoint": url, "name": word})
                    .to_string();
            let said = home.fails(&["subscription", "import"], &line, 64);
            assert!(said.contains("line 1: the name holds"), "{said}");
            for option in ["--group", "--quiet"] {
                home.fails(&["subscription", "update", &id, option, word], "", 64);
            }
            home.fails(&["template", "add", word], "text", 64);
        }
        if with_daemon {
            let body =
                json!({"topic": "other", "platform": "wecom", "endpoint": url, "name": HOSTILE});
            let (status, answer) =
                call(&home.path("admin.sock"), "POST", "/v1/subscriptions", &body).await;
            assert!(status == 400 && answer.contains("the name holds"), "{status} {answer}");
        }
        assert_eq!(
            home.ok(&["subscription", "list", "--json"], "").lines().count(),
            1,
            "nothing was added"
        );
        assert!(
            home.ok(&["subscription", "list"], "").contains("告警组 🚨"),
            "nothing was changed"
        );
    }
}

#[tokio::test]
async fn dead_letters_are_listed_as_json_in_the_order_of_the_table() {
    let broker = broker::shared().await;
    let home = Home::new(broker, NOWHERE, "");
    let id = home.subscribe("ops", "wecom", "token-aaaaa-0123456789", &[]);
    assert!(home.start().await.terminate().success());
    let publisher = Publisher::connect(&broker.url(), &home.prefix).await;
    let now = jiff::Timestamp::now();
    // In the queue the order differs from the order of their deaths.
    let letters: Vec<_> = [3, 1, 5, 2, 4]
        .map(|minutes| Letter {
            dead_at: now - jiff::SignedDuration::from_mins(minutes),
            id: format!("given-up-{minutes}-minutes-ago"),
            ..Letter::number(1, &id)
        })
        .into();
    publisher.bury(&letters).await;
    let ids = |text: &str| {
        let place = |line: &str| {
            line.find("given-up-").map(|at| line[at..].chars().take(22).collect::<String>())
        };
        text.lines().filter_map(place).collect::<Vec<_>>()
    };
    for limit in ["1", "2", "3", "5", "9"] {
        let table = ids(&home.ok(&["dead", "list", "--limit", limit], ""));
        let json = ids(&home.ok(&["dead", "list", "--limit", limit, "--json"], ""));
        assert_eq!(json, table, "--limit {limit}");
        assert_eq!(
            json.first().map(String::as_str),
            Some("given-up-1-minutes-ago"),
            "the newest first"
        );
    }
    assert_eq!(ids(&home.ok(&["dead", "list", "--json"], "")).len(), 5);
}
