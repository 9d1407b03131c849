//! The routes that a token is enough for.
//!
//! Owns the promise that none of them reveals a webhook, takes a key, or writes a file. A route
//! that is not asked here is refused.
//!
//! Not here: the routes of the socket (`audit.rs`), and logs and messages (`leaks.rs`).

use std::{collections::BTreeSet, time::Duration};

use serde_json::{Value, json};

use crate::support::{
    broker,
    console::{TOKEN, http, with_console},
    daemon::{Home, endpoint},
    emulator::Emulator,
    publisher::Publisher,
    until,
};

const SOON: Duration = Duration::from_secs(30);
const MARKERS: [&str; 2] = ["REVEALMARKER", "SECRETMARKER"];
/// Fields of requests that only the socket takes: a key that would open an answer, and a folder.
const SOCKET_FIELDS: [&str; 3] = ["key", "new_key", "dir"];

/// The sources that declare routes of the API.
const SOURCES: [&str; 4] = [
    include_str!("../../src/admin/routes.rs"),
    include_str!("../../src/admin/template_routes.rs"),
    include_str!("../../src/admin/dead_letter_routes.rs"),
    include_str!("../../src/admin/history_routes.rs"),
];

/// Every route for callers with the token, such as `GET /v1/robots`.
fn declared() -> BTreeSet<String> {
    let mut routes = BTreeSet::new();
    for source in SOURCES {
        let (before, rest) = source.split_once("fn socket_routes(").unwrap_or((source, "}\n"));
        let after = rest.split_once("\n}\n").map_or("", |(_, after)| after);
        for piece in before.split(".route(").chain(after.split(".route(").skip(1)).skip(1) {
            let (path, handlers) = piece.split_once('"').unwrap().1.split_once('"').unwrap();
            let handlers = handlers.split(".route(").next().unwrap();
            let path = path.replace("{under}", "/v1").replace("{{", "{").replace("}}", "}");
            for method in ["get", "post", "put", "patch", "delete"] {
                let calls = [format!(" {method}("), format!(".{method}("), format!("\n{method}(")];
                if calls.iter().any(|call| handlers.contains(call)) {
                    routes.insert(format!("{} {path}", method.to_uppercase()));
                }
            }
        }
    }
    assert!(routes.len() > 20, "the routes were found: {routes:?}");
    routes
}

/// A request of each route. Those that remove something come last.
fn requests() -> Vec<(&'static str, Value)> {
    let webhook = endpoint("wecom", "REVEALMARKER-added");
    let added = json!({"topic": "other", "platform": "wecom", "endpoint": webhook});
    let everything = json!({"all": true, "dry_run": true});
    let template = json!({"name": "welcome", "text": "hello"});
    vec![
        ("GET /healthz", Value::Null),
        ("GET /readyz", Value::Null),
        ("GET /metrics", Value::Null),
        ("POST /v1/subscriptions", added.clone()),
        ("POST /v1/subscriptions/import", json!({"subscriptions": [added]})),
        ("GET /v1/subscriptions", Value::Null),
        ("GET /v1/subscriptions/{id}", Value::Null),
        ("PATCH /v1/subscriptions/{id}", json!({"name": "chat"})),
        ("POST /v1/subscriptions/{id}/pause", json!({})),
        ("POST /v1/subscriptions/{id}/resume", json!({})),
        ("POST /v1/subscriptions/{id}/test", json!({})),
        ("GET /v1/overview", Value::Null),
        ("GET /v1/robots", Value::Null),
        ("POST /v1/robots/{id}/release", json!({})),
        ("GET /v1/groups", Value::Null),
        ("GET /v1/topics", Value::Null),
        ("POST /v1/explain", json!({"topic": "ops", "body": "{\"message\": \"x\"}"})),
        ("POST /v1/store/verify", json!({})),
        ("GET /v1/key", Value::Null),
        ("GET /v1/dead", Value::Null),
        ("GET /v1/dead/summary", Value::Null),
        ("GET /v1/dead/{id}", Value::Null),
        ("GET /v1/history", Value::Null),
        ("GET /v1/events/{id}", Value::Null),
        ("POST /v1/templates", template),
        ("GET /v1/templates", Value::Null),
        ("GET /v1/templates/{name}", Value::Null),
        ("POST /v1/templates/{name}/render", json!({"tags": {}})),
        ("DELETE /v1/templates/{name}", Value::Null),
        ("POST /v1/dead/redrive", everything.clone()),
        ("POST /v1/dead/discard", everything),
        ("DELETE /v1/subscriptions/{id}", Value::Null),
        ("DELETE /v1/topics/{topic}", Value::Null),
    ]
}

#[tokio::test]
async fn no_route_that_a_token_opens_reveals_a_webhook() {
    let requests = requests();
    let asked: BTreeSet<_> = requests.iter().map(|(route, _)| (*route).to_owned()).collect();
    assert_eq!(asked, declared(), "each route is asked: add the missing one to the requests");

    let (broker, emulator) = (broker::shared().await, Emulator::start(&[]).await);
    let (home, address) = with_console(Home::new(broker, &emulator.url(), ""));
    let secret = home.path("secret");
    std::fs::write(&secret, "SECRETMARKER\n").unwrap();
    let with_secret = ["--secret-file", secret.to_str().unwrap()];
    let id = home.subscribe("ops", "dingtalk", "REVEALMARKER-robot", &with_secret);
    let daemon = home.start().await;
    emulator.robot("dingtalk", "REVEALMARKER-robot", json!({"state": "gone"})).await;
    let publisher = Publisher::connect(&broker.url(), &home.prefix).await;
    publisher.publish("ops", &json!({"message": "x"})).await;
    until("it is dead", SOON, || async { publisher.depth("dead.dingtalk").await == 1 }).await;
    let letters = home.ok(&["dead", "list", "--json"], "");
    let letter: Value = serde_json::from_str(letters.lines().next().unwrap()).unwrap();

    let event = letter["event"].as_str().unwrap();
    until("it is in the history", SOON, || async {
        home.cli(&["event", "show", event], "").status.success()
    })
    .await;

    let bearer = format!("Bearer {TOKEN}");
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
    for (route, body) in requests {
        let fields = body.as_object().into_iter().flatten().map(|(name, _)| name.as_str());
        for field in fields {
            let is_open = !SOCKET_FIELDS.contains(&field);
            assert!(is_open, "{route} takes {field}: it belongs to the routes of the socket");
        }
        let (method, path) = route.split_once(' ').unwrap();
        let named = if path.contains("/dead/") { letter["id"].as_str().unwrap() } else { &id };
        let named =
            if path.contains("/robots/") { letter["robot"].as_str().unwrap() } else { named };
        let named = if path.contains("/events/") { event } else { named };
        let path =
            path.replace("{id}", named).replace("{topic}", "other").replace("{name}", "welcome");
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let answer = http(&address, method, &path, &headers, &body).await;
        assert!(answer.status < 300, "{route}: {} {}", answer.status, answer.body);
        for marker in MARKERS {
            assert!(!answer.body.contains(marker), "{route} reveals a credential: {}", answer.body);
        }
    }
    assert!(daemon.terminate().success());
}
